package plexor

import (
	"net"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// end closes a connection of which the handler learns by err that it is over.
func (s *stream) end(err error) {
	_ = s.lc.Close() // it may have ended by itself
	s.finish(err)
}

// finish is for the loop's report that the connection is over.
func (s *stream) finish(err error) {
	if s.is(over) {
		return
	}
	s.flags |= over
	s.endBox(s.whyOver(err), false)
	if !s.is(closed) {
		s.err = s.whyOver(err)
	} else {
		s.err = err // for Close, which may wait for it
	}
	s.readers.wakeAll()
	s.wakeWriters()
	if s.waits != nil {
		s.waits.closer.Wake()
		s.tellEnd()
	}
}

// tellEnd tells who asked by OnEnd, once.
func (s *stream) tellEnd() {
	if x := s.waits; x != nil && x.ended != nil {
		f := x.ended
		x.ended = nil
		f()
	}
}

// OnEnd has f called once, by loop code, when nothing more will come from the peer: it has closed its half, or the
// connection has ended. If that is so already it is called at once, though bytes that came before may be unread. nil
// takes it back, and a later call takes the place of an earlier one. f must not wait. It is for handlers that work for
// the peer while they do not read, to learn that nobody wants the result any more. As with Context, a peer of whom
// 64 KiB are unread is not watched meanwhile. Over TLS the end is that of the connection below. In contrast to the
// other methods it is for all of the loop's own: posted functions and timers, too.
func (c *Conn) OnEnd(f func()) {
	s := &c.raw
	if !s.w.loop.OnLoop() {
		_ = c.usable("watch") // the log is told
		return
	}
	if c.is(returned) || s.is(givenAway) {
		return
	}
	switch {
	case f == nil && s.waits == nil:
	case f != nil && s.is(gotEOF|over):
		f()
	default:
		s.getWaits().ended = f
	}
}

// closeWrite ends our half of the connection.
func (s *stream) closeWrite() error {
	err := s.lc.CloseWriteBehind(s.endBox(loop.ErrWriteClosed, true))
	if err != nil {
		err = s.wrap("close", s.unwritable(err))
	}
	s.wakeWriters() // the loop will not
	return err
}

// close closes for the task t, and waits until the peer's system has all that was written.
func (s *stream) close(t *coro.Task) error {
	if s.is(closed) {
		return s.wrap("close", net.ErrClosed)
	}
	done := !s.boxWaits() && s.acknowledged()
	if !s.shut() || done {
		return nil // it was over, or whatever happens now does no harm
	}
	if err := s.awaitDelivery(t); err != nil {
		return s.wrap("close", err)
	}
	return nil
}

// shut closes, and waits for nothing. It reports whether there was something to close.
func (s *stream) shut() bool {
	s.flags |= closed
	rest, was := s.endBox(nil, true), false
	if s.is(resets) {
		s.abort(loop.ErrAborted)
	} else {
		was = s.lc.CloseBehind(rest) == nil
	}
	s.empty()
	s.readers.wakeAll()
	s.wakeWriters()
	return was
}

// abort ends the connection at once with err.
func (s *stream) abort(err error) {
	s.lc.CloseWithError(err)
}

// acknowledged reports whether the peer's system has all that was written. What can't be known is taken for so.
func (s *stream) acknowledged() bool {
	if s.lc.Pending() > 0 {
		return false
	}
	n, known := s.lc.Unacked()
	return n == 0 || !known
}

// awaitDelivery waits until every byte is acknowledged, or will not be: the loop tells, by delivered or finish.
func (s *stream) awaitDelivery(t *coro.Task) error {
	if err := s.getWaits().closer.Park(t, "close", s); err != nil {
		return err
	}
	if s.is(over) {
		return s.err
	}
	return nil
}

// delivered is the loop's report of that.
func (s *stream) delivered() {
	if s.waits != nil {
		s.waits.closer.Wake()
	}
}
