//go:build linux || darwin || freebsd

package loop_test

import (
	"net/netip"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// busy keeps the loop in a handler until the function that it returns is called.
func (r *rig) busy() (release func()) {
	r.t.Helper()
	hold, held := make(chan struct{}), make(chan struct{})
	if err := r.Post(func() { close(held); <-hold }); err != nil {
		r.t.Fatal(err)
	}
	<-held
	return func() { close(hold) }
}

// countTurns counts the loop's turns, by a timer that keeps it turning.
func (r *rig) countTurns() (turn *int) {
	turn = new(int)
	var tm *loop.Timer
	r.do(func() { tm = r.AfterFunc(0, func() { *turn++; tm.Reset(0) }) })
	return turn
}

// A peer that floods is read at most ReadBudget bytes a turn, and the others are served in the same turns.
func TestFloodDoesNotStarve(t *testing.T) {
	const budget, others = 15_000, 10 // no multiple of the buffer
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, ReadBudget: budget, ReadBuffer: 4 << 10})
			turn := r.countTurns()
			perTurn := map[int]int{}
			flooded, floodedAtFirst := 0, -1
			flood := r.connect(network, sock.Options{}, &watcher{data: func(_ *loop.Conn, p []byte) {
				flooded += len(p)
				perTurn[*turn] += len(p)
			}})
			var ks []*link
			pongs := 0
			for range others {
				ks = append(ks, r.connect(network, sock.Options{}, &watcher{data: func(c *loop.Conn, p []byte) {
					if pongs++; pongs == others {
						floodedAtFirst = flooded
					}
					c.Write(p)
				}}))
			}
			release := r.busy()
			sent := 0
			go func() {
				for sent < 4<<20 {
					n, err := flood.peer.Write(pattern(1 << 20))
					sent += n
					if err != nil {
						return
					}
				}
				flood.peer.closeWrite()
			}()
			for _, k := range ks {
				k.peer.send([]byte("ping"))
			}
			release()
			for _, k := range ks {
				k.peer.expect([]byte("ping"))
			}
			r.until("the flood is over", func() bool { return flooded >= 4<<20 })
			r.do(func() {
				if floodedAtFirst > 3*budget {
					t.Errorf("%d bytes of the flood were handled before the others had theirs: want at most %d", floodedAtFirst,
						3*budget)
				}
				for at, n := range perTurn {
					if n > budget {
						t.Errorf("turn %d read %d bytes of the flood: want at most %d", at, n, budget)
						break
					}
				}
			})
			for _, k := range ks {
				k.do(func() { k.c.Abort() })
			}
		})
	})
}

// At most AcceptBudget connections are accepted in a turn, and none is forgotten.
func TestAcceptBudget(t *testing.T) {
	const budget, clients = 3, 40
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, AcceptBudget: budget})
			turn := r.countTurns()
			perTurn, opened := map[int]int{}, 0
			a := r.serve(network, func() loop.Handler {
				return &watcher{t: t, opened: func(*loop.Conn) { perTurn[*turn]++; opened++ }}
			})
			release := r.busy()
			for range clients {
				dial(t, a)
			}
			release()
			r.until("all are accepted", func() bool { return opened == clients })
			r.do(func() {
				for at, n := range perTurn {
					if n > budget {
						t.Errorf("turn %d accepted %d: want at most %d", at, n, budget)
					}
				}
			})
		})
	})
}

// At most a batch of datagrams of one socket is handled in a turn.
func TestPacketBudget(t *testing.T) {
	const batch, n = 4, 50
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, PacketBatch: batch})
		turn := r.countTurns()
		perTurn, handled := map[int]int{}, 0
		k := r.packets("127.0.0.1", sock.Options{})
		k.do(func() {
			k.packet = func(*loop.PacketConn, []byte, netip.AddrPort, bool) { perTurn[*turn]++; handled++ }
		})
		p := udpPeer(t, "127.0.0.1")
		release := r.busy()
		for range n {
			if _, err := p.WriteToUDPAddrPort([]byte("x"), k.addr); err != nil {
				t.Fatal(err)
			}
		}
		release()
		r.until("all are handled", func() bool { return handled == n })
		r.do(func() {
			for at, n := range perTurn {
				if n > batch {
					t.Errorf("turn %d handled %d: want at most %d", at, n, batch)
				}
			}
		})
	})
}
