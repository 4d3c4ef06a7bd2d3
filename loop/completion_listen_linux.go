package loop

import (
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/sock"
	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

func (d *completion) addListener(l *Listener) error {
	s := d.slotFor(l.sock)
	s.listener = l
	l.slot = s.number
	d.updateListener(l)
	return nil
}

func (d *completion) updateListener(l *Listener) {
	s := d.slots[l.slot]
	switch {
	case l.paused:
		d.cancel(s, opAccept)
	case s.ops&opAccept == 0:
		e := d.submission(s, opAccept)
		e.AcceptMultishot(s.sock.FD(), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	}
}

// accepted is a connection, or why there is none. One that comes while its listener steps back is as good as any.
func (d *completion) accepted(s *slot, c *uring.CQE) {
	l := s.listener
	switch {
	case c.Res >= 0 && l != nil:
		l.accepted(sock.Socket(c.Res))
	case c.Res >= 0:
		_ = sock.Socket(c.Res).Abort() // its listener was closed
	case l != nil && c.Errno() != unix.ECANCELED:
		l.refused(c.Errno())
	}
	if s.listener != nil && !c.More() {
		d.updateListener(s.listener)
	}
}

func (d *completion) releaseListener(l *Listener) { d.drop(d.slots[l.slot], false) }

// Datagrams come by a multishot receive into buffers of their own, made with the first socket, since a datagram has to
// lie in one buffer whole. They are sent by sendmmsg, a batch a call, which no ring does better.

// packetHead is what a received datagram has before it in its buffer.
const packetHead = 256

func (d *completion) addPacket(p *PacketConn) error {
	if d.pio == nil {
		if err := d.makePacketBuffers(); err != nil {
			return err
		}
	}
	s := d.slotFor(p.sock)
	s.packet = p
	p.slot = s.number
	d.receivePackets(s)
	return nil
}

func (d *completion) makePacketBuffers() (err error) {
	if d.memory, err = uring.NewArena(4096); err != nil {
		return err
	}
	d.message = uring.Alloc[uring.Message](d.memory)
	d.message.UseAddress()
	n := 1
	for n < d.opt.PacketBatch {
		n *= 2
	}
	d.group, err = d.ring.NewBufRing(uring.BufRingOptions{Group: packetGroup, Entries: n, Size: packetHead + d.opt.PacketSize})
	if err != nil {
		return err
	}
	d.pio = newPacketIO(d.opt)
	return nil
}

func (d *completion) receivePackets(s *slot) {
	if s.ops&opReceiveMessage != 0 {
		return
	}
	e := d.submission(s, opReceiveMessage)
	e.RecvmsgMultishot(s.sock.FD(), packetGroup, d.message, 0)
}

// receivedPacket is a datagram, or a sign that one was refused.
func (d *completion) receivedPacket(s *slot, c *uring.CQE) {
	p := s.packet
	if c.HasBuffer() {
		if m, ok := d.message.ParseRecvmsg(d.group.Data(c)); ok && p != nil {
			p.loop.stats.packetsIn.Add(1)
			peer := m.From()
			p.handler.Packet(p, m.Payload, netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()), m.Flags&unix.MSG_TRUNC != 0)
		}
		d.group.Release(c.BufferID())
	}
	if s.packet == nil {
		return
	}
	switch errno := c.Errno(); errno {
	case 0, unix.ECANCELED, unix.ENOBUFS:
	case unix.EBADF, unix.ENOTSOCK:
		p.end(fmt.Errorf("loop: datagram socket: receive: %w", errno))
		return
	default:
		if !d.pio.refusals(p) {
			p.refused(netip.AddrPort{}, errno)
		}
	}
	if !c.More() {
		d.receivePackets(s)
	}
}

func (d *completion) readPackets(p *PacketConn) bool { return d.pio.receive(p) }
func (d *completion) writePacket(p *PacketConn)      { d.pio.send(p) }

func (d *completion) updatePacket(p *PacketConn) {
	if s := d.slots[p.slot]; p.blocked && s.ops&opPollOut == 0 {
		d.submission(s, opPollOut).PollAdd(s.sock.FD(), unix.POLLOUT)
	}
}

func (d *completion) releasePacket(p *PacketConn) { d.drop(d.slots[p.slot], false) }
