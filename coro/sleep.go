package coro

import (
	"context"
	"time"
)

// Sleep waits until d has passed on the loop's clock. A d of zero or less lets the others run; see [Yield].
func Sleep(ctx context.Context, d time.Duration) error {
	t, err := enter(ctx, "Sleep")
	if err != nil {
		return err
	}
	if d <= 0 {
		t.yield()
		return nil
	}
	co := t.co
	if co.timer == nil {
		co.timer = t.scope.sched.loop.AfterFunc(d, func() { co.sleeper.Wake() })
	} else {
		co.timer.Reset(d)
	}
	co.nap = d
	if err := t.waitIn(ctx, &co.sleeper, "sleep", &co.nap); err != nil {
		co.timer.Stop()
		return err
	}
	return nil
}

// Yield lets the loop's other coroutines run that are ready to. It fails only if ctx is cancelled already.
func Yield(ctx context.Context) error {
	t, err := enter(ctx, "Yield")
	if err != nil {
		return err
	}
	t.yield()
	return nil
}

// Timeout runs f, whose waits fail with context.DeadlineExceeded once d has passed on the loop's clock: all of them,
// those too that take no context. It returns what f returns. For a bound by the system's clock there is
// context.WithTimeout, which ends the waits that are given its context.
func Timeout(ctx context.Context, d time.Duration, f func(ctx context.Context) error) error {
	t, err := enter(ctx, "Timeout")
	given("Timeout", "the function", f != nil)
	if err != nil {
		return err
	}
	return t.within(ctx, ctx, d, expired, f, false)
}

// Shield runs f, which goes on when ctx and the task are cancelled: for cleaning up. The context that f gets has ctx's
// values and is not cancelled with it; its waits, those too that take no context, fail with ErrShieldExpired once d
// has passed on the loop's clock, for cleaning up must end; and with ErrLoopClosed when the loop ends. Shield does not
// fail if ctx is cancelled already. It returns what f returns; the task's next wait after it fails.
func Shield(ctx context.Context, d time.Duration, f func(ctx context.Context) error) error {
	given("Shield", "the function", f != nil)
	sc := scopeOf(ctx)
	if sc == nil {
		panic(&MisuseError{Op: "Shield", Why: "its context carries no task"})
	}
	t := sc.sched.self("Shield")
	return t.within(ctx, context.WithoutCancel(ctx), d, expiredShl, f, true)
}

// within runs f in a scope that expires.
func (t *Task) within(
	ctx, values context.Context, d time.Duration, c *cancellation, f func(context.Context) error, shielded bool,
) error {
	sc, outer := new(scope), t.cur
	if shielded {
		sc.open(t.scope.sched, t, nil, values, false)
		t.cur = sc
		if t.scope.sched.closed {
			sc.cancel(endedLoop)
		}
	} else {
		t.push(sc, ctx)
	}
	defer t.pop(sc, outer)
	sc.expire(d, c)
	return f(sc)
}

// WithTimeout is context.WithTimeout by the loop's clock, for the loop's own use: waits that are given the context fail
// with context.DeadlineExceeded once d has passed. cancel gives back what it takes; any goroutine may call it.
func WithTimeout(ctx context.Context, d time.Duration) (_ context.Context, cancel context.CancelFunc) {
	sc := scopeOf(ctx)
	if sc == nil {
		panic(&MisuseError{Op: "WithTimeout", Why: "its context carries no task: for others there is context.WithTimeout"})
	}
	s := sc.sched
	t := s.self("WithTimeout")
	n := new(scope)
	parent, foreign := t.place(ctx)
	n.open(s, t, parent, ctx, foreign)
	n.expire(d, expired)
	return n, func() {
		if s.ours() {
			n.close(endedScope)
			return
		}
		s.outside(func() { n.close(endedScope) })
	}
}
