package plexor

import (
	"net"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
)

// SetDeadline is of net.Conn.
func (s *shared) SetDeadline(t time.Time) error { return s.setDeadlines(t, true, true) }

// SetReadDeadline is of net.Conn.
func (s *shared) SetReadDeadline(t time.Time) error { return s.setDeadlines(t, true, false) }

// SetWriteDeadline is of net.Conn.
func (s *shared) SetWriteDeadline(t time.Time) error { return s.setDeadlines(t, false, true) }

func (s *shared) setDeadlines(t time.Time, read, write bool) error {
	// The common case, which net/http has three times a request, needs no lock: the descriptor is lent, and all that was
	// read before is taken. One that is closed refuses.
	if d := s.reader.Load(); d != nil {
		return d.setDeadlines(t, read, write)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.wrap("set", net.ErrClosed)
	}
	if d := s.lent; d != nil {
		if err := d.setDeadlines(t, read, write); err != nil || s.from == len(s.in) {
			return err
		}
		write = false // what was read before the loan has the deadline for reading too
	}
	if read {
		s.read.set(t, &s.mu, &s.readable)
	}
	if write {
		s.write.set(t, &s.mu, &s.writable)
	}
	if s.read.left > 0 || s.write.left > 0 {
		s.kick()
	}
	return nil
}

// A sharedDeadline is guarded by the connection's lock.
type sharedDeadline struct {
	timer  *time.Timer
	left   time.Duration // positive: arm is to set the timer
	at     time.Time     // when it passes, of a timer that is set
	passed bool
}

// set is for a new deadline; those who wait on cond are told when it has passed. The timer of a goroutine in a bubble
// of testing/synctest would be one of the bubble's clock, which stands still while somebody waits for a socket: so
// there it is the loop that sets it.
func (d *sharedDeadline) set(t time.Time, mu *sync.Mutex, cond *wait.Cond) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	if d.left = time.Until(t); d.left <= 0 {
		d.passed = true
		cond.Broadcast()
		return
	}
	if !wait.Bubbled() {
		d.arm(mu, cond)
	}
}

// arm sets the timer if that is still to be done.
func (d *sharedDeadline) arm(mu *sync.Mutex, cond *wait.Cond) {
	if d.left <= 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d.left, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.timer == timer { // else it was set anew when this one was on its way
			d.passed = true
			cond.Broadcast()
		}
	})
	d.timer, d.at, d.left = timer, time.Now().Add(d.left), 0
}

// lend sets the same deadline by set.
func (d *sharedDeadline) lend(set func(time.Time) error) {
	var err error
	switch {
	case d.passed:
		err = set(time.Unix(1, 0))
	case d.left > 0:
		err = set(time.Now().Add(d.left))
	case d.timer != nil:
		err = set(d.at)
	}
	_ = err // it is closed: the next call tells
}

// setDeadlines sets those of the descriptor.
func (d *direct) setDeadlines(t time.Time, read, write bool) (err error) {
	switch {
	case read && write:
		err = d.file.SetDeadline(t)
	case read:
		err = d.file.SetReadDeadline(t)
	case write:
		err = d.file.SetWriteDeadline(t)
	}
	if err != nil {
		err = d.s.wrap("set", net.ErrClosed)
	}
	return err
}

func (d *sharedDeadline) stop() {
	d.left = 0
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
