//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kqueue is kqueue(2). It watches for reading and for writing with a filter each, and reports each on its
// own, so that two events can be one result. Closing a descriptor takes its filters out, whatever
// duplicates there are: it has no ghosts, and needs no marks. It may still hand out an event of before a
// change; it is treated as a backend that copies for that, whose news of what was registered during a
// wait is not believed, but it needs no kick.
//
// It is compiled and vetted where Plexor is made, and not tested there.
type kqueue struct {
	fd     int
	nudge  nudge
	high   int // the highest descriptor that was added
	room   int
	events []unix.Kevent_t
	at     []int32 // by descriptor: 1 + the index of its hit, during a wait
}

func newKqueue() (backend, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(fd)
	k := &kqueue{fd: fd}
	if err := k.nudge.open(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return k, nil
}

// A hang-up is the end-of-file flag of the filter for writing, which a wait is told of as soon as anything about the
// socket's output changes (EV_CLEAR); what is not that end is dropped.
var filters = [3]struct {
	event  Events
	filter int
	flags  int
}{{Read, unix.EVFILT_READ, 0}, {Write, unix.EVFILT_WRITE, 0}, {Hangup, unix.EVFILT_WRITE, unix.EV_CLEAR}}

// change gives the kernel one change.
func (k *kqueue) change(fd, filter, flags int) error {
	return kevent1(k.fd, fd, filter, flags, 0)
}

func kevent1(kq, ident, filter, flags int, fflags uint32) error {
	var ev [1]unix.Kevent_t
	unix.SetKevent(&ev[0], ident, filter, flags)
	ev[0].Fflags = fflags
	for {
		_, err := unix.Kevent(kq, ev[:], nil, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("kevent", err)
		}
	}
}

func (k *kqueue) add(fd int, _ uint64, events Events) error {
	if err := k.swap(fd, 0, events); err != nil {
		return err
	}
	k.high = max(k.high, fd)
	return nil
}

func (k *kqueue) modify(fd int, _ uint64, old, events Events) error {
	if err := open(fd); err != nil {
		return err // the kernel says ENOENT of a filter to delete, and that would be no news
	}
	return k.swap(fd, old, events)
}

// swap adds what is new, and only if that worked deletes what is old. Write and Hangup are the same filter in two ways,
// of which the kernel keeps the first: there the old one goes first.
func (k *kqueue) swap(fd int, old, events Events) error {
	if (old|events)&(Write|Hangup) == Write|Hangup {
		if err := k.drop(fd, old&(Write|Hangup)); err != nil && !gone(err) {
			return err
		}
		old &^= Write | Hangup
	}
	for _, f := range filters {
		if f.event&events&^old == 0 {
			continue
		}
		if err := k.change(fd, f.filter, unix.EV_ADD|f.flags); err != nil {
			if f.event == Write && events&Read&^old != 0 {
				_ = k.change(fd, unix.EVFILT_READ, unix.EV_DELETE) // undone; err is the reason
			}
			return err
		}
	}
	if err := k.drop(fd, old&^events); err != nil && !gone(err) {
		return err
	}
	return nil
}

func (k *kqueue) drop(fd int, events Events) error {
	var errs []error
	for _, f := range filters {
		if f.event&events != 0 {
			errs = append(errs, k.change(fd, f.filter, unix.EV_DELETE))
		}
	}
	return errors.Join(errs...)
}

func (k *kqueue) remove(fd int, events Events) error { return k.drop(fd, events) }

func (k *kqueue) copies() bool { return false }

// eager: unix.Kevent tells the scheduler either way.
func (k *kqueue) eager() bool { return false }

func (k *kqueue) prepare(room int) {
	if len(k.events) < room {
		k.events = make([]unix.Kevent_t, max(room, min(2*len(k.events), 1024)))
	}
	if len(k.at) <= k.high {
		k.at = make([]int32, max(64, 2*len(k.at), (k.high|63)+1))
	}
	k.room = room
}

// wait may report the halves of a descriptor one after the other when more is ready than there is room
// for: no event is fetched that could not be handed on, as the kernel would put it behind the others.
func (k *kqueue) wait(hits []hit, limit time.Duration) (int, error) {
	var ts *unix.Timespec
	if limit >= 0 {
		t := unix.NsecToTimespec(int64(limit))
		ts = &t
	}
	n, err := unix.Kevent(k.fd, nil, k.events[:k.room], ts)
	switch {
	case err == unix.EINTR:
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("kevent", err)
	}
	found := 0
	for i := range k.events[:n] {
		ev := &k.events[i]
		if k.nudge.is(ev) {
			continue
		}
		fd := int(ev.Ident)
		if fd >= len(k.at) {
			continue // registered since prepare: the next wait has it
		}
		if k.at[fd] == 0 {
			hits[found] = hit{fd: int32(fd)}
			found++
			k.at[fd] = int32(found)
		}
		h := &hits[k.at[fd]-1]
		switch int(ev.Filter) {
		case unix.EVFILT_READ:
			h.events |= Read
		case unix.EVFILT_WRITE:
			if h.events |= Write; ev.Flags&unix.EV_EOF != 0 {
				h.events |= Hangup
			}
		}
	}
	for _, h := range hits[:found] {
		k.at[h.fd] = 0
	}
	return found, nil
}

func (k *kqueue) kick() error { return k.nudge.kick(k.fd) }

func (k *kqueue) close() error {
	k.nudge.close()
	return os.NewSyscallError("close", unix.Close(k.fd))
}
