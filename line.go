package plexor

import (
	"slices"

	"github.com/plexor-go/plexor/coro"
)

// A line is the coroutines that wait for the same thing, first come, first served. Most often it is one, whose place
// costs nothing. Whoever is woken looks again whether what it waits for is there.
type line struct {
	one  coro.Waiter
	more *[]*coro.Waiter // nil: nobody; a pointer, since each connection has a line, and few of them a second one waiting
}

// front is where to wait if nobody does; nil: in the queue. It is a function of its own, and not a part of queue, so
// that the stack of the one who waits, which is there for as long as the connection is idle, has a frame less.
func (l *line) front() *coro.Waiter {
	if l.more == nil && !l.one.Waiting() {
		return &l.one
	}
	return nil
}

// queue waits behind the others.
func (l *line) queue(t *coro.Task, what string, on any) error {
	w := new(coro.Waiter)
	if l.more == nil {
		l.more = new([]*coro.Waiter)
	}
	*l.more = append(*l.more, w)
	err := w.Park(t, what, on)
	if err != nil && l.more != nil {
		if i := slices.Index(*l.more, w); i >= 0 {
			l.keep(slices.Delete(*l.more, i, i+1))
		}
	}
	return err
}

// keep makes more the ones that wait behind the first.
func (l *line) keep(more []*coro.Waiter) {
	if *l.more = more; len(more) == 0 {
		l.more = nil
	}
}

// wake wakes the first; it reports whether there was one.
func (l *line) wake() bool {
	if l.one.Wake() {
		return true
	}
	for l.more != nil {
		w := (*l.more)[0]
		l.keep((*l.more)[1:])
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
	if more == nil {
		return
	}
	for _, w := range *more {
		w.Wake()
	}
}

func (l *line) empty() bool { return l.more == nil && !l.one.Waiting() }
