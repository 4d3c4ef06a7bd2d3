package tcp

import (
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// timestamp is the clock of the timestamps option: a millisecond (RFC 7323, section 5.4). It begins at 1, as an echo of
// 0 says nothing.
func timestamp(now time.Duration) uint32 { return uint32(now/time.Millisecond) + 1 }

// output sends what the connection has to say.
func (c *Conn) output(now time.Duration, send func(*Segment)) {
	c.marked = false
	switch c.state {
	case Closed:
		return
	case SynSent, SynReceived:
		c.sendSYN(now, send)
		return
	}
	sent := c.resend(now, send)
	for len(c.records) < maxRecords && c.sendNew(now, send) {
		sent = true
	}
	// As of now, and not when the acknowledgments come: of several between two Flushes all but the first would find room.
	c.limited = c.cc.window-c.flight() < c.segmentSize()
	if c.probe {
		c.probe = false
		c.transmit(now, send, c.una-1, 0, 0, wire.ACK) // a number that is acknowledged already asks for an answer
	} else if c.ackNow && !sent {
		c.transmit(now, send, c.ackSeq(), 0, 0, wire.ACK)
	}
	if c.outLen > 0 && len(c.records) == 0 && c.timers[timerPersist] == off {
		c.set(timerPersist, now+c.rtt.after(c.probes)) // the window is shut (MUST-36)
	}
}

// ackSeq is the number of an acknowledgment alone. Where the peer has taken its window back over what was sent, that is
// the window's end: behind it the peer takes nothing, not even an acknowledgment (RFC 9293, section 3.10.7.4), and both
// sides would send again for ever. Less than a step of its scale is no window taken back. A FIN needs no room, and is
// sent into a window that is full: then it is the FIN's number, which the peer, when it has all before it, takes though
// its window is shut.
func (c *Conn) ackSeq() Seq {
	switch over := c.una.Add(c.window).To(c.next); {
	case over >= 1<<c.scaleOut:
		return c.next.Add(-over)
	case over > 0 && c.fin && c.next == c.finSeq().Add(1):
		return c.finSeq()
	}
	return c.next
}

// sendSYN sends the SYN, first or again.
func (c *Conn) sendSYN(now time.Duration, send func(*Segment)) {
	flags := wire.SYN
	if c.state == SynReceived {
		flags |= wire.ACK
	}
	switch {
	case len(c.records) == 0:
		c.record(record{from: c.iss, to: c.iss + 1, sent: now})
		c.unackedSince = now
	case c.records[0].flags&lost != 0:
		c.records[0].sent = now
		c.flag(&c.records[0], again)
		c.stack.Sent.Again++
	default:
		return
	}
	c.transmit(now, send, c.iss, 0, 0, flags)
	c.set(timerRetransmit, now+c.rtt.after(c.backoff))
}

// resend sends what was lost, as far as the congestion window allows; the first of a recovery always.
func (c *Conn) resend(now time.Duration, send func(*Segment)) (sent bool) {
	flight := c.flight()
	for i := range c.records {
		r := &c.records[i]
		if r.flags&lost == 0 {
			continue
		}
		n := r.from.To(r.to)
		if flight+n > c.cc.window && flight > 0 && !c.atOnce {
			break
		}
		c.atOnce = false
		text, flags := n, wire.ACK
		if c.fin && r.to == c.finSeq().Add(1) {
			text, flags = n-1, flags|wire.FIN
		}
		r.sent, c.fresh = now, r.from-1
		c.prr.out += n
		c.flag(r, r.flags&^lost|again)
		c.stack.Sent.Again++
		c.transmit(now, send, r.from, c.first.To(r.from), text, flags)
		flight, sent = flight+n, true
	}
	if sent {
		c.arm(now)
	}
	return sent
}

// segmentSize is how much text fits in a segment, with the options that it will have.
func (c *Conn) segmentSize() int {
	n := c.mss
	if c.timestamps {
		n -= 12
	}
	if c.sack && len(c.early.recent) > 0 {
		n -= 4 + 8*min(3, len(c.early.recent))
	}
	return n
}

// sendNew sends one segment of what was not sent yet, if the windows, Nagle and the avoidance of silly windows allow
// (RFC 9293, section 3.8.6.2.1; MUST-38).
func (c *Conn) sendNew(now time.Duration, send func(*Segment)) bool {
	at := c.first.To(c.next)
	left := c.outLen - at
	if left < 0 || left == 0 && !c.fin { // below 0: the FIN was sent
		return false
	}
	idle := len(c.records) == 0
	if idle && c.lastSent > 0 && now-c.lastSent > c.rtt.after(0) {
		c.cc.idled(c.mss)
	}
	size := c.segmentSize()
	usable := c.window - c.una.To(c.next)
	if !c.beyond {
		usable = min(usable, c.cc.window-c.flight())
	}
	n := min(left, size, max(usable, 0))
	fin := c.fin && n == left
	switch {
	case n == 0 && !fin:
		return false
	case n == 0 || n == size || n == left && (idle || c.noDelay || fin) || n >= (c.usualWindow+1)/2:
	case c.small && n > 0:
	default:
		return false
	}
	flags := wire.ACK
	to := c.next.Add(n)
	if n > 0 && n == left {
		flags |= wire.PSH // MUST-61
	}
	if fin {
		flags |= wire.FIN
		to++
	}
	if idle {
		c.unackedSince = now
	}
	c.small, c.beyond = false, false
	c.prr.out += n
	c.record(record{from: c.next, to: to, sent: now})
	from := c.next
	c.next, c.fresh = to, from
	c.transmit(now, send, from, at, n, flags)
	c.arm(now)
	c.stop(timerPersist)
	return true
}

// transmit sends one segment: n bytes at place at of what is to be sent.
func (c *Conn) transmit(now time.Duration, send func(*Segment), seq Seq, at, n int, flags wire.TCPFlags) {
	s := &c.stack.segment
	*s = Segment{Envelope: Envelope{Src: c.key.local.Addr(), Dst: c.key.remote.Addr()}}
	if c.route != nil {
		s.Via = c.route.via
	}
	h := &s.TCP
	h.SrcPort, h.DstPort = c.key.local.Port(), c.key.remote.Port()
	h.Seq, h.Flags = uint32(seq), flags
	was := c.lastAck
	if flags&wire.ACK != 0 {
		h.Ack = uint32(c.want)
		c.lastAck, c.unacked, c.ackNow = c.want, 0, false
		c.stop(timerDelayedAck)
	}
	c.marks(s, seq, n, flags)
	if c.urgentSends && seq.Less(c.urgentOut) && flags&wire.SYN == 0 {
		h.Flags |= wire.URG
		h.Urgent = uint16(min(seq.To(c.urgentOut), 65535))
	}
	h.Window = c.offer(flags&wire.SYN != 0)
	c.stack.Sent.Segments++
	if h.Window == 0 {
		c.stack.Sent.Shut++
	}
	if flags == wire.ACK && n == 0 && seq == c.next && was == c.want && c.lastOffer == h.Window && h.Window > 0 {
		c.stack.Sent.Duplicates++
	}
	if c.lastOffer = h.Window; flags&wire.SYN != 0 {
		c.lastOffer = 0 // nothing is the duplicate of a SYN
	}
	o := c.options(now, flags, n)
	var err error
	if h.Options, err = o.Append(c.stack.options[:0]); err != nil {
		panic("tcp: options that do not fit: " + err.Error())
	}
	if n > 0 {
		c.stack.scratch = slices.Grow(c.stack.scratch[:0], n)[:n]
		c.out.read(at, c.stack.scratch)
		h.Payload = c.stack.scratch
		c.lastSent = now
	}
	send(s)
}

// marks sets what is ECN's in a segment (RFC 3168, sections 6.1.1 to 6.1.3).
func (c *Conn) marks(s *Segment, seq Seq, n int, flags wire.TCPFlags) {
	s.TOS = c.tos &^ 3
	switch {
	case flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK:
		if c.ecn {
			s.TCP.Flags |= wire.ECE
		}
	case flags&wire.SYN != 0:
		if c.stack.ecn {
			s.TCP.Flags |= wire.ECE | wire.CWR
		}
	case c.ecn:
		if c.echo {
			s.TCP.Flags |= wire.ECE
		}
		if n > 0 && seq == c.fresh { // new text alone is sent as capable, and says CWR (6.1.5)
			s.TOS |= 2
			if c.reduced {
				s.TCP.Flags |= wire.CWR
				c.reduced = false
			}
		}
	}
}

// options are those of a segment with these flags and n bytes of text. What is sent again may have come before there
// was anything to acknowledge selectively: then there are as many blocks as fit, so that it is not too long.
func (c *Conn) options(now time.Duration, flags wire.TCPFlags, n int) wire.TCPOptions {
	var o wire.TCPOptions
	syn, reply := flags&wire.SYN != 0, flags&wire.ACK != 0
	if syn {
		o.HasMSS, o.MSS = true, uint16(c.advertised)
		o.HasScale, o.Scale = !reply || c.scaling, c.scaleIn
		o.SACKPermitted = !reply || c.sack
		if !o.HasScale {
			o.Scale = 0
		}
	}
	if syn && !reply || c.timestamps {
		o.HasTimestamps, o.Value, o.Echo = true, timestamp(now), c.recent
	}
	if c.sack && !syn {
		room := c.mss - n - 4
		if c.timestamps {
			room -= 12
		}
		o.SACKs = uint8(max(0, min(len(c.early.recent), 3, room/8)))
		for i := range int(o.SACKs) {
			o.SACK[i] = wire.SACKBlock{Left: uint32(c.early.recent[i].from), Right: uint32(c.early.recent[i].to)}
		}
	}
	return o
}

// offer is the window field, and moves the edge. The edge never goes back (SHLD-14), and forward only by a step that is
// worth a segment (MUST-39).
func (c *Conn) offer(syn bool) uint16 {
	if syn {
		return uint16(min(c.stack.limits.ReceiveBuffer, 65535))
	}
	if grown := c.edge.To(c.want.Add(c.room())); grown >= min(c.mostIn/2, c.advertised) {
		c.edge = c.edge.Add(grown)
	}
	// Rounded up: rounding down would take back what was offered. The buffer takes the few bytes that this is more.
	unit := 1 << c.scaleIn
	field := min((c.want.To(c.edge)+unit-1)/unit, 65535)
	c.edge = later(c.edge, c.want.Add(field*unit))
	return uint16(field)
}
