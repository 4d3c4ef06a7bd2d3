package ipc

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// Waiting, from coroutines and goroutines alike. What waits is always a goroutine, by the means of the standard library
// (Go's own poller, channels): the caller's, if the caller is one. For a coroutine it is a goroutine of its own, for as
// long as the wait, while the coroutine parks. That costs some microseconds where a wait is needed, and nothing where it
// is not, for every operation first tries without; and there is one way of waiting to get right and to test.

// task is the coroutine that calls with ctx; nil for a goroutine.
func task(ctx context.Context, op string) *coro.Task {
	if ctx == context.Background() || ctx.Value(offLoop{}) != nil {
		return nil // as is known without asking, which allocates the answer
	}
	t, err := coro.Self(ctx, op)
	if err != nil {
		return nil
	}
	return t
}

// offLoop marks the context of what await runs for a coroutine, so that task need not find out who calls.
type offLoop struct{}

// await calls f, which may block until its context is done, and must then return soon. A coroutine parks meanwhile. When
// await returns, f has. Its error is f's; where the caller's context, or the task, was cancelled it is f's too, or the
// cause if f returned none for that: what f has done by then is done.
func await(ctx context.Context, op string, f func(ctx context.Context) error) error {
	return awaitFor(task(ctx, op), ctx, op, f)
}

// awaitFor is await for a task that is known.
func awaitFor(t *coro.Task, ctx context.Context, op string, f func(ctx context.Context) error) error {
	if t == nil {
		return f(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		w     coro.Waiter
		err   error
		ended = make(chan struct{})
		over  bool // the loop's own
	)
	go func() {
		err = f(context.WithValue(inner, offLoop{}, true))
		close(ended)
		wake(t.Scheduler().Loop(), func() {
			over = true
			w.Wake()
		})
	}()
	if cause := w.Wait(ctx, op, nil); cause != nil {
		// f is told, and waited for, so that nothing of it is under way when the caller goes on.
		cancel(cause)
		_ = coro.Shield(ctx, endTime, func(ctx context.Context) error { // it fails if the loop ends
			if over {
				return nil
			}
			return w.Wait(ctx, op, nil)
		})
		<-ended
	}
	return err
}

// endTime is how long a coroutine waits for what it has cancelled without holding up its loop. It takes microseconds, or
// cancelTime where a manager does not answer.
const endTime = 2 * cancelTime

// retryPost is how long to wait when a loop's queue of posted functions is full.
const retryPost = time.Millisecond

// wake has the loop call f. A loop that has ended has failed all that waits on it.
func wake(l *loop.Loop, f func()) {
	if errors.Is(l.Post(f), loop.ErrPostQueueFull) {
		time.AfterFunc(retryPost, func() { wake(l, f) })
	}
}

// A gate lets one in at a time: a lock that is waited for with a context.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) try() bool {
	select {
	case g <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g gate) enter(ctx context.Context, op string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if g.try() {
		return nil
	}
	return await(ctx, op, func(ctx context.Context) error {
		select {
		case g <- struct{}{}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

func (g gate) leave() { <-g }
