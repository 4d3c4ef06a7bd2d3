package coro

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// TestTryCall: it returns what f does, of a context that is cancelled too, while the loop goes on.
func TestTryCall(t *testing.T) {
	b := newBed(t, Options{})
	never := func(n int) { t.Errorf("late got %d", n) }
	n, err := TryCall(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, nil }, never)
	if n != 7 || err != nil {
		t.Errorf("TryCall = %d, %v, want 7", n, err)
	}
	_, err = TryCall(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, errBoom }, never)
	if err != errBoom {
		t.Errorf("TryCall = %v, want %v", err, errBoom)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	n, err = TryCall(ctx, b.s, "", func(ctx context.Context) (int, error) {
		cancel(errCut)
		if Sleep(ctx, time.Hour) != errCut {
			return 0, errBoom
		}
		return 8, nil
	}, never)
	if n != 8 || err != nil {
		t.Errorf("TryCall, cancelled = %d, %v, want what f makes of it", n, err)
	}
	b.do(func() {
		if !OnLoop() {
			t.Error("OnLoop of a posted function is false")
		}
		defer func() {
			if _, ok := recover().(*MisuseError); !ok {
				t.Error("TryCall on a loop did not panic with a *MisuseError")
			}
		}()
		_, _ = TryCall(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, nil }, never)
	})
	if OnLoop() {
		t.Error("OnLoop of a goroutine is true")
	}
	b.close()
	if _, err = TryCall(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, nil },
		never); !errors.Is(err, loop.ErrClosed) {
		t.Errorf("TryCall on a loop that ended = %v, want %v", err, loop.ErrClosed)
	}
}

// TestTryCallHeld: while the loop is held, it ends with its context. What f then returns goes to late, and an f that
// has not begun never does.
func TestTryCallHeld(t *testing.T) {
	b := newBed(t, Options{})
	released, holds, late := make(chan struct{}), make(chan struct{}), make(chan int, 2)
	ctx, cancel := context.WithCancelCause(context.Background())
	errs := make(chan error, 2)
	try := func(f func(context.Context) (int, error)) {
		_, err := TryCall(ctx, b.s, "", f, func(n int) { late <- n })
		errs <- err
	}
	go try(func(context.Context) (int, error) {
		close(holds)
		<-released
		return 7, nil
	})
	<-holds
	go try(func(context.Context) (int, error) { return 8, nil })
	cancel(errCut)
	for range 2 {
		if err := <-errs; !errors.Is(err, errCut) || !errors.As(err, new(*loop.HeldError)) {
			t.Errorf("TryCall of a held loop = %v, want %v and a *loop.HeldError", err, errCut)
		}
	}
	close(released)
	if n := <-late; n != 7 {
		t.Errorf("late got %d, want 7", n)
	}
	b.close()
	if len(late) > 0 {
		t.Errorf("what had not begun was run: late got %d", <-late)
	}
}
