package tcp

import (
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// rack is RFC 8985's state: which of the segments that have arrived was sent last.
type rack struct {
	sent      time.Duration
	end       Seq
	rtt       time.Duration
	reordered bool
	furthest  Seq // that was delivered
	known     Seq // what that was before the acknowledgment that is being looked at
	valid     bool
}

// acked takes the acknowledgment of a segment: what it acknowledges at once, and what selectively.
func (c *Conn) acked(now time.Duration, g *segment) {
	newly := c.una.To(g.ack)
	delivered := 0
	c.rack.known = c.rack.furthest
	if c.sack && g.o.SACKs > 0 {
		delivered = c.gotSACK(now, g.o.SACK[:g.o.SACKs])
	}
	repairing := c.recovering || c.slow
	if newly > 0 {
		delivered += c.forward(now, g, newly, delivered)
		if repairing && c.sack && !c.recovering && !c.slow && c.anyLost() {
			c.recovery()
		}
	} else if !c.sack && c.dups == dupThreshold && !c.recovering && !c.slow {
		c.flag(&c.records[0], c.records[0].flags|lost)
		c.recovery()
	}
	if c.sack && (delivered > 0 || newly > 0) {
		found := c.detect(now)
		if c.recovering {
			c.proportionate(delivered, newly > 0 && !found)
		}
	}
	c.probed(g, delivered > 0 || newly > 0)
	if len(c.records) > 0 || c.outLen > 0 {
		c.mark()
	}
}

// forward moves una over newly numbers, and tells how many of them were not known to be with the peer. So many others
// that are were told of by the same segment.
func (c *Conn) forward(now time.Duration, g *segment, newly, others int) (delivered int) {
	if n := min(c.first.To(g.ack), c.outLen); n > 0 {
		c.out.discard(&c.stack.pool, n)
		c.first, c.outLen = c.first.Add(n), c.outLen-n
		if c.outLen == 0 {
			c.out.release(&c.stack.pool)
		}
	}
	c.una = g.ack
	n := 0
	for n < len(c.records) && c.records[n].to.AtMost(c.una) {
		r := &c.records[n]
		if r.flags&sacked == 0 {
			delivered += r.from.To(r.to)
			c.delivered(now, *r)
		}
		c.pipe -= r.flying()
		n++
	}
	c.records = slices.Delete(c.records, 0, n)
	if len(c.records) > 0 && c.records[0].from.Less(c.una) {
		c.pipe -= c.records[0].flying()
		if c.records[0].flags&sacked == 0 {
			delivered += c.records[0].from.To(c.una)
		}
		c.records[0].from = c.una
		c.pipe += c.records[0].flying()
	}
	if g.o.HasTimestamps && c.timestamps && g.o.Echo != 0 && (c.rtt.smooth == 0 || c.backoff > 0) {
		c.rtt.measured(time.Duration(timestamp(now)-g.o.Echo) * time.Millisecond)
		c.backoff = 0
	}
	c.timeouts, c.tail.sent, c.unackedSince, c.moved = 0, false, now, now
	switch {
	case c.recovering && c.recover.AtMost(c.una):
		c.recovering, c.dups = false, 0
		if c.sack {
			c.cc.window = c.cc.threshold
		}
	case c.recovering && !c.sack && len(c.records) > 0: // a partial acknowledgment: RFC 6582, section 3.2
		c.flag(&c.records[0], c.records[0].flags|lost)
		c.dups = max(0, c.dups-newly/c.mss)
	case !c.recovering:
		c.dups = 0
		if c.limited {
			c.cc.grew(now, delivered+others, c.mss, c.rtt.smooth)
		}
		c.slow = c.slow && c.una.Less(c.recover)
	}
	c.arm(now)
	if c.short && c.outLen <= c.mostOut/2 {
		c.short = false
		c.tell(Writable)
	}
	return delivered
}

// delivered takes a record whose bytes the peer has: its round trip, and RACK's steps 2 and 3 (RFC 8985, section 6.2).
func (c *Conn) delivered(now time.Duration, r record) {
	d := now - r.sent
	if r.flags&again == 0 {
		c.rtt.measured(d)
		c.backoff = 0 // and not before: of what was sent twice nobody knows how long it took (RFC 6298, section 5)
	} else if d < c.rtt.min {
		return // the acknowledgment is more likely one of the first time
	}
	if r.flags&again == 0 && c.rack.valid && r.to.Less(c.rack.known) {
		c.rack.reordered = true
	}
	if !c.rack.valid {
		c.rack.furthest = r.to
	}
	c.rack.furthest = later(c.rack.furthest, r.to)
	if !c.rack.valid || r.sent > c.rack.sent || r.sent == c.rack.sent && c.rack.end.Less(r.to) {
		c.rack.valid, c.rack.sent, c.rack.end, c.rack.rtt = true, r.sent, r.to, d
	}
}

// gotSACK marks what the blocks say, and tells how many bytes of it are new. A block outside of what was sent and not
// acknowledged says nothing here (RFC 2018; for a duplicate's, RFC 2883, see probed).
func (c *Conn) gotSACK(now time.Duration, blocks []wire.SACKBlock) (news int) {
	for _, b := range blocks {
		from, to := Seq(b.Left), Seq(b.Right)
		if !from.Less(to) || from.Less(c.una) || c.next.Less(to) {
			continue
		}
		for i := range c.records {
			r := &c.records[i]
			if r.flags&sacked != 0 || r.from.Less(from) || to.Less(r.to) {
				continue
			}
			c.delivered(now, *r)
			c.flag(r, r.flags&^lost|sacked)
			news += r.from.To(r.to)
		}
	}
	return news
}

// detect counts as lost what was sent long enough before something that has arrived, and reports whether there was any:
// RFC 8985, section 6.2, step 5.
func (c *Conn) detect(now time.Duration) (found bool) {
	if !c.rack.valid {
		return false
	}
	arrived := 0
	for _, r := range c.records {
		if r.flags&sacked != 0 {
			arrived++
		}
	}
	window := min(c.rtt.min/4, c.rtt.smooth)
	if !c.rack.reordered && (c.recovering || c.slow || arrived >= dupThreshold) {
		window = 0
	}
	var wait time.Duration
	for i := range c.records {
		r := &c.records[i]
		before := r.sent < c.rack.sent || r.sent == c.rack.sent && r.to.Less(c.rack.end)
		if r.flags&(sacked|lost) != 0 || !before {
			continue
		}
		if left := r.sent + c.rack.rtt + window - now; left <= 0 {
			c.flag(r, r.flags|lost)
			found = true
		} else {
			wait = max(wait, left)
		}
	}
	if found {
		c.recovery()
	}
	if wait > 0 {
		c.set(timerReorder, now+wait)
	} else {
		c.stop(timerReorder)
	}
	return found
}

// recovery begins, or goes on. After a timeout it is the slow start that sends what was lost.
func (c *Conn) recovery() {
	if !c.recovering && !c.slow {
		c.recovering, c.recover, c.atOnce = true, c.next, true
		flight := c.outstanding()
		c.prr = proportion{flight: max(min(flight, c.cc.window), 1)}
		c.cc.lost(flight, c.mss)
		if c.sack {
			c.proportionate(0, false)
		}
	}
	c.mark()
}

// anyLost reports whether something was lost that the peer is not known to have. When a recovery ends, that was sent
// for the first time after it had begun, and so the next one is due (RFC 6675, section 5).
func (c *Conn) anyLost() bool {
	return slices.ContainsFunc(c.records, func(r record) bool {
		return r.flags&sacked == 0 && r.flags&(lost|again) != 0
	})
}

// markOld counts as lost, at a timeout, the first segment and those that are as old as a round trip and the time by
// which the path reorders: what was sent just now may well be on its way (RFC 8985, section 6.3).
func (c *Conn) markOld(now time.Duration) {
	if !c.sack || !c.rack.valid {
		c.markLost()
		return
	}
	old := c.rack.rtt + min(c.rtt.min/4, c.rtt.smooth)
	for i := range c.records {
		if r := &c.records[i]; r.flags&sacked == 0 && (i == 0 || now-r.sent >= old) {
			c.flag(r, r.flags|lost)
		}
	}
	c.mark()
}

// markLost counts as lost all that the peer has not said it has.
func (c *Conn) markLost() {
	for i := range c.records {
		if r := &c.records[i]; r.flags&sacked == 0 {
			c.flag(r, r.flags|lost)
		}
	}
	c.mark()
}

// outstanding is how much the window let out when the last segments left, for what follows from a loss. Counted now it
// would be too little: of several acknowledgments between two Flushes the first have made room that nothing has
// filled.
func (c *Conn) outstanding() int {
	flight := c.una.To(c.next)
	if !c.sack {
		flight -= max(0, c.dups-1) * c.mss // what RFC 3042 let out does not count (RFC 5681, section 3.2)
	}
	if c.limited {
		flight = max(flight, c.cc.window)
	}
	return flight
}

// flight is how many numbers are on their way: RFC 6675's pipe.
func (c *Conn) flight() int {
	if !c.sack {
		return max(c.pipe-c.dups*c.mss, 0) // each has left the network
	}
	return c.pipe
}

// flying is how much of the record is on its way.
func (r *record) flying() int {
	if r.flags&(sacked|lost) != 0 {
		return 0
	}
	return r.from.To(r.to)
}

// record notes a record of what is sent for the first time.
func (c *Conn) record(r record) {
	c.records = append(c.records, r)
	c.pipe += r.flying()
}

// flag gives a record other flags.
func (c *Conn) flag(r *record, f recordFlags) {
	c.pipe -= r.flying()
	r.flags = f
	c.pipe += r.flying()
}

// arm sets the timer of what was sent and not acknowledged: first for a probe of the tail (RFC 8985, section 7), then
// for a timeout.
func (c *Conn) arm(now time.Duration) {
	if len(c.records) == 0 {
		c.stop(timerRetransmit)
		return
	}
	d := c.rtt.after(c.backoff)
	if c.mayProbe() {
		probe := 2*c.rtt.smooth + probeSlack
		if len(c.records) == 1 {
			probe += 200 * time.Millisecond // its acknowledgment may be delayed: RFC 8985's WCDelAckT
		}
		d = min(d, probe)
	}
	c.set(timerRetransmit, now+d)
}
