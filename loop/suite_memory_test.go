//go:build linux || darwin || freebsd

package loop_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Writable comes once for each time it is owed, when half of the mark has gone, and never uncalled for.
func TestWritableComesAsPromised(t *testing.T) {
	const high = 200_000
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, HighWater: high})
			calls, pending := make(chan int, 100), 0
			k := r.connect(network, sock.Options{}, &watcher{writable: func(c *loop.Conn) {
				pending = c.Pending()
				if c.Full() {
					t.Error("full in Writable")
				}
				calls <- pending
			}})
			drain := func(n int) {
				k.peer.readAll(n)
				k.until("all is sent", func() bool { return k.c.Pending() == 0 })
			}
			// Filled, but nobody asked: no call.
			k.do(func() { write(t, k.c, pattern(large)) })
			drain(large)
			k.turns(2)
			if len(calls) > 0 {
				t.Fatal("Writable came although no Write was refused and Full not asked")
			}
			for name, ask := range map[string]func(){
				"refused": func() {
					for range 3 {
						if _, err := k.c.Write([]byte("x")); err != loop.ErrFull {
							t.Errorf("Write: %v; want ErrFull", err)
						}
					}
				},
				"Full": func() {
					if !k.c.Full() {
						t.Error("Full is false")
					}
				},
			} {
				k.do(func() { write(t, k.c, pattern(large)); ask() })
				k.peer.readAll(100_000)
				k.turns(3)
				if len(calls) > 0 {
					t.Fatalf("%s: Writable with %d bytes waiting: want at most %d", name, <-calls, high/2)
				}
				for left := large - 100_000; left > 0; { // in small steps, so that the mark is passed slowly
					n := min(left, 16<<10)
					k.peer.readAll(n)
					k.turns(1)
					left -= n
				}
				if n := recv(t, "Writable", calls); n > high/2 {
					t.Errorf("%s: Writable with %d bytes waiting: want at most %d", name, n, high/2)
				}
				k.until("all is sent", func() bool { return k.c.Pending() == 0 })
				k.turns(2)
				if len(calls) > 0 {
					t.Errorf("%s: Writable came twice", name)
				}
			}
			k.do(func() { k.c.Abort() })
		})
	})
}

// Peers that write and never read cost the mark and one read each, whatever the handler does, and a constant.
func TestPeersThatNeverRead(t *testing.T) {
	const high, buffer, constant = 100_000, 64 << 10, 4 << 20
	conns := portion.Fewer(10, 3)
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, HighWater: high, ReadBuffer: buffer})
			most := 0
			var all []*link
			for range conns {
				all = append(all, r.connect(network, sock.Options{SendBuffer: 64 << 10},
					&watcher{data: func(c *loop.Conn, p []byte) {
						if _, err := c.Write(p); err != nil {
							t.Errorf("Write in Data: %v: Data must not come while the connection is full", err)
						}
						most = max(most, c.Pending())
					}}))
			}
			pattern(1) // which is made once
			before := heap()
			sent := make([]int, conns)
			var writers sync.WaitGroup
			for i, k := range all {
				writers.Go(func() {
					for sent[i] < 1<<30 {
						k.peer.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
						n, err := k.peer.Write(pattern(1 << 20))
						sent[i] += n
						full := false
						if err != nil && n == 0 { // nobody takes any more, or the loop does not get the processor
							r.do(func() { full = k.c.Full() })
						}
						if full {
							return
						}
					}
					t.Errorf("%d bytes taken from a peer that never reads", sent[i])
				})
			}
			writers.Wait()
			grown := heap() - before
			r.do(func() {
				for _, k := range all {
					most = max(most, k.c.Pending())
					if !k.c.Full() {
						t.Errorf("not full, with %d bytes waiting", k.c.Pending())
					}
				}
			})
			if most > high+buffer {
				t.Errorf("%d bytes waited: want at most HighWater and a read, %d", most, high+buffer)
			}
			limit := conns*(high+2*buffer) + constant
			if stage.On(t) { // the system's buffers lie in the heap too: two at each end
				limit += conns * 4 * 256 << 10
			}
			if grown > limit {
				t.Errorf("the heap grew by %d bytes: want at most %d", grown, limit)
			}
			// All comes back once the peers read: the pause ends.
			for i, k := range all {
				k.peer.readAll(sent[i])
				k.peer.closeWrite()
				k.peer.expectEOF()
				k.end(nil)
			}
		})
	})
}

// heap is what is alive.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Pause holds the peer up, also in the middle of a turn's reads; Resume goes on.
func TestPauseAndResume(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, ReadBuffer: 1000})
			var got []byte
			calls := 0
			k := r.connect(network, sock.Options{}, &watcher{data: func(c *loop.Conn, p []byte) {
				got = append(got, p...)
				calls++
				c.Pause()
			}})
			k.peer.send(pattern(5500))
			k.peer.closeWrite()
			for n := 1; n <= 6; n++ {
				k.until("Data", func() bool { return calls == n })
				k.turns(3)
				k.do(func() {
					if calls != n {
						t.Errorf("%d calls of Data: want %d, for the connection is paused", calls, n)
					}
					k.c.Pause() // twice is once
					k.c.Resume()
					k.c.Resume()
				})
			}
			k.peer.Close()
			k.end(nil)
			same(t, got, pattern(5500))
		})
	})
}

// An idle connection holds no buffer: what it costs is little, after it has sent and received.
func TestIdleConnectionIsSmall(t *testing.T) {
	const most, pools = 400, 3 << 19 // the loop's free blocks are no connection's
	if l := fdLimit(); l < 6000 {
		t.Skipf("the limit of open files is %d: this test needs 6000", l)
	}
	each(t, func(t *testing.T, driver string) {
		n := portion.Fewer(2000, 1000)
		if driver == "select" {
			n = 900 // its descriptors end at 1024
		}
		r := run(t, loop.Options{Driver: driver})
		closed := 0
		echo := countingEcho{closed: &closed}
		a := r.serve("tcp", func() loop.Handler { return echo })
		buf := make([]byte, 3000)
		all := make([]farPeer, 0, 2*n) // these cost next to nothing of Go's memory
		defer func() {
			for _, p := range all {
				p.close()
			}
		}()
		talk := func(n int) (peers []farPeer) {
			for range n {
				all = append(all, dialFar(t, a))
			}
			peers = all[len(all)-n:]
			for _, p := range peers {
				if err := p.send(pattern(3000)); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range peers {
				if _, err := p.readFull(buf); err != nil {
					t.Fatal(err)
				}
			}
			return peers
		}
		for _, p := range talk(n) { // what is made once stays: pools, tables
			p.close()
		}
		r.until("the first are gone", func() bool { return closed == n })
		without := heap()
		talk(n)
		grown := heap() - without
		t.Logf("%d bytes for %d idle connections", grown, n)
		if grown > n*most+pools {
			t.Errorf("%d bytes for %d idle connections: want at most %d each, and %d for pools", grown, n, most, pools)
		}
	})
}

// countingEcho echoes; all its connections share it.
type countingEcho struct {
	loop.Base
	closed *int
}

func (countingEcho) Data(c *loop.Conn, p []byte)    { c.Write(p) }
func (e countingEcho) Closed(_ *loop.Conn, _ error) { *e.closed++ }
