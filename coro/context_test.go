package coro

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// TestContext: a task's context is as good as one of the standard library, for any goroutine.
func TestContext(t *testing.T) {
	type key struct{}
	b := newBed(t, Options{})
	outer := context.WithValue(context.Background(), key{}, "value")
	for _, asked := range []bool{false, true} { // for its Done, before it is cancelled
		var ctx context.Context
		var derived, timed context.Context
		var after = make(chan struct{})
		task := make(chan *Task, 1)
		b.do(func() {
			b.s.Start(outer, "", func(c context.Context) error {
				ctx = c
				if asked {
					var stop func()
					derived, stop = context.WithCancel(c)
					t.Cleanup(stop)
					timed, stop = context.WithTimeout(c, time.Hour)
					t.Cleanup(stop)
					context.AfterFunc(c, func() { close(after) })
				}
				task <- b.s.running
				return Sleep(c, time.Hour)
			})
		})
		if got := ctx.Value(key{}); got != "value" {
			t.Errorf("Value = %v", got)
		}
		if ctx.Err() != nil || context.Cause(ctx) != nil {
			t.Errorf("before: Err = %v, Cause = %v", ctx.Err(), context.Cause(ctx))
		}
		if asked {
			select {
			case <-ctx.Done():
				t.Error("Done before it was cancelled")
			default:
			}
		}
		tk := <-task
		tk.Cancel(errCut)
		<-tk.Done()
		<-ctx.Done()
		if ctx.Err() != context.Canceled || context.Cause(ctx) != errCut {
			t.Errorf("after: Err = %v, Cause = %v, want %v, %v", ctx.Err(), context.Cause(ctx), context.Canceled, errCut)
		}
		if asked {
			<-after
			for _, c := range []context.Context{derived, timed} {
				<-c.Done()
				if c.Err() != context.Canceled || context.Cause(c) != errCut {
					t.Errorf("derived: Err = %v, Cause = %v", c.Err(), context.Cause(c))
				}
			}
		}
		late, cancel := context.WithCancel(ctx)
		if late.Err() == nil || context.Cause(late) != errCut {
			t.Errorf("derived late: Err = %v, Cause = %v", late.Err(), context.Cause(late))
		}
		cancel()
	}
}

// TestContextFromEverywhere asks for Done while the task is cancelled.
func TestContextFromEverywhere(t *testing.T) {
	b := newBed(t, Options{})
	for range 200 {
		var wg sync.WaitGroup
		start := make(chan struct{})
		var tk *Task
		b.do(func() {
			tk = b.s.Start(context.Background(), "", func(c context.Context) error { return Sleep(c, time.Hour) })
		})
		ctx := tk.Context()
		for range 4 {
			wg.Go(func() {
				<-start
				<-ctx.Done()
				if ctx.Err() == nil || context.Cause(ctx) == nil {
					t.Errorf("Done, but Err = %v, Cause = %v", ctx.Err(), context.Cause(ctx))
				}
			})
		}
		close(start)
		tk.Cancel(errCut)
		wg.Wait()
		<-tk.Done()
		if tk.Err() != errCut {
			t.Errorf("the task ended with %v, want %v", tk.Err(), errCut)
		}
	}
}

// TestTimeouts are those of this package, by the loop's clock, and of package context, by the system's.
func TestTimeouts(t *testing.T) {
	var never Event
	for _, row := range []struct {
		name    string
		virtual bool
		f       func(ctx context.Context) error
	}{
		{"Timeout", true, func(ctx context.Context) error { return Timeout(ctx, time.Minute, never.Wait) }},
		{"Timeout, and a wait without its context", true, func(ctx context.Context) error {
			return Timeout(ctx, time.Minute, func(context.Context) error { return never.Wait(ctx) })
		}},
		{"WithTimeout", true, func(ctx context.Context) error {
			ctx, cancel := WithTimeout(ctx, time.Minute)
			defer cancel()
			return never.Wait(ctx)
		}},
		{"WithTimeout of WithTimeout", true, func(ctx context.Context) error {
			ctx, cancel := WithTimeout(ctx, time.Minute)
			defer cancel()
			ctx, cancel = WithTimeout(ctx, time.Hour)
			defer cancel()
			return never.Wait(ctx)
		}},
		{"a group's, of WithTimeout", true, func(ctx context.Context) error {
			ctx, cancel := WithTimeout(ctx, time.Minute)
			defer cancel()
			return Group(ctx, func(g *Tasks) error { g.Go(never.Wait); return nil })
		}},
		{"context.WithTimeout", false, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			return never.Wait(ctx)
		}},
		{"context.WithDeadline, passed", false, func(ctx context.Context) error {
			ctx, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
			defer cancel()
			return never.Wait(ctx)
		}},
		{"a group's, of context.WithTimeout", false, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			return Group(ctx, func(g *Tasks) error { g.Go(never.Wait); return nil })
		}},
		{"WithTimeout of context.WithTimeout", false, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			ctx, cancel = WithTimeout(ctx, time.Hour)
			defer cancel()
			return never.Wait(ctx)
		}},
		{"context.WithTimeout of WithTimeout", true, func(ctx context.Context) error {
			ctx, cancel := WithTimeout(ctx, time.Minute)
			defer cancel()
			ctx, cancel = context.WithTimeout(ctx, time.Hour)
			defer cancel()
			if err := never.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return context.Cause(ctx)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			never = Event{}
			b := newBed(t, Options{})
			var tk *Task
			b.do(func() {
				tk = b.s.Start(context.Background(), "", func(ctx context.Context) error {
					err := row.f(ctx)
					if e := Yield(ctx); e != nil {
						t.Errorf("the task itself is cancelled: %v", e)
					}
					return err
				})
			})
			if row.virtual {
				b.pass(time.Minute - 1)
				select {
				case <-tk.Done():
					t.Fatalf("it ended a nanosecond early, with %v", tk.Err())
				default:
				}
				b.pass(1)
			}
			<-tk.Done()
			if err := tk.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
			b.do(func() {
				if b.s.root.child != nil {
					t.Error("a scope is left in the tree")
				}
			})
		})
	}
}

func TestDeadline(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		if d, ok := ctx.Deadline(); ok {
			t.Errorf("a task's Deadline = %v", d)
		}
		return Timeout(ctx, time.Minute, func(ctx context.Context) error {
			if d, ok := ctx.Deadline(); !ok || !d.Equal(b.loop.Now().Add(time.Minute)) {
				t.Errorf("Deadline = %v, %v", d, ok)
			}
			return nil
		})
	})
}

// TestShield: what was cancelled can clean up, and not for ever.
func TestShield(t *testing.T) {
	b := newBed(t, Options{})
	var steps []string
	step := func(s string, err error, want error) {
		if err != want {
			t.Errorf("%s: %v, want %v", s, err, want)
		}
		steps = append(steps, s)
	}
	var tk *Task
	b.do(func() {
		tk = b.s.Start(context.Background(), "", func(ctx context.Context) error {
			step("the wait", Sleep(ctx, time.Hour), errCut)
			err := Shield(ctx, time.Second, func(shield context.Context) error {
				step("an outer context inside", Yield(ctx), errCut)
				step("inside", Sleep(shield, time.Second/2), nil)
				step("a group inside", Group(shield, func(g *Tasks) error { g.Go(Yield); return nil }), nil)
				step("a timeout inside", Timeout(shield, time.Second/4, func(ctx context.Context) error {
					return Sleep(ctx, time.Hour)
				}), context.DeadlineExceeded)
				step("beyond the bound", Sleep(shield, time.Hour), ErrShieldExpired)
				step("and again", Yield(shield), ErrShieldExpired)
				return errBoom
			})
			step("Shield", err, errBoom)
			step("the wait after it", Yield(ctx), errCut)
			return nil
		})
	})
	b.do(func() { tk.Cancel(errCut) })
	for range 20 {
		b.pass(time.Second / 10)
	}
	<-tk.Done()
	if len(steps) != 9 {
		t.Errorf("done: %q", steps)
	}
}

// TestShieldFromBefore: a task that is in a Shield when it is cancelled goes on in it.
func TestShieldFromBefore(t *testing.T) {
	b := newBed(t, Options{})
	var e Event
	var inside, after error
	b.must(func(ctx context.Context) error {
		tk := b.s.Go(ctx, "", func(ctx context.Context) error {
			inside = Shield(ctx, time.Minute, e.Wait)
			after = Yield(ctx)
			return nil
		})
		_ = Yield(ctx)
		tk.Cancel(errCut)
		_ = Yield(ctx)
		e.Set()
		return tk.Wait(ctx)
	})
	if inside != nil || after != errCut {
		t.Errorf("inside: %v, after: %v, want success, %v", inside, after, errCut)
	}
}

// TestFollowersAreKept: many waits with one foreign context set up one watch of it.
func TestFollowersAreKept(t *testing.T) {
	cheapIdentity(t)
	b := newBed(t, Options{})
	var e Event
	b.must(func(ctx context.Context) error {
		below, cancel := context.WithCancel(ctx)
		defer cancel()
		e.Set()
		var w Waiter
		other := b.s.Go(ctx, "", func(ctx context.Context) error {
			for range 200 {
				w.Wake()
				if err := Yield(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err := w.Wait(below, "", nil); err != nil {
			return err
		}
		n := testing.AllocsPerRun(100, func() { _ = w.Wait(below, "", nil) })
		if n > 0 {
			t.Errorf("a wait with a foreign context allocates %v times", n)
		}
		return other.Wait(ctx)
	})
}

// TestNothingIsLeftBehind: what would end a wait or a scope is taken back when that is over.
func TestNothingIsLeftBehind(t *testing.T) {
	b := newBed(t, Options{})
	foreign, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.must(func(ctx context.Context) error {
		co := b.s.running.co
		var sc *scope
		err := Timeout(ctx, time.Minute, func(ctx context.Context) error {
			sc = b.s.running.cur
			b.clock.Advance(time.Minute)
			return Sleep(ctx, time.Hour)
		})
		if err != context.DeadlineExceeded || co.timer.Stop() || sc.timer != nil {
			t.Errorf("%v; after a Sleep that was cut its timer still runs", err)
		}
		var timer interface{ Stop() bool }
		if err := Timeout(ctx, time.Minute, func(ctx context.Context) error {
			timer = b.s.running.cur.timer
			return nil
		}); err != nil || timer.Stop() {
			t.Errorf("%v; after a Timeout its timer still runs", err)
		}
		tk := b.s.Go(foreign, "", func(ctx context.Context) error {
			below, cancel := context.WithCancel(ctx)
			defer cancel()
			return Sleep(below, time.Nanosecond)
		})
		_, _ = Yield(ctx), Yield(ctx)
		b.clock.Advance(time.Hour)
		if err := tk.Wait(ctx); err != nil {
			return err
		}
		if tk.scope.watch != nil || tk.follows != nil {
			t.Error("a task that has ended still watches a foreign context")
		}
		return nil
	})
}
