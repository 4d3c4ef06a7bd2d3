//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A side is a client of a broker. A queue is made anew for each measurement.
type side interface {
	// make makes a queue; end removes it.
	make(ctx context.Context, name string) (q queue, end func() error, err error)
}

// A queue stores and does jobs.
type queue interface {
	// publish stores one, and returns when the broker has said that it is safe.
	publish(ctx context.Context, body []byte) error
	// batch stores so many at once.
	batch(ctx context.Context, bodies [][]byte) error
	// consume does jobs until ctx ends, 64 at once at most, and acknowledges each.
	consume(ctx context.Context, do func()) error
}

const (
	inFlight = 64
	batch    = 100
	mostJobs = 200_000 // that are stored, to be done then
	warmup   = 150 * time.Millisecond
)

// A measure is one or more figures of a side.
type measure struct {
	name string // for -only
	what []string
	unit string
	f    func(ctx context.Context, s settings, q queue) ([]float64, error)
}

var measures = []measure{
	{"one", []string{"stored by 1"}, "jobs/s", storing(1, 1)},
	{"many", []string{"stored by 64"}, "jobs/s", storing(64, 1)},
	{"batch", []string{"stored by 100s"}, "jobs/s", storing(1, batch)},
	{"done", []string{"done, 64 at once"}, "jobs/s", doing},
	{"latency", []string{"to the handler, p50", "to the handler, p99"}, "us", latencies},
}

// run measures on a queue of its own.
func (m measure) run(ctx context.Context, s settings, sd side, round int) ([]float64, error) {
	q, end, err := sd.make(ctx, fmt.Sprintf("bench%d%s", round, m.name))
	if err != nil {
		return nil, err
	}
	got, err := m.f(ctx, s, q)
	if err != nil {
		return nil, err
	}
	return got, end()
}

// storing is how many are stored a second, by so many publishers, each of which stores n at once.
func storing(publishers, n int) func(ctx context.Context, s settings, q queue) ([]float64, error) {
	return func(ctx context.Context, s settings, q queue) ([]float64, error) {
		store := q.batch
		if n == 1 {
			store = func(ctx context.Context, bodies [][]byte) error { return q.publish(ctx, bodies[0]) }
		}
		rate, err := s.publish(ctx, publishers, n, store)
		return []float64{rate}, err
	}
}

func (s settings) publish(ctx context.Context, publishers, n int,
	store func(ctx context.Context, bodies [][]byte) error) (float64, error) {
	bodies := make([][]byte, n)
	for i := range bodies {
		bodies[i] = make([]byte, s.size)
	}
	var stored atomic.Int64
	var all sync.WaitGroup
	fault := make(chan error, publishers)
	for begin := time.Now(); time.Since(begin) < warmup; { // a new queue has files and connections to make
		if err := store(ctx, bodies); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	for range publishers {
		all.Go(func() {
			for time.Since(begin) < s.long && ctx.Err() == nil {
				if err := store(ctx, bodies); err != nil {
					fault <- err
					return
				}
				stored.Add(int64(n))
			}
		})
	}
	all.Wait()
	select {
	case err := <-fault:
		return 0, err
	default:
		return float64(stored.Load()) / time.Since(begin).Seconds(), nil
	}
}

// doing is how many are done a second, of jobs that wait.
func doing(ctx context.Context, s settings, q queue) ([]float64, error) {
	bodies := make([][]byte, batch)
	for i := range bodies {
		bodies[i] = make([]byte, s.size)
	}
	jobs := min(max(int64(s.long.Seconds()*float64(doneGuess)), batch), mostJobs)
	for range jobs / batch {
		if err := q.batch(ctx, bodies); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var begin, end atomic.Int64
	var n atomic.Int64
	err := q.consume(ctx, func() {
		switch now := time.Now().UnixNano(); n.Add(1) {
		case 1:
			begin.Store(now)
		case jobs / batch * batch:
			end.Store(now)
			cancel()
		}
	})
	if err == nil && end.Load() == 0 {
		err = fmt.Errorf("%d of %d jobs were done within %v", n.Load(), jobs, patience)
	}
	return []float64{float64(jobs) / time.Duration(end.Load()-begin.Load()).Seconds()}, err
}

const (
	doneGuess = 8000 // jobs that are stored, for each second that a measurement is to take
	patience  = 2 * time.Minute
)

// latencies are from the call of publish to the handler: the median and the 99th percentile.
func latencies(ctx context.Context, s settings, q queue) ([]float64, error) {
	var ds []float64
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	came := make(chan time.Time, 1)
	ended := make(chan error, 1)
	go func() { ended <- q.consume(ctx, func() { came <- time.Now() }) }()
	for i := range s.samples + 1 {
		begin := time.Now()
		if err := q.publish(ctx, make([]byte, s.size)); err != nil {
			return nil, err
		}
		select {
		case at := <-came:
			if i > 0 { // the first waits for the consumer's start
				ds = append(ds, float64(at.Sub(begin).Microseconds()))
			}
		case err := <-ended:
			return nil, fmt.Errorf("the consumer ended: %w", err)
		}
	}
	cancel()
	slices.Sort(ds)
	return []float64{ds[len(ds)/2], ds[len(ds)*99/100]}, <-ended
}
