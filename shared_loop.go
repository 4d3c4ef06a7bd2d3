package plexor

import (
	"errors"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// kick has the loop look at what is asked of it. The caller holds mu, or nobody else knows s yet.
func (s *shared) kick() {
	if !s.posted && !s.over {
		s.posted = true
		s.post()
	}
}

// retryPost is how long to wait when the loop's queue is full.
const retryPost = time.Millisecond

func (s *shared) post() {
	if err := s.c.raw.lc.Loop().Post(s.serve); errors.Is(err, loop.ErrPostQueueFull) {
		time.AfterFunc(retryPost, s.post)
	} // a loop that has ended has called Closed
}

// serve is the loop's part of all that was asked for.
func (s *shared) serve() {
	s.mu.Lock()
	s.posted = false
	switch {
	case s.returning:
		s.mu.Unlock()
		s.takeBack()
		return
	case s.lent != nil:
		d, suspect := s.lent, s.suspect
		s.suspect = false
		s.mu.Unlock()
		if suspect {
			d.examine()
		}
		return
	}
	s.read.arm(&s.mu, &s.readable)
	s.write.arm(&s.mu, &s.writable)
	resume := s.paused && s.from == len(s.in) && !s.closed
	if resume {
		s.paused = false
	}
	s.mu.Unlock()
	if resume {
		s.c.raw.lc.Resume()
	}
	s.flush()
	if s.borrows { // and what was asked for kept the loop from it
		s.c.raw.lc.Lend()
	}
}

// flush gives the loop what waits, unless that is full; Writable comes then. Behind all of it comes the end.
func (s *shared) flush() {
	lc := s.c.raw.lc
	for {
		s.mu.Lock()
		if s.over {
			s.mu.Unlock()
			return
		}
		if s.closed {
			p, resets := s.out, s.resets
			s.out, s.spare = nil, nil
			s.mu.Unlock()
			if resets {
				lc.Abort()
			} else {
				_ = lc.CloseBehind(p) // it may have ended by itself
			}
			return
		}
		if len(s.out) == 0 {
			ended := s.ended
			s.mu.Unlock()
			if ended {
				_ = lc.CloseWrite() // likewise; a second one changes nothing
			}
			return
		}
		if s.broken == nil && lc.Full() {
			s.mu.Unlock()
			return
		}
		p := s.out
		s.out, s.spare = s.spare[:0], nil
		s.mu.Unlock()

		_, err := lc.Write(p)
		s.c.raw.wrote()

		s.mu.Lock()
		if err != nil {
			s.broken = err
		}
		if s.spare = p[:0]; len(s.out) == 0 {
			s.out, s.spare = nil, nil // an idle connection holds no buffer
		}
		s.writable.Broadcast()
		if s.choked {
			s.choked = false
			s.readable.Broadcast()
		}
		s.mu.Unlock()
	}
}

// Opened is of loop.Handler.
func (s *shared) Opened(*loop.Conn) {}

// Data is of loop.Handler.
func (s *shared) Data(lc *loop.Conn, p []byte) {
	s.c.raw.tick = s.c.raw.w.tick
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.from > 0 && len(s.in)+len(p) > cap(s.in) {
		s.in, s.from = s.in[:copy(s.in, s.in[s.from:])], 0
	}
	s.in = append(s.in, p...)
	if len(s.in)-s.from >= sharedLimit {
		s.paused = true
		lc.Pause()
	}
	s.readable.Broadcast()
}

// EOF is of loop.Handler.
func (s *shared) EOF(*loop.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eof = true
	s.readable.Broadcast()
}

// Writable is of loop.Handler.
func (s *shared) Writable(*loop.Conn) { s.flush() }

// Expired is of loop.Handler: deadlines are not the loop's here.
func (s *shared) Expired(*loop.Conn, *loop.DeadlineError) {}

// Closed is of loop.Handler.
func (s *shared) Closed(_ *loop.Conn, err error) {
	s.fail(s.c.raw.whyOver(err)) // first: who finds the connection counted as gone, or Shutdown over, finds it so here
	s.c.finish(err)
}

// expel is of role.
func (s *shared) expel(err error) {
	s.c.cancel(err)
	s.fail(err)
	s.c.raw.lc.CloseWithError(err)
}

// drain is of role: it is its user's to close.
func (s *shared) drain() {}

// describe is of role.
func (s *shared) describe(info *ConnInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Local = s.local
	info.Unread, info.Pending = len(s.in)-s.from, info.Pending+len(s.out)
}

// fail ends it with err.
func (s *shared) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over, s.err = true, err
	}
	s.out, s.spare = nil, nil
	s.readable.Broadcast()
	s.writable.Broadcast()
}
