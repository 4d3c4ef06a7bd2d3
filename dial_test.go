package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// eachLoop runs f as a coroutine on a loop of each driver, and looks for descriptors that it left open, if the test is
// beside no others: theirs are the process's too.
func eachLoop(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	t.Helper()
	for _, d := range allDrivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := plexor.RunOn(ctx, loop.Options{Driver: d.Name}, func(ctx context.Context) error {
				before := leak.Files()
				f(t, ctx)
				for !isBeside(t) && leak.Files() > before { // one that was closed gracefully may take a moment
					if err := coro.Sleep(ctx, time.Millisecond); err != nil {
						t.Errorf("%d descriptors more than before: %v", leak.Files()-before, err)
						return nil
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// echoOn serves echo at an address of package net, on goroutines; the test is skipped if this machine has no such
// address.
func echoOn(t *testing.T, network, address string) net.Addr {
	t.Helper()
	ln, err := net.Listen(network, address)
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this machine has no %s: %v", address, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // the test is over
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				// Without splice, whose pipes stay open until they are collected. The client looks at what it gets.
				_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			}()
		}
	}()
	return ln.Addr()
}

// sayHello has the other end echo a word.
func sayHello(t *testing.T, c *plexor.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Error(err)
		return
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after CloseWrite: Read = %d, %v, want the end", n, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestDial(t *testing.T) {
	tcp := echoOn(t, "tcp", "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "sock")
	echoOn(t, "unix", path)
	for _, row := range []struct{ name, address, remote string }{
		{"tcp", "tcp://" + tcp.String(), tcp.String()},
		{"a name", "tcp://localhost:" + portOf(tcp), ""},
		{"no host", "tcp://:" + portOf(tcp), tcp.String()},
		{"options", "tcp://" + tcp.String() + "?nodelay=no", tcp.String()},
		{"unix", "unix://" + path, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, ctx context.Context) {
				c, err := plexor.Dial(ctx, row.address)
				if err != nil {
					t.Error(err)
					return
				}
				if got := c.RemoteAddr().String(); row.remote != "" && got != row.remote {
					t.Errorf("RemoteAddr = %s, want %s", got, row.remote)
				}
				sayHello(t, c)
			})
		})
	}
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// lookup is a resolver with one answer.
func lookup(ips ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) (found []netip.Addr, err error) {
		for _, ip := range ips {
			found = append(found, netip.MustParseAddr(ip))
		}
		return found, nil
	}
}

// TestDialFamilies: one family refuses, and the other is used, whichever comes first.
func TestDialFamilies(t *testing.T) {
	four := echoOn(t, "tcp", "127.0.0.1:0") // nobody listens on its port of ::1
	for _, ips := range [][]string{{"::1", "127.0.0.1"}, {"127.0.0.1", "::1"}, {"::1", "::1", "127.0.0.1"}} {
		t.Run(strings.Join(ips, " "), func(t *testing.T) {
			eachLoop(t, func(t *testing.T, ctx context.Context) {
				d := &plexor.Dialer{Lookup: lookup(ips...), Delay: time.Hour} // a refusal hurries the next
				c, err := d.Dial(ctx, "tcp://both.test:"+portOf(four))
				if err != nil {
					t.Error(err)
					return
				}
				sayHello(t, c)
			})
		})
	}
}

// TestDialLocalhost: the real resolver, with a listener of each family.
func TestDialLocalhost(t *testing.T) {
	four := echoOn(t, "tcp", "127.0.0.1:0")
	echoOn(t, "tcp", "[::1]:"+portOf(four))
	eachLoop(t, func(t *testing.T, ctx context.Context) {
		c, err := plexor.Dial(ctx, "tcp://localhost:"+portOf(four))
		if err != nil {
			t.Error(err)
			return
		}
		sayHello(t, c)
	})
}

// blackHole listens on 127.0.0.2 and accepts nobody, with a backlog that is full: whoever else connects gets no answer.
func blackHole(t *testing.T, port string) (address string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("a full backlog drops those who connect on Linux")
	}
	address = "127.0.0.2:" + port
	a, err := sock.ParseAddr("tcp://" + address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sock.Listen(a, sock.Options{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the test is over
	for i := range 20 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if os.IsTimeout(err) {
			if i < 2 {
				continue // it has its place, and it is this machine that is slow: there are two
			}
			return address
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() }) // likewise
	}
	t.Skip("a backlog of 1 holds 20 connections here")
	return ""
}

// TestDialBlackHole: an address that is silent costs a quarter of a second, and no descriptor.
func TestDialBlackHole(t *testing.T) {
	beside(t)
	port := portOf(echoOn(t, "tcp", "127.0.0.1:0"))
	hole := blackHole(t, port)
	t.Run("another answers", func(t *testing.T) {
		eachLoop(t, func(t *testing.T, ctx context.Context) {
			start := time.Now()
			d := &plexor.Dialer{Lookup: lookup("127.0.0.2", "127.0.0.1")}
			c, err := d.Dial(ctx, "tcp://both.test:"+port)
			if err != nil {
				t.Error(err)
				return
			}
			if took := time.Since(start); took < 240*time.Millisecond {
				t.Errorf("it took %v: the second attempt is to begin 250 ms after the first", took)
			}
			if got := c.RemoteAddr().String(); got != "127.0.0.1:"+port {
				t.Errorf("connected to %s", got)
			}
			sayHello(t, c)
		})
	})
	t.Run("the context's deadline", func(t *testing.T) {
		eachLoop(t, func(t *testing.T, ctx context.Context) {
			ctx, cancel := coro.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			_, err := plexor.Dial(ctx, "tcp://"+hole)
			e, ok := errors.AsType[*plexor.DialError](err)
			if !errors.Is(err, context.DeadlineExceeded) || !ok || !e.Timeout() ||
				!strings.Contains(err.Error(), "connect tcp://"+hole+": no answer") {
				t.Errorf("Dial = %v", err)
			}
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		eachLoop(t, func(t *testing.T, ctx context.Context) {
			why := errors.New("somebody changed their mind")
			err := coro.Group(ctx, func(g *coro.Tasks) error {
				g.Go(func(ctx context.Context) error {
					_, err := plexor.Dial(ctx, "tcp://"+hole)
					return err
				})
				if err := coro.Sleep(g.Context(), 5*time.Millisecond); err != nil {
					return err
				}
				g.Cancel(why)
				return nil
			})
			if !errors.Is(err, why) {
				t.Errorf("Dial = %v, want the cause %v", err, why)
			}
		})
	})
}

// TestDialErrors: what failed, where and why, of each attempt.
func TestDialErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(ln.Addr())
	_ = ln.Close() // so that nobody listens there
	stuck := func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, row := range []struct {
		name    string
		lookup  func(context.Context, string) ([]netip.Addr, error)
		address string
		is      error
		says    []string
	}{
		{"refused", nil, "tcp://127.0.0.1:" + port, syscall.ECONNREFUSED,
			[]string{"plexor: dial tcp://127.0.0.1:" + port + ": "}},
		{"each refused", lookup("127.0.0.1", "127.0.0.2"), "tcp://two.test:" + port, syscall.ECONNREFUSED,
			[]string{"plexor: dial tcp://two.test:" + port + ": ", "127.0.0.1:" + port, "127.0.0.2:" + port}},
		{"no such name", lookup(), "tcp://none.test:1", nil, []string{"look up none.test: the name has no address"}},
		{"the resolver is stuck", stuck, "tcp://stuck.test:1", context.DeadlineExceeded, nil},
		{"no such file", nil, "unix:///nowhere/sock", syscall.ENOENT, []string{"/nowhere/sock"}},
		{"udp", nil, "udp://127.0.0.1:1", nil, []string{"udp has no connections"}},
		{"bad address", nil, "127.0.0.1:1", nil, []string{"did you mean tcp://127.0.0.1:1?"}},
		{"bad option", nil, "tcp://127.0.0.1:1?colour=red", nil, []string{`unknown option "colour"`}},
		{"port 0", nil, "tcp://127.0.0.1:0", nil, []string{"port 0"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, ctx context.Context) {
				if row.is == context.DeadlineExceeded {
					var cancel context.CancelFunc
					ctx, cancel = coro.WithTimeout(ctx, 10*time.Millisecond)
					defer cancel()
				}
				c, err := (&plexor.Dialer{Lookup: row.lookup}).Dial(ctx, row.address)
				if c != nil || err == nil || row.is != nil && !errors.Is(err, row.is) {
					t.Errorf("Dial(%s) = %v, %v, want an error that is %v", row.address, c, err, row.is)
					return
				}
				for _, want := range row.says {
					if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("Dial(%s) says %q, want %q in it, in one line", row.address, err, want)
					}
				}
			})
		})
	}
}

// TestDialElsewhere: whoever is no coroutine is told what to do.
func TestDialElsewhere(t *testing.T) {
	_, err := plexor.Dial(t.Context(), "tcp://127.0.0.1:1")
	if e, ok := errors.AsType[*coro.MisuseError](err); !ok || !strings.Contains(err.Error(), "plexor.Run") {
		t.Errorf("on a goroutine: %v (%v), want a *coro.MisuseError that mentions plexor.Run", err, e)
	}
	err = plexor.Run(t.Context(), func(ctx context.Context) error {
		_, err := coro.Await(ctx, func() (*plexor.Conn, error) { return plexor.Dial(ctx, "tcp://127.0.0.1:1") })
		return err
	})
	if _, ok := errors.AsType[*coro.MisuseError](err); !ok {
		t.Errorf("on a goroutine of Await: %v, want a *coro.MisuseError", err)
	}
}

// TestDialInHandler: a handler is a proxy by Dial and two copies.
func TestDialInHandler(t *testing.T) {
	back := echoOn(t, "tcp", "127.0.0.1:0")
	for _, d := range allDrivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			srv := &plexor.Server{Driver: d.Name, Handler: plexor.HandlerFunc(func(c *plexor.Conn) {
				out, err := plexor.Dial(c.Context(), "tcp://"+back.String())
				if err != nil {
					t.Error(err)
					return
				}
				defer out.Close()
				err = coro.Group(c.Context(), func(g *coro.Tasks) error {
					for _, p := range [][2]*plexor.Conn{{c, out}, {out, c}} {
						g.Go(func(context.Context) error {
							if _, err := io.Copy(p[1], p[0]); err != nil {
								return err
							}
							return p[1].CloseWrite()
						})
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})}
			a, err := srv.Open("tcp://127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			err = plexor.Run(t.Context(), func(ctx context.Context) error {
				c, err := plexor.Dial(ctx, "tcp://"+a.String())
				if err != nil {
					return err
				}
				sayHello(t, c)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRun: the end of the function's connections is theirs, not the loop's.
func TestRun(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			var b []byte
			if b, err = io.ReadAll(c); err == nil && len(b) != 1<<20 {
				err = fmt.Errorf("%d bytes", len(b))
			}
			_ = c.Close() // all was read
		}
		got <- err
	}()
	why := errors.New("f's own")
	err = plexor.Run(t.Context(), func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://"+ln.Addr().String())
		if err != nil {
			return err
		}
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
		return why
	})
	if err == nil || err.Error() != why.Error() {
		t.Errorf("Run = %v, want %v", err, why)
	}
	if err := <-got; err != nil {
		t.Errorf("the peer got %v", err)
	}
}
