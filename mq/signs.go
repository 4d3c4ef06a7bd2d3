package mq

import (
	"context"
	"errors"
	"time"
)

// signsPer is how often within Visibility a sign of life is given: two may be late or lost.
const signsPer = 3

// signs tells the broker that jobs go on, until end is closed.
func (r *run) signs(end <-chan struct{}) {
	t := time.NewTicker(r.c.Visibility / signsPer)
	defer t.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-end:
			return
		case <-t.C:
		}
		round, stop := context.WithTimeout(ctx, r.c.Visibility/signsPer)
		for _, w := range r.going() {
			r.sign(round, w)
		}
		stop()
	}
}

// going are the jobs to give signs of.
func (r *run) going() (all []*work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.jobs {
		if !w.silent && !w.settled {
			all = append(all, w)
		}
	}
	return all
}

// sign gives one. A job of which the broker has heard nothing for Visibility may run elsewhere by now: its handler is
// told to stop.
func (r *run) sign(ctx context.Context, w *work) {
	now := time.Now()
	err := r.src.Extend(ctx, w.d)
	r.mu.Lock()
	if err == nil {
		w.signed = now
	}
	lost := !w.settled && (errors.Is(err, ErrLost) || now.Sub(w.signed) > r.c.Visibility)
	r.mu.Unlock()
	if err != nil {
		r.b.counts.errors.Add(1)
		r.log.Warn("mq: a sign of life of a job failed", "job", w.d.ID, "err", err)
	}
	if lost {
		r.silence(w)
		w.lost.Store(true)
		w.cancel(ErrLost)
	}
}

// silence ends the signs of a job.
func (r *run) silence(w *work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.silent = true
}

// settle tells the broker what became of a job, and tries that again as long as the job is this worker's. It reports
// whether the broker took it.
func (r *run) settle(w *work, what string, f func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), r.c.Visibility)
	defer cancel()
	for pause := firstFull; ; pause = min(2*pause, lastFull) {
		err := f(ctx)
		if err == nil {
			r.mu.Lock()
			w.settled = true
			r.mu.Unlock()
			return true
		}
		r.b.counts.errors.Add(1)
		if errors.Is(err, ErrLost) {
			r.b.counts.lost.Add(1)
			r.log.Warn("mq: a job was lost to another worker before it was settled", "job", w.d.ID, "op", what)
			return false
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			r.log.Error("mq: a job could not be settled, and will come again", "job", w.d.ID, "op", what, "err", err)
			return false
		}
	}
}
