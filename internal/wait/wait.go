// Package wait is for goroutines that wait for others which may be in another testing/synctest bubble, or in none.
//
// A channel that is made in a bubble, and a sync.Cond on which a goroutine of a bubble waits, may be used by that
// bubble's goroutines alone: the runtime ends the process otherwise. A connection whose loop is outside the bubble is
// woken from outside. A sync.Mutex is free of that rule, and any goroutine may unlock it, so these are made of locked
// ones. To synctest a goroutine that waits here is blocked, but not durably, as one that waits for a socket of package
// net: the time of its bubble stands still meanwhile.
package wait

import (
	"context"
	"sync"
	"time"
)

// A Cond is where goroutines wait for a change of what a lock guards. The zero value is ready.
type Cond struct {
	first *waiter // guarded by the lock
}

type waiter struct {
	woken sync.Mutex // locked until it is
	next  *waiter
}

var waiters = sync.Pool{New: func() any {
	w := new(waiter)
	w.woken.Lock()
	return w
}}

// Wait unlocks l, waits until Broadcast is called, and locks l again. Call it in a loop, as that of a sync.Cond.
func (c *Cond) Wait(l *sync.Mutex) {
	w := waiters.Get().(*waiter)
	w.next, c.first = c.first, w
	l.Unlock()
	w.woken.Lock() // and so it is locked for the next one who takes it from the pool
	waiters.Put(w)
	l.Lock()
}

// Broadcast wakes all who wait. The caller holds the lock.
func (c *Cond) Broadcast() {
	w := c.first
	c.first = nil
	for w != nil {
		next := w.next // afterwards it is another's
		w.next = nil
		w.woken.Unlock()
		w = next
	}
}

// A HomeCond is a Cond of something that may be at home in a bubble: if Init is called in one, a goroutine that waits
// is durably blocked, so that the bubble's time goes on, and only goroutines of the bubble may use it. Else any may.
type HomeCond struct {
	bubble *sync.Cond // nil: it was made in none
	any    Cond
}

// Init is called first, with the lock that all use.
func (c *HomeCond) Init(l *sync.Mutex) {
	if Bubbled() {
		c.bubble = sync.NewCond(l)
	}
}

// Wait is that of a Cond.
func (c *HomeCond) Wait(l *sync.Mutex) {
	if c.bubble != nil {
		c.bubble.Wait()
		return
	}
	c.any.Wait(l)
}

// Broadcast is that of a Cond.
func (c *HomeCond) Broadcast() {
	if c.bubble != nil {
		c.bubble.Broadcast()
		return
	}
	c.any.Broadcast()
}

// A Latch is opened once. Make it by NewLatch. One goroutine may wait.
type Latch struct {
	shut sync.Mutex
}

// NewLatch returns one that is shut.
func NewLatch() *Latch {
	l := new(Latch)
	l.shut.Lock()
	return l
}

// Open lets the one that waits go on, now or later. A second Open is a mistake, and ends the process.
func (l *Latch) Open() { l.shut.Unlock() }

// Wait waits for Open, and may be called once.
func (l *Latch) Wait() { l.shut.Lock() }

// Bubbled reports whether the caller is in a bubble. There time.Now has no monotonic reading (its clock is not the
// system's), and everywhere else it has one.
func Bubbled() bool {
	now := time.Now()
	return now == now.Round(0)
}

// A Sleeper is one wait of one goroutine, which anybody can end. Make it by NewSleeper.
type Sleeper struct {
	mu    sync.Mutex // of woken
	woken bool
	shut  sync.Mutex // locked until it is woken
}

// NewSleeper returns one for one Sleep.
func NewSleeper() *Sleeper {
	s := new(Sleeper)
	s.shut.Lock()
	return s
}

// Sleep waits until Wake is called, or was before, or until ctx has ended, whose cause is the error then.
func (s *Sleeper) Sleep(ctx context.Context) error {
	if ctx.Done() == nil {
		s.shut.Lock()
		return nil
	}
	ended := false // guarded by mu
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		ended = !s.woken
		s.wakeLocked()
	})
	s.shut.Lock()
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ended {
		return context.Cause(ctx)
	}
	return nil
}

// Wake ends the wait. Any goroutine may call it, and more than once.
func (s *Sleeper) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

func (s *Sleeper) wakeLocked() {
	if !s.woken {
		s.woken = true
		s.shut.Unlock()
	}
}
