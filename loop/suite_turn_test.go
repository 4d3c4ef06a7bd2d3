//go:build linux || darwin || freebsd

package loop_test

import (
	"fmt"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// several is more connections than a driver reads before it calls handlers, all with input in the same turn. Each peer
// sends bytes of its own.
const several = 80

// crowds are tests with several connections at the same time: few, for with all that run beside each other the numbers
// of their descriptors would pass those that select can hold.
var crowds = make(chan struct{}, 2)

func crowd() (over func()) {
	crowds <- struct{}{}
	return func() { <-crowds }
}

func ownBytes(i int) []byte { return []byte(fmt.Sprintf("<the bytes of connection %d>", i)) }

// sameTurn connects the watchers, and has all their peers send while the loop is busy.
func (r *rig) sameTurn(network string, watchers []*watcher) (ks []*link) {
	r.t.Helper()
	for _, w := range watchers {
		ks = append(ks, r.connect(network, sock.Options{}, w))
	}
	release := r.busy()
	for i, k := range ks {
		k.peer.send(ownBytes(i))
		k.peer.closeWrite()
	}
	release()
	return ks
}

// A handler may pause connections whose bytes came in the same turn: these get nothing until they are resumed, and then
// everything, with the end behind it. What a handler does to its bytes, or behind them, changes nobody else's.
func TestPausedByAnother(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			t.Cleanup(crowd()) // behind the rig's
			r := run(t, loop.Options{Driver: driver})
			var (
				ks      []*link
				ready   = make(chan struct{})
				paused  [several]bool
				got     [several][]byte
				ended   int
				handler int // which one has had its bytes
			)
			watchers := make([]*watcher, several)
			for i := range watchers {
				watchers[i] = &watcher{data: func(c *loop.Conn, p []byte) {
					if paused[i] {
						t.Errorf("connection %d is paused and got %q", i, p)
					}
					got[i] = append(got[i], p...)
					handler++
					_ = append(p, "written behind the end of what was given"...)
					clear(p)
					<-ready
					for j, k := range ks {
						if j != i && len(got[j]) == 0 && !paused[j] {
							paused[j] = true
							k.c.Pause()
						}
					}
				}, eof: func(c *loop.Conn) {
					if paused[i] {
						t.Errorf("connection %d is paused and got its end", i)
					}
					ended++
					c.Close()
				}}
			}
			ks = r.sameTurn(network, watchers)
			close(ready)
			for n := 1; n <= several; n++ {
				r.until("one more has its bytes", func() bool { return handler == n })
				r.turns(2)
				r.do(func() {
					if handler != n {
						t.Fatalf("%d connections have their bytes: want %d, for all others are paused", handler, n)
					}
					for j, k := range ks {
						if paused[j] {
							paused[j] = false
							k.c.Resume()
							return
						}
					}
				})
			}
			r.until("all ends", func() bool { return ended == several })
			for i := range got {
				same(t, got[i], ownBytes(i))
			}
		})
	})
}

// Those that a handler ends hear nothing more, though their bytes came in the same turn.
func TestAbortedByAnother(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			t.Cleanup(crowd()) // behind the rig's
			r := run(t, loop.Options{Driver: driver})
			var ks []*link
			ready := make(chan struct{})
			first := -1
			watchers := make([]*watcher, several)
			for i := range watchers {
				watchers[i] = &watcher{data: func(c *loop.Conn, p []byte) {
					if first >= 0 {
						t.Errorf("connection %d was aborted and got %q", i, p)
						return
					}
					first = i
					same(t, p, ownBytes(i))
					<-ready
					for j, k := range ks {
						if j%2 == 0 && j != i {
							k.c.Abort()
						} else if j != i {
							k.c.Close()
						}
					}
				}}
			}
			ks = r.sameTurn(network, watchers)
			close(ready)
			for i, k := range ks {
				err := recv(t, "Closed", k.closed)
				if aborted := i%2 == 0 && i != first; aborted != (err == loop.ErrAborted) {
					t.Errorf("connection %d of which %d was the first: Closed got %v", i, first, err)
				}
			}
		})
	})
}

// What was held for a connection is its handler's until it returns, also if it ends the connection first.
func TestAbortWhileHeldBytesArrive(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			t.Cleanup(crowd()) // behind the rig's
			r := run(t, loop.Options{Driver: driver})
			var ks []*link
			ready := make(chan struct{})
			first := -1
			big := pattern(3000)
			watchers := make([]*watcher, 2)
			for i := range watchers {
				watchers[i] = &watcher{data: func(c *loop.Conn, p []byte) {
					if first < 0 {
						first = i
						<-ready
						ks[1-i].c.Pause()
						return
					}
					c.Abort()
					other := ks[first].c
					write(t, other, big) // takes blocks, as does what waits for room
					same(t, p, ownBytes(i))
					write(t, other, p)
				}, eof: func(*loop.Conn) {}}
			}
			ks = r.sameTurn(network, watchers)
			close(ready)
			r.until("one has its bytes", func() bool { return first >= 0 })
			r.do(func() { ks[1-first].c.Resume() })
			ks[1-first].end(loop.ErrAborted)
			ks[first].peer.expect(append(pattern(3000), ownBytes(1-first)...))
			r.do(func() { ks[first].c.Close() })
			ks[first].end(nil)
		})
	})
}
