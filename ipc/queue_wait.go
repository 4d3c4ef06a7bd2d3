package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/ipc/shm"
	"github.com/plexor-go/plexor/loop"
)

// queueCause is the context's cause if it has ended.
func queueCause(ctx context.Context) error {
	givenContext("use a queue", ctx)
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// queueWait calls f, which waits for something without taking it, so that it does not matter if nobody is there any
// more when it returns. A coroutine parks meanwhile, and f runs on a goroutine of its own.
func queueWait(ctx context.Context, what string, f func(context.Context) error) error {
	t, err := coro.Self(ctx, what)
	if err != nil { // no coroutine
		return f(ctx)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		w      coro.Waiter
		result error
	)
	go func() {
		result = f(inner)
		queueWake(t.Scheduler().Loop(), &w)
	}()
	if err := w.Wait(ctx, what, nil); err != nil {
		return err
	}
	return result
}

// queueHeld waits until the ring's lock, which another holds as err tells, can be had. If the context ends, who that
// was is told.
func queueHeld(ctx context.Context, ring *shm.Ring, what string, err error) error {
	var held *shm.HeldError
	late := queueWait(ctx, what, ring.WaitLock)
	// a coroutine, which has left
	if late != nil && ctx.Err() != nil && !errors.Is(late, shm.ErrHeld) && errors.As(err, &held) {
		return &shm.HeldError{Pid: held.Pid, Party: held.Party, For: held.For, Err: late}
	}
	return late
}

// queueRetry is how long to wait for room in a loop's queue of posts.
const queueRetry = time.Millisecond

// queueWake wakes who waits, on its loop. A loop that has ended has failed its waits already.
func queueWake(l *loop.Loop, w *coro.Waiter) {
	if err := l.Post(func() { w.Wake() }); errors.Is(err, loop.ErrPostQueueFull) {
		time.AfterFunc(queueRetry, func() { queueWake(l, w) })
	}
}

// failedQueue wraps err, if it is one, and not the end of the queue.
func failedQueue(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("ipc: queue: %s: %w", op, err)
}
