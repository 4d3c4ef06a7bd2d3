package coro

import (
	"context"
	"fmt"
)

// An Event is a flag that coroutines of one loop wait for. The zero value is not set.
type Event struct {
	home    home
	set     bool
	waiters list[int]
}

// Wait waits until the event is set.
func (e *Event) Wait(ctx context.Context) error {
	t, err := enter(ctx, "Event.Wait")
	if err != nil {
		return err
	}
	e.home.settle(t.scope.sched, "Event.Wait")
	if e.set {
		return nil
	}
	return e.waiters.wait(ctx, t, "an event", nil, 0)
}

// Set sets the event, and wakes all who wait. It is for the loop's own.
func (e *Event) Set() {
	e.home.here("Event.Set")
	e.set = true
	for it := e.waiters.pop(); it != nil; it = e.waiters.pop() {
		it.wakeLater()
	}
}

// Reset takes the flag down. Those who were woken by Set stay so.
func (e *Event) Reset() {
	e.home.here("Event.Reset")
	e.set = false
}

// IsSet reports whether the event is set.
func (e *Event) IsSet() bool {
	e.home.here("Event.IsSet")
	return e.set
}

// A Barrier lets a number of coroutines of one loop wait for each other, again and again. Make it with [NewBarrier].
type Barrier struct {
	home    home
	n       int
	waiters list[int]
}

// NewBarrier returns a Barrier that opens when n wait.
func NewBarrier(n int) *Barrier {
	if n < 1 {
		panic(fmt.Sprintf("coro: NewBarrier(%d): it must be at least 1", n))
	}
	return &Barrier{n: n}
}

// Wait waits until n tasks do, the caller among them; then all go on, and the barrier is as new. It returns the
// caller's place: n-1 for the first that came, 0 for the last. One that is cancelled meanwhile does not count any more;
// the others wait on.
func (b *Barrier) Wait(ctx context.Context) (place int, err error) {
	t, err := enter(ctx, "Barrier.Wait")
	if err != nil {
		return 0, err
	}
	b.home.settle(t.scope.sched, "Barrier.Wait")
	if b.waiters.len() < b.n-1 {
		co := t.co
		if err := b.waiters.wait(ctx, t, "a barrier", nil, 0); err != nil {
			return 0, err
		}
		return co.item.v, nil
	}
	for place := b.n - 1; place > 0; place-- {
		it := b.waiters.pop()
		it.v = place
		it.wakeLater()
	}
	return 0, nil
}

// Waiting is how many wait.
func (b *Barrier) Waiting() int {
	b.home.here("Barrier.Waiting")
	return b.waiters.len()
}
