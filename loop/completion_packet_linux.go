package loop

import (
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/sock"
	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// Datagrams come by a multishot receive into buffers of their own, made with the first socket, since a datagram has to
// lie in one buffer whole. They are sent by sendmmsg, a batch a call, which no ring does better.

// packetHead is the most that a received datagram has before it in its buffer: a head of 16 bytes, room for an address
// (112), and for control data where the socket tells local addresses.
const packetHead = 16 + 112 + sock.LocalControl

func (d *completion) addPacket(p *PacketConn) error {
	if d.pio == nil {
		if err := d.makePacketBuffers(); err != nil {
			return err
		}
	}
	s := d.slotFor(p.sock)
	s.other = &otherEnd{packet: p}
	p.slot = s.number
	// sock sets it; one that was inherited may not have it
	v, err := unix.GetsockoptInt(s.sock.FD(), unix.IPPROTO_IP, unix.IP_RECVERR)
	s.other.queues = err == nil && v != 0
	d.receivePackets(s)
	d.pollError(s)
	return nil
}

func (d *completion) makePacketBuffers() (err error) {
	if d.memory, err = uring.NewArena(4096); err != nil {
		return err
	}
	d.message = uring.Alloc[uring.Message](d.memory)
	d.message.UseAddress()
	d.telling = uring.Alloc[uring.Message](d.memory)
	d.telling.UseAddress()
	d.telling.SetControl(d.memory.Bytes(sock.LocalControl))
	n := 1
	for n < d.opt.PacketBatch {
		n *= 2
	}
	var lack error
	for start := d.opt.PacketBatch; ; n /= 2 {
		d.group, err = d.ring.NewBufRing(uring.BufRingOptions{Group: packetGroup, Entries: n, Start: min(start, n),
			Size: (packetHead + d.opt.PacketSize + 7) &^ 7}) // so that control data is aligned
		if !scarce(err) || n == 1 {
			break
		}
		lack = err
	}
	if err == nil && lack != nil {
		d.memoryLacks(fmt.Sprintf("it receives %d datagrams at a time", n), lack)
	}
	if err != nil {
		_ = d.memory.Free() // err is the one to tell
		d.memory = nil
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
	e.RecvmsgMultishot(s.sock.FD(), packetGroup, d.messageOf(s.packet()), 0)
}

// messageOf says what the kernel tells of a datagram beside its bytes.
func (d *completion) messageOf(p *PacketConn) *uring.Message {
	if p.tells {
		return d.telling
	}
	return d.message
}

// pollError waits for refusals (ICMP errors, in the socket's queue of them). The receive hears of one by an error of
// its own only if no send has taken that error before.
func (d *completion) pollError(s *slot) {
	d.submission(s, opPollError).PollMultishot(s.sock.FD(), unix.POLLERR)
}

// refusedPacket is such a refusal, or the end of that wait.
func (d *completion) refusedPacket(s *slot, c *uring.CQE) {
	if s.packet() == nil {
		return
	}
	d.refusals(s)
	if !c.More() && c.Res >= 0 { // else there is something wrong with the descriptor, which the receive tells
		d.pollError(s)
	}
}

// refusals reads what there is of them, in portions, until there are none, for the poll tells of new ones only.
func (d *completion) refusals(s *slot) {
	if d.pio.refusals(s.packet()) {
		d.later(s)
	}
}

// receivedPacket is a datagram, or a sign that one was refused.
func (d *completion) receivedPacket(s *slot, c *uring.CQE) {
	p := s.packet()
	if c.HasBuffer() {
		data := d.group.Data(c)
		if p != nil {
			d.parsePacket(p, data)
		}
		d.group.Release(c.BufferID())
	}
	if s.packet() == nil {
		return
	}
	switch errno := c.Errno(); errno {
	case 0, unix.ECANCELED, unix.ENOBUFS:
	case unix.EBADF, unix.ENOTSOCK:
		p.end(fmt.Errorf("loop: datagram socket: receive: %w", errno))
		return
	default:
		if !s.other.queues { // else the queue has it, and the poll tells
			p.refused(netip.AddrPort{}, errno)
		}
	}
	if !c.More() {
		d.receivePackets(s)
	}
}

func (d *completion) parsePacket(p *PacketConn, data []byte) {
	m, ok := d.messageOf(p).ParseRecvmsg(data)
	if !ok {
		return
	}
	p.loop.stats.packetsIn.Add(1)
	var local netip.Addr
	if p.tells {
		local = sock.LocalOf(m.Control)
	}
	n := min(len(m.Payload), d.opt.PacketSize) // the buffer has room for a little more
	p.received(m.Payload[:n:n], local, sock.AddrPortOf(m.Name), m.PayloadLen > n || m.Flags&unix.MSG_TRUNC != 0)
}

func (d *completion) readPackets(p *PacketConn) bool { return d.pio.receive(p) }
func (d *completion) writePacket(p *PacketConn)      { d.pio.send(p) }

func (d *completion) updatePacket(p *PacketConn) {
	if s := d.slots[p.slot]; p.blocked && s.ops&opPollOut == 0 {
		d.submission(s, opPollOut).PollAdd(s.sock.FD(), unix.POLLOUT)
	}
}

func (d *completion) releasePacket(p *PacketConn) { d.drop(d.slots[p.slot], false, p) }
