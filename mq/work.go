package mq

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// A work is a job that was handed out, until it is settled.
type work struct {
	d       *Delivery
	h       History
	try     int
	cancel  context.CancelCauseFunc
	signed  time.Time   // when the broker last heard that it goes on; under run.mu
	silent  bool        // no more signs are given: under run.mu
	lost    atomic.Bool // it is another worker's
	settled bool        // under run.mu
}

// start does a job, on a goroutine.
func (r *run) start(ctx context.Context, d *Delivery) {
	w := &work{d: d, signed: time.Now()}
	h, err := ParseHistory(d.History)
	if err != nil {
		r.log.Warn("mq: the history of a job can't be read, and begins anew", "job", d.ID, "err", err)
	}
	w.h, w.try = h, max(d.Attempt-h.Returned, h.tries()+1)
	ctx, w.cancel = context.WithCancelCause(ctx)
	r.mu.Lock()
	r.jobs[w] = struct{}{}
	r.mu.Unlock()
	r.b.counts.inFlight.Add(1)
	r.ended.Go(func() {
		defer r.finished(w)
		r.do(ctx, w)
	})
}

func (r *run) finished(w *work) {
	w.cancel(nil)
	r.b.counts.inFlight.Add(-1)
	r.mu.Lock()
	delete(r.jobs, w)
	r.mu.Unlock()
	select {
	case r.free <- struct{}{}:
	default:
	}
}

// do is the life of a job at this worker.
func (r *run) do(ctx context.Context, w *work) {
	now := time.Now()
	switch {
	case !w.d.Deadline.IsZero() && !now.Before(w.d.Deadline):
		if r.settle(w, "ack", func(ctx context.Context) error { return r.src.Ack(ctx, w.d) }) {
			r.b.counts.expired.Add(1)
		}
		return
	case w.try > r.c.Tries: // the worker of the last one died
		w.h.died(w.try-1, now)
		r.bury(w, fmt.Errorf("its worker died at the last of %d tries", r.c.Tries))
		return
	}
	r.b.counts.started.Add(1)
	err := r.call(ctx, w)
	var later *giveBack
	var dead *fatal
	switch {
	case w.lost.Load():
		r.b.counts.lost.Add(1)
		r.log.Warn("mq: a job was lost to another worker: this one was silent for too long", "job", w.d.ID, "try", w.try)
		if err == nil { // perhaps it is in time
			_ = r.src.Ack(ctx, w.d)
		}
	case err == nil:
		if r.settle(w, "ack", func(ctx context.Context) error { return r.src.Ack(ctx, w.d) }) {
			r.b.counts.done.Add(1)
		}
	case errors.As(err, &later):
		r.giveBack(w, later.after)
	case errors.As(err, &dead):
		r.fail(w, err)
		r.bury(w, err)
	case errors.Is(context.Cause(ctx), ErrDrained), errors.Is(err, coro.ErrLoopClosed):
		r.giveBack(w, 0)
	default:
		r.retry(w, err)
	}
}

// retry notes a failure, and gives the job back or buries it.
func (r *run) retry(w *work, err error) {
	r.fail(w, err)
	if w.try >= r.c.Tries {
		r.bury(w, err)
		return
	}
	pause := max(r.c.Retry(w.try, err), 0)
	r.log.Info("mq: a try of a job failed", "job", w.d.ID, "try", w.try, "again", pause, "err", err)
	if r.nak(w, pause) {
		r.b.counts.retried.Add(1)
	}
}

func (r *run) fail(w *work, err error) {
	now := time.Now()
	w.h.died(w.try-1, now)
	w.h.failed(w.try, r.c.Worker, err, now)
}

func (r *run) giveBack(w *work, after time.Duration) {
	w.h.Returned++
	if r.nak(w, after) {
		r.b.counts.returned.Add(1)
	}
}

func (r *run) nak(w *work, after time.Duration) bool {
	history := w.h.encode(r.b.opt.Limits.History)
	return r.settle(w, "nak", func(ctx context.Context) error { return r.src.Nak(ctx, w.d, after, history) })
}

// bury makes a job dead. Where there is no room for it, it is tried again after the longest pause: no job is dropped.
func (r *run) bury(w *work, why error) {
	history := w.h.encode(r.b.opt.Limits.History)
	full := false
	ok := r.settle(w, "bury", func(ctx context.Context) error {
		err := r.src.Bury(ctx, w.d, history)
		if full = errors.Is(err, ErrFull); full {
			return nil
		}
		return err
	})
	switch {
	case full:
		r.log.Error("mq: a job is to be dead, and there is no room for more dead ones: it is tried again", "job", w.d.ID,
			"again", lastPause, "err", why)
		w.h.Returned++ // the try that will find it so is none
		r.nak(w, lastPause)
	case ok:
		r.b.counts.buried.Add(1)
		r.log.Warn("mq: a job is dead", "job", w.d.ID, "tries", w.try, "err", why)
	}
}

// call runs the handler.
func (r *run) call(ctx context.Context, w *work) (err error) {
	end := time.Now().Add(r.c.Limit)
	limit := time.AfterFunc(r.c.Limit, func() { r.silence(w) })
	defer limit.Stop()
	if !w.d.Deadline.IsZero() && w.d.Deadline.Before(end) {
		end = w.d.Deadline
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	j := &Job{Message: w.d.Message, Queue: r.q.name, Group: r.c.Group, Published: w.d.Published, Try: w.try,
		Failures: w.h.Failures}
	if r.on == nil {
		return r.guarded(ctx, j)
	}
	for pause := retryPost; ; pause = min(2*pause, firstPause) {
		_, err = coro.Call(ctx, r.on, "mq job of "+r.q.name, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, r.guarded(ctx, j)
		})
		if !errors.Is(err, loop.ErrPostQueueFull) || ctx.Err() != nil {
			return err
		}
		time.Sleep(pause) // the loop is behind, and so is this
	}
}

// guarded makes a panic of the handler an error.
func (r *run) guarded(ctx context.Context, j *Job) (err error) {
	returned := false
	defer func() {
		if !returned {
			r.b.counts.panics.Add(1)
			v := recover()
			r.log.Error("mq: a handler panicked", "job", j.ID, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", v)
		}
	}()
	err = r.h(ctx, j)
	returned = true
	return err
}
