//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// advanceUntilClosed moves the clock until Closed comes; it returns how far the clock was moved, and its error.
func (k *link) advanceUntilClosed(most time.Duration) (time.Duration, error) {
	k.t.Helper()
	for d := time.Duration(0); ; d += step {
		k.turns(1)
		select {
		case err := <-k.closed:
			return d, err
		default:
		}
		if d >= most {
			k.t.Fatalf("no Closed although the clock has moved by %v", d)
		}
		k.advance(step)
	}
}

// After Close a peer that has everything and never closes its own half is waited for a second, not for ever. Whatever
// the turn wrote before.
func TestCloseWithPeerThatStays(t *testing.T) {
	for name, writes := range map[string][]int{
		"nothing written":          nil,
		"a corked write":           {100},
		"a large write":            {50_000},
		"a corked, then a large":   {100, 50_000},
		"a large, then a corked":   {50_000, 100},
		"two corked that overflow": {10_000, 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			eachBeside(t, func(t *testing.T, driver string) {
				streams(t, func(t *testing.T, network string) {
					r := run(t, loop.Options{Driver: driver, Clock: manual()})
					k := r.connect(network, sock.Options{}, &watcher{})
					total := 0
					k.do(func() {
						for _, n := range writes {
							write(t, k.c, pattern(total + n)[total:])
							total += n
						}
						k.c.Close()
						if err := k.c.Close(); err != loop.ErrClosed {
							t.Errorf("a second Close: %v; want ErrClosed", err)
						}
					})
					k.peer.expectAll(pattern(total))
					k.acked()
					k.notYet("before the peer has closed its half")
					after, err := k.advanceUntilClosed(20 * time.Second)
					if err != nil {
						t.Errorf("Closed got %v: want nil, for all was delivered", err)
					}
					if after < time.Second || after > 2*time.Second {
						t.Errorf("Closed came after %v: want about a second", after)
					}
				})
			})
		})
	}
}

// Linger's limit passes, and the peer has not taken everything.
func TestLingerLimit(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, Clock: manual(), Linger: 3 * time.Second})
			k := r.connect(network, sock.Options{}, &watcher{})
			k.do(func() {
				write(t, k.c, pattern(large))
				k.c.Close()
			})
			after, err := k.advanceUntilClosed(10 * time.Second)
			if err != loop.ErrUndelivered {
				t.Errorf("Closed got %v: want ErrUndelivered", err)
			}
			// The peer's kernel may acknowledge its last bytes when the clock, which is quicker than it, has moved already.
			if after < 3*time.Second || after > 2*(3*time.Second+step) {
				t.Errorf("Closed came after %v: want 3s, the limit, from the last byte on", after)
			}
		})
	})
}

// A peer that reads on, if slowly, gets everything: the limit counts from when it last took something.
func TestLingerWhileReading(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, Clock: manual(), Linger: 3 * time.Second})
			k := r.connect(network, sock.Options{}, &watcher{})
			k.do(func() {
				write(t, k.c, pattern(large))
				k.c.Close()
			})
			got := make([]byte, large)
			for n := 0; n < 6; n++ { // twelve seconds in all
				part := got[n*large/8 : (n+1)*large/8]
				if _, err := io.ReadFull(k.peer, part); err != nil {
					t.Fatalf("part %d: %v", n, err)
				}
				k.advance(2 * time.Second)
				k.turns(2)
			}
			if _, err := io.ReadFull(k.peer, got[6*large/8:]); err != nil {
				t.Fatalf("the rest: %v", err)
			}
			same(t, got, pattern(large))
			k.peer.Close()
			if _, err := k.advanceUntilClosed(10 * time.Second); err != nil {
				t.Errorf("Closed got %v: want nil", err)
			}
		})
	})
}

// All is in the kernel, and our half is closed, but the peer does not read: still not delivered.
func TestLingerLimitInTheKernel(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual(), Linger: 3 * time.Second})
		k := r.connect("unix", sock.Options{}, &watcher{}) // over TCP the peer's kernel acknowledges
		k.do(func() {
			write(t, k.c, []byte("hello"))
			k.c.Close()
		})
		after, err := k.advanceUntilClosed(10 * time.Second)
		if err != loop.ErrUndelivered || after < 3*time.Second {
			t.Errorf("Closed got %v after %v: want ErrUndelivered after 3s", err, after)
		}
	})
}

// Close while the output is full, and while reading is paused.
func TestCloseWhenFullAndPaused(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver})
			k := r.connect(network, sock.Options{}, &watcher{
				writable: func(*loop.Conn) { t.Error("Writable after Close") },
				data:     func(*loop.Conn, []byte) { t.Error("Data after Close") },
			})
			k.do(func() {
				write(t, k.c, pattern(large))
				if _, err := k.c.Write([]byte("x")); err != loop.ErrFull {
					t.Errorf("Write: %v; want ErrFull", err)
				}
				k.c.Pause()
				k.c.Close()
			})
			k.peer.send(pattern(1000)) // is dropped
			readSlowly(t, k.peer, pattern(large))
			k.peer.Close()
			k.end(nil)
		})
	})
}

// After Close nothing can be done with the connection, and after Closed neither.
func TestUseAfterClose(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		for name, finish := range map[string]func(k *link){
			"closing": func(k *link) { k.do(func() { write(t, k.c, pattern(100)); k.c.Close() }) },
			"ended":   func(k *link) { k.do(func() { k.c.Abort() }); recv(t, "Closed", k.closed) },
		} {
			t.Run(name, func(t *testing.T) {
				k := r.connect("tcp", sock.Options{}, &watcher{})
				finish(k)
				k.do(func() {
					_, werr := k.c.Write([]byte("x"))
					_, eerr := k.c.Write(nil)
					for call, err := range map[string]error{
						"Write": werr, "Write of nothing": eerr, "Close": k.c.Close(), "CloseWrite": k.c.CloseWrite(),
						"SetDeadline": k.c.SetDeadline(r.Now()), "SetReadDeadline": k.c.SetReadDeadline(time.Time{}),
						"SetWriteDeadline": k.c.SetWriteDeadline(time.Time{}),
					} {
						if !errors.Is(err, net.ErrClosed) {
							t.Errorf("%s: %v; want net.ErrClosed", call, err)
						}
					}
					k.c.Pause()
					k.c.Resume()
					k.c.Full()
					k.c.Drain()
				})
				if name == "ended" {
					k.do(func() {
						k.c.Abort()
						k.c.CloseWithError(errors.New("late"))
						_, lerr := k.c.LocalAddr()
						_, rerr := k.c.RemoteAddr()
						if !errors.Is(lerr, net.ErrClosed) || !errors.Is(rerr, net.ErrClosed) {
							t.Errorf("LocalAddr: %v, RemoteAddr: %v; want net.ErrClosed", lerr, rerr)
						}
						if k.c.Socket() != sock.None {
							t.Errorf("Socket is %d after the end: want None", k.c.Socket())
						}
					})
					k.turns(2)
					if len(k.closed) > 0 {
						t.Errorf("Closed was called again, with %v", <-k.closed)
					}
				}
			})
		}
	})
}

// The peer resets: ECONNRESET, whatever the connection was doing.
func TestResetByPeer(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for name, prepare := range map[string]func(k *link){
			"idle":            func(k *link) {},
			"output waits":    func(k *link) { k.do(func() { write(t, k.c, pattern(large)) }) },
			"closing, full":   func(k *link) { k.do(func() { write(t, k.c, pattern(large)); k.c.Close() }) },
			"closing, paused": func(k *link) { k.do(func() { k.c.Pause(); k.c.Close() }) },
			"half-closed":     func(k *link) { k.do(func() { k.c.CloseWrite() }) },
		} {
			t.Run(name, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver})
				k := r.connect("tcp", sock.Options{}, &watcher{})
				prepare(k)
				k.peer.reset()
				k.end(syscall.ECONNRESET)
			})
		}
	})
}

// Abort resets: the peer sees it, and the handler gets ErrAborted; CloseWithError does the same with its own error.
func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		mine := errors.New("mine")
		for name, end := range map[string]func(c *loop.Conn) error{
			"Abort":          func(c *loop.Conn) error { c.Abort(); return loop.ErrAborted },
			"CloseWithError": func(c *loop.Conn) error { c.CloseWithError(mine); return mine },
			"Close, Abort":   func(c *loop.Conn) error { c.Write(pattern(large)); c.Close(); c.Abort(); return loop.ErrAborted },
			"corked":         func(c *loop.Conn) error { c.Write([]byte("x")); c.Abort(); return loop.ErrAborted },
			"full":           func(c *loop.Conn) error { c.Write(pattern(large)); c.Abort(); return loop.ErrAborted },
		} {
			t.Run(name, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver})
				k := r.connect("tcp", sock.Options{}, &watcher{})
				var want error
				k.do(func() { want = end(k.c) })
				k.end(want)
				var err error
				for buf := make([]byte, 1<<20); err == nil; {
					_, err = k.peer.Read(buf)
				}
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the peer read %v: want ECONNRESET", err)
				}
			})
		}
	})
}

// A handler may end its connection from any of its calls, and gets nothing but Closed afterwards.
func TestEndFromAnyCall(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for name, end := range map[string]func(c *loop.Conn){
			"Abort": (*loop.Conn).Abort,
			"Close": func(c *loop.Conn) { c.Close() },
		} {
			for _, call := range []string{"Opened", "Data", "EOF", "Writable", "Expired"} {
				t.Run(call+" "+name, func(t *testing.T) {
					r := run(t, loop.Options{Driver: driver})
					done, filled := make(chan struct{}, 10), make(chan struct{})
					ended := make(chan error, 1)
					finish := func(in string, c *loop.Conn) {
						if len(done) > 0 {
							t.Errorf("%s after the end in %s", in, call)
						}
						if in == call {
							end(c)
							done <- struct{}{}
						}
					}
					a := r.serve("tcp", func() loop.Handler {
						return &watcher{t: t,
							opened: func(c *loop.Conn) {
								c.SetReadDeadline(r.Now())
								if call == "Writable" {
									fill(t, c, 1<<20)
									close(filled)
								}
								finish("Opened", c)
							},
							data:     func(c *loop.Conn, _ []byte) { finish("Data", c) },
							eof:      func(c *loop.Conn) { finish("EOF", c) },
							writable: func(c *loop.Conn) { finish("Writable", c) },
							expired:  func(c *loop.Conn, _ *loop.DeadlineError) { finish("Expired", c) },
							closed:   func(_ *loop.Conn, err error) { ended <- err },
						}
					})
					c, err := tryDial(a)
					if err != nil { // it was reset that early
						recv(t, call, done)
						recv(t, "Closed", ended)
						return
					}
					p := &peer{c, t}
					defer p.Close()
					p.Write(pattern(100_000)) // may meet a reset
					p.Conn.(interface{ CloseWrite() error }).CloseWrite()
					if call == "Writable" {
						<-filled
						buf := make([]byte, 1<<20)
						for {
							if _, err := p.Read(buf); err != nil {
								break
							}
						}
					}
					recv(t, call, done)
					p.Close()
					recv(t, "Closed", ended)
				})
			}
		}
	})
}
