//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// A close whose output left before the turn's end, all of it, is waited for as any other: with a limit.
func TestCloseAfterMixedWrites(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			write(t, k.c, pattern(100))    // corked
			write(t, k.c, pattern(50_000)) // leaves at once, and takes the other along
			k.c.Close()
		})
		k.peer.readAll(50_100)
		k.peer.expectEOF()
		k.acked()
		for range 30 {
			k.advance(step)
		}
		k.turns(1)
		if len(k.closed) == 0 {
			t.Fatal("no Closed after 3s")
		}
		k.end(nil)
	})
}

// A connection that was being made and was given up, by a handler that ran before it in the same turn, stays ended.
func TestDialAbortedWhenReady(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		a := rawListener(t, "tcp").addr
		const n = 10
		var conns []*loop.Conn
		ended := make(chan error, n)
		r.do(func() {
			for range n {
				c, err := r.Dial(a, sock.Options{}, 0, &watcher{t: t,
					opened: func(c *loop.Conn) {
						for _, other := range conns { // all are ready by now
							other.Abort()
						}
					},
					closed: func(_ *loop.Conn, err error) { ended <- err },
				})
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, c)
			}
		})
		for range n {
			if err := recv(t, "Closed", ended); err != loop.ErrAborted {
				t.Errorf("Closed got %v: want ErrAborted", err)
			}
		}
		if s := r.Stats(); s.Conns != 0 {
			t.Errorf("%d connections left", s.Conns)
		}
	})
}

// A connection that was made at once, as those to Unix sockets are, is opened before what its peer sent is delivered.
func TestDialOpensBeforeData(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			ln := rawListener(t, network)
			r := unstarted(t, loop.Options{Driver: driver})
			data := make(chan struct{})
			_, err := r.Dial(ln.addr, sock.Options{}, time.Minute, &watcher{t: t,
				data: func(c *loop.Conn, _ []byte) { c.Abort(); close(data) },
			})
			if err != nil {
				t.Fatal(err)
			}
			p := ln.accept()
			p.send([]byte("hello")) // before the loop's first turn
			r.start()
			recv(t, "Data", data)
		})
	})
}

// The largest limit there is means what it says.
func TestLingerForEver(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual(), Linger: 1<<63 - 1})
		r.advance(time.Hour)
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			write(t, k.c, pattern(large))
			k.c.Close()
		})
		k.advance(1000 * time.Hour)
		k.notYet("before the limit")
		read := make(chan struct{})
		go func() {
			defer close(read)
			readSlowly(t, k.peer, pattern(large))
			k.peer.Close()
		}()
		k.until("the connection is gone", func() bool { k.clock.Advance(step); return len(k.closed) > 0 })
		k.end(nil)
		<-read
	})
}

// A loop that never ran can be closed from what its Close calls.
func TestCloseFromClosedBeforeRun(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := unstarted(t, loop.Options{Driver: driver})
		ln := rawListener(t, "tcp")
		closed := make(chan error, 1)
		_, err := r.Dial(ln.addr, sock.Options{}, 0, &watcher{t: t, closed: func(c *loop.Conn, err error) {
			r.Close()
			closed <- err
		}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { r.Close(); close(done) }()
		if err := recv(t, "Closed", closed); err != loop.ErrLoopClosed {
			t.Errorf("Closed got %v: want ErrLoopClosed", err)
		}
		recv(t, "Close", done)
	})
}

// What a loop's last functions put off with Soon still runs: somebody may wait for it.
func TestSoonRunsAtTheEnd(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for name, started := range map[string]bool{"run": true, "never run": false} {
			t.Run(name, func(t *testing.T) {
				r := unstarted(t, loop.Options{Driver: driver})
				ran := 0
				f := func() { r.Soon(func() { ran++; r.Soon(func() { ran++ }) }) }
				if started {
					r.start()
					r.turns(1)
					posted := make(chan error, 1)
					r.Post(func() { r.Close(); posted <- r.Post(f) })
					if err := recv(t, "the post", posted); err != nil { // a Close of ours could be ahead of it
						t.Fatal(err)
					}
				} else {
					r.Post(f)
				}
				r.Close()
				if ran != 2 {
					t.Errorf("%d of 2 functions ran", ran)
				}
			})
		}
	})
}

// A peer that resets before Close is called is no delivery, and its reason is found.
func TestCloseAfterReset(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		k := r.connect("tcp", sock.Options{}, &watcher{opened: func(c *loop.Conn) { c.Pause() }})
		k.peer.reset()
		k.until("the reset arrived", func() bool {
			_, err := k.c.RemoteAddr() // ENOTCONN from then on
			return err != nil
		})
		k.do(func() { k.c.Close() })
		k.end(syscall.ECONNRESET)
	})
}

// A loop that never ran is closed by whoever likes, on whatever thread that is.
func TestCloseOnAnotherThread(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		runtime.LockOSThread() // so that the other goroutine has another
		defer runtime.UnlockOSThread()
		l, err := loop.New(placed(t, loop.Options{Driver: driver}))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- l.Close() }()
		if err := recv(t, "Close", done); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// A listener that has stepped back goes on when anything of its group is closed: no timer is needed.
func TestAnyFreedDescriptorFeedsAListener(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		if driver == "io_uring" {
			t.Skip("an accept that is under way keeps the limit of when it was asked for: TestOutOfDescriptors does it there")
		}
		for _, what := range []string{"connection", "dialed connection", "listener", "datagram socket"} {
			t.Run(what, func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver, Clock: manual()})
				a := r.serve("tcp", func() loop.Handler { return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) }) })
				spare := r.connect("tcp", sock.Options{}, &watcher{})
				raw := rawListener(t, "tcp")
				packets := r.packets("127.0.0.1", sock.Options{})
				var ln *loop.Listener
				var dialed *loop.Conn
				r.do(func() {
					var err1, err2 error
					ln, err1 = r.Listen(address(t, "tcp"), sock.Options{}, func(*loop.Conn) loop.Handler { return nil })
					dialed, err2 = r.Dial(raw.addr, sock.Options{}, 0, &watcher{t: t})
					if err := errors.Join(err1, err2); err != nil {
						t.Fatal(err)
					}
				})
				r.turns(3)
				release := r.busy()
				p := dial(t, a)
				p.send([]byte("hello"))
				restore := exhaust(t)
				defer restore()
				release()
				eventually(t, "the listener steps back", func() bool { return r.Stats().StepBacks == 1 })
				r.do(func() {
					switch what {
					case "connection":
						spare.c.Abort()
					case "dialed connection":
						dialed.Abort()
					case "listener":
						ln.Close()
					case "datagram socket":
						packets.s.Close()
					}
				})
				p.expect([]byte("hello"))
			})
		}
	})
}

// exhaust takes all descriptors that the process may open, until restore.
func exhaust(t *testing.T) (restore func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	highest, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 300)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(highest)
	low := was
	low.Cur = min(low.Cur, low.Max) // of the type that this system has
	for low.Cur > 0 && int64(low.Cur) > int64(highest) {
		low.Cur = low.Cur / 2
	}
	for int64(low.Cur) < int64(highest) {
		low.Cur++
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var fds []int
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		fds = append(fds, fd)
	}
	return func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	}
}

// A peer that ended its half, and then is gone without having taken what was written before Close: that is told as soon
// as it is known, and not as a delivery. Nothing is read from it any more, and all is in the kernel: no event tells.
func TestCloseHearsThatThePeerIsGone(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, Clock: manual()})
			k := r.connect(network, sock.Options{SendBuffer: 200_000}, &watcher{eof: func(*loop.Conn) {}})
			k.peer.closeWrite()
			k.until("EOF", func() bool { return k.w.sawEOF })
			k.do(func() {
				write(t, k.c, pattern(150_000)) // more than the peer's window
				k.c.Close()
			})
			k.until("all is in the kernel", func() bool { return k.c.Pending() == 0 })
			k.advance(step)
			k.notYet("while the peer has not read it")
			k.peer.Close()
			for at := time.Duration(0); len(k.closed) == 0; at += step {
				if at > 2*time.Second {
					t.Fatalf("no Closed within %v", at)
				}
				k.advance(step)
				cpu(time.Millisecond) // for the network
			}
			k.end(syscall.ECONNRESET)
		})
	})
}

// A connection of which something has arrived that its handler has not seen yet is not quiet: whoever has it by then,
// the system or the driver.
func TestDrainSeesWhatIsHeld(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver})
			var c *loop.Conn
			got, closed := 0, make(chan error, 1)
			a := r.serve(network, func() loop.Handler {
				return &watcher{t: t,
					opened: func(o *loop.Conn) { c = o; o.Pause() },
					data:   func(_ *loop.Conn, p []byte) { got += len(p) },
					closed: func(_ *loop.Conn, err error) { closed <- err },
				}
			})
			release := r.busy()
			p := dial(t, a)
			p.send([]byte("hello")) // is there when the connection is accepted
			release()
			r.until("Opened", func() bool { return c != nil })
			for range 20 { // whatever the driver does with it meanwhile
				r.do(func() {
					if c.Drain() {
						t.Error("Drain closed a connection with unread input")
					}
				})
				if t.Failed() {
					return
				}
			}
			r.do(func() { c.Resume() })
			r.until("Data", func() bool { return got == 5 })
			r.until("it is quiet", func() bool { return c.Drain() })
			p.expectEOF()
			p.Close()
			if err := recv(t, "Closed", closed); err != nil {
				t.Errorf("Closed got %v: want nil", err)
			}
		})
	})
}
