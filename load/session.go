package load

import (
	"errors"
	"time"
)

// A session is a connection's place in the load: what it may send and when. The link under it is the connection itself.
//
//	idle ──▶ opening ──▶ open ──▶ gone (lost, or never made)
//	  ▲────────────────────┘ with Reconnect, after each answer
type session struct {
	w        *worker
	index    int
	link     link // nil while idle
	state    sessionState
	flight   int   // messages sent or, with Reconnect, waiting for their connection, and not answered
	thinking int   // messages that wait for the think time to pass
	due      int64 // with a rate: when the next one is
	heard    int64 // when something last moved
	failures int   // with Reconnect: in a row
}

type sessionState uint8

const (
	idle sessionState = iota
	opening
	open
	gone
)

// A link is a connection or a datagram socket. It calls the session's opened, failed, answered and lost.
type link interface {
	send(n int, at int64)   // n messages, whose latency counts from at
	close()                 // gracefully; the session hears nothing more
	sweep(now, limit int64) // looks for what is overdue
}

func newSession(w *worker, index int) *session { return &session{w: w, index: index} }

// id is the session's number in the run.
func (s *session) id() int { return s.index*s.w.opt.Loops + s.w.index }

func (s *session) connect() {
	s.state = opening
	switch {
	case s.w.target.packets():
		openPackets(s)
	case s.w.target.secure:
		openSecure(s)
	default:
		openStream(s)
	}
}

// opened is the link's: it stands.
func (s *session) opened() {
	s.state, s.heard = open, s.w.now()
	s.w.opened(s)
}

// start begins to send: from now on, or by the schedule.
func (s *session) start(now int64) {
	if w := s.w; w.gap > 0 {
		s.due = w.origin + int64(float64(s.index)*w.gap)
		if late := now - s.due; late > 0 && w.rampsUp() { // it was not there before, so nobody waited for it
			period := s.period()
			s.due += (late + period - 1) / period * period
		}
	}
	if s.state != gone {
		s.pump(now)
	}
}

// period is the time between two messages of this session.
func (s *session) period() int64 { return max(int64(s.w.gap*float64(s.w.count)), 1) }

// pump sends what may be sent now.
func (s *session) pump(now int64) {
	w := s.w
	if s.state == gone || s.state == opening || s.state == idle && !w.opt.Reconnect {
		return
	}
	if w.gap > 0 {
		s.pumpDue(now)
		return
	}
	if w.phase == draining || w.phase == over {
		return
	}
	if n := w.take(w.opt.Depth - s.flight - s.thinking); n > 0 {
		s.send(n, now, now)
	}
}

// pumpDue sends what is due by the schedule, each with its own time. After the end of the measurement it goes on with
// what was due before, for as long as the timeout.
func (s *session) pumpDue(now int64) {
	w := s.w
	if w.phase == over || w.phase == draining && now > w.end+int64(w.opt.Timeout) {
		return
	}
	for s.flight < w.opt.Depth && s.due <= now && s.due < w.end && w.take(1) == 1 {
		at := s.due
		s.due += s.period()
		s.send(1, at, now)
	}
}

// owed is how many messages were due by now and not sent.
func (s *session) owed(now int64) int64 {
	until := min(now, s.w.end-1)
	if s.w.gap == 0 || s.state == gone || s.w.phase == standing || s.w.quota == 0 || s.due > until {
		return 0
	}
	return (until-s.due)/s.period() + 1
}

func (s *session) send(n int, at, now int64) {
	if s.flight == 0 {
		s.heard = now
	}
	s.flight += n
	s.w.flight += int64(n)
	if s.state == idle {
		s.connect()
	}
	s.link.send(n, at)
}

// answered is the link's: n messages sent at that time are answered, rightly or not. progress comes after it.
func (s *session) answered(n int, at int64, ok bool, now int64) {
	s.flight -= n
	s.w.flight -= int64(n)
	if ok {
		s.w.record(now-at, n, now)
	} else {
		s.w.wrong += int64(n)
		s.w.note(errWrong)
	}
	if think := s.w.opt.Think; think > 0 {
		s.thinking += n
		s.w.loop.AfterFunc(think, func() {
			s.thinking -= n
			s.pump(s.w.now())
		})
	}
}

// missed is the link's: n messages will not be answered any more, but the link goes on.
func (s *session) missed(n int) {
	s.flight -= n
	s.w.flight -= int64(n)
	s.w.lostMessages += int64(n)
}

// progress goes on after answers.
func (s *session) progress(now int64) {
	s.heard = now
	if s.w.opt.Reconnect && s.flight == 0 && s.state == open {
		s.failures = 0
		s.drop()
	}
	s.pump(now)
	if s.w.flight == 0 {
		s.w.checkDone()
	}
}

// drop closes the link of a session that goes on without.
func (s *session) drop() {
	s.link.close()
	s.link, s.state = nil, idle
}

// failed is the link's: it never stood.
func (s *session) failed(err error) {
	s.link = nil
	if s.w.opt.Reconnect {
		s.forget()
		s.state = idle
		s.w.failed(err)
		s.again()
		return
	}
	s.state = gone
	s.w.failed(err)
}

// lost is the link's: it is broken, and closed.
func (s *session) lost(err error) {
	w := s.w
	w.lostConns++
	if errors.Is(err, errTimeout) {
		w.timedOut++
	}
	w.note(err)
	s.forget()
	s.link = nil
	if w.opt.Reconnect {
		s.state = idle
		s.again()
		return
	}
	s.state = gone
	w.alive--
	w.checkDone()
}

// forget counts what was under way as lost.
func (s *session) forget() {
	s.w.lostMessages += int64(s.flight)
	s.w.flight -= int64(s.flight)
	s.flight = 0
}

// With Reconnect, a failure is followed by a pause, and so many in a row by giving up.
const (
	mostFailures = 10
	failurePause = 10 * time.Millisecond
)

func (s *session) again() {
	if s.failures++; s.failures == mostFailures {
		s.state = gone
		s.w.alive--
	} else {
		s.thinking = s.w.opt.Depth
		s.w.loop.AfterFunc(failurePause, func() {
			s.thinking = 0
			s.pump(s.w.now())
		})
	}
	s.w.checkDone()
}

// sweep gives up what stands still for too long.
func (s *session) sweep(now int64) {
	if s.state == open {
		s.link.sweep(now, now-int64(s.w.opt.Timeout))
	}
}

// end closes the link, if there is one.
func (s *session) end() {
	if s.link != nil {
		s.link.close()
	}
	s.link, s.state = nil, gone
}
