package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// TestBothShrunk has both windows taken back over what is on its way in both directions: what both acknowledge then has
// numbers of before the other's window, and is taken. Random exchange 71685 found that they answered each other for
// ever, and at once where the line takes no time.
func TestBothShrunk(t *testing.T) {
	s := newSim(t, 1, path{}, Options{}, Options{})
	c, d := s.connect()
	shut := 2
	s.drop = func(h *wire.TCP, _ netip.Addr) bool {
		if len(h.Payload) > 0 && shut > 0 {
			h.Window = 0
			shut--
		}
		return false
	}
	for _, k := range []*Conn{c, d} {
		if _, err := k.Write(s.now, []byte(times(100))); err != nil {
			t.Fatal(err)
		}
		if err := k.CloseWrite(s.now); err != nil {
			t.Fatal(err)
		}
	}
	s.run(time.Minute)
	if c.Unacked()+d.Unacked() != 0 || s.packets > 40 {
		t.Errorf("%d and %d bytes are not acknowledged, after %d packets", c.Unacked(), d.Unacked(), s.packets)
	}
}
