package tcp

import "time"

// fire does what the timers want whose time has come.
func (c *Conn) fire(now time.Duration) {
	for t := range timers {
		if c.timers[t] > now {
			continue
		}
		c.timers[t] = off
		switch t {
		case timerRetransmit:
			c.timedOut(now)
		case timerPersist:
			c.persist(now)
		case timerDelayedAck:
			c.acknowledge()
		case timerReorder:
			c.detect(now)
		case timerKeepAlive:
			c.keepAlive(now)
		case timerTimeWait:
			c.end(now, nil)
		}
		if c.state == Closed {
			return
		}
	}
}

// timedOut is a probe of the tail, or a retransmission timeout (RFC 6298, section 5).
func (c *Conn) timedOut(now time.Duration) {
	if len(c.records) == 0 {
		return
	}
	shut := c.state.synchronized() && c.una.To(c.records[0].to) > c.window
	if shut && c.abandoned(now) {
		c.end(now, ErrTimeout)
		return
	}
	if shut && c.heard >= c.records[0].sent {
		c.unackedSince = now // the peer has shrunk its window over it, and still answers (SHLD-17)
	}
	if now-c.unackedSince >= c.patience() {
		c.end(now, ErrTimeout)
		return
	}
	if c.probeTail(now) {
		return
	}
	first := c.timeouts == 0 && !c.recovering // a recovery has made the window smaller already
	c.backoff++
	if c.timeouts++; c.timeouts == stalled {
		c.tell(Stalled)
	}
	if c.state >= Established {
		if first {
			c.cc.lost(c.outstanding(), c.mss)
		}
		c.recovering, c.slow, c.recover, c.dups = false, true, c.next, 0
		c.tail, c.beyond = tail{}, false
	}
	if !shut {
		c.hole()
	}
	c.markOld(now)
	if c.slow {
		c.cc.window, c.cc.acked = c.flight()+c.mss, 0
	}
	c.set(timerRetransmit, now+c.rtt.after(c.backoff))
}

// hole makes segments smaller when large ones are not answered, time and again: a router may drop them and its message
// not come through (RFC 2923, section 2.1; the idea of RFC 4821, section 4.2). They stay so, as nothing here tries
// larger ones again; if it was no such hole, that costs some headers.
func (c *Conn) hole() {
	large := false
	for _, r := range c.records {
		large = large || r.flags&sacked == 0 && r.from.To(r.to) > leastMSS
	}
	if !large || c.state < Established {
		return
	}
	switch {
	case c.timeouts >= 2*holeAfter && c.mss > leastMSS:
		c.mss = leastMSS
	case c.timeouts >= holeAfter && c.mss > holeMSS:
		c.mss = holeMSS
	default:
		return
	}
	c.resegment()
}

// persist sends what fits into a window that stays small (RFC 9293, section 3.8.6.2.1: the override), or asks a peer
// whose window is shut whether it still is (MUST-36). It may stay so for as long as the peer answers (MUST-37).
func (c *Conn) persist(now time.Duration) {
	if c.outLen == 0 || len(c.records) > 0 {
		return
	}
	if c.abandoned(now) {
		c.end(now, ErrTimeout)
		return
	}
	if c.window > 0 {
		// A peer whose window was large and is less than a segment from now on would else get one of these timeouts for each
		// window, and all the time between them nothing.
		c.small, c.usualWindow = true, c.window
		c.mark()
		return
	}
	// What counts is the time since the first probe that nobody has answered, not since the last segment came: probes are
	// further apart than the limit after a while.
	if c.heard >= c.asked {
		c.asked = now
	} else if now-c.asked >= c.patience() {
		c.end(now, ErrTimeout)
		return
	}
	c.probes++
	c.probe = true
	c.set(timerPersist, now+c.rtt.after(c.probes))
	c.mark()
}

// abandoned reports whether nobody has the connection any more and its peer has taken nothing for too long. A window
// that opens and shuts again, and into which nothing goes, changes nothing in that.
func (c *Conn) abandoned(now time.Duration) bool {
	return c.deaf && now-c.moved >= c.stack.limits.Orphan
}

// keepAlive asks a peer that has been silent for long (MUST-24 to MUST-29). It is off unless the connection or the
// limits have it.
func (c *Conn) keepAlive(now time.Duration) {
	every := c.keepEvery
	if every == 0 {
		every = c.stack.limits.KeepAlive
	}
	if every <= 0 || every == off || c.state == TimeWait {
		return
	}
	silent := now - c.heard
	switch {
	case silent >= every+c.stack.limits.UserTimeout:
		c.end(now, ErrTimeout)
		return
	case silent >= every:
		c.probe = true
		c.mark()
		c.set(timerKeepAlive, now+c.stack.limits.UserTimeout/8)
	default:
		c.set(timerKeepAlive, c.heard+every)
	}
}
