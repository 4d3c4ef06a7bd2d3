package proc

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// wait waits until done is closed, or ctx is: a coroutine parks, and a goroutine blocks.
func wait(ctx context.Context, op string, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	return block(ctx, op, func(ctx context.Context) error {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// block calls f, which may block until its context ends and returns soon then. For a coroutine it does so on another
// goroutine, while the coroutine parks; so f's end is waited for in any case.
func block(ctx context.Context, op string, f func(ctx context.Context) error) error {
	t, err := coro.Self(ctx, op)
	if err != nil { // no coroutine
		return f(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var w coro.Waiter
	ended := make(chan struct{})
	go func() {
		err = f(inner)
		close(ended)
		post(t.Scheduler().Loop(), func() { w.Wake() })
	}()
	if cause := w.Wait(ctx, op, nil); cause != nil {
		cancel(cause)
		<-ended // at once
	}
	return err
}

// retryPost is how long to wait when a loop's queue of posted functions is full.
const retryPost = time.Millisecond

// post has the loop call f. A loop that has ended has failed all that waits on it.
func post(l *loop.Loop, f func()) {
	if errors.Is(l.Post(f), loop.ErrPostQueueFull) {
		time.AfterFunc(retryPost, func() { post(l, f) })
	}
}
