package loop

import (
	"errors"
	"fmt"
)

// ErrOnLoop is the error of a method that waits for a loop and was called on that very loop, or on another one of its
// group: it would wait for itself, or two would wait for each other.
var ErrOnLoop = errors.New("it waits for the loops, and was called on one of them (by a handler, a timer, a posted " +
	"function " +
	"or a coroutine): call it from a goroutine of its own")

// OnLoop reports whether the caller is of the loop: a handler, a timer, a posted function, or a coroutine of it. What
// waits for the loop would wait for ever there. Any goroutine may call it.
func (l *Loop) OnLoop() bool {
	select {
	case <-l.done: // its goroutine's number may be another's
		return false
	default:
	}
	if ours := l.coroutines.Load(); ours != nil {
		if is, known := (*ours)(); is || known {
			return is
		}
	}
	return l.id.Load() == goroutineID()
}

// Coroutines tells the loop who its coroutines are, which run in turn with it on goroutines of their own: ours reports
// whether the caller is of the loop, as far as that is known yet. It is for package coro. Any goroutine may call it,
// and ours is called on any.
func (l *Loop) Coroutines(ours func() (is, known bool)) { l.coroutines.Store(&ours) }

// onLoop reports whether the caller is of one of the group's loops.
func (g *Group) onLoop() bool {
	for _, l := range g.loops {
		if l.OnLoop() {
			return true
		}
	}
	return false
}

// refuse is the error of a method that would wait for the loop that it was called on; nil: it may wait.
func (g *Group) refuse(method string) error {
	if !g.onLoop() {
		return nil
	}
	return fmt.Errorf("loop: Group.%s: %w", method, ErrOnLoop)
}
