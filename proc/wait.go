package proc

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/loop"
)

// await waits until e has happened, or ctx has ended: a coroutine parks, and a goroutine blocks.
func await(ctx context.Context, op string, e *wait.Event) error {
	if e.Happened() {
		return nil
	}
	return block(ctx, op, e.Wait)
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
