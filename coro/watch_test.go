package coro

import (
	"context"
	"errors"
	"testing"
	"time"
)

// derivations are contexts that end with ctx, which is of another branch of the tree than who waits with them.
var derivations = []struct {
	name string
	of   func(t *testing.T, ctx context.Context) context.Context
}{
	{"itself", func(t *testing.T, ctx context.Context) context.Context { return ctx }},
	{"a value", func(t *testing.T, ctx context.Context) context.Context {
		return context.WithValue(ctx, new(int), 1)
	}},
	{"WithCancel", func(t *testing.T, ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		t.Cleanup(cancel)
		return ctx
	}},
	{"a value, WithTimeout, WithCancel", func(t *testing.T, ctx context.Context) context.Context {
		ctx, stop := context.WithTimeout(ctx, time.Hour)
		t.Cleanup(stop)
		ctx, cancel := context.WithCancel(ctx)
		t.Cleanup(cancel)
		return context.WithValue(ctx, new(int), 1)
	}},
	{"WithCancelCause", func(t *testing.T, ctx context.Context) context.Context {
		ctx, _ = WithCancelCause(ctx)
		return ctx
	}},
	{"WithCancelCause of WithCancel", func(t *testing.T, ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		t.Cleanup(cancel)
		ctx, _ = WithCancelCause(ctx)
		return ctx
	}},
}

// sitters are ways to wait with a context.
var sitters = []struct {
	name string
	wait func(ctx context.Context) error
}{
	{"Sleep", func(ctx context.Context) error { return Sleep(ctx, time.Hour) }},
	{"Timeout", func(ctx context.Context) error {
		return Timeout(ctx, time.Hour, func(ctx context.Context) error { return Sleep(ctx, time.Hour) })
	}},
	{"Group", func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			g.Go(func(ctx context.Context) error { return Sleep(ctx, time.Hour) })
			return nil
		})
	}},
	{"WithTimeout", func(ctx context.Context) error {
		ctx, cancel := WithTimeout(ctx, time.Hour)
		defer cancel()
		return Sleep(ctx, time.Hour)
	}},
}

// TestWatch: a scope that is cancelled on the loop ends the waits with its context, and with what derives from it, in
// the call itself, wherever in the tree they are; and nothing is left of the watch.
func TestWatch(t *testing.T) {
	for _, d := range derivations {
		for _, sit := range sitters {
			t.Run(d.name+"/"+sit.name, func(t *testing.T) { testWatch(t, d.of, sit.wait) })
		}
	}
}

func testWatch(t *testing.T, of func(*testing.T, context.Context) context.Context, wait func(context.Context) error) {
	b := newBed(t, Options{})
	var ctx context.Context
	var cancel context.CancelCauseFunc
	var tk *Task
	b.must(func(context.Context) error {
		ctx, cancel = WithCancelCause(b.s.Context())
		derived := of(t, ctx)
		tk = b.s.Go(context.Background(), "", func(own context.Context) error {
			if err := wait(derived); !errors.Is(err, errCut) {
				t.Errorf("the wait failed with %v; want %v", err, errCut)
			}
			if err := Sleep(derived, time.Hour); !errors.Is(err, errCut) {
				t.Errorf("the next one: %v; want %v", err, errCut)
			}
			return Yield(own)
		})
		return nil
	})
	b.do(func() {
		cancel(errCut)
		for other := b.s.tasks; other != nil; other = other.next {
			if other.wait != nil && other.what == "sleep" {
				t.Errorf("after the cancellation %s still waits for its %s", other, other.what)
			}
		}
		if ctx.Err() == nil || context.Cause(ctx) != errCut {
			t.Errorf("Err = %v, Cause = %v", ctx.Err(), context.Cause(ctx))
		}
		if sc := ctx.(*scope); sc.watches != nil || b.s.root.child == sc {
			t.Error("what was cancelled is still watched, or in the tree")
		}
	})
	if err := b.run(tk.Wait); err != nil {
		t.Error(err)
	}
}

// TestWatchWithoutCancel: what does not end with the scope that it derives from goes on.
func TestWatchWithoutCancel(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(own context.Context) error {
		ctx, cancel := WithCancelCause(b.s.Context())
		free, end := context.WithCancelCause(context.WithoutCancel(ctx))
		tk := b.s.Go(context.Background(), "", func(context.Context) error { return Sleep(free, time.Hour) })
		_ = Yield(own)
		cancel(errCut)
		_ = Yield(own)
		if tk.state != Waiting {
			t.Errorf("the task is %v", tk.state)
		}
		end(errLate)
		if err := tk.Wait(own); err != errLate {
			t.Errorf("Sleep = %v, want %v", err, errLate)
		}
		return nil
	})
}

var errLate = errors.New("late")

// TestWatchStopped: who has ended, or waits with another context by now, is in no list.
func TestWatchStopped(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(own context.Context) error {
		first, cancelFirst := WithCancelCause(b.s.Context())
		second, cancelSecond := WithCancelCause(b.s.Context())
		tk := b.s.Go(context.Background(), "", func(context.Context) error {
			_ = Sleep(first, time.Nanosecond)
			return Sleep(second, time.Hour)
		})
		_ = Yield(own)
		b.clock.Advance(time.Nanosecond)
		for tk.follows == nil || tk.follows.origin != second.(*scope) {
			_ = Yield(own)
		}
		if first.(*scope).watches != nil {
			t.Error("a context is watched with which nobody waits")
		}
		cancelFirst(nil)
		if tk.wait == nil {
			t.Error("a wait has ended with another context than its own")
		}
		cancelSecond(nil)
		if err := tk.Wait(own); err != context.Canceled {
			t.Errorf("Sleep = %v, want %v", err, context.Canceled)
		}
		return nil
	})
}

// TestWithCancelCauseFromOutside: any goroutine may cancel, and the loop does it.
func TestWithCancelCauseFromOutside(t *testing.T) {
	b := newBed(t, Options{})
	var ctx context.Context
	var cancel context.CancelCauseFunc
	b.do(func() { ctx, cancel = WithCancelCause(b.s.Context()) })
	cancel(errCut)
	<-ctx.Done()
	if got := context.Cause(ctx); got != errCut {
		t.Errorf("Cause = %v, want %v", got, errCut)
	}
	b.do(func() { cancel(errLate) })
	if got := context.Cause(ctx); got != errCut {
		t.Errorf("Cause = %v, want the first, %v", got, errCut)
	}
	wrong := func() (err any) {
		defer func() { err = recover() }()
		WithCancelCause(context.Background())
		return nil
	}
	if _, ok := wrong().(*MisuseError); !ok {
		t.Error("WithCancelCause takes a context without a task")
	}
}
