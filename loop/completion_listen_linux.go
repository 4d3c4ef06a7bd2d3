package loop

import (
	"time"

	"github.com/plexor-go/plexor/sock"
	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// A socket that is shared with other processes.
//
// The accepts of several rings wait on it in a queue, and the kernel wakes the first one for a connection, and it
// alone. That spreads connections evenly, and wakes nobody in vain. But the one that is woken may not run: its process
// is stopped, a handler holds its loop, or it was killed and its ring is not cleared away yet. The connection then
// stays in the backlog until another one comes.
//
// So a loop has a poll on the socket besides, which wakes all that have one. It does not accept by it at once, for the
// one who was chosen is most likely about to: it looks lookAfter later, takes what still waits, and polls again. That
// is at most one look a lookAfter, however many connections come, and none while none do.

// lookAfter is how long a connection may wait for the loop that was woken for it: far longer than a loop takes that
// runs, and less than a person notices.
const lookAfter = 5 * time.Millisecond

func (d *completion) addListener(l *Listener) error {
	s := d.slotFor(l.sock)
	s.other = &otherEnd{listener: l}
	l.slot = s.number
	d.updateListener(l)
	return nil
}

func (d *completion) updateListener(l *Listener) {
	s := d.slots[l.slot]
	switch {
	case l.paused:
		d.cancel(s, opAccept|opPollIn)
	case len(l.early) > 0: // these first
		d.later(s)
	case s.ops&opAccept == 0:
		e := d.submission(s, opAccept)
		if l.shared {
			// One at a time: whoever asks anew waits behind the others. A multishot accept keeps its place in the
			// queue, and would get every connection.
			e.Accept(s.sock.FD(), nil, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			d.pollShared(s)
			return
		}
		e.AcceptMultishot(s.sock.FD(), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	}
}

// pollShared polls a shared socket, unless it is being polled or a look is due, after which it is polled again.
func (d *completion) pollShared(s *slot) {
	if l := s.listener(); s.ops&opPollIn == 0 && (l.look == nil || l.look.at == 0) {
		d.submission(s, opPollIn).PollAdd(s.sock.FD(), unix.POLLIN)
	}
}

// comes is the end of a poll of a shared socket: a connection has come, for somebody.
func (d *completion) comes(s *slot) {
	l := s.listener()
	if l.paused {
		return // stepForward polls again
	}
	if l.look == nil {
		l.look = &Timer{loop: l.loop, f: func() { d.takeOver(l) }}
	}
	l.look.Reset(lookAfter)
}

// takeOver takes in what was left by those who were woken for it.
func (d *completion) takeOver(l *Listener) {
	if l.ended || l.paused {
		return
	}
	l.accept()
	if !l.ended && !l.paused {
		d.pollShared(d.slots[l.slot])
	}
}

// foresee keeps the connections among completions whose turn is to come. A handler before them may hold the loop.
func (d *completion) foresee(cqes []uring.CQE) {
	for i := range cqes {
		if c := &cqes[i]; opSet(c.UserData>>32) == opAccept && c.Res >= 0 {
			d.loop.expect(sock.Socket(c.Res))
		}
	}
}

// accepted is a connection, or why there is none. A multishot accept takes in all that wait, however many; those beyond
// the turn's budget wait in the listener, and while they do no more are asked for. One that comes while its listener
// steps back is as good as any.
func (d *completion) accepted(s *slot, c *uring.CQE) {
	l := s.listener()
	switch {
	case c.Res >= 0 && l == nil:
		d.loop.arrived(sock.Socket(c.Res))
		_ = sock.Socket(c.Res).Abort() // its listener was closed
	case c.Res >= 0 && (l.leaving || d.mayAccept(s)):
		d.loop.arrived(sock.Socket(c.Res))
		l.accepted(sock.Socket(c.Res))
	case c.Res >= 0:
		l.early = append(l.early, sock.Socket(c.Res))
		d.cancel(s, opAccept)
		d.later(s)
	case l != nil && c.Errno() != unix.ECANCELED:
		l.refused(c.Errno())
	}
	if l = s.listener(); l != nil && !c.More() { // it may have been closed meanwhile
		d.updateListener(l)
		l.left()
	}
}

// mayAccept counts the turn's connections against AcceptBudget.
func (d *completion) mayAccept(s *slot) bool {
	o := s.other
	if o.turn != d.turn {
		o.turn, o.taken = d.turn, 0
	}
	if len(o.listener.early) > 0 || int(o.taken) >= d.opt.AcceptBudget {
		return false
	}
	o.taken++
	return true
}

// acceptOn takes in a turn's worth of those that were accepted before they could be.
func (d *completion) acceptOn(s *slot) {
	o := s.other
	o.turn, o.taken = d.turn, 0
	l := o.listener
	for len(l.early) > 0 && int(o.taken) < d.opt.AcceptBudget {
		o.taken++
		l.accepted(l.nextEarly())
	}
	if s.listener() == l {
		d.updateListener(l)
	}
}

func (d *completion) accepting(l *Listener) bool { return d.slots[l.slot].ops&opAccept != 0 }

func (d *completion) releaseListener(l *Listener) { d.drop(d.slots[l.slot], false, l) }
