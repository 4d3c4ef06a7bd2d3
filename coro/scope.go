package coro

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// A scope is a stretch of a task that can be cancelled: the whole task, a Group, a Timeout, a Shield. It is the
// context.Context that the stretch is given.
//
// Scopes form a tree that only the loop's goroutine changes. To cancel one cancels all below it, at once, and ends
// what waits in them. A task is always in one innermost scope (Task.cur), and each of its waits fails once that is
// cancelled, whatever context the wait itself was given; so a group's failure also ends a Read that takes no
// context. Contexts of other makes (context.WithTimeout, a server's context, one from another loop) are foreign:
// the tree learns of their end by a watch, as it does of a scope's in another branch of the tree.
//
// As a context it can be used by any goroutine. Most scopes are never asked for a Done channel nor derived from by
// package context, and so cost nothing but their memory; for those that are, a context of the standard library is
// made (std) and cancelled along, so that context.Cause, WithCancel and AfterFunc work as on their own kind.
type scope struct {
	// First what each wait looks at: see Task.
	sched   *Scheduler
	done    atomic.Pointer[cancellation]
	foreign bool // ctx can be cancelled and is not the parent
	watched bool // this one, or one above it, is foreign

	task  *Task           // who waits in it; nil: nobody, as in the root
	ctx   context.Context // what it was derived from: its values, and, if foreign, cancellation
	std   atomic.Pointer[standard]
	watch *watch // of ctx, if foreign
	timer *loop.Timer
	due   time.Time // of the timer

	// The tree. A Shield has no parent, and neither has the scheduler's root.
	parent, child, next, prev *scope

	watches *watch // the first of those that its cancellation fires
}

// A cancellation is why a scope, and all below it, ended.
type cancellation struct{ err, cause error }

type standard struct {
	context.Context
	cancel context.CancelCauseFunc
}

var (
	endedTask  = &cancellation{context.Canceled, ErrEnded}
	endedScope = &cancellation{context.Canceled, context.Canceled}
	expired    = &cancellation{context.DeadlineExceeded, context.DeadlineExceeded}
	expiredShl = &cancellation{context.DeadlineExceeded, ErrShieldExpired}
	endedLoop  = &cancellation{context.Canceled, ErrLoopClosed}
)

type scopeKey struct{}

// scopeOf is the scope that ctx is or was derived from; nil if there is none.
func scopeOf(ctx context.Context) *scope {
	if sc, ok := ctx.(*scope); ok {
		return sc
	}
	if ctx == nil {
		return nil // the caller says that it carries no task
	}
	sc, _ := ctx.Value(scopeKey{}).(*scope)
	return sc
}

// bare is the scope whose cancellation is ctx's own: ctx is the scope, or adds values to it alone.
func bare(ctx context.Context) *scope {
	sc, ok := ctx.(*scope)
	if ok {
		return sc
	}
	if sc = scopeOf(ctx); sc != nil && sc.Done() == ctx.Done() {
		return sc
	}
	return nil
}

// Deadline is of context.Context. A deadline that was set by this package is in the loop's time.
func (sc *scope) Deadline() (time.Time, bool) {
	d, ok := sc.ctx.Deadline()
	if !sc.due.IsZero() && (!ok || sc.due.Before(d)) {
		return sc.due, true
	}
	return d, ok
}

// Done is of context.Context.
func (sc *scope) Done() <-chan struct{} { return sc.standard().Done() }

// Err is of context.Context.
func (sc *scope) Err() error {
	if c := sc.done.Load(); c != nil {
		return c.err
	}
	if sc.watched {
		if ctx := sc.foreignEnd(); ctx != nil {
			return ctx.Err()
		}
	}
	return nil
}

// Value is of context.Context.
func (sc *scope) Value(key any) any {
	if key == (scopeKey{}) {
		return sc
	}
	if sc.std.Load() != nil || sc.done.Load() != nil {
		return sc.standard().Value(key) // so that context.Cause finds the cause
	}
	return sc.ctx.Value(key)
}

// String is what contexts derived from it print.
func (sc *scope) String() string {
	if sc.task == nil {
		return "coro.Scheduler"
	}
	return "coro." + sc.task.String()
}

// standard is the scope as a context of the standard library.
func (sc *scope) standard() *standard {
	if p := sc.std.Load(); p != nil {
		return p
	}
	p := new(standard)
	p.Context, p.cancel = context.WithCancelCause(sc.ctx)
	if !sc.std.CompareAndSwap(nil, p) {
		p.cancel(nil)
		return sc.std.Load()
	}
	if c := sc.done.Load(); c != nil { // cancel has not seen p, or does it too
		p.cancel(c.cause)
	}
	return p
}

// cause is why waits in the scope fail; nil: they do not. It is for the loop's goroutine.
func (sc *scope) cause() error {
	if c := sc.done.Load(); c != nil {
		return c.cause
	}
	if sc.watched {
		if ctx := sc.foreignEnd(); ctx != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// foreignEnd is the first foreign context, from here up, that has ended, of which no post has told yet.
func (sc *scope) foreignEnd() context.Context {
	for p := sc; p != nil && p.watched; p = p.parent {
		if p.foreign && p.ctx.Err() != nil {
			return p.ctx
		}
	}
	return nil
}

// open makes sc a child of parent, which may be nil, with the values, and if foreign the cancellation, of ctx.
func (sc *scope) open(s *Scheduler, t *Task, parent *scope, ctx context.Context, foreign bool) {
	sc.sched, sc.task, sc.ctx, sc.parent = s, t, ctx, parent
	if parent != nil {
		if sc.next = parent.child; sc.next != nil {
			sc.next.prev = sc
		}
		parent.child = sc
		sc.watched = parent.watched
		if c := parent.done.Load(); c != nil {
			sc.done.Store(c)
			return
		}
	}
	if !foreign {
		return
	}
	if err := ctx.Err(); err != nil {
		sc.done.Store(&cancellation{err, context.Cause(ctx)})
		return
	}
	if ctx.Done() != nil {
		sc.foreign, sc.watched = true, true
		sc.watch = s.watch(ctx, func() { sc.cancel(&cancellation{ctx.Err(), context.Cause(ctx)}) })
	}
}

// expire cancels sc once d has passed on the loop's clock.
func (sc *scope) expire(d time.Duration, c *cancellation) {
	if sc.done.Load() != nil {
		return
	}
	sc.due = sc.sched.loop.Now().Add(d)
	sc.timer = sc.sched.loop.AfterFunc(d, func() { sc.cancel(c) })
}

// cancel cancels sc and all below it. What waits in them will run, and find the cause. The first cause stays.
func (sc *scope) cancel(c *cancellation) {
	if sc.done.Load() != nil {
		return
	}
	sc.done.Store(c)
	if p := sc.std.Load(); p != nil {
		p.cancel(c.cause)
	}
	sc.release()
	sc.tell()
	for ch := sc.child; ch != nil; ch = ch.next {
		ch.cancel(c)
	}
	if t := sc.task; t != nil && t.wait != nil && t.under == sc {
		t.interrupt(c.cause)
	}
}

// release stops what would cancel the scope.
func (sc *scope) release() {
	if sc.watch != nil {
		sc.watch.stop()
		sc.watch = nil
	}
	if sc.timer != nil {
		sc.timer.Stop()
		sc.timer = nil
	}
}

// close ends the scope: whoever still uses its context finds it cancelled with c.
func (sc *scope) close(c *cancellation) {
	sc.cancel(c)
	if sc.parent == nil {
		return
	}
	if sc.prev != nil {
		sc.prev.next = sc.next
	} else if sc.parent.child == sc {
		sc.parent.child = sc.next
	}
	if sc.next != nil {
		sc.next.prev = sc.prev
	}
	sc.next, sc.prev = nil, nil
}

// above reports whether sc is in, or is, the branch of the tree that ends at other.
func (sc *scope) above(other *scope) bool {
	for p := other; p != nil; p = p.parent {
		if p == sc {
			return true
		}
	}
	return false
}

// place finds where in the tree a stretch of t stands that ctx may cancel as well: below t's innermost scope, or
// below ctx itself if that is one of t's own below it. foreign says that the tree does not cover ctx.
func (t *Task) place(ctx context.Context) (parent *scope, foreign bool) {
	if sc, ok := ctx.(*scope); ok && sc == t.cur {
		return sc, false
	}
	sc := bare(ctx)
	switch {
	case sc == nil || sc.sched != t.scope.sched:
		return t.cur, true
	case sc.above(t.cur):
		return t.cur, false
	case sc.task == t && t.cur.above(sc):
		return sc, false
	}
	return t.cur, true
}

// push opens sc as t's innermost scope; pop goes back to the one before.
func (t *Task) push(sc *scope, ctx context.Context) (outer *scope) {
	outer = t.cur
	parent, foreign := t.place(ctx)
	sc.open(t.scope.sched, t, parent, ctx, foreign)
	t.cur = sc
	return outer
}

func (t *Task) pop(sc, outer *scope) {
	t.cur = outer
	sc.close(endedScope)
}
