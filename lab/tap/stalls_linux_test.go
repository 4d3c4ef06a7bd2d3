package tap

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// segment is what a frame has of TCP.
func segment(frame []byte) (h wire.TCP, from netip.Addr, ok bool) {
	var e wire.Ethernet
	var p wire.IPv4
	if e.Parse(frame) != nil || e.Type != wire.EtherTypeIPv4 || p.Parse(e.Payload) != nil || p.Protocol != wire.ProtoTCP {
		return h, from, false
	}
	return h, p.Src, h.Parse(p.Payload) == nil
}

// A loser drops the first frames for which pick is true, at most so many.
type loser struct {
	left  int
	pick  func(h *wire.TCP) bool
	armed atomic.Bool
}

func (l *loser) keep(frame []byte) bool {
	h, _, ok := segment(frame)
	if !ok || l.left == 0 || !l.armed.Load() || !l.pick(&h) {
		return true
	}
	l.left--
	return false
}

// TestStalls loses what is known to have made stacks stand still, in both directions, and holds that all goes on. It
// fails by the deadline of the connections.
func TestStalls(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	const text, chunk = 200_000, 1000 // the last segment of it is told by its number
	answers := 2                      // SYN-ACKs: each makes the wait twice as long
	if portion.All() {
		answers = 5
	}
	is := func(flags wire.TCPFlags) func(*wire.TCP) bool {
		return func(h *wire.TCP) bool { return h.Flags&(wire.SYN|wire.FIN|wire.RST|wire.ACK) == flags }
	}
	t.Run("rows", func(t *testing.T) {
		for _, row := range []struct {
			name string
			n    int
			pick func(h *wire.TCP) bool
		}{
			{fmt.Sprintf("a SYN-ACK lost %d times", answers), answers, is(wire.SYN | wire.ACK)},
			{"a SYN lost twice", 2, is(wire.SYN)},
			{"both FINs lost", 2, func(h *wire.TCP) bool { return h.Flags&wire.FIN != 0 }},
			{"the last segments lost, with the FIN", 4, func(h *wire.TCP) bool { return h.Flags&wire.PSH != 0 }},
			{"ten acknowledgments and updates of windows lost", 10, func(h *wire.TCP) bool {
				return len(h.Payload) == 0 && is(wire.ACK)(h)
			}},
		} {
			for _, out := range []bool{true, false} {
				name := row.name + ", from the kernel"
				if out {
					name = row.name + ", to the kernel"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					l := &loser{left: row.n, pick: row.pick}
					l.armed.Store(strings.Contains(row.name, "SYN"))
					r := newRig(t, 1, link.Options{}, 0, HostOptions{}, l.keep, false)
					ours, kernels := pair(t, r.host, r.four, out)
					l.armed.Store(true)
					swap(t, ours, kernels, noise(1, text), noise(2, text+chunk))
					r.ends(t, ours, kernels)
				})
			}
		}
	})
}

// TestZeroWindow has a reader of either side stop until the other's window is shut and probes go, and go on again, with
// a round trip of next to nothing, time and again.
func TestZeroWindow(t *testing.T) {
	t.Parallel()
	if !enter(t) {
		return
	}
	var mu sync.Mutex
	zero := map[netip.Addr]int{} // segments that say that a window is shut
	count := func(frame []byte) bool {
		if h, from, ok := segment(frame); ok && h.Window == 0 && h.Flags&(wire.RST|wire.SYN) == 0 {
			mu.Lock()
			zero[from]++
			mu.Unlock()
		}
		return true
	}
	o := HostOptions{TCP: tcp.Options{Limits: tcp.Limits{ReceiveBuffer: 9000}}}
	r := newRig(t, 1, link.Options{}, 0, o, count, false)
	ours, kernels := pair(t, r.host, r.four, true)
	if err := kernels.SetReadBuffer(9000); err != nil {
		t.Fatal(err)
	}
	text := noise(3, 300_000)
	var wg sync.WaitGroup
	p := plan{pause: 250 * time.Millisecond} // longer than the first probe takes
	for _, c := range []halfCloser{ours, kernels} {
		wg.Go(func() { send(t, c, text, 0) })
		wg.Go(func() {
			if got := receive(t, c, p, false, nil); !bytes.Equal(got, text) {
				t.Errorf("%T: %d of %d bytes", c, len(got), len(text))
			}
		})
	}
	wg.Wait()
	if zero[r.four[0].Addr()] == 0 || zero[r.four[1].Addr()] == 0 {
		t.Errorf("the windows were never shut: %v", zero)
	}
	r.ends(t, ours, kernels)
}
