package loop

import (
	"fmt"

	"github.com/plexor-go/plexor/selector"
)

func (d *readiness) addPacket(s *PacketConn) error {
	if d.pio == nil {
		d.pio = newPacketIO(d.opt)
	}
	s.armed = uint8(selector.Read)
	return d.sel.Register(s.sock.FD(), selector.Read, s)
}

func (d *readiness) updatePacket(s *PacketConn) {
	want := selector.Read
	if s.blocked {
		want |= selector.Write
	}
	if want == selector.Events(s.armed) {
		return
	}
	if err := d.watch(s.sock.FD(), selector.Events(s.armed), want, s); err != nil {
		s.end(fmt.Errorf("loop: datagram socket: %w", err))
		return
	}
	s.armed = uint8(want)
}

func (d *readiness) releasePacket(s *PacketConn) {
	d.unwatch(s.sock.FD(), selector.Events(s.armed))
	_ = s.sock.Close() // the descriptor is gone whatever it says
}

// packet serves a datagram socket that is ready: one batch in, and what waits out.
func (d *readiness) packet(s *PacketConn, ready selector.Events) {
	if s.ended {
		return
	}
	if ready&selector.Write != 0 && s.blocked {
		s.blocked = false
		d.pio.send(s)
	}
	if ready&selector.Read != 0 && !s.ended {
		d.pio.receive(s)
	}
}

func (d *readiness) readPackets(s *PacketConn) bool { return d.pio.receive(s) }
func (d *readiness) writePacket(s *PacketConn)      { d.pio.send(s) }
