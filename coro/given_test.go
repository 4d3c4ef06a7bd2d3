package coro

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestNil: an argument that is nil is named, and so is the line of the call.
func TestNil(t *testing.T) {
	b := newBed(t, Options{})
	var none context.Context
	body := func(context.Context) error { return nil }
	value := func(context.Context) (int, error) { return 0, nil }
	check := func(name, want string, f func()) {
		t.Helper()
		defer func() {
			err, _ := recover().(error)
			if p, ok := err.(*PanicError); ok {
				err = p.Unwrap()
			}
			e, ok := errors.AsType[*MisuseError](err)
			if !ok || !strings.Contains(e.Error(), want+" is nil, at ") || !strings.Contains(e.Error(), "given_test.go:") {
				t.Errorf("%s: %v, want a *MisuseError with %q and the line", name, err, want)
			}
		}()
		f()
	}
	check("On", "the loop", func() { On(nil) })
	if _, err := New(nil, Options{}); err == nil || !strings.Contains(err.Error(), "the loop is nil") {
		t.Errorf("New: %v", err)
	}
	check("Call without a scheduler", "the scheduler", func() { Call(t.Context(), nil, "", value) })
	check("Call without a context", "the context", func() { Call(none, b.s, "", value) })
	check("Call of nothing", "the function", func() { Call[int](t.Context(), b.s, "", nil) })
	_, err := Call(t.Context(), b.s, "", func(ctx context.Context) (int, error) {
		check("Scheduler.Go without a context", "the context", func() { b.s.Go(none, "", body) })
		check("Scheduler.Go of nothing", "the function", func() { b.s.Go(ctx, "", nil) })
		check("Scheduler.Start without a context", "the context", func() { b.s.Start(none, "", body) })
		check("Scheduler.Start of nothing", "the function", func() { b.s.Start(ctx, "", nil) })
		check("Sleep", "the context", func() { Sleep(none, 0) })
		check("Await", "the function", func() { Await[int](ctx, nil) })
		check("AwaitIn of nothing", "the function", func() { AwaitIn[int](ctx, NewSemaphore(1), nil) })
		check("AwaitIn without places", "the semaphore", func() { AwaitIn(ctx, nil, func() (int, error) { return 0, nil }) })
		check("Timeout", "the function", func() { Timeout(ctx, 0, nil) })
		check("Shield", "the function", func() { Shield(ctx, 0, nil) })
		check("Group", "the function", func() { Group(ctx, nil) })
		check("Go without a group", "the group", func() { Go(nil, value) })
		check("Talk", "the function", func() { Talk[int, int](ctx, nil) })
		check("Generate", "the function", func() { Generate[int](ctx, nil) })
		check("Race", "a function", func() { Race(ctx, nil, value, nil) })
		return 0, Group(ctx, func(g *Tasks) error {
			check("Tasks.Go", "the function", func() { g.Go(nil) })
			check("Go", "the function", func() { Go[int](g, nil) })
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}
