package coro

import (
	"context"
	"errors"
	"testing"
)

func TestSelf(t *testing.T) {
	b := newBed(t, Options{})
	mine := func(name string, ctx context.Context, want *Task) {
		t.Helper()
		if got, err := Self(ctx, "test"); got != want || err != nil {
			t.Errorf("%s: Self = %v, %v, want %v", name, got, err, want)
		}
	}
	refused := func(name string, ctx context.Context) {
		t.Helper()
		if e, ok := errors.AsType[*MisuseError](func() error { _, err := Self(ctx, "test"); return err }()); !ok ||
			e.Op != "test" {
			t.Errorf("%s: Self failed with %v, want a *MisuseError of test", name, e)
		}
	}
	_, err := Call(t.Context(), b.s, "", func(ctx context.Context) (struct{}, error) {
		me, err := b.s.Self("test")
		if err != nil {
			return struct{}{}, err
		}
		mine("its own", ctx, me)
		derived, cancel := context.WithCancel(ctx)
		mine("derived", derived, me)
		cancel()
		mine("cancelled", derived, me)
		mine("the scheduler's", b.s.Context(), me)
		refused("no task's", context.Background())
		_, err = Await(ctx, func() (struct{}, error) {
			refused("on a goroutine", ctx)
			return struct{}{}, nil
		})
		return struct{}{}, err
	})
	if err != nil {
		t.Error(err)
	}
}
