package plexor

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/loop"
)

// Run makes a loop, runs f on it as a coroutine, and returns f's error, or why there is no loop: it is the main of a
// client. Any goroutine that is no loop's may call it; on a loop it fails with a *coro.MisuseError. ctx is what f's
// context derives from: when it is cancelled, so is f, and Run returns when f does. f may start more coroutines with
// package coro.
//
// A connection that f has closed has a second for the peer to close its half too; those that it left open are reset
// then. What f has started and left behind may hold the loop: Run then returns a second later with a *[loop.HeldError].
func Run(ctx context.Context, f func(ctx context.Context) error) error {
	return RunOn(ctx, loop.Options{}, f)
}

// RunOn is Run with a loop's options: its driver, limits and clock.
func RunOn(ctx context.Context, o loop.Options, f func(ctx context.Context) error) error {
	switch {
	case ctx == nil:
		return errNoContext("Run")
	case f == nil:
		return errors.New("plexor: Run: the function is nil")
	}
	if err := blocksLoop("plexor.Run", "coroutines there are started by package coro"); err != nil {
		return err
	}
	l, err := loop.New(o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	_, err = coro.Call(ctx, coro.On(l), "plexor.Run", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	part(func() bool { return l.Stats().Conns > 0 })
	closeErr := l.Close()
	if _, held := errors.AsType[*loop.HeldError](closeErr); held {
		return errors.Join(err, closeErr)
	}
	return errors.Join(err, closeErr, <-ended)
}

// How often part looks, and how many times: a reset would reach a peer that has not read the end of the stream yet, and
// be all that it reads. The loop itself gives up on such a peer after a second; these are 1.2 seconds.
const (
	partingLook  = 2 * time.Millisecond
	partingLooks = 600
)

// part waits while connections are left that come to their end, for partingLooks at most.
func part(left func() bool) {
	looks := wait.NewPulse(partingLook)
	defer looks.Stop()
	for n := 0; n < partingLooks && left(); n++ {
		looks.Next(nil)
	}
}
