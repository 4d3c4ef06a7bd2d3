//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// halfClosed makes a link whose peer has closed its half, which the handler has been told and lets be.
func (r *rig) halfClosed(network string) *link {
	r.t.Helper()
	eof := make(chan struct{})
	k := r.connect(network, sock.Options{}, &watcher{eof: func(*loop.Conn) { close(eof) }})
	k.peer.closeWrite()
	recv(r.t, "EOF", eof)
	k.turns(2)
	return k
}

// A peer that closed its half and then dies is noticed, though nothing is written: by a reset, or, over a Unix socket,
// by the end alone.
func TestPeerDiesAfterItsHalf(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		for _, row := range []struct {
			name, network string
			written       int // bytes that the peer has not read when it dies
			want          error
		}{
			{"tcp, at rest", "tcp", 0, syscall.EPIPE}, // what the systems say of a reset behind the peer's end
			{"tcp, unread output", "tcp", 1000, syscall.EPIPE},
			{"unix, at rest", "unix", 0, syscall.EPIPE},
			{"unix, unread output", "unix", 1000, syscall.ECONNRESET},
		} {
			t.Run(row.name, func(t *testing.T) {
				k := run(t, loop.Options{Driver: driver}).halfClosed(row.network)
				if row.written > 0 {
					k.do(func() { write(t, k.c, pattern(row.written)) })
					k.until("it has left", func() bool { return k.c.Pending() == 0 })
				}
				k.notYet("while the peer lives")
				if row.network == "tcp" {
					k.peer.reset()
				} else {
					k.peer.Close()
				}
				k.end(row.want)
				k.do(func() {
					if _, err := k.c.Write([]byte("more")); !errors.Is(err, loop.ErrClosed) {
						t.Errorf("Write afterwards: %v; want ErrClosed", err)
					}
				})
			})
		}
	})
}

// A peer that closed its half and lives is served as before, and costs nothing while nothing happens; nor does a
// connection both of whose halves are closed.
func TestHalfClosedAtRest(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			clock := &watchedClock{ManualClock: manual()}
			k := run(t, loop.Options{Driver: driver, Clock: clock}).halfClosed(network)
			rests := func(when string) {
				t.Helper()
				k.turns(5)
				before := clock.looks.Load()
				time.Sleep(20 * time.Millisecond)
				if n := clock.looks.Load() - before; n > 20 {
					t.Errorf("%s: the clock was looked at %d times in 20 ms with nothing to do", when, n)
				}
			}
			rests("the peer's half is closed")
			k.do(func() { write(t, k.c, []byte("answer")) })
			k.peer.expect([]byte("answer"))
			rests("and it was answered")
			k.notYet("while the peer lives")
			k.do(func() { k.c.CloseWrite() })
			k.peer.expectEOF()
			rests("both halves are closed")
			k.notYet("before Close")
			k.do(func() { k.c.Close() })
			k.end(nil)
		})
	})
}

// A watchedClock counts how often it is looked at, which a loop does at least once a turn.
type watchedClock struct {
	*loop.ManualClock
	looks atomic.Int64
}

func (c *watchedClock) Now() time.Time {
	c.looks.Add(1)
	return c.ManualClock.Now()
}

// A peer that closes a Unix socket at once has ended both halves in one step. What it sent is served like that of a
// peer over TCP, of which nobody can tell: as from one that closed its half. The next write tells.
func TestUnixPeerClosesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		var got strings.Builder
		eof := make(chan struct{})
		clock := &watchedClock{ManualClock: manual()}
		k := run(t, loop.Options{Driver: driver, Clock: clock}).connect("unix", sock.Options{}, &watcher{
			data: func(_ *loop.Conn, p []byte) { got.Write(p) },
			eof:  func(*loop.Conn) { close(eof) },
		})
		k.peer.send([]byte("last words"))
		k.peer.Close()
		recv(t, "EOF", eof)
		k.notYet("before anything was written")
		before := clock.looks.Load()
		time.Sleep(20 * time.Millisecond)
		if n := clock.looks.Load() - before; n > 20 {
			t.Errorf("the clock was looked at %d times in 20 ms with nothing to do", n)
		}
		k.do(func() {
			if got.String() != "last words" {
				t.Errorf("got %q", got.String())
			}
			write(t, k.c, []byte("answer"))
		})
		k.end(syscall.EPIPE)
	})
}
