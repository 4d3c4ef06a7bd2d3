package loop

import "github.com/plexor-go/plexor/sock"

func (d *virtual) addPacket(s *PacketConn) error {
	if d.packet == nil {
		d.packet = make([]byte, d.loop.opt.PacketSize)
	}
	e := d.end()
	e.socket, e.grams, s.slot = s, d.sys.datagrams(s.sock), e.number
	e.grams.Notify(d.hears(e))
	d.note(e, Readable)
	return nil
}

// readPackets handles a batch, a datagram after the other.
func (d *virtual) readPackets(s *PacketConn) bool {
	if s.ended {
		return false
	}
	grams := d.ends[s.slot].grams
	for range d.loop.opt.PacketBatch {
		m := sock.Datagram{Data: d.packet}
		switch err := grams.Receive(&m); err {
		case nil:
			d.loop.stats.packetsIn.Add(1)
			s.received(m.Data[:m.N], m.Local, m.Peer, m.Truncated)
		case sock.ErrWouldBlock:
			return false
		default:
			s.refused(m.Peer, err)
		}
		if s.ended {
			return false
		}
	}
	return true
}

// writePacket sends what waits: there is always room, or it is lost.
func (d *virtual) writePacket(s *PacketConn) {
	grams := d.ends[s.slot].grams
	for _, o := range s.out[s.sent:] {
		m := sock.Datagram{Data: s.data[o.from:o.to], Peer: o.peer, Local: o.local}
		if err := grams.Send(&m); err != nil {
			s.refused(o.peer, err)
			continue
		}
		d.loop.stats.packetsOut.Add(1)
	}
	s.sentAll()
}

func (d *virtual) updatePacket(*PacketConn) {}

func (d *virtual) releasePacket(s *PacketConn) {
	d.forgetEnd(s.slot)
	_ = d.sys.close(s.sock) // it is gone whatever that says
}
