package coro

import (
	"context"
	"fmt"
)

// A Mutex is a lock that coroutines of one loop wait for, first come, first served. Two coroutines of a loop never run
// at once, so it is needed only to keep others out across a wait. The zero value is unlocked.
type Mutex struct {
	home    home
	owner   *Task
	waiters list[int]
}

// Lock waits for the lock. When it fails, with ctx's cause, the task does not hold it.
func (m *Mutex) Lock(ctx context.Context) error {
	t, err := enter(ctx, "Mutex.Lock")
	if err != nil {
		return err
	}
	m.home.settle(t.scope.sched, "Mutex.Lock")
	if m.take(t) {
		return nil
	}
	if m.owner == t {
		panic(&MisuseError{Op: "Mutex.Lock", Why: fmt.Sprintf("%s holds it already, and would wait for itself", t)})
	}
	return m.waiters.wait(ctx, t, "a mutex", m.owner, 0) // Unlock has made it the owner
}

// TryLock takes the lock if it is free and nobody waits. It is for coroutines.
func (m *Mutex) TryLock() bool {
	if m.home.of.Load() == nil {
		s, _ := caller()
		if s == nil {
			panic(&MisuseError{Op: "Mutex.TryLock", Why: "it is for coroutines, and was called by a goroutine that is none"})
		}
		m.home.settle(s, "Mutex.TryLock")
	}
	return m.take(m.home.of.Load().self("Mutex.TryLock"))
}

func (m *Mutex) take(t *Task) bool {
	if m.owner != nil || m.waiters.first() != nil {
		return false
	}
	m.owner = t
	return true
}

// Unlock gives the lock to the first that waits. It panics if the calling task does not hold it.
func (m *Mutex) Unlock() {
	s := m.home.of.Load()
	if s == nil {
		panic(&MisuseError{Op: "Mutex.Unlock", Why: "it is not locked"})
	}
	t := s.self("Mutex.Unlock")
	if m.owner != t {
		if s.closed {
			return // Cond.Wait may have had to return without it
		}
		panic(&MisuseError{Op: "Mutex.Unlock", Why: fmt.Sprintf("%s does not hold it", t)})
	}
	m.pass()
}

// pass makes the first that waits the owner.
func (m *Mutex) pass() {
	m.owner = nil
	if it := m.waiters.first(); it != nil {
		m.owner = it.task
		m.waiters.remove(it)
		it.wakeLater()
	}
}

// relock is Lock that nothing cancels but the end of the loop, and that only when nobody is left to unlock.
func (m *Mutex) relock(t *Task) {
	if m.take(t) {
		return
	}
	it := &t.co.item
	m.waiters.push(it)
	if err := t.park(&it.Waiter, &t.scope.sched.root, "a mutex", m.owner); err != nil {
		m.waiters.remove(it)
	}
}

// A Cond lets coroutines wait for a change of what a Mutex guards, as sync.Cond does.
type Cond struct {
	L       *Mutex
	waiters list[int]
}

// NewCond returns a Cond on a lock.
func NewCond(l *Mutex) *Cond { return &Cond{L: l} }

// Wait unlocks L, waits for Signal or Broadcast, and locks L again. L is locked again too when it fails with ctx's
// cause: the wait for the lock can't be cancelled. It panics if the task does not hold L. As with sync.Cond, call it in
// a loop that looks at what is waited for.
//
// A Signal that has chosen this task is used up by it, even when the task is cancelled at the same moment: Wait then
// returns nil, and it is the next wait that fails.
func (c *Cond) Wait(ctx context.Context) error {
	t, err := enter(ctx, "Cond.Wait")
	if err != nil {
		return err
	}
	if c.L.owner != t {
		panic(&MisuseError{Op: "Cond.Wait", Why: fmt.Sprintf("%s does not hold the lock", t)})
	}
	c.L.pass()
	err = c.waiters.wait(ctx, t, "a condition", nil, 0)
	c.L.relock(t)
	return err
}

// Signal wakes the first that waits. It is for the loop's own, with or without the lock.
func (c *Cond) Signal() {
	c.L.home.here("Cond.Signal")
	if it := c.waiters.pop(); it != nil {
		it.wakeLater()
	}
}

// Broadcast wakes all that wait. It is for the loop's own, with or without the lock.
func (c *Cond) Broadcast() {
	c.L.home.here("Cond.Broadcast")
	for it := c.waiters.pop(); it != nil; it = c.waiters.pop() {
		it.wakeLater()
	}
}
