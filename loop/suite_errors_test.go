//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A connection that is refused gets Closed alone, with the errno.
func TestDialRefused(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		ln := rawListener(t, "tcp")
		ln.Close() // its port is nobody's now
		r := run(t, loop.Options{Driver: driver})
		closed := make(chan error, 1)
		r.do(func() {
			c, err := r.Dial(ln.addr, sock.Options{}, time.Minute, &watcher{t: t,
				opened: func(*loop.Conn) { t.Error("Opened") },
				closed: func(_ *loop.Conn, err error) { closed <- err },
			})
			if errors.Is(err, syscall.ECONNREFUSED) { // told at once, as it may be
				closed <- err
				return
			}
			if err != nil {
				t.Fatalf("Dial: %v", err)
			}
			if _, err := c.Write([]byte("x")); err == nil {
				t.Error("Write before Opened: no error")
			}
		})
		if err := recv(t, "Closed", closed); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Closed got %v: want ECONNREFUSED", err)
		}
		if n := r.Stats().Conns; n != 0 {
			t.Errorf("%d connections left", n)
		}
		unix := address(t, "unix")
		r.do(func() {
			if _, err := r.Dial(unix, sock.Options{}, 0, &watcher{t: t}); !errors.Is(err, syscall.ENOENT) {
				t.Errorf("Dial of a path that is not there: %v; want ENOENT", err)
			}
		})
	})
}

// A dial that nobody answers ends at its limit.
func TestDialTimeout(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only on Linux does a full backlog leave a dial without an answer")
	}
	each(t, func(t *testing.T, driver string) {
		full, err := sock.Listen(address(t, "tcp"), sock.Options{Backlog: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		a, _ := full.LocalAddr()
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		closed := make(chan error, 10)
		opened := 0
		for range 6 {
			r.do(func() {
				_, err := r.Dial(a, sock.Options{}, 5*time.Second, &watcher{t: t,
					opened: func(*loop.Conn) { opened++ },
					closed: func(_ *loop.Conn, err error) { closed <- err },
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
		r.until("the backlog is full", func() bool { return opened >= 2 })
		r.advance(4 * time.Second)
		if len(closed) > 0 {
			t.Fatalf("Closed(%v) before the limit", <-closed)
		}
		r.advance(time.Second)
		err = recv(t, "Closed", closed)
		var de *loop.DeadlineError
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &de) || de.Op != "connect" || !errors.As(err, &ne) ||
			!ne.Timeout() {
			t.Errorf("Closed got %v: want a timeout of connect", err)
		}
		r.advance(time.Hour)
		r.do(func() {
			if r.Stats().Conns != opened {
				t.Errorf("%d connections: want the %d that were opened, which have no limit", r.Stats().Conns, opened)
			}
		})
	})
}

// A dialed connection is as good as an accepted one.
func TestDial(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			ln := rawListener(t, network)
			r := run(t, loop.Options{Driver: driver, Clock: manual()})
			closed := make(chan error, 1)
			var got []byte
			r.do(func() {
				_, err := r.Dial(ln.addr, sock.Options{}, time.Second, &watcher{t: t,
					opened: func(c *loop.Conn) { write(t, c, pattern(large)) },
					data:   func(c *loop.Conn, p []byte) { got = append(got, p...) },
					closed: func(_ *loop.Conn, err error) { closed <- err },
				})
				if err != nil {
					t.Fatal(err)
				}
			})
			p := ln.accept()
			p.expect(pattern(large))
			r.advance(time.Hour) // Dial's limit means nothing now
			p.send(pattern(1000))
			p.closeWrite()
			p.expectEOF()
			p.Close()
			for len(closed) == 0 {
				r.advance(time.Millisecond)
			}
			if err := <-closed; err != nil {
				t.Errorf("Closed got %v: want nil", err)
			}
			same(t, got, pattern(1000))
		})
	})
}

// A handler that does not want the connection resets it, and it is counted.
func TestAcceptRefuses(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		a := r.listen("tcp", sock.Options{}, func(*loop.Conn) loop.Handler { return nil })
		c, err := tryDial(a)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the peer got %v: want ECONNRESET", err)
		}
		eventually(t, "it is counted", func() bool { return r.Stats().Refused == 1 && r.Stats().Conns == 0 })
	})
}

func TestWrongOptions(t *testing.T) {
	for _, row := range []struct {
		name string
		o    loop.Options
		want string
	}{
		{"HighWater", loop.Options{HighWater: -1}, "HighWater"},
		{"ReadBuffer", loop.Options{ReadBuffer: -1}, "ReadBuffer"},
		{"ReadBudget", loop.Options{ReadBudget: -1}, "ReadBudget"},
		{"AcceptBudget", loop.Options{AcceptBudget: -1}, "AcceptBudget"},
		{"PostQueue", loop.Options{PostQueue: -1}, "PostQueue"},
		{"PacketSize", loop.Options{PacketSize: -1}, "PacketSize"},
		{"PacketBatch", loop.Options{PacketBatch: -1}, "PacketBatch"},
		{"PacketQueue", loop.Options{PacketQueue: -1}, "PacketQueue"},
		{"Linger", loop.Options{Linger: -1}, "Linger"},
		{"Driver", loop.Options{Driver: "kpoll"}, "kpoll"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, err := loop.New(row.o)
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("New(%+v): %v; want an error that names %s", row.o, err, row.want)
			}
			if row.name == "Driver" && !errors.Is(err, loop.ErrUnknownDriver) {
				t.Errorf("%v is not ErrUnknownDriver", err)
			}
		})
	}
	if g, err := loop.NewGroup(loop.GroupOptions{Loops: -1}); err == nil {
		g.Close()
		t.Error("a group of -1 loops: no error")
	}
	if g, err := loop.NewGroup(loop.GroupOptions{Loops: 3, Options: loop.Options{Driver: "kpoll"}}); !errors.Is(err,
		loop.ErrUnknownDriver) {
		if err == nil {
			g.Close()
		}
		t.Errorf("a group on a driver that is not there: %v; want ErrUnknownDriver", err)
	}
}

// Addresses that do not fit what is asked for are refused in words.
func TestWrongAddresses(t *testing.T) {
	r := run(t, loop.Options{})
	h := &watcher{t: t}
	accept := func(*loop.Conn) loop.Handler { return h }
	tcp, udp := sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Addr{Scheme: "udp", Host: "127.0.0.1", Port: 9}
	g := group(t, loop.GroupOptions{Loops: 1})
	k := &post{}
	for name, f := range map[string]func() error{
		"Listen on udp":       func() error { _, err := r.Listen(udp, sock.Options{}, accept); return err },
		"ListenPacket on tcp": func() error { _, err := r.ListenPacket(tcp, sock.Options{}, k); return err },
		"Dial to udp":         func() error { _, err := r.Dial(udp, sock.Options{}, 0, h); return err },
		"Dial to a name": func() error {
			_, err := r.Dial(sock.Addr{Scheme: "tcp", Host: "localhost", Port: 9}, sock.Options{}, 0, h)
			return err
		},
		"Dial to port 0":            func() error { _, err := r.Dial(tcp, sock.Options{}, 0, h); return err },
		"Dial to nothing":           func() error { _, err := r.Dial(sock.Addr{}, sock.Options{}, 0, h); return err },
		"Group.Listen on udp":       func() error { _, err := g.Listen(udp, sock.Options{}, accept); return err },
		"Group.ListenPacket on tcp": func() error { _, err := g.ListenPacket(tcp, sock.Options{}, k); return err },
	} {
		t.Run(name, func(t *testing.T) {
			r.do(func() {
				if err := f(); err == nil {
					t.Error("no error")
				}
			})
		})
	}
}

// A loop that was closed takes nothing more.
func TestUseOfAClosedLoop(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		r.Close()
		h := &watcher{t: t}
		ln := rawListener(t, "tcp")
		_, lerr := r.Listen(address(t, "tcp"), sock.Options{}, func(*loop.Conn) loop.Handler { return h })
		_, perr := r.ListenPacket(address(t, "udp"), sock.Options{}, &post{})
		_, derr := r.Dial(ln.addr, sock.Options{}, 0, h)
		for call, err := range map[string]error{
			"Listen": lerr, "ListenPacket": perr, "Dial": derr,
			"Post": r.Post(func() { t.Error("posted to a closed loop, and it ran") }), "Do": r.Do(func() {}),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v; want net.ErrClosed", call, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
		if err := r.Run(); err != nil {
			t.Errorf("Run after Close: %v; want nil", err)
		}
	})
}

func TestRunTwice(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		r.turns(1)
		if err := r.Run(); err == nil {
			t.Error("a second Run: no error")
		}
		r.turns(1)
	})
}
