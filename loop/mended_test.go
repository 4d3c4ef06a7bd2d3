//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Mistakes that were made here once, each with the test that found it.

// Output that was full and left within the turn opens the connection again.
func TestFullClearedByFlush(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, HighWater: 1000})
		writable := make(chan struct{}, 10)
		data := make(chan int, 10)
		k := r.connect("unix", sock.Options{}, &watcher{
			writable: func(*loop.Conn) { writable <- struct{}{} },
			data:     func(_ *loop.Conn, p []byte) { data <- len(p) },
		})
		k.do(func() {
			write(t, k.c, pattern(100)) // corked: so the turn's end sends
			taken := fill(t, k.c, 17_000)
			// The peer takes what the kernel holds, so that the rest fits in at the end of the turn.
			k.peer.readAll(100 + taken - k.c.Pending())
		})
		go io.Copy(io.Discard, k.peer)
		recv(t, "Writable", writable)
		k.peer.send([]byte("hello"))
		recv(t, "Data", data)
		k.do(func() { write(t, k.c, []byte("x")); k.c.Abort() })
	})
}

// A turn that writes on and on is stopped at the mark, whatever the size of its pieces.
func TestHighWaterWithinATurn(t *testing.T) {
	const high = 64 << 10
	for name, piece := range map[string]int{"small": 100, "corked": 10_000, "large": 20_000} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, driver string) {
				streams(t, func(t *testing.T, network string) {
					r := run(t, loop.Options{Driver: driver, HighWater: high})
					taken := 0
					k := r.connect(network, sock.Options{}, &watcher{})
					for range 3 { // first with an empty kernel, then with a full one
						k.do(func() {
							taken += fill(t, k.c, piece)
							if n := k.c.Pending(); n < high || n > high+piece+16<<10 {
								t.Errorf("Pending is %d: want %d, and at most a write of %d and a cork more", n, high, piece)
							}
						})
					}
					k.do(func() { k.c.Abort() })
				})
			})
		})
	}
}

// Writable is owed until it was called: also when another write fills the connection again just before.
func TestWritableIsNotLost(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, HighWater: 1000})
		writable := make(chan struct{}, 10)
		k := r.connect("unix", sock.Options{}, &watcher{writable: func(c *loop.Conn) { writable <- struct{}{} }})
		sent := 0
		k.do(func() { sent = fill(t, k.c, 100_000) - k.c.Pending() })
		hold, held := make(chan struct{}), make(chan struct{})
		r.Post(func() { close(held); <-hold })
		<-held
		// In one turn: the peer has made room, and a write takes it before Writable is called.
		pending := 0
		r.Post(func() { write(t, k.c, pattern(1_000_000)); pending = k.c.Pending() })
		k.peer.readAll(sent)
		close(hold)
		k.turns(1)
		if pending == 0 {
			t.Fatal("the second write did not fill the connection")
		}
		go io.Copy(io.Discard, k.peer)
		recv(t, "Writable", writable)
		k.do(func() { k.c.Abort() })
	})
}

// A handler that waits for Writable learns that the connection broke, also if it has paused its input.
func TestWritableWhenOutputBreaks(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver})
			k := r.connect(network, sock.Options{}, &watcher{
				opened: func(c *loop.Conn) { c.Pause(); fill(t, c, 100_000) },
				writable: func(c *loop.Conn) {
					if _, err := c.Write([]byte("x")); err == nil || err == loop.ErrFull {
						t.Errorf("Write to a broken connection: %v; want what broke it", err)
					}
					c.Close()
				},
			})
			k.peer.Close() // with unread input: a reset
			if err := recv(t, "Closed", k.closed); err == nil {
				t.Error("Closed got nil: want what broke the connection")
			}
		})
	})
}

// A timer that is set to the end of time waits for it.
func TestTimerForEver(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		r.advance(time.Hour)
		ran := false
		r.do(func() { r.AfterFunc(1<<63-1, func() { ran = true }) })
		r.advance(time.Hour)
		r.do(func() {
			if ran {
				t.Error("a timer of 292 years ran within the hour")
			}
		})
	})
}

// A deadline's error is a net.Error, as those who know net look for it.
func TestDeadlineErrorIsNetError(t *testing.T) {
	var err error = &loop.DeadlineError{Op: "read"}
	ne, ok := err.(net.Error)
	if !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v: net.Error %v, os.ErrDeadlineExceeded %v; want both", err, ok, errors.Is(err, os.ErrDeadlineExceeded))
	}
}

// A write deadline that has passed already holds for the very next Write, as net.Conn's does.
func TestPastWriteDeadline(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			k.c.SetWriteDeadline(r.Now().Add(-time.Second))
			if n, err := k.c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write after the deadline: %d, %v; want os.ErrDeadlineExceeded", n, err)
			}
			k.c.SetWriteDeadline(time.Time{})
			write(t, k.c, []byte("y"))
		})
		k.peer.expect([]byte("y"))
		k.do(func() { k.c.Abort() })
	})
}

// A deadline in the past expires in the next turn, also on a clock that has not moved yet.
func TestDeadlineAtTheStart(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		expired := make(chan string, 10)
		k := r.connect("tcp", sock.Options{}, &watcher{
			opened:  func(c *loop.Conn) { c.SetReadDeadline(r.Now().Add(-time.Second)) },
			expired: func(_ *loop.Conn, err *loop.DeadlineError) { expired <- err.Op },
		})
		if op := recv(t, "Expired", expired); op != "read" {
			t.Errorf("Expired for %q: want read", op)
		}
		k.do(func() { k.c.Abort() })
	})
}

// Whoever moves the clock and then asks the loop to do something finds that the timers have run, also if a turn was
// under way.
func TestDoSeesTimersAfterAdvance(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, Clock: manual()})
		ran := false
		r.do(func() { r.AfterFunc(time.Second, func() { ran = true }) })
		k := r.connect("unix", sock.Options{}, &watcher{})
		hold, held := make(chan struct{}), make(chan struct{})
		k.do(func() {
			k.w.data = func(*loop.Conn, []byte) { close(held); <-hold }
		})
		k.peer.send([]byte("x"))
		<-held // the turn has read its clock, and posted functions are still to come
		r.clock.Advance(time.Second)
		seen := make(chan bool, 1)
		r.Post(func() { seen <- ran })
		close(hold)
		if !recv(t, "the posted function", seen) {
			t.Error("the timer had not run")
		}
		k.do(func() { k.c.Abort() })
	})
}

// What could only panic later is refused at once.
func TestNilHandlers(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		tcp, udp := address(t, "tcp"), address(t, "udp")
		r.do(func() {
			_, lerr := r.Listen(tcp, sock.Options{}, nil)
			_, perr := r.ListenPacket(udp, sock.Options{}, nil)
			_, derr := r.Dial(sock.Addr{Scheme: "tcp", Host: "127.0.0.1", Port: 1}, sock.Options{}, 0, nil)
			for call, err := range map[string]error{"Listen": lerr, "ListenPacket": perr, "Dial": derr} {
				if err == nil || !strings.Contains(err.Error(), "handler") {
					t.Errorf("%s without a handler: %v; want an error that says so", call, err)
				}
			}
		})
	})
	g := group(t, loop.GroupOptions{Loops: 1})
	if _, err := g.Listen(address(t, "tcp"), sock.Options{}, nil); err == nil {
		t.Error("Group.Listen without a handler: no error")
	}
	if _, err := g.ListenPacket(address(t, "udp"), sock.Options{}, nil); err == nil {
		t.Error("Group.ListenPacket without a handler: no error")
	}
}

// A queue of a few bytes still takes a datagram that fits.
func TestSmallPacketQueue(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, PacketQueue: 10})
		r.do(func() {
			s, err := r.ListenPacket(address(t, "udp"), sock.Options{},
				loop.PacketFunc(func(*loop.PacketConn, []byte, netip.AddrPort, bool) {}))
			if err != nil {
				t.Fatal(err)
			}
			to, _ := s.Addr().AddrPort()
			if _, err := s.WriteTo(pattern(10), to); err != nil {
				t.Errorf("10 bytes into a queue of 10: %v", err)
			}
			if _, err := s.WriteTo(pattern(1), to); err != loop.ErrFull {
				t.Errorf("one more: %v; want ErrFull", err)
			}
		})
	})
}

// A datagram that nobody takes is told to the handler, and does not keep the loop busy.
func TestRefusedDatagram(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		gone, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		nobody := gone.LocalAddr().(*net.UDPAddr).AddrPort()
		gone.Close()
		k := r.packets("127.0.0.1", sock.Options{})
		k.do(func() { k.s.WriteTo([]byte("x"), nobody) })
		got := recv(t, "Refused", k.refused)
		if got.peer != nobody || !errors.Is(got.err, syscall.ECONNREFUSED) {
			t.Errorf("Refused(%v, %v): want %v, ECONNREFUSED", got.peer, got.err, nobody)
		}
		k.turns(2)
		if used := cpu(200 * time.Millisecond); used > 100*time.Millisecond {
			t.Errorf("%v of processor in 200ms with nothing to do", used)
		}
		if len(k.refused) > 0 {
			t.Errorf("Refused was called again: %v", <-k.refused)
		}
	})
}
