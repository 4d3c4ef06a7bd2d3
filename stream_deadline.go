package plexor

import (
	"net"
	"time"
)

// readExpired and writeExpired report whether a deadline has passed, on the loop's clock.
func (s *stream) readExpired() bool {
	x := s.waits
	return x != nil && !x.readBy.IsZero() && s.w.passed(x.readBy)
}

func (s *stream) writeExpired() bool {
	x := s.waits
	return x != nil && !x.writeBy.IsZero() && s.w.passed(x.writeBy)
}

// setDeadlines keeps the times, by which operations judge, and has the loop call when they pass. For those that have
// passed already nobody needs to call.
func (s *stream) setDeadlines(t time.Time, read, write bool) error {
	if s.is(closed) {
		return s.wrap("set", net.ErrClosed)
	}
	if t.IsZero() && s.waits == nil {
		return nil
	}
	x := s.getWaits()
	call := t
	if !t.IsZero() && s.w.passed(t) {
		call = time.Time{}
	}
	var err error
	if read {
		x.readBy = t
		err = s.lc.SetReadDeadline(call)
		if call.IsZero() {
			s.readers.wakeAll()
		}
	}
	if write {
		x.writeBy = t
		if err == nil {
			err = s.lc.SetWriteDeadline(call)
		}
		if call.IsZero() {
			x.room.Wake()
			x.writers.wakeAll()
		}
	}
	s.dropWaits()
	if write {
		s.flushBox() // entries that were refused for the deadline's sake are no longer
	}
	if err != nil && !s.is(over) {
		return s.wrap("set", err)
	}
	return nil // what is over has no need of deadlines, and its Read says why it is over
}
