package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/stack"
)

// A Consumer is how the jobs of a queue are done. The zero value of each field means its default.
type Consumer struct {
	// Group is whose jobs they are (default "default"). Each group of a queue gets every job; consumers of one group share
	// them.
	Group string
	// InFlight is how many jobs are done at once, at most (default 16).
	InFlight int
	// Tries is how often a job is tried until it is dead (default 10). The death of a worker ends a try too.
	Tries int
	// Retry is the pause after a try that failed (default: a second, twice as long each time, up to five minutes, with a
	// jitter of a fifth).
	Retry Pause
	// Visibility is how long the broker waits for a sign of life of a job until it hands it out again (default 30 s, at
	// least 1 s). The sign is given by itself, three times in that time, as long as the handler runs.
	Visibility time.Duration
	// Limit is how long a try may take (default 1 hour). Then its context ends, and no more signs of life are given: if
	// the handler does not return, the job goes to another worker, and its place among those in flight stays taken.
	Limit time.Duration
	// Drain is how long handlers may go on when the Consume is to end (default 30 s). Then their contexts end.
	Drain time.Duration
	// Worker names this consumer in histories (default: the machine's name and the process's number).
	Worker string
}

const (
	defaultGroup      = "default"
	defaultInFlight   = 16
	defaultTries      = 10
	firstPause        = time.Second
	lastPause         = 5 * time.Minute
	pauseJitter       = 0.2
	defaultVisibility = 30 * time.Second
	leastVisibility   = time.Second
	defaultLimit      = time.Hour
	defaultDrain      = 30 * time.Second
	mostInFlight      = 10_000 // goroutines and buffers are charged for each
)

func (c *Consumer) fill() error {
	if c.InFlight < 0 || c.InFlight > mostInFlight || c.Tries < 0 || c.Limit < 0 || c.Drain < 0 ||
		c.Visibility != 0 && c.Visibility < leastVisibility {
		return fmt.Errorf("mq: Consumer: InFlight %d (0 to %d), Tries %d, Limit %v, Drain %v (not negative), Visibility %v "+
			"(at least %v): one is out of its range", c.InFlight, mostInFlight, c.Tries, c.Limit, c.Drain, c.Visibility,
			leastVisibility)
	}
	if c.Group == "" {
		c.Group = defaultGroup
	}
	for _, f := range []struct {
		v   *int
		def int
	}{{&c.InFlight, defaultInFlight}, {&c.Tries, defaultTries}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.Visibility, defaultVisibility}, {&c.Limit, defaultLimit}, {&c.Drain, defaultDrain},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if c.Retry == nil {
		c.Retry = Jitter(pauseJitter, Exponential(firstPause, lastPause))
	}
	if c.Worker == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "localhost"
		}
		c.Worker = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	return checkName("group", c.Group)
}

// Consume does the jobs of a group, which it makes if there is none, until ctx ends or the Broker is closed. Then no
// more are taken, those that run are finished or, after Consumer.Drain, given back, and it returns nil: all that it
// took is settled or given back. It returns an error when the broker fails for good, after the same drain.
//
// A handler that does not return when its context has ended holds up Consume. Called by a coroutine, Consume runs its
// handlers as coroutines of the caller's loop.
func (q *Queue) Consume(ctx context.Context, c Consumer, h Handler) error {
	stack.Given("mq: Queue.Consume", "the context", ctx != nil)
	stack.Given("mq: Queue.Consume", "the handler", h != nil)
	if err := c.fill(); err != nil {
		return err
	}
	if err := q.b.enter(); err != nil {
		return err
	}
	defer q.b.consumers.Done()
	r := &run{q: q, b: q.b, c: c, h: h, log: q.b.opt.Log.With("queue", q.name, "group", c.Group),
		jobs: make(map[*work]struct{}), free: make(chan struct{}, 1)}
	return r.consume(ctx)
}

// A run is a Consume.
type run struct {
	q     *Queue
	b     *Broker
	c     Consumer
	h     Handler
	on    *coro.Scheduler // whose coroutines handlers are; nil: goroutines
	src   Source
	log   *slog.Logger
	free  chan struct{}  // has a token when a place may have become free
	ended sync.WaitGroup // handlers and their settling

	mu       sync.Mutex
	jobs     map[*work]struct{} // that are handed out and not settled
	draining bool
}

// consume runs on goroutines, also for a coroutine.
func (r *run) consume(ctx context.Context) error {
	t, err := coro.Self(ctx, "mq: consume")
	if err != nil { // no coroutine
		return r.main(ctx, ctx)
	}
	r.on = t.Scheduler()
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var over coro.Event
	var failed error
	go func() {
		failed = r.main(inner, inner)
		post(r.on.Loop(), over.Set)
	}()
	if cause := over.Wait(ctx); cause != nil {
		cancel(cause)
		// Handlers need the loop until they have returned, so this waits for them as a coroutine does.
		bound := r.c.Drain + r.c.Visibility
		if err := coro.Shield(ctx, bound, over.Wait); err != nil {
			return fmt.Errorf("mq: consume %s: handlers go on: %w", r.q.name, err)
		}
	}
	return failed
}

// main takes jobs and starts them. values has the values of the handlers' contexts.
func (r *run) main(ctx, values context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(r.b.life, func() { cancel(ErrClosed) })
	defer stop()
	handlers, abort := context.WithCancelCause(context.WithoutCancel(values))
	defer abort(nil)
	if err := r.subscribe(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	beat := make(chan struct{})
	var pulse sync.WaitGroup
	pulse.Go(func() { r.signs(beat) })
	err := r.take(ctx, handlers)
	r.drain(abort)
	close(beat)
	pulse.Wait()
	if e := r.src.Close(); e != nil && !errors.Is(e, ErrClosed) && err == nil {
		r.log.Warn("mq: a consumer's end failed", "err", e)
	}
	return err
}

func (r *run) subscribe(ctx context.Context) (err error) {
	if err = r.q.q.Group(ctx, r.c.Group); err != nil {
		return fmt.Errorf("mq: consume %s: group %s: %w", r.q.name, r.c.Group, err)
	}
	o := SubscribeOptions{InFlight: r.c.InFlight, Visibility: r.c.Visibility, Worker: r.c.Worker}
	if r.src, err = r.q.q.Subscribe(ctx, r.c.Group, o); err != nil {
		return fmt.Errorf("mq: consume %s: %w", r.q.name, err)
	}
	return nil
}

// take is the loop. It returns nil when ctx has ended.
func (r *run) take(ctx, handlers context.Context) error {
	for {
		free := r.places()
		for ; free == 0; free = r.places() {
			select {
			case <-r.free:
				runtime.Gosched() // others that end now are asked for together with this one
			case <-ctx.Done():
				return nil
			}
		}
		ds, err := r.src.Next(ctx, free)
		for _, d := range ds {
			r.start(handlers, d)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("mq: consume %s: %w", r.q.name, err)
		}
	}
}

func (r *run) places() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c.InFlight - len(r.jobs)
}

// drain waits for what runs, and cancels it after a while.
func (r *run) drain(abort context.CancelCauseFunc) {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	t := time.AfterFunc(r.c.Drain, func() { abort(ErrDrained) })
	r.ended.Wait()
	t.Stop()
}
