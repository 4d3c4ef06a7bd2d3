package plexor

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// Run makes a loop, runs f on it as a coroutine, and returns f's error, or why there is no loop: it is the main of a
// client. Any goroutine that is no loop's may call it. ctx is what f's context derives from: when it is cancelled, so is
// f, and Run returns when f does. f may start more coroutines with package coro.
//
// A connection that f has closed has a second for the peer to close its half too; those that it left open are reset then.
func Run(ctx context.Context, f func(ctx context.Context) error) error {
	return RunOn(ctx, loop.Options{}, f)
}

// RunOn is Run with a loop's options: its driver, limits and clock.
func RunOn(ctx context.Context, o loop.Options, f func(ctx context.Context) error) error {
	l, err := loop.New(o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	_, err = coro.Call(ctx, coro.On(l), "plexor.Run", func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	part(l)
	return errors.Join(err, l.Close(), <-ended)
}

// How long connections have to come to their end after f, and how often Run looks: a reset would reach a peer that has
// not read the end of the stream yet, and be all that it reads. The loop itself gives up on such a peer after a second.
const (
	partingTime = 1200 * time.Millisecond
	partingLook = 2 * time.Millisecond
)

// part waits until no connection is left, or for partingTime. The loop makes the timers: the caller may be in a bubble of
// testing/synctest, which has a time of its own.
func part(l *loop.Loop) {
	var look *time.Ticker
	var late <-chan time.Time
	if l.Do(func() { look, late = time.NewTicker(partingLook), time.After(partingTime) }) != nil {
		return // it has ended
	}
	defer look.Stop()
	for l.Stats().Conns > 0 {
		select {
		case <-look.C:
		case <-late:
			return
		}
	}
}
