package loop

import (
	"cmp"
	"time"

	"golang.org/x/sys/unix"
)

// An armed receive is not trusted for ever. The kernel tells of each event once; if one is lost (by a signal at the
// wrong moment, see uring.SignalBlock, or by a fault that nobody knows yet), a connection stands still whose bytes are
// there, until its peer does something more. So from time to time the driver looks itself: poll(2) over some of the
// sockets whose receive is under way, one system call for up to sweepMost of them. What is readable and is still so at
// the next look, with nothing heard of it in between, has its receive cancelled, and so asked for anew.
//
// It costs a loop with connections one wake-up and one system call a second, some 60 µs for a thousand of them, and
// nothing a message. A lost event of one of n connections is found after two looks: 2 + 2n/sweepMost seconds.
const (
	sweepEvery = time.Second
	sweepMost  = 1024
	// sweepTurns is how often a loop that never waits looks at the clock for it.
	sweepTurns = 1 << 10
)

// A sweep is the driver's looking. The times are the system's, not the loop's, which tests replace: the kernel knows
// only those.
type sweep struct {
	every time.Duration // 0: sweepEvery
	due   time.Time
	from  int // the slot to go on with
	polls []unix.PollFd
	slots []*slot
	found uint64 // receives that were asked for anew
}

func (w *sweep) plan(now time.Time) { w.due = now.Add(cmp.Or(w.every, sweepEvery)) }

// bound shortens a wait to the next look, while there are connections to be looked at.
func (w *sweep) bound(timeout time.Duration, conns int) time.Duration {
	if conns == 0 {
		return timeout
	}
	now := time.Now()
	if w.due.IsZero() {
		w.plan(now)
	}
	if left := max(w.due.Sub(now), 0); timeout < 0 || left < timeout {
		return left
	}
	return timeout
}

// lookAround is a look, if it is due.
func (d *completion) lookAround() {
	w := &d.sweep
	now := time.Now()
	if w.due.IsZero() {
		w.plan(now)
	}
	if now.Before(w.due) {
		return
	}
	w.plan(now)
	w.polls, w.slots = w.polls[:0], w.slots[:0]
	for range min(len(d.slots), sweepMost) {
		if w.from >= len(d.slots) {
			w.from = 0
		}
		s := d.slots[w.from]
		w.from++
		if s.conn != nil && s.ops&opReceive != 0 && s.cancels&opReceive == 0 && s.conn.wantsRead() {
			w.polls = append(w.polls, unix.PollFd{Fd: int32(s.sock.FD()), Events: unix.POLLIN})
			w.slots = append(w.slots, s)
		}
	}
	if len(w.polls) > 0 {
		// Of a poll that does not wait EINTR and ENOMEM pass: the next look is as good.
		if n, err := unix.Poll(w.polls, 0); err == nil && n > 0 {
			d.suspect()
		}
	}
	clear(w.slots) // they may end before the next look
}

// suspect has a second look at what is readable, and asks anew for what was readable the last time too.
func (d *completion) suspect() {
	for i, p := range d.sweep.polls {
		s := d.sweep.slots[i]
		switch {
		case p.Revents == 0:
			s.unheard = false
		case s.unheard:
			s.unheard = false
			d.sweep.found++
			d.cancel(s, opReceive)
		default:
			s.unheard = true
		}
	}
}
