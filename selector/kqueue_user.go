//go:build darwin || dragonfly || freebsd

package selector

import "golang.org/x/sys/unix"

// nudge is what ends a wait from outside: an event of the user's own, which takes no descriptor.
type nudge struct{}

func (nudge) open(kq int) error {
	return kevent1(kq, 0, unix.EVFILT_USER, unix.EV_ADD|unix.EV_CLEAR, 0)
}

func (nudge) kick(kq int) error {
	return kevent1(kq, 0, unix.EVFILT_USER, 0, unix.NOTE_TRIGGER)
}

func (nudge) is(ev *unix.Kevent_t) bool { return int(ev.Filter) == unix.EVFILT_USER }

func (nudge) close() {}
