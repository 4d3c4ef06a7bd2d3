package plexor

// The loop's part of an Outbox.
//
// An entry is written where a Write may be: when no Write of the handler's is half done (waits.writing), and there is
// room in the loop's output. If there is none the Outbox takes the right to write (holds), so that it comes before
// the handler's next Write, and goes on when there is room:
//
//	called, deliver, putHere ──▶ flush ─no room─▶ holds ──Writable──▶ flush ──empty, or turn over──▶ the next Write
//	                               └──a Write is half done──▶ unlockWrite ──▶ flush

// outboxTurn is how many bytes of entries are written before a handler's Write that waits has its turn.
const outboxTurn = 64 << 10

// putHere is put on the connection's own loop.
func (o *Outbox) putHere(e entry, w *worker, how putting) error {
	m := &w.mail
	if !m.clear() {
		m.run() // what was handed in before comes before
	}
	o.mu.Lock()
	if o.c != nil && !o.overrun && o.queue.n == 0 && len(e.p) <= o.limits.Bytes && m.clear() {
		c := o.c
		o.mu.Unlock()
		if o.writeNow(c, e.p) {
			return nil
		}
		o.mu.Lock()
	}
	err := o.take(e, how)
	later := err == nil && !m.clear()
	if later {
		o.list()
	}
	o.mu.Unlock()
	if err == nil && !later {
		o.flush()
	}
	return err
}

// deliver is for a cast, behind which so many are done.
func (o *Outbox) deliver(c *cast, done uint64) {
	o.mu.Lock()
	if o.c == nil || o.overrun {
		o.mu.Unlock()
		return
	}
	if (o.queue.n == 0 || o.queue.at(0).after > done) && len(c.p) <= o.limits.Bytes {
		conn := o.c
		o.mu.Unlock()
		if o.writeNow(conn, c.p) {
			return
		}
		o.mu.Lock()
	}
	if o.c == nil {
		o.mu.Unlock()
		return
	}
	var err error
	if len(c.p) > o.limits.Bytes {
		o.dropped++
		err = ErrOutboxTooLong
	} else if len(c.p) > 0 {
		err = o.admit(entry{p: c.p, key: c.key, after: done})
	}
	o.mu.Unlock()
	if err == nil {
		o.flush()
	}
}

// writeNow writes p if that can be now, in one piece. False: it has to wait.
func (o *Outbox) writeNow(c *Conn, p []byte) bool {
	if c.raw.waits.writing || len(p) > c.piece() || !c.room() {
		return false
	}
	err := c.put(p)
	switch {
	case err == nil:
		o.sent.Add(1)
	case later(err):
		return false
	default: // it is broken, and its end is coming
		o.lost(1)
	}
	return true
}

// piece is how many bytes may be written at once.
func (c *Conn) piece() int {
	if c.tls != nil {
		return pieceSize
	}
	return c.raw.w.highWater
}

// room reports whether something may be written; if not for want of room, Writable will be called.
func (c *Conn) room() bool {
	if x := c.tls; x != nil && (x.usable() != nil || x.notified || x.flush() != nil || x.spill != nil) {
		return false
	}
	return !c.raw.lc.Full()
}

// put writes a piece for which there is room.
func (c *Conn) put(p []byte) error {
	if c.tls != nil {
		_, err := c.tls.tc.Write(p) // which keeps what the loop refuses
		return err
	}
	_, err := c.raw.lc.Write(p)
	if err == nil {
		c.raw.wrote()
	}
	return err
}

// called is for an outbox that was in the mail.
func (o *Outbox) called() {
	o.mu.Lock()
	o.listed = 0
	c, overrun := o.c, o.overrun
	o.mu.Unlock()
	switch {
	case c == nil:
	case overrun:
		c.cancel(ErrOutboxFull)
		c.raw.abort(ErrOutboxFull)
	default:
		o.flush()
	}
}

// flush writes what waits, as far as there is room.
func (o *Outbox) flush() {
	o.mu.Lock()
	c := o.c
	o.mu.Unlock()
	if c == nil {
		return
	}
	x := c.raw.waits
	if x.writing && !o.holds {
		return // unlockWrite calls again
	}
	for left := outboxTurn; ; {
		if len(o.rest) == 0 && (!o.due() || left <= 0 && !x.writers.empty()) {
			o.letGo(c)
			return
		}
		if !c.room() {
			if c.tls == nil || c.tls.state == open { // during a handshake it waits without a right to anything
				x.writing, o.holds = true, true
			}
			return
		}
		if len(o.rest) == 0 && !o.next() {
			continue
		}
		n := min(len(o.rest), c.piece())
		err := c.put(o.rest[:n])
		switch {
		case err == nil:
			o.roomMade()
			left -= n
			if o.rest = o.rest[n:]; len(o.rest) == 0 {
				o.rest = nil
				o.sent.Add(1)
			}
		case later(err): // until the deadline is set anew, or there is room
			o.roomMade()
			x.writing, o.holds = true, true
			return
		default: // it is broken, and its end is coming: nobody is to take that for room
			held := o.holds
			o.end(err, false)
			if held {
				x.writers.wake()
			}
			return
		}
	}
}

// letGo gives the right to write to the next. It comes last in whatever calls it, for the one who is woken may run at
// once.
func (o *Outbox) letGo(c *Conn) {
	if x := c.raw.waits; o.holds {
		o.holds, x.writing = false, false
		x.writers.wake()
	}
}

// midway reports whether a part of an entry has left, or a Write of the handler's has: nothing may come in between.
func (o *Outbox) midway() bool { return !o.holds || len(o.rest) > 0 }

// due reports whether there is an entry that may leave.
func (o *Outbox) due() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.c != nil && o.queue.n > 0 && o.queue.at(0).after <= o.w.mail.done
}

// roomMade is for whoever waits for the room that an entry has left.
func (o *Outbox) roomMade() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wakeWaiters()
}

// next takes the next entry out of the queue. Who calls it tells that there is room, once it is known where the entry
// goes.
func (o *Outbox) next() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue.n == 0 {
		return false
	}
	o.rest = o.queue.pop().p
	return true
}

// lost counts entries that went nowhere.
func (o *Outbox) lost(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped += int64(n)
}

// waiting reports whether anything is to leave.
func (o *Outbox) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue.n > 0 || len(o.rest) > 0
}

// end has the box take no more, since why, and lets go of all that it has. It returns what is to leave before the
// connection ends, if that can be: keep.
func (o *Outbox) end(why error, keep bool) (rest []byte) {
	o.mu.Lock()
	if o.c == nil {
		o.mu.Unlock()
		return nil
	}
	x := o.c.raw.waits
	keep = keep && !o.overrun && (o.holds || !x.writing) // else what is written would stand inside somebody's Write
	entries := o.queue.n
	if len(o.rest) > 0 {
		entries++
	}
	if keep && entries > 0 {
		rest = append(make([]byte, 0, len(o.rest)+o.queue.bytes), o.rest...)
		for o.queue.n > 0 {
			rest = append(rest, o.queue.pop().p...)
		}
		o.sent.Add(int64(entries))
	} else {
		o.dropped += int64(entries)
		o.queue.drop()
	}
	o.c, o.w, o.codec, o.rest = nil, nil, nil, nil
	o.err = &outboxEnd{why}
	o.wakeWaiters()
	o.waiters = nil
	in := o.in
	o.in = nil
	o.mu.Unlock()
	x.box = nil
	if o.holds {
		o.holds, x.writing = false, false
	}
	for _, a := range in {
		a.forget(o)
	}
	return rest
}

// box is the connection's Outbox; nil: nobody asked for it.
func (s *stream) box() *Outbox {
	if s.waits == nil {
		return nil
	}
	return s.waits.box
}

// boxWaits reports whether the box has entries that are to leave.
func (s *stream) boxWaits() bool { return s.box() != nil && s.box().waiting() }

// endBox is end for the connection's box, if it has one.
func (s *stream) endBox(why error, keep bool) []byte {
	if b := s.box(); b != nil {
		return b.end(why, keep)
	}
	return nil
}

// putRest gives the last entries to the tls.Conn, whether or not there is room.
func (x *secured) putRest(rest []byte) {
	if len(rest) > 0 && x.state == open && !x.notified {
		_, _ = x.tc.Write(rest) // what is over has told why, or will tell Close
	}
}

// flushBox is for whoever has made it possible to write: the box's entries leave.
func (s *stream) flushBox() {
	if b := s.box(); b != nil {
		b.flush()
	}
}
