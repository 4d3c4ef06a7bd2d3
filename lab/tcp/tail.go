package tcp

import "time"

// A tail is a probe for the loss of what was sent last: RFC 8985, section 7.
type tail struct {
	sent  bool // and nothing has come since
	again bool // what was sent is text that was sent before, and whether that was lost is not known yet
	end   Seq  // what had been sent by then
}

// mayProbe reports whether the next timeout is a probe's.
func (c *Conn) mayProbe() bool {
	return c.sack && !c.recovering && !c.slow && !c.tail.sent && c.timeouts == 0 && c.rtt.smooth > 0 &&
		c.state.synchronized()
}

// probeTail sends a segment whose acknowledgment tells what was lost before it: of new text, where there is a full
// segment that the peer has room for, and else the last one again. It is false where a timeout is due.
func (c *Conn) probeTail(now time.Duration) bool {
	last := &c.records[len(c.records)-1]
	if !c.mayProbe() || last.flags&(sacked|lost) != 0 || now-last.sent >= c.rtt.after(0) {
		return false
	}
	c.tail = tail{sent: true, end: c.next}
	size := c.segmentSize()
	if c.outLen-c.first.To(c.next) >= size && c.window-c.una.To(c.next) >= size && len(c.records) < maxRecords {
		c.beyond = true
	} else {
		c.tail.again, c.atOnce = true, true
		c.flag(last, last.flags|lost)
	}
	c.mark()
	return true
}

// probed takes what an acknowledgment says of a probe that was sent again: if the peer has got it twice, nothing was
// lost. If it has got it once, a segment was, though no recovery has told, and the window answers to that (RFC 8985,
// section 7.4). news says that the acknowledgment said something new.
func (c *Conn) probed(g *segment, news bool) {
	twice := c.sack && g.o.SACKs > 0 && Seq(g.o.SACK[0].Right).AtMost(g.ack) // RFC 2883
	switch {
	case !c.tail.again || g.ack.Less(c.tail.end):
	case twice, c.recovering, c.slow, !news && g.size == 0:
		c.tail.again = false
	case c.tail.end.Less(g.ack):
		c.tail.again = false
		c.cc.lost(c.outstanding(), c.mss)
	}
}
