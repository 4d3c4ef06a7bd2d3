//go:build linux || darwin || freebsd

package loop_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// ReadBuffer bounds each piece and ReadBudget a turn's, whichever is the larger, also for what waited during a pause.
func TestReadBounds(t *testing.T) {
	const flood = 1 << 20
	each(t, func(t *testing.T, driver string) {
		for _, row := range []struct{ buffer, budget int }{
			{0, 0}, {4096, 4096}, {4096, 4097}, {5000, 8191}, {100_000, 3000}, {1, 1 << 16}, {100_000, 50_000},
		} {
			t.Run(fmt.Sprintf("buffer=%d budget=%d", row.buffer, row.budget), func(t *testing.T) {
				n := flood
				if row.buffer == 1 {
					n = 2000 // a byte at a time
				}
				buffer, budget := row.buffer, row.budget
				if buffer == 0 {
					buffer, budget = 64<<10, 256<<10
				}
				r := run(t, loop.Options{Driver: driver, ReadBuffer: row.buffer, ReadBudget: row.budget})
				turn := r.countTurns()
				largest, got, inTurn, at, mostInTurn, pauses := 0, 0, 0, 0, 0, 0
				k := r.connect("tcp", sock.Options{}, &watcher{data: func(c *loop.Conn, p []byte) {
					if *turn != at {
						at, inTurn = *turn, 0
					}
					inTurn += len(p)
					got += len(p)
					largest, mostInTurn = max(largest, len(p)), max(mostInTurn, inTurn)
					if pauses++; pauses%7 == 0 {
						c.Pause()
						r.AfterFunc(0, c.Resume)
					}
				}})
				go k.peer.send(pattern(n))
				r.until("all has arrived", func() bool { return got == n })
				r.do(func() {
					if largest > buffer {
						t.Errorf("a piece of %d bytes: want at most ReadBuffer, %d", largest, buffer)
					}
					if mostInTurn > budget {
						t.Errorf("%d bytes in a turn: want at most ReadBudget, %d", mostInTurn, budget)
					}
				})
				k.do(func() { k.c.Abort() })
			})
		}
	})
}

// PacketBatch bounds a turn's datagrams whatever number it is.
func TestPacketBudgetOfAnyNumber(t *testing.T) {
	const batch, n = 5, 50
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

// Connections that were accepted before a turn had room for them are served when listening stops, and reset when the
// listener is closed: none stays open unserved.
func TestAcceptBudgetAtTheEnd(t *testing.T) {
	const clients = 30
	each(t, func(t *testing.T, driver string) {
		for _, how := range []string{"StopListening", "Close"} {
			t.Run(how, func(t *testing.T) {
				g := group(t, loop.GroupOptions{Options: loop.Options{Driver: driver, AcceptBudget: 2}, Loops: 1})
				hold, held := make(chan struct{}), make(chan struct{})
				opened := 0
				ln, err := g.Listen(address(t, "tcp"), sock.Options{}, func(*loop.Conn) loop.Handler {
					if opened++; opened == 1 {
						close(held)
						<-hold
					}
					return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) })
				})
				if err != nil {
					t.Fatal(err)
				}
				block := make(chan struct{})
				if err := g.Loops()[0].Post(func() { <-block }); err != nil { // all of them wait when the first is accepted
					t.Fatal(err)
				}
				var peers []*peer
				for range clients {
					peers = append(peers, dial(t, ln.Addr()))
				}
				close(block)
				<-held
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if how == "Close" {
						ln.Close()
					} else {
						g.StopListening()
					}
				}()
				close(hold)
				<-ended
				served := 0
				one := []byte{1}
				for _, p := range peers {
					if _, err := p.Write(one); err != nil {
						continue
					}
					if n, _ := p.Read(one); n == 1 {
						served++
					}
				}
				if how == "StopListening" && served != clients {
					t.Errorf("%d of %d were served", served, clients)
				}
				if n := g.Stats().Conns; n != served {
					t.Errorf("%d connections are open, %d were served", n, served)
				}
			})
		}
	})
}
