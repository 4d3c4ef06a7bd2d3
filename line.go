package plexor

import (
	"slices"

	"github.com/plexor-go/plexor/coro"
)

// A line is the coroutines that wait for the same thing, first come, first served. Most often it is one, whose place
// costs nothing. Whoever is woken looks again whether what it waits for is there.
type line struct {
	one  coro.Waiter
	more []*coro.Waiter
}

// front is where to wait if nobody does; nil: in the queue. It is a function of its own, and not a part of queue, so
// that the stack of the one who waits, which is there for as long as the connection is idle, has a frame less.
func (l *line) front() *coro.Waiter {
	if len(l.more) == 0 && !l.one.Waiting() {
		return &l.one
	}
	return nil
}

// queue waits behind the others.
func (l *line) queue(t *coro.Task, what string, on any) error {
	w := new(coro.Waiter)
	l.more = append(l.more, w)
	err := w.Park(t, what, on)
	if err != nil {
		if i := slices.Index(l.more, w); i >= 0 {
			l.more = slices.Delete(l.more, i, i+1)
		}
	}
	return err
}

// wake wakes the first; it reports whether there was one.
func (l *line) wake() bool {
	if l.one.Wake() {
		return true
	}
	for len(l.more) > 0 {
		w := l.more[0]
		l.more = l.more[1:]
		if w.Wake() {
			return true
		}
	}
	return false
}

// wakeAll wakes those that wait now.
func (l *line) wakeAll() {
	more := l.more
	l.more = nil
	l.one.Wake()
	for _, w := range more {
		w.Wake()
	}
}

func (l *line) empty() bool { return len(l.more) == 0 && !l.one.Waiting() }
