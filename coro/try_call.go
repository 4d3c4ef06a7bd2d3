package coro

import (
	"context"
	"sync/atomic"
)

// OnLoop reports whether the caller is of a loop on which coroutines may run: one of them, or a handler, a timer or a
// posted function. What blocks there blocks all of the loop. Any goroutine may call it.
func OnLoop() bool {
	s, _ := caller()
	return s != nil
}

// How a TryCall stands.
const (
	callWaits int32 = iota
	callEnded       // the task has
	callLeft        // the caller waits no more
)

// TryCall is [Call] that does not outlast ctx, for an f that shares nothing with the caller: once ctx is done, and f's
// task with it was cancelled, it waits for a tenth of a second. If a handler holds the loop for longer, f is not begun
// any more or, if it runs, goes on when it can; the error is ctx's cause, with the *loop.HeldError. late gets what f
// then returns without an error, on the loop.
func TryCall[T any](ctx context.Context, s *Scheduler, name string, f func(ctx context.Context) (T, error),
	late func(T)) (T, error) {
	given("TryCall", "the context", ctx != nil)
	given("TryCall", "the scheduler", s != nil)
	given("TryCall", "the functions", f != nil && late != nil)
	if OnLoop() {
		panic(&MisuseError{Op: "TryCall", Why: "it would block the loop that it was called on: there, start a task (Go) " +
			"and Wait for it, or Await a TryCall on another loop"})
	}
	var (
		v, zero T
		outcome error
		state   atomic.Int32 // v and outcome are the caller's once it is callEnded, and else the loop's
	)
	inner, stop := relayed(ctx, s)
	defer stop()
	err := s.loop.TryDoUntil(ctx, func(done func()) {
		if state.Load() == callLeft {
			return
		}
		t := s.Go(inner, name, func(ctx context.Context) (err error) {
			v, err = f(ctx)
			return err
		})
		t.OnEnd(func(err error) {
			outcome = err
			switch {
			case state.CompareAndSwap(callWaits, callEnded):
				done()
			case err == nil:
				late(v)
			}
		})
	})
	if err != nil && state.CompareAndSwap(callWaits, callLeft) {
		return zero, err
	}
	if outcome != nil {
		return zero, outcome
	}
	return v, nil
}
