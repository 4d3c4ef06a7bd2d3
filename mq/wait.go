package mq

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// await calls f, which returns soon after its context has ended. For a coroutine it does so on another goroutine, while
// the coroutine parks; f's end is waited for in any case.
func await[T any](ctx context.Context, op string, f func(ctx context.Context) (T, error)) (v T, err error) {
	t, err := coro.Self(ctx, op)
	if err != nil { // no coroutine
		return f(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var w coro.Waiter
	ended := make(chan struct{})
	go func() {
		v, err = f(inner)
		close(ended)
		post(t.Scheduler().Loop(), func() { w.Wake() })
	}()
	if cause := w.Wait(ctx, op, nil); cause != nil {
		cancel(cause)
		<-ended // soon
	}
	return v, err
}

// retryPost is how long to wait when a loop's queue of posted functions is full.
const retryPost = time.Millisecond

// post has the loop call f. A loop that has ended has failed all that waits on it.
func post(l *loop.Loop, f func()) {
	if errors.Is(l.Post(f), loop.ErrPostQueueFull) {
		time.AfterFunc(retryPost, func() { post(l, f) })
	}
}
