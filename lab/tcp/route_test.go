package tcp

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// routers are hosts 10.1.0.n.
func routers(n ...byte) (list []netip.Addr) {
	for _, last := range n {
		list = append(list, netip.AddrFrom4([4]byte{10, 1, 0, last}))
	}
	return list
}

func TestSourceRoute(t *testing.T) {
	went := func(x *script, want ...byte) {
		t.Helper()
		if !slices.Equal(x.went, routers(want...)) {
			t.Fatalf("it went by %v, want %v", x.went, routers(want...))
		}
	}
	x := newScript(t, Options{})
	x.via = routers(1, 2, 3)
	x.accept()
	x.write("a")
	went(x, 3, 2, 1) // MUST-53
	x.via = routers(1, 4)
	x.in(wire.ACK, 1, 2, "")
	x.write("b")
	went(x, 4, 1) // SHLD-24
	x.via = routers(5)
	x.in(wire.ACK, 70000, 2, "") // not in the window: it changes nothing
	x.via = nil
	x.in(wire.ACK, 1, 3, "") // nor does one without a route
	x.write("c")
	went(x, 4, 1)
	if err := x.c.SetRoute(routers(7)...); err != nil {
		t.Fatal(err)
	}
	x.via = routers(8)
	x.in(wire.ACK, 1, 4, "")
	x.write("d")
	went(x, 7) // MUST-52
	if err := x.c.SetRoute(routers(1, 2, 3, 4, 5, 6, 7, 8, 9)...); !errors.Is(err, ErrAddress) {
		t.Errorf("nine hosts: %v", err)
	}
	if err := x.c.SetRoute(netip.MustParseAddr("2001:db8::1")); !errors.Is(err, ErrAddress) {
		t.Errorf("IPv6: %v", err)
	}

	y := newScript(t, Options{})
	c, err := y.s.Dial(0, y.local, y.peer)
	if err == nil {
		err = c.SetRoute(routers(9)...)
	}
	if err != nil {
		t.Fatal(err)
	}
	y.flush()
	y.want("S 0:1")
	went(y, 9) // MUST-51: the SYN too
}

// TestBlackHole has a path that drops whatever is larger than 900 bytes, and no message that says so.
func TestBlackHole(t *testing.T) {
	for _, most := range []int{1060, 600} {
		s := newSim(t, 1, path{delay: 10 * time.Millisecond}, Options{}, Options{})
		swallowed := 0
		s.drop = func(h *wire.TCP, _ netip.Addr) bool {
			if 20+len(h.Options)+len(h.Payload) > most {
				swallowed++
				return true
			}
			return false
		}
		c, d := s.connect()
		text := []byte(times(100_000))
		if n, err := c.Write(s.now, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		s.run(time.Minute)
		if n, _, err := d.Read(s.now, text); n != len(text) || err != nil || swallowed == 0 {
			t.Errorf("%d: %d bytes came, %v, %d segments were swallowed", most, n, err, swallowed)
		}
	}
	// Losses of small segments make nothing smaller.
	x := newScript(t, Options{}).accept()
	x.write("small")
	x.wait(20 * time.Second)
	if x.c.mss != 1000 || x.c.timeouts < 2*holeAfter {
		t.Errorf("the MSS is %d after %d timeouts", x.c.mss, x.c.timeouts)
	}
}
