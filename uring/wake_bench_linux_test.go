package uring

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkWake compares the ways to wake a ring that waits: a write to an eventfd that the ring reads, a message from
// a goroutine that has no ring, and a message from another ring. The one who waits is on a thread of its own, and is
// woken only when it waits (or is just about to). p50-ns/wake is what the one who wakes pays, p50-us how long it takes
// until the other one goes on.
func BenchmarkWake(b *testing.B) {
	const mark = 7
	for _, row := range []struct {
		name string
		// rearm is called on the ring's thread before each wait; waker gives the function that wakes, on its own thread.
		rearm func(r *Ring, event int, buf []byte)
		waker func(b *testing.B, ring, event int) func() error
	}{
		{"eventfd", func(r *Ring, event int, buf []byte) {
			s := r.SQE()
			s.Read(event, buf, 0)
			s.UserData = mark
		}, func(_ *testing.B, _, event int) func() error {
			one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
			return func() error { _, err := unix.Write(event, one); return err }
		}},
		{"message, no ring", func(*Ring, int, []byte) {}, func(_ *testing.B, ring, _ int) func() error {
			return func() error { return SendMessage(ring, 1, mark) }
		}},
		{"message, from a ring", func(*Ring, int, []byte) {}, func(b *testing.B, ring, _ int) func() error {
			from := newRing(b, loopOptions())
			return func() error {
				s := from.SQE()
				s.MsgRing(ring, 1, mark)
				s.Flags |= SQESkipSuccess
				_, err := from.Submit()
				return err
			}
		}},
	} {
		b.Run(row.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			ok(b, err)
			own(b, event)
			var waits atomic.Int64 // rounds that the other one has begun
			var begun atomic.Int64 // when the wake was sent, in nanoseconds
			start := time.Now()
			took := make([]float64, 0, b.N)
			ready, done := make(chan int), make(chan error, 1)
			go func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				r, err := New(loopOptions())
				if err != nil {
					done <- err
					return
				}
				defer r.Close()
				m, err := Map(8)
				if err != nil {
					done <- err
					return
				}
				defer m.Free()
				ready <- r.FD()
				for range b.N {
					row.rearm(r, event, m.Bytes()[:8])
					if _, err := r.SubmitAndPoll(); err != nil {
						done <- err
						return
					}
					waits.Add(1)
					for r.Peek() == nil {
						if _, err := r.Wait(1, time.Second); err != nil && err != ErrTimeout {
							done <- err
							return
						}
					}
					took = append(took, float64(int64(time.Since(start))-begun.Load())/1e3)
					r.Advance(r.Len())
				}
				done <- nil
			}()
			var ring int
			select {
			case ring = <-ready:
			case err := <-done:
				b.Fatal(err)
			}
			wake := row.waker(b, ring, event)
			paid := make([]float64, 0, b.N)
			b.ResetTimer()
			for i := range b.N {
				for waits.Load() <= int64(i) {
					runtime.Gosched()
				}
				for t := time.Now(); time.Since(t) < 20*time.Microsecond; { // so that it waits by now
				}
				begun.Store(int64(time.Since(start)))
				t := time.Now()
				if err := wake(); err != nil {
					b.Fatal(err)
				}
				paid = append(paid, float64(time.Since(t)))
			}
			ok(b, <-done)
			b.StopTimer()
			slices.Sort(took)
			slices.Sort(paid)
			b.ReportMetric(paid[len(paid)/2], "p50-ns/wake")
			b.ReportMetric(took[len(took)/2], "p50-us")
			b.ReportMetric(took[len(took)*99/100], "p99-us")
		})
	}
}
