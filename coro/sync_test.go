package coro

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestFIFO: who came first is served first, also if others of those that wait are cancelled.
func TestFIFO(t *testing.T) {
	const n = 6
	for _, row := range []struct {
		name string
		// set gives what a task does to wait, and what is done again and again to serve the next one.
		set func(b *bed, ctx context.Context) (wait func(ctx context.Context, i int) error, serve func())
	}{
		{"Mutex", func(b *bed, ctx context.Context) (func(context.Context, int) error, func()) {
			var m Mutex
			_ = m.Lock(ctx)
			first := true
			return func(ctx context.Context, i int) error {
					if err := m.Lock(ctx); err != nil {
						return err
					}
					defer m.Unlock()
					return nil
				}, func() {
					if first {
						m.Unlock()
					}
					first = false
				}
		}},
		{"Semaphore", func(b *bed, ctx context.Context) (func(context.Context, int) error, func()) {
			m := NewSemaphore(n)
			_ = m.Acquire(ctx, n)
			return func(ctx context.Context, i int) error { return m.Acquire(ctx, 1) }, func() { m.Release(1) }
		}},
		{"Queue.Get", func(b *bed, ctx context.Context) (func(context.Context, int) error, func()) {
			q := NewQueue[int](1)
			return func(ctx context.Context, i int) error { _, err := q.Get(ctx); return err }, func() { _ = q.TryPut(1) }
		}},
		{"Queue.Put", func(b *bed, ctx context.Context) (func(context.Context, int) error, func()) {
			q := NewQueue[int](1)
			_ = q.TryPut(1)
			return func(ctx context.Context, i int) error { return q.Put(ctx, 1) }, func() { q.TryGet() }
		}},
		{"Cond", func(b *bed, ctx context.Context) (func(context.Context, int) error, func()) {
			var m Mutex
			c := NewCond(&m)
			return func(ctx context.Context, i int) error {
				if err := m.Lock(ctx); err != nil {
					return err
				}
				defer m.Unlock()
				return c.Wait(ctx)
			}, c.Signal
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBed(t, Options{})
			var served []int
			b.must(func(ctx context.Context) error {
				wait, serve := row.set(b, ctx)
				tasks := make([]*Task, n)
				for i := range n {
					tasks[i] = b.s.Go(ctx, "", func(ctx context.Context) error {
						if err := wait(ctx, i); err != nil {
							return err
						}
						served = append(served, i)
						return nil
					})
				}
				for range 5 {
					_ = Yield(ctx)
				}
				tasks[0].Cancel(errCut)
				tasks[3].Cancel(errCut)
				for range n {
					serve()
					for range 5 {
						_ = Yield(ctx)
					}
				}
				for _, tk := range tasks {
					if err := tk.Wait(ctx); err != nil && err != errCut {
						t.Error(err)
					}
				}
				return nil
			})
			if want := []int{1, 2, 4, 5}; !slices.Equal(served, want) {
				t.Errorf("served %v, want %v", served, want)
			}
		})
	}
}

// TestSemaphoreBehindCancelled: when the first gives up, those behind it who want less have what they want.
func TestSemaphoreBehindCancelled(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		m := NewSemaphore(4)
		_ = m.Acquire(ctx, 2)
		big := b.s.Go(ctx, "", func(ctx context.Context) error { return m.Acquire(ctx, 4) })
		small := b.s.Go(ctx, "", func(ctx context.Context) error { return m.Acquire(ctx, 1) })
		_ = Yield(ctx)
		_ = Yield(ctx)
		if m.TryAcquire(1) {
			t.Error("TryAcquire overtook those that wait")
		}
		big.Cancel(errCut)
		if err := small.Wait(ctx); err != nil {
			return err
		}
		return isTrue("a unit left", m.TryAcquire(1))
	})
}

func TestCondBroadcast(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		var m Mutex
		c := NewCond(&m)
		ready, woken := false, 0
		return Group(ctx, func(g *Tasks) error {
			for range 5 {
				g.Go(func(ctx context.Context) error {
					if err := m.Lock(ctx); err != nil {
						return err
					}
					defer m.Unlock()
					for !ready {
						if err := c.Wait(ctx); err != nil {
							return err
						}
					}
					woken++
					return nil
				})
			}
			for range 10 {
				_ = Yield(ctx)
			}
			ready = true
			c.Broadcast()
			for range 10 {
				_ = Yield(ctx)
			}
			return isTrue(fmt.Sprint("5 woken, not ", woken), woken == 5)
		})
	})
}

func TestBarrier(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		bar := NewBarrier(3)
		round := 0
		return Group(ctx, func(g *Tasks) error {
			for range 3 {
				g.Go(func(ctx context.Context) error {
					for i := range 4 {
						_, err := bar.Wait(ctx)
						if err != nil {
							return err
						}
						if round = max(round, i); round > i {
							return fmt.Errorf("one is in round %d, and another in %d", round, i)
						}
						if err := Yield(ctx); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return nil
		})
	})
}

func TestQueue(t *testing.T) {
	b := newBed(t, Options{})
	for _, bound := range []int{0, 1, 2, 3, 5, 100} {
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			b.must(func(ctx context.Context) error {
				q := NewQueue[int](bound)
				var got, want []int
				for i := range 50 {
					want = append(want, i)
				}
				return Group(ctx, func(g *Tasks) error {
					g.Go(func(ctx context.Context) error {
						defer q.Close()
						return q.PutAll(ctx, slices.Values(want))
					})
					for v := range q.All(ctx) {
						if q.Len() > bound {
							t.Errorf("the queue holds %d", q.Len())
						}
						if got = append(got, v); v%7 == 0 {
							_ = Yield(ctx)
						}
					}
					if !slices.Equal(got, want) {
						t.Errorf("got %v, want %v", got, want)
					}
					if _, err := q.Get(ctx); err != ErrQueueClosed {
						t.Errorf("Get = %v, want %v", err, ErrQueueClosed)
					}
					if err := q.Put(ctx, 1); err != ErrQueueClosed {
						t.Errorf("Put = %v, want %v", err, ErrQueueClosed)
					}
					return nil
				})
			})
		})
	}
}

// TestQueueTryPut: what is full is told from what is closed, and a queue that is both is closed.
func TestQueueTryPut(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		q := NewQueue[int](1)
		for i, want := range []error{nil, ErrQueueFull, ErrQueueFull} {
			if err := q.TryPut(i); err != want {
				t.Errorf("TryPut %d = %v, want %v", i, err, want)
			}
		}
		if v, ok := q.TryGet(); v != 0 || !ok || q.Len() != 0 {
			t.Errorf("TryGet = %d, %v, and %d are left, want the first alone", v, ok, q.Len())
		}
		_ = q.TryPut(3)
		q.Close()
		if err := q.TryPut(4); err != ErrQueueClosed {
			t.Errorf("TryPut on a closed queue that is full = %v, want %v", err, ErrQueueClosed)
		}
		if v, ok := q.TryGet(); v != 3 || !ok {
			t.Errorf("TryGet = %d, %v, want 3", v, ok)
		}
		if err := q.TryPut(5); err != ErrQueueClosed {
			t.Errorf("TryPut on a closed queue = %v, want %v", err, ErrQueueClosed)
		}
		return nil
	})
}

// TestQueueClose: those that wait fail; what was put stays, what was not put does not come.
func TestQueueClose(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		q := NewQueue[int](1)
		_ = q.TryPut(1)
		put := b.s.Go(ctx, "", func(ctx context.Context) error { return q.Put(ctx, 2) })
		_ = Yield(ctx)
		_ = Yield(ctx)
		q.Close()
		if v, ok := q.TryGet(); v != 1 || !ok { // before the other has run
			t.Errorf("TryGet = %d, %v, want 1", v, ok)
		}
		if v, ok := q.TryGet(); ok {
			t.Errorf("TryGet = %d, want none", v)
		}
		if err := put.Wait(ctx); err != ErrQueueClosed {
			t.Errorf("Put = %v, want %v", err, ErrQueueClosed)
		}
		q = NewQueue[int](1)
		get := b.s.Go(ctx, "", func(ctx context.Context) error { _, err := q.Get(ctx); return err })
		_ = Yield(ctx)
		_ = Yield(ctx)
		q.Close()
		if err := get.Wait(ctx); err != ErrQueueClosed {
			t.Errorf("Get = %v, want %v", err, ErrQueueClosed)
		}
		return nil
	})
}

// TestNothingAllocated: waits allocate nothing, once their coroutine has waited before.
func TestNothingAllocated(t *testing.T) {
	cheapIdentity(t)
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			var m Mutex
			q, back := NewQueue[int](0), NewQueue[int](0)
			g.Go(func(ctx context.Context) error {
				for v := range q.All(ctx) {
					if err := m.Lock(ctx); err != nil {
						return err
					}
					m.Unlock()
					if err := back.Put(ctx, v); err != nil {
						return err
					}
				}
				return nil
			})
			for name, f := range map[string]func() error{
				"a queue there and back": func() error {
					return errors.Join(q.Put(ctx, 1), func() error { _, err := back.Get(ctx); return err }())
				},
				"a mutex": func() error {
					if err := m.Lock(ctx); err != nil {
						return err
					}
					if err := q.Put(ctx, 1); err != nil {
						return err
					}
					_ = Yield(ctx)
					m.Unlock()
					_, err := back.Get(ctx)
					return err
				},
				"Yield": func() error { return Yield(ctx) },
			} {
				var err error
				if n := testing.AllocsPerRun(200, func() { err = f() }); n > 0 || err != nil {
					t.Errorf("%s allocates %v times; %v", name, n, err)
				}
			}
			q.Close()
			return nil
		})
	})
}

// TestSleepAllocatesNothing, for its timer is used again.
func TestSleepAllocatesNothing(t *testing.T) {
	cheapIdentity(t)
	b := newBed(t, Options{})
	slept := 0
	var tk *Task
	b.do(func() {
		tk = b.s.Start(context.Background(), "", func(ctx context.Context) error {
			for {
				if err := Sleep(ctx, time.Second); err != nil {
					return err
				}
				slept++
			}
		})
		n := testing.AllocsPerRun(100, func() { tk.co.sleeper.Wake() })
		if n > 0 {
			t.Errorf("Sleep allocates %v times", n)
		}
	})
	before := slept
	b.pass(time.Second)
	if slept != before+1 {
		t.Errorf("slept %d times in a second, want 1", slept-before)
	}
}

// cheapIdentity skips a test that counts allocations where there is no assembly to tell goroutines apart.
func cheapIdentity(t *testing.T) {
	if testing.AllocsPerRun(10, func() { goroutine() }) > 0 {
		t.Skip("each wait asks the runtime for the goroutine's number here, which allocates")
	}
}
