//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// A lookout is a watch on one end of a pair of sockets, and the other end.
type lookout struct {
	*rig
	w      *loop.Watch
	mine   sock.Socket // a duplicate of the watched one
	peer   sock.Socket
	seen   []selector.Events // the loop's
	hook   func()            // runs within Ready, if set
	closed chan error
}

func (k *lookout) Ready(_ *loop.Watch, e selector.Events) {
	k.seen = append(k.seen, e)
	if k.hook != nil {
		k.hook()
	}
}

func (k *lookout) Closed(_ *loop.Watch, err error) { k.closed <- err }

// watch makes one; it is on the loop.
func (r *rig) watch() *lookout {
	r.t.Helper()
	k := &lookout{rig: r, closed: make(chan error, 10)}
	p, err := sock.Pair()
	if err != nil {
		r.t.Fatal(err)
	}
	k.peer = p[1]
	if k.mine, err = p[0].Dup(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { k.mine.Close(); k.peer.Close() })
	if k.w, err = r.Watch(p[0], k); err != nil {
		r.t.Fatalf("Watch: %v", err)
	}
	return k
}

func (k *lookout) await(e selector.Events) {
	k.t.Helper()
	k.do(func() {
		n := len(k.seen)
		k.w.Await(e)
		if len(k.seen) != n {
			k.t.Error("Ready was called from within Await")
		}
	})
}

func (k *lookout) expect(what string, want ...selector.Events) {
	k.t.Helper()
	k.until(what, func() bool { return len(k.seen) >= len(want) })
	k.turns(3)
	k.do(func() {
		if len(k.seen) != len(want) {
			k.t.Fatalf("%s: got %v, want %v", what, k.seen, want)
		}
		for i := range want {
			if k.seen[i] != want[i] {
				k.t.Fatalf("%s: got %v, want %v", what, k.seen, want)
			}
		}
		k.seen = nil
	})
}

func (k *lookout) send(p string) {
	k.t.Helper()
	if n, err := k.peer.Send([]byte(p)); n != len(p) || err != nil {
		k.t.Fatalf("Send: %d, %v", n, err)
	}
}

// Each Await brings one Ready, when there is something, and as long as there is.
func TestWatchReads(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		k := onLoop(run(t, loop.Options{Driver: driver}))
		k.await(selector.Read)
		k.expect("nothing came")
		k.send("x")
		k.expect("a byte came", selector.Read)
		k.send("y")
		k.expect("another one, and nobody asked")
		k.await(selector.Read)
		k.expect("asked, and it is there", selector.Read)
		k.await(selector.Read)
		k.expect("asked again, and nobody has read it", selector.Read)
		if n, err := k.mine.Recv(make([]byte, 10)); n != 2 || err != nil {
			t.Fatalf("Recv: %d, %v", n, err)
		}
		k.await(selector.Read)
		k.expect("it was read")
		k.peer.CloseWrite()
		k.expect("the end", selector.Read)
		k.await(selector.Read)
		k.expect("still the end", selector.Read)
	})
}

func onLoop(r *rig) (k *lookout) {
	r.t.Helper()
	r.do(func() { k = r.watch() })
	return k
}

func TestWatchWrites(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		k := onLoop(run(t, loop.Options{Driver: driver}))
		k.await(selector.Write)
		k.expect("there is room", selector.Write)
		for err := error(nil); err == nil; {
			_, err = k.mine.Send(make([]byte, 64<<10))
		}
		k.await(selector.Write | selector.Read)
		k.expect("neither room nor anything to read")
		k.send("x")
		k.expect("a byte", selector.Read)
		for err := error(nil); err == nil; {
			_, err = k.peer.Recv(make([]byte, 64<<10))
		}
		k.expect("room", selector.Write)
	})
}

// The peer is gone: whatever is waited for is ready.
func TestWatchHangUp(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		k := onLoop(run(t, loop.Options{Driver: driver}))
		k.await(selector.Read)
		k.peer.Close()
		k.expect("hung up", selector.Read)
		k.await(selector.Write)
		k.expect("for writing too", selector.Write)
		if n, err := k.mine.Recv(make([]byte, 1)); err != io.EOF {
			t.Errorf("Recv: %d, %v, want io.EOF", n, err)
		}
	})
}

// Close closes the socket, with a wait under way or not, and tells once.
func TestWatchClose(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, row := range []struct {
			name  string
			await selector.Events
		}{{"idle", 0}, {"waiting", selector.Read}} {
			t.Run(row.name, func(t *testing.T) {
				k := onLoop(run(t, loop.Options{Driver: driver}))
				k.mine.Close()
				k.await(row.await)
				k.do(func() {
					if err := k.w.Close(); err != nil {
						t.Error(err)
					}
					if err := k.w.Close(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("a second Close: %v, want net.ErrClosed", err)
					}
					k.w.Await(selector.Read | selector.Write)
				})
				if err := recv(t, "Closed", k.closed); err != nil {
					t.Errorf("Closed got %v, want nil", err)
				}
				eventually(t, "the socket is closed", func() bool {
					_, err := k.peer.Recv(make([]byte, 1))
					return err == io.EOF
				})
				k.expect("nothing after Close")
				if len(k.closed) > 0 {
					t.Error("Closed was called twice")
				}
			})
		}
	})
}

// What was closed earlier in a turn hears no more in it, and neither does what has taken its number.
func TestWatchClosedByAnother(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		var ks [2]*lookout
		var late *lookout
		r.do(func() {
			for i := range ks {
				ks[i] = r.watch()
			}
			for i, k := range ks {
				k.hook = func() {
					ks[1-i].w.Close()
					late = r.watch()
					late.w.Await(selector.Read)
				}
				k.w.Await(selector.Read)
				k.send("x")
			}
		})
		r.until("the first of the two", func() bool { return late != nil })
		r.turns(3)
		r.do(func() {
			if n := len(ks[0].seen) + len(ks[1].seen); n != 1 {
				t.Errorf("%d of the two were told, want one", n)
			}
			if len(late.seen) > 0 {
				t.Errorf("the new one was told %v of the old one", late.seen)
			}
		})
		late.send("y")
		late.expect("the new one", selector.Read)
	})
}

// The loop's end is the watch's.
func TestWatchLoopEnds(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		k := onLoop(run(t, loop.Options{Driver: driver}))
		k.mine.Close()
		k.await(selector.Read)
		k.Loop.Close()
		if err := recv(t, "Closed", k.closed); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Closed got %v, want net.ErrClosed", err)
		}
		if n, err := k.peer.Recv(make([]byte, 1)); err != io.EOF {
			t.Errorf("Recv by the peer: %d, %v, want io.EOF", n, err)
		}
	})
}

// Before the loop runs a watch can be made and asked.
func TestWatchBeforeRun(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := unstarted(t, loop.Options{Driver: driver})
		k := r.watch()
		k.w.Await(selector.Read)
		k.send("x")
		r.start()
		k.expect("what was there before", selector.Read)
	})
}

// What is refused is closed.
func TestWatchRefused(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := unstarted(t, loop.Options{Driver: driver})
		for _, row := range []struct {
			name string
			h    loop.WatchHandler
			end  bool
		}{{"no handler", nil, false}, {"closed loop", &lookout{}, true}} {
			t.Run(row.name, func(t *testing.T) {
				if row.end {
					r.Close()
				}
				p, err := sock.Pair()
				if err != nil {
					t.Fatal(err)
				}
				defer p[1].Close()
				if _, err := r.Watch(p[0], row.h); err == nil {
					t.Error("Watch took it")
				}
				if n, err := p[1].Recv(make([]byte, 1)); err != io.EOF {
					t.Errorf("Recv by the peer: %d, %v, want io.EOF", n, err)
				}
			})
		}
	})
}
