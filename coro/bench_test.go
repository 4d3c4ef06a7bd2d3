package coro

import (
	"context"
	"iter"
	"strconv"
	"testing"
)

// BenchmarkSwitch is a switch to a coroutine that waits, and back.
func BenchmarkSwitch(b *testing.B) {
	d := newBed(b, Options{})
	var w Waiter
	t := d.s
	b.ReportAllocs()
	d.do(func() {
		t.Start(context.Background(), "waits", func(ctx context.Context) error {
			for w.Wait(ctx, "wake", nil) == nil {
			}
			return nil
		})
		b.ResetTimer()
		for range b.N {
			w.Wake()
		}
		b.StopTimer()
	})
}

// BenchmarkSwitchMany is a switch to one of many that wait, each in turn: what it costs that they are not in the
// caches.
func BenchmarkSwitchMany(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			d := newBed(b, Options{})
			ws := make([]Waiter, n)
			d.do(func() {
				for i := range ws {
					d.s.Start(context.Background(), "waits", func(ctx context.Context) error {
						for ws[i].Wait(ctx, "wake", nil) == nil {
						}
						return nil
					})
				}
				b.ResetTimer()
				for i := range b.N {
					ws[i%n].Wake()
				}
				b.StopTimer()
			})
		})
	}
}

// BenchmarkSwitchGoroutines is the same with a goroutine and two channels.
func BenchmarkSwitchGoroutines(b *testing.B) {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		for range there {
			back <- struct{}{}
		}
		close(back)
	}()
	b.ReportAllocs()
	for b.Loop() {
		there <- struct{}{}
		<-back
	}
	close(there)
	<-back
}

// BenchmarkTask is a task that begins and ends on a coroutine of the pool.
func BenchmarkTask(b *testing.B) {
	d := newBed(b, Options{})
	f := func(ctx context.Context) error { return nil }
	b.ReportAllocs()
	d.do(func() {
		for b.Loop() {
			d.s.Start(context.Background(), "nothing", f)
		}
	})
}

// BenchmarkTaskGoroutine is the same with a goroutine.
func BenchmarkTaskGoroutine(b *testing.B) {
	done := make(chan struct{})
	b.ReportAllocs()
	for b.Loop() {
		go func() { done <- struct{}{} }()
		<-done
	}
}

// BenchmarkTaskNew is a task that finds no coroutine in the pool.
func BenchmarkTaskNew(b *testing.B) {
	d := newBed(b, Options{})
	f := func(ctx context.Context) error { return nil }
	b.ReportAllocs()
	d.do(func() {
		for b.Loop() {
			d.s.Start(context.Background(), "nothing", f)
			d.s.current.Store(nil)
			for _, co := range d.s.idle {
				co.stop()
			}
			d.s.idle = d.s.idle[:0]
		}
	})
}

// BenchmarkHandover is a value through a queue, from one coroutine to another.
func BenchmarkHandover(b *testing.B) {
	d := newBed(b, Options{})
	b.ReportAllocs()
	d.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			q := NewQueue[int](0)
			g.Go(func(ctx context.Context) error {
				for range q.All(ctx) {
				}
				return nil
			})
			for b.Loop() {
				if err := q.Put(ctx, 1); err != nil {
					return err
				}
			}
			q.Close()
			return nil
		})
	})
}

// BenchmarkPull is iter.Pull alone, which the figures of this package rest on.
func BenchmarkPull(b *testing.B) {
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		for yield(struct{}{}) {
		}
	})
	defer stop()
	for b.Loop() {
		next()
	}
}
