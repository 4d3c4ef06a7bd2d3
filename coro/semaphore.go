package coro

import (
	"context"
	"fmt"
	"sync/atomic"
)

// A home is the scheduler that a lock or queue belongs to: that of the first coroutine that waits in it. What is
// guarded by nothing but that its loop does one thing at a time must stay on that loop.
type home struct{ of atomic.Pointer[Scheduler] }

func (h *home) settle(s *Scheduler, op string) {
	if h.of.Load() != s && !h.of.CompareAndSwap(nil, s) {
		panic(&MisuseError{Op: op,
			Why: "it is used by the coroutines of another loop already: share data between loops by Post, or by package sync " +
				"with Await"})
	}
}

// here panics if the caller is not of the loop. As long as no coroutine has used it, anybody may.
func (h *home) here(op string) {
	if s := h.of.Load(); s != nil {
		s.here(op)
	}
}

// A semaphore is Semaphore without the checks of who calls.
type semaphore struct {
	free    int
	waiters list[int]
}

func (m *semaphore) acquire(ctx context.Context, t *Task, n int, what string) error {
	if m.try(n) {
		return nil
	}
	if err := m.waiters.wait(ctx, t, what, nil, n); err != nil {
		m.grant() // those behind may want less
		return err
	}
	return nil
}

func (m *semaphore) try(n int) bool {
	if m.free < n || m.waiters.first() != nil {
		return false
	}
	m.free -= n
	return true
}

func (m *semaphore) release(n int) {
	m.free += n
	m.grant()
}

// grant gives the first ones what they want. It is theirs from here on, so nobody comes in between.
func (m *semaphore) grant() {
	for it := m.waiters.first(); it != nil && it.v <= m.free; it = m.waiters.first() {
		m.free -= it.v
		m.waiters.remove(it)
		it.wakeLater()
	}
}

// A Semaphore lets a number of units be held at once. First come, first served: one that wants many is not overtaken
// by those that want few. Make it with [NewSemaphore]. It is for the coroutines of one loop; Release and TryAcquire
// for its handlers too.
type Semaphore struct {
	home home
	sem  semaphore
	size int
}

// NewSemaphore returns a Semaphore of n units.
func NewSemaphore(n int) *Semaphore {
	if n < 1 {
		panic(fmt.Sprintf("coro: NewSemaphore(%d): it must be at least 1", n))
	}
	return &Semaphore{sem: semaphore{free: n}, size: n}
}

// Acquire waits for n units. When it fails, with ctx's cause, it holds none.
func (m *Semaphore) Acquire(ctx context.Context, n int) error {
	t, err := enter(ctx, "Semaphore.Acquire")
	if err != nil {
		return err
	}
	m.home.settle(t.scope.sched, "Semaphore.Acquire")
	m.check("Acquire", n)
	return m.sem.acquire(ctx, t, n, "a semaphore")
}

// TryAcquire takes n units if they are free and nobody waits.
func (m *Semaphore) TryAcquire(n int) bool {
	m.home.here("Semaphore.TryAcquire")
	m.check("TryAcquire", n)
	return m.sem.try(n)
}

// Release gives n units back. It panics if more come back than were taken.
func (m *Semaphore) Release(n int) {
	m.home.here("Semaphore.Release")
	m.check("Release", n)
	if m.sem.free+n > m.size {
		panic(&MisuseError{Op: "Semaphore.Release",
			Why: fmt.Sprintf("of %d units, but only %d are held", n, m.size-m.sem.free)})
	}
	m.sem.release(n)
}

func (m *Semaphore) check(op string, n int) {
	if n < 1 || n > m.size {
		panic(&MisuseError{Op: "Semaphore." + op, Why: fmt.Sprintf("%d units of a semaphore of %d", n, m.size)})
	}
}
