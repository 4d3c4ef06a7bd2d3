package plexor

import (
	"errors"
	"net"
	"os"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// write is Write by the task t.
func (s *stream) write(t *coro.Task, p []byte) (n int, err error) {
	if s.waits != nil {
		if err := s.lockWrite(t); err != nil {
			return 0, err
		}
	}
	n, err = s.writeLocked(t, p)
	if s.waits != nil {
		s.unlockWrite()
	}
	return n, err
}

// writeLocked writes while nobody else does.
func (s *stream) writeLocked(t *coro.Task, p []byte) (n int, err error) {
	most := s.w.highWater
	for {
		m, err := s.lc.Write(p[n:min(n+most, len(p))])
		n += m
		switch {
		case err == nil && n == len(p):
			s.wrote()
			return n, nil
		case err == nil:
			continue
		case err == loop.ErrFull:
			err = s.awaitRoom(t)
		default:
			err = s.failure(t, err)
		}
		if err != nil {
			return n, err
		}
	}
}

// failure is unwritable for who may wait. A connection that broke in this turn refuses at once, and why it did is only
// told at the turn's end.
func (s *stream) failure(t *coro.Task, err error) error {
	if errors.Is(err, loop.ErrClosed) && !s.is(over|closed) {
		if err := s.awaitRoom(t); err != nil && !s.is(over) {
			return err
		}
	}
	return s.unwritable(err)
}

// unwritable is what an error of loop.Conn.Write means to the handler.
func (s *stream) unwritable(err error) error {
	if errors.Is(err, loop.ErrClosed) {
		if s.is(over) && !s.is(closed) {
			return s.err
		}
		return net.ErrClosed
	}
	return err
}

// awaitRoom waits until the loop's output is no longer full. Others that write meanwhile wait in writers.
func (s *stream) awaitRoom(t *coro.Task) error {
	x := s.getWaits()
	x.writing = true
	if err := x.room.Park(t, "write", s); err != nil {
		return err
	}
	s.wrote()
	switch {
	case s.is(closed | givenAway):
		return s.notOurs()
	case s.writeExpired():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// lockWrite waits until no other Write is half done, and the deadline allows one.
func (s *stream) lockWrite(t *coro.Task) (err error) {
	for {
		x := s.waits
		busy := x != nil && x.writing
		switch {
		case s.is(closed | givenAway):
			err = s.notOurs()
		case s.writeExpired():
			err = os.ErrDeadlineExceeded
		case !busy:
			return nil
		default:
			err = x.writers.queue(t, "write", s)
		}
		if err != nil {
			if !busy && x != nil {
				x.writers.wake() // it was our turn
			}
			return err
		}
	}
}

// unlockWrite lets the next one write.
func (s *stream) unlockWrite() {
	if x := s.waits; x != nil {
		x.writing = false
		if x.box != nil {
			x.box.flush() // it may take the right to write in turn
		}
		if !x.writing {
			x.writers.wake()
		}
	}
}
