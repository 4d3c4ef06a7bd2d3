package loop

import (
	"github.com/plexor-go/plexor/sock"
	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

func (d *completion) addListener(l *Listener) error {
	s := d.slotFor(l.sock)
	s.listener = l
	l.slot = s.number
	d.updateListener(l)
	return nil
}

func (d *completion) updateListener(l *Listener) {
	s := d.slots[l.slot]
	switch {
	case l.paused:
		d.cancel(s, opAccept)
	case len(l.early) > 0: // these first
		d.later(s)
	case s.ops&opAccept == 0:
		e := d.submission(s, opAccept)
		if l.shared {
			// One at a time: whoever asks anew waits behind the others. A multishot accept keeps its place in the
			// socket's queue of those that wait, of whom the first one is woken: it would get every connection.
			e.Accept(s.sock.FD(), nil, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return
		}
		e.AcceptMultishot(s.sock.FD(), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	}
}

// accepted is a connection, or why there is none. A multishot accept takes in all that wait, however many; those beyond
// the turn's budget wait in the listener, and while they do no more are asked for. One that comes while its listener
// steps back is as good as any.
func (d *completion) accepted(s *slot, c *uring.CQE) {
	l := s.listener
	switch {
	case c.Res >= 0 && l == nil:
		_ = sock.Socket(c.Res).Abort() // its listener was closed
	case c.Res >= 0 && (l.leaving || d.mayAccept(s)):
		l.accepted(sock.Socket(c.Res))
	case c.Res >= 0:
		l.early = append(l.early, sock.Socket(c.Res))
		d.cancel(s, opAccept)
		d.later(s)
	case l != nil && c.Errno() != unix.ECANCELED:
		l.refused(c.Errno())
	}
	if s.listener != nil && !c.More() {
		d.updateListener(s.listener)
		s.listener.left()
	}
}

// mayAccept counts the turn's connections against AcceptBudget.
func (d *completion) mayAccept(s *slot) bool {
	if s.turn != d.turn {
		s.turn, s.taken = d.turn, 0
	}
	if len(s.listener.early) > 0 || int(s.taken) >= d.opt.AcceptBudget {
		return false
	}
	s.taken++
	return true
}

// acceptOn takes in a turn's worth of those that were accepted before they could be.
func (d *completion) acceptOn(s *slot) {
	s.turn, s.taken = d.turn, 0
	l := s.listener
	for len(l.early) > 0 && int(s.taken) < d.opt.AcceptBudget {
		s.taken++
		l.accepted(l.nextEarly())
	}
	if s.listener == l {
		d.updateListener(l)
	}
}

func (d *completion) accepting(l *Listener) bool { return d.slots[l.slot].ops&opAccept != 0 }

func (d *completion) releaseListener(l *Listener) { d.drop(d.slots[l.slot], false) }
