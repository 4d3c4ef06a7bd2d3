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
// What f has started and left behind may hold the loop: Run then returns a second later with a *[loop.HeldError].
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
	l, err := loop.New(o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	var p parting
	noPart := l.Do(p.prepare) // a loop that has ended tells why
	_, err = coro.Call(ctx, coro.On(l), "plexor.Run", func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	if noPart == nil {
		p.wait(l)
	}
	closed := l.Close()
	if _, held := errors.AsType[*loop.HeldError](closed); held {
		return errors.Join(err, closed)
	}
	return errors.Join(err, closed, <-ended)
}

// How long connections have to come to their end after f, and how often Run looks: a reset would reach a peer that has
// not read the end of the stream yet, and be all that it reads. The loop itself gives up on such a peer after a second.
const (
	partingTime = 1200 * time.Millisecond
	partingLook = 2 * time.Millisecond
)

// A parting has the timers for it. The loop makes them, before f, which may leave a handler behind that holds the loop: the
// caller may be in a bubble of testing/synctest, which has a time of its own.
type parting struct {
	look *time.Ticker
	late *time.Timer
}

func (p *parting) prepare() {
	p.look, p.late = time.NewTicker(time.Hour), time.NewTimer(time.Hour)
	p.look.Stop()
	p.late.Stop()
}

// wait waits until no connection is left, or for partingTime.
func (p *parting) wait(l *loop.Loop) {
	p.look.Reset(partingLook)
	p.late.Reset(partingTime)
	defer p.look.Stop()
	defer p.late.Stop()
	for l.Stats().Conns > 0 {
		select {
		case <-p.look.C:
		case <-p.late.C:
			return
		}
	}
}
