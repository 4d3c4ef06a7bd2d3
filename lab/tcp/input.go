package tcp

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A segment is one that has come, with its options read.
type segment struct {
	*wire.TCP
	o    wire.TCPOptions
	seq  Seq
	ack  Seq
	size int // SEG.LEN: text, SYN and FIN

	via    []netip.Addr // its source route
	marked bool         // by a router, as one that would rather have dropped it (CE)
}

func (g *segment) has(f wire.TCPFlags) bool { return g.Flags&f != 0 }

// maxIdleTimestamp is how long TS.Recent is good: less than half the cycle of a clock of a millisecond (RFC 7323,
// section 5.5).
const maxIdleTimestamp = 24 * 24 * time.Hour

// segment takes one that has come for this connection: RFC 9293, section 3.10.7.3 and .4.
func (c *Conn) segment(now time.Duration, g *segment) {
	c.heard = now
	if c.state == SynSent {
		c.answered(now, g)
		return
	}
	if c.timestamps && !g.has(wire.RST) {
		if !g.o.HasTimestamps { // RFC 7323, section 3.2
			return
		}
		old := int32(g.o.Value-c.recent) < 0
		if old && now-c.recentAt < maxIdleTimestamp { // PAWS, section 5.3
			c.acknowledge()
			return
		}
	}
	if c.state == SynReceived && g.has(wire.SYN) && g.seq == c.irs {
		c.synAgain(now, g)
		return
	}
	acceptable := c.acceptable(g)
	if !acceptable {
		if g.has(wire.RST) {
			return
		}
		if c.state == TimeWait && g.has(wire.FIN) {
			c.set(timerTimeWait, now+2*c.stack.limits.MSL)
		}
		c.acknowledge()
		if c.repeats(g) {
			c.gotAck(now, g)
			return
		}
		if c.want != c.edge || g.seq != c.want {
			return
		}
		// The window is shut: what is in the segment is not taken, and its ACK and URG are (MUST-66).
	}
	if g.has(wire.RST) {
		c.gotReset(now, g)
		return
	}
	if g.has(wire.SYN) { // RFC 5961, section 4: whatever its number
		c.stack.challenge(now, c)
		return
	}
	if !g.has(wire.ACK) {
		return
	}
	if c.ecn {
		c.gotMarks(g)
	}
	if !c.gotAck(now, g) {
		return
	}
	c.gotRoute(g)
	if g.o.HasTimestamps && g.seq.AtMost(c.lastAck) {
		c.recent, c.recentAt = g.o.Value, now
	}
	if c.state.takesText() && acceptable {
		c.gotUrgent(g)
		c.gotText(now, g)
	} else if c.state.takesText() {
		c.gotUrgent(g)
	}
}

// synAgain takes the peer's SYN once more, while this side's is not acknowledged: from one who has not seen that, or
// where both opened at once, with the acknowledgment that opens the connection (RFC 9293, figure 8).
func (c *Conn) synAgain(now time.Duration, g *segment) {
	if !g.has(wire.ACK) {
		c.markLost()
		return
	}
	if g.ack != c.next || c.listener != nil {
		c.acknowledge()
		return
	}
	c.opened(now, g) // the window of a SYN is not scaled: that of the first one counts
	c.acknowledge()
}

// gotMarks takes what a segment says of congestion: to this side as a receiver, that is echoed until the peer has heard
// (RFC 3168, section 6.1.3); and to it as a sender, once a window (6.1.2).
func (c *Conn) gotMarks(g *segment) {
	if g.has(wire.CWR) {
		c.echo = false
	}
	if g.marked {
		c.echo = true
		c.acknowledge()
	}
	if g.has(wire.ECE) && !c.recovering && !c.slow && c.recover.AtMost(c.una) && c.una != c.next {
		c.recover, c.reduced = c.next, true
		c.cc.lost(c.outstanding(), c.mss)
	}
}

// acceptable is the table of RFC 9293, section 3.4.
func (c *Conn) acceptable(g *segment) bool {
	inWindow := func(s Seq) bool { return c.want.AtMost(s) && s.Less(c.edge) }
	switch {
	case g.size == 0 && c.want == c.edge:
		return g.seq == c.want
	case g.size == 0:
		return inWindow(g.seq)
	case c.want == c.edge:
		return false
	}
	return inWindow(g.seq) || inWindow(g.seq.Add(g.size-1))
}

// repeats reports whether a segment is one of before the window, whose acknowledgment counts all the same: where both
// sides have taken their windows back, all that they send has such numbers (ackSeq), and each would else answer the
// other for ever. RFC 9293 does not say so. A guess has to meet as many numbers as one of this window.
func (c *Conn) repeats(g *segment) bool {
	before := g.seq.To(c.want)
	return c.state >= Established && c.state != TimeWait && g.has(wire.ACK) && !g.has(wire.SYN) && g.size <= before &&
		before > 0 && before <= c.stack.limits.ReceiveBuffer
}

// acknowledge has an acknowledgment go out at the next Flush.
func (c *Conn) acknowledge() {
	c.ackNow = true
	c.mark()
}

// answered takes the answer to a SYN: section 3.10.7.3.
func (c *Conn) answered(now time.Duration, g *segment) {
	if g.has(wire.ACK) && (g.ack.AtMost(c.iss) || c.next.Less(g.ack)) {
		if !g.has(wire.RST) {
			c.stack.reset(c.key, g.ack, 0, false)
		}
		return
	}
	if g.has(wire.RST) {
		if g.has(wire.ACK) {
			c.end(now, ErrRefused)
		}
		return
	}
	if !g.has(wire.SYN) {
		return
	}
	c.agree(now, g)
	if !g.has(wire.ACK) { // both opened at once (MUST-10)
		c.state = SynReceived
		c.markLost()
		return
	}
	c.opened(now, g)
	c.acknowledge()
	// Text may travel with the SYN; it stands one later.
	rest, shifted := *g.TCP, *g
	rest.Flags &^= wire.SYN
	shifted.TCP, shifted.seq, shifted.size = &rest, g.seq.Add(1), g.size-1
	c.gotText(now, &shifted)
}

// agree takes what a SYN offers: the numbers, and the options that both have.
func (c *Conn) agree(now time.Duration, g *segment) {
	c.gotRoute(g)
	c.irs, c.want = g.seq, g.seq.Add(1)
	c.edge = c.want.Add(min(c.stack.limits.ReceiveBuffer, 65535)) // the SYN's own window is not scaled
	c.lastAck = c.want
	o := &g.o
	if o.HasMSS {
		c.mss = max(minMSS, min(c.mss, int(o.MSS)))
	} else if c.key.remote.Addr().Is4() {
		c.mss = min(c.mss, defaultMSS4)
	} else {
		c.mss = min(c.mss, defaultMSS6)
	}
	c.timestamps, c.sack, c.scaling = o.HasTimestamps, o.SACKPermitted, o.HasScale
	if c.timestamps {
		c.recent, c.recentAt = o.Value, now
	}
	if c.scaling {
		c.scaleOut = min(o.Scale, wire.MaxWindowScale)
	} else {
		c.scaleIn = 0
	}
	if c.state == SynReceived {
		c.ecn = g.has(wire.ECE) && g.has(wire.CWR)
	} else {
		c.ecn = c.stack.ecn && g.has(wire.ECE) && !g.has(wire.CWR)
	}
	c.cc = newCongestion(c.mss, c.stack.cubic)
	c.window, c.maxWindow, c.wl1, c.wl2 = int(g.Window), int(g.Window), g.seq, g.ack
	c.usualWindow = c.window
}

// opened is the step to ESTABLISHED.
func (c *Conn) opened(now time.Duration, g *segment) {
	c.state = Established
	c.backoff = 0 // that of the SYN (RFC 6298, 5.7)
	if c.fin {
		c.state = FinWait1
	}
	c.acked(now, g)
	c.tell(Opened | Writable)
	if c.listener != nil {
		c.listener.ready(c)
	}
	c.keepAlive(now)
}

// gotReset takes a reset that is in the window: RFC 5961, section 3.
func (c *Conn) gotReset(now time.Duration, g *segment) {
	switch {
	case g.seq != c.want:
		c.stack.challenge(now, c)
	case c.state == TimeWait: // RFC 1337: no reset ends the last wait
	case (c.state == Closing || c.state == LastAck) && c.outLen == 0:
		c.end(now, nil) // the peer had everything, and its last wait is over
	case c.state == SynReceived && c.listener != nil:
		c.end(now, ErrReset) // back to LISTEN: nobody is told
	case c.state == SynReceived:
		c.end(now, ErrRefused)
	default:
		c.end(now, ErrReset)
	}
}

// gotAck takes an acknowledgment, and reports whether the rest of the segment is to be looked at.
func (c *Conn) gotAck(now time.Duration, g *segment) bool {
	if c.state == SynReceived {
		if g.ack.AtMost(c.una) || c.next.Less(g.ack) {
			c.stack.reset(c.key, g.ack, 0, false)
			return false
		}
		c.window = int(g.Window) << c.scaleOut
		c.maxWindow, c.usualWindow, c.wl1, c.wl2 = c.window, c.window, g.seq, g.ack
		c.opened(now, g)
		return c.state != Closed
	}
	if c.next.Less(g.ack) || g.ack.Less(c.una.Add(-c.maxWindow)) { // RFC 5961, section 5
		c.stack.challenge(now, c)
		return false
	}
	if c.wl1.Less(g.seq) || c.wl1 == g.seq && c.wl2.AtMost(g.ack) {
		was := c.window
		c.window = int(g.Window) << c.scaleOut
		c.maxWindow, c.wl1, c.wl2 = max(c.maxWindow, c.window), g.seq, g.ack
		c.usualWindow = max(c.usualWindow, c.window)
		if c.window != was {
			c.dups = 0
			if c.window > 0 {
				c.stop(timerPersist)
				c.probes = 0
			}
			c.mark()
		} else if g.ack == c.una && g.size == 0 && len(c.records) > 0 {
			c.dups++
		}
	}
	c.acked(now, g)
	switch {
	case c.state == FinWait1 && c.finAcked():
		c.state = FinWait2
		c.deserted(now)
		c.tell(Delivered)
	case c.state == Closing && c.finAcked():
		c.wait(now)
		c.tell(Delivered)
	case c.state == LastAck && c.finAcked():
		c.tell(Delivered)
		c.end(now, nil)
		return false
	}
	return true
}

// deserted bounds how long a connection that nobody has any more waits in FIN-WAIT-2: a peer that says nothing would
// else keep it for ever (RFC 9293 has no bound).
func (c *Conn) deserted(now time.Duration) {
	if c.deaf && c.state == FinWait2 {
		c.set(timerTimeWait, now+c.stack.limits.FinWait)
	}
}

// wait is the step to TIME-WAIT.
func (c *Conn) wait(now time.Duration) {
	c.state = TimeWait
	for t := range c.timers {
		c.timers[t] = off
	}
	c.set(timerTimeWait, now+2*c.stack.limits.MSL)
	c.stack.waits(now, c)
}

// gotUrgent takes the urgent pointer: it is the number of the first byte that is not urgent (MUST-62).
func (c *Conn) gotUrgent(g *segment) {
	if !g.has(wire.URG) || g.Urgent == 0 {
		return
	}
	up := g.seq.Add(int(g.Urgent))
	if !c.urgentOn || c.urgent.Less(up) {
		begun := c.urgentOn && c.want.Add(-c.inLen).Less(c.urgent)
		c.urgent, c.urgentOn = up, true
		if !begun {
			c.tell(Urgent)
		}
	}
}

// UrgentLeft is how many bytes there are up to the end of what the peer called urgent, as far as the pointer tells; 0
// where nothing is (MUST-33).
func (c *Conn) UrgentLeft() int {
	if !c.urgentOn {
		return 0
	}
	return max(0, c.want.Add(-c.inLen).To(c.urgent))
}

// gotText takes the text and the FIN.
func (c *Conn) gotText(now time.Duration, g *segment) {
	from, text, fin := g.seq, g.Payload, g.has(wire.FIN)
	if before := from.To(c.want); before > 0 {
		before = min(before, len(text))
		from, text = from.Add(before), text[before:]
	}
	if over := c.edge.To(from.Add(len(text))); over > 0 {
		text, fin = text[:max(0, len(text)-over)], false
	}
	if fin && !c.finKnown {
		c.finKnown, c.finAt = true, from.Add(len(text))
	}
	if len(text) > 0 && c.deaf {
		c.Abort(now)
		return
	}
	if len(text) > 0 {
		c.place(now, from, text)
	}
	if c.finKnown && !c.finTaken && c.want == c.finAt {
		c.finTaken = true
		c.want++
		c.acknowledge()
		c.tell(Readable)
		switch {
		case c.state == Established:
			c.state = CloseWait
		case c.state == FinWait1 && !c.finAcked():
			c.state = Closing
		default:
			c.wait(now)
		}
	}
}

// place puts text that is within the window where it belongs.
func (c *Conn) place(now time.Duration, from Seq, text []byte) {
	at := c.inLen + c.want.To(from)
	if from != c.want {
		if c.early.add(span{from, from.Add(len(text))}) {
			c.in.write(&c.stack.pool, at, text)
		}
		c.acknowledge() // at once: RFC 5681, section 4.2
		return
	}
	c.in.write(&c.stack.pool, at, text)
	holes := len(c.early.list) > 0
	end := c.early.take(from.Add(len(text)))
	n := c.want.To(end)
	c.want, c.inLen, c.unacked = end, c.inLen+n, c.unacked+n
	c.tell(Readable)
	c.full = max(c.full, min(len(text), c.advertised))
	if holes || c.unacked > max(c.full, leastFull) || c.unacked >= c.mostIn/2 {
		c.acknowledge()
	} else if c.timers[timerDelayedAck] == off {
		c.set(timerDelayedAck, now+delayedAck)
	}
}
