package coro

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

var (
	seedFlag = flag.Uint64("seed", 0, "the one seed of the random tests; 0: several new ones")
	runsFlag = flag.Int("runs", 60, "how many seeds the random tests try")
)

// TestRandom lets tasks do at random what this package offers, in an order of running that is random too, and cancels
// some, at random; then looks whether anything was lost, or came twice, or was held by two. Run a failure again with
// -seed.
func TestRandom(t *testing.T) {
	seeds := []uint64{*seedFlag}
	if *seedFlag == 0 {
		seeds = seeds[:0]
		for range *runsFlag {
			seeds = append(seeds, rand.Uint64())
		}
	}
	for _, seed := range seeds {
		w := &world{b: newBed(t, Options{Seed: seed, Idle: 4, Blocking: 2}), rand: rand.New(rand.NewPCG(seed, 1))}
		w.run()
		w.b.close()
		if t.Failed() {
			t.Fatalf("the seed was %d", seed)
		}
	}
}

// A world is what the tasks of one run share.
type world struct {
	b      *bed
	rand   *rand.Rand
	m      Mutex
	cond   *Cond
	sem    *Semaphore
	queues []*Queue[int]
	bar    *Barrier
	event  Event

	inside  int // Mutex
	units   int // Semaphore, held
	next    int // values to put
	put     []int
	got     []int
	waiters Waiter
	woken   int // Waiter: times that Wake said yes
	awake   int // times that a wait succeeded
}

const units = 3

func (w *world) run() {
	t := w.b.t
	w.cond = NewCond(&w.m)
	w.sem = NewSemaphore(units)
	w.bar = NewBarrier(2)
	for _, bound := range []int{0, 1, 4} {
		w.queues = append(w.queues, NewQueue[int](bound))
	}
	stop := make(chan struct{})
	gone := make(chan struct{})
	go func() { // time passes
		defer close(gone)
		for {
			select {
			case <-stop:
				return
			default:
				w.b.clock.Advance(time.Millisecond)
				_ = w.b.loop.Do(func() {
					// Whoever waits for others that have ended must not wait for ever.
					w.cond.Broadcast()
					w.event.Set()
					w.event.Reset()
				})
				runtime.Gosched()
			}
		}
	}()
	err := w.b.run(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			var tasks []*Task
			for range 12 {
				tasks = append(tasks, g.Go(func(ctx context.Context) error { w.act(ctx, 3); return nil }))
			}
			for range 40 {
				if err := Yield(ctx); err != nil {
					return err
				}
				if w.rand.IntN(3) == 0 {
					tasks[w.rand.IntN(len(tasks))].Cancel(errCut)
				}
			}
			// What is left is cancelled, so that it ends.
			if err := Sleep(ctx, 5*time.Millisecond); err != nil {
				return err
			}
			g.Cancel(errCut)
			return nil
		})
	})
	close(stop)
	<-gone
	if err != nil && !errors.Is(err, errCut) {
		t.Errorf("the group: %v", err)
	}
	w.b.do(func() {
		for _, q := range w.queues {
			for v, ok := q.TryGet(); ok; v, ok = q.TryGet() {
				w.got = append(w.got, v)
			}
			if n := q.getters.len() + q.putters.len(); n > 0 {
				t.Errorf("%d wait at a queue", n)
			}
		}
		slices.Sort(w.put)
		slices.Sort(w.got)
		if !slices.Equal(w.put, w.got) {
			t.Errorf("put %v, got %v", w.put, w.got)
		}
		if w.m.owner != nil || w.m.waiters.len() > 0 || w.inside != 0 {
			t.Errorf("the mutex is held by %v, %d wait", w.m.owner, w.m.waiters.len())
		}
		if w.sem.sem.free != units || w.units != 0 {
			t.Errorf("%d of %d units are free", w.sem.sem.free, units)
		}
		if w.bar.Waiting() > 0 {
			t.Errorf("%d wait at the barrier", w.bar.Waiting())
		}
		if w.woken != w.awake {
			t.Errorf("Wake woke %d times, and %d waits succeeded", w.woken, w.awake)
		}
		if n := len(w.b.s.ready); n > 0 || w.b.s.live > 0 {
			t.Errorf("%d tasks live, %d are ready", w.b.s.live, n)
		}
	})
}

// act does some things at random, as long as it is not cancelled.
func (w *world) act(ctx context.Context, depth int) {
	for range 12 {
		if err := w.one(ctx, depth); err != nil {
			if err2 := Yield(ctx); err2 == nil {
				w.b.t.Errorf("a wait failed with %v, and the next one succeeded", err)
			}
			return
		}
	}
}

func (w *world) one(ctx context.Context, depth int) error {
	t := w.b.t
	q := w.queues[w.rand.IntN(len(w.queues))]
	switch kind := w.rand.IntN(17); kind {
	case 0, 1:
		w.next++
		v := w.next
		if err := q.Put(ctx, v); err != nil {
			return err
		}
		w.put = append(w.put, v)
	case 2, 3:
		v, err := q.Get(ctx)
		if err != nil {
			return err
		}
		w.got = append(w.got, v)
	case 4:
		if w.next++; q.TryPut(w.next) == nil {
			w.put = append(w.put, w.next)
		}
		if v, ok := q.TryGet(); ok {
			w.got = append(w.got, v)
		}
	case 5, 6:
		if err := w.m.Lock(ctx); err != nil {
			return err
		}
		defer w.m.Unlock()
		if w.inside++; w.inside != 1 {
			t.Errorf("%d hold the mutex", w.inside)
		}
		err := Yield(ctx)
		w.inside--
		return err
	case 7:
		if err := w.m.Lock(ctx); err != nil {
			return err
		}
		defer w.m.Unlock()
		err := w.cond.Wait(ctx)
		if w.inside != 0 {
			t.Errorf("Cond.Wait returned while another holds the lock")
		}
		return err
	case 8, 9:
		n := 1 + w.rand.IntN(units)
		if err := w.sem.Acquire(ctx, n); err != nil {
			return err
		}
		if w.units += n; w.units > units {
			t.Errorf("%d units are held of %d", w.units, units)
		}
		err := Sleep(ctx, time.Duration(w.rand.IntN(2))*time.Millisecond)
		w.units -= n
		w.sem.Release(n)
		return err
	case 10:
		_, err := w.bar.Wait(ctx)
		return err
	case 11:
		return w.event.Wait(ctx)
	default:
		return w.other(ctx, depth, kind)
	}
	return nil
}

// other is one's other half: waits of one's own, and what has tasks and contexts below it.
func (w *world) other(ctx context.Context, depth, kind int) error {
	t := w.b.t
	switch kind {
	case 12:
		if w.waiters.Waiting() {
			if w.waiters.Wake() {
				w.woken++
			}
			return nil
		}
		if err := w.waiters.Wait(ctx, "", nil); err != nil {
			return err
		}
		w.awake++
	case 13:
		n, err := Await(ctx, func() (int, error) { return 7, nil })
		if err == nil && n != 7 {
			t.Errorf("Await = %d", n)
		}
		return err
	case 14:
		if depth == 0 {
			return Yield(ctx)
		}
		err := Timeout(ctx, time.Duration(w.rand.IntN(4))*time.Millisecond, func(ctx context.Context) error {
			w.act(ctx, depth-1)
			return nil
		})
		return err
	case 15:
		if depth == 0 {
			return Yield(ctx)
		}
		err := Group(ctx, func(g *Tasks) error {
			for range 2 {
				g.Go(func(ctx context.Context) error { w.act(ctx, depth-1); return nil })
			}
			if w.rand.IntN(3) == 0 {
				return errBoom
			}
			return nil
		})
		if err != nil && err != errBoom {
			return err
		}
	case 16:
		below, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() { runtime.Gosched(); cancel(errCut) }()
		w.act(below, 0)
		if depth == 0 {
			return nil
		}
		return Shield(ctx, time.Duration(1+w.rand.IntN(2))*time.Millisecond, func(ctx context.Context) error {
			w.act(ctx, 0)
			return nil
		})
	}
	return nil
}

// TestSeed: the order of running is the seed's, and each seed's own.
func TestSeed(t *testing.T) {
	order := func(seed uint64) (got []int) {
		b := newBed(t, Options{Seed: seed})
		b.must(func(ctx context.Context) error {
			return Group(ctx, func(g *Tasks) error {
				for i := range 20 {
					g.Go(func(ctx context.Context) error { got = append(got, i); return nil })
				}
				return nil
			})
		})
		return got
	}
	seen := map[string]bool{}
	for seed := range uint64(10) {
		one, two := order(seed), order(seed)
		if !slices.Equal(one, two) {
			t.Errorf("seed %d: %v, and then %v", seed, one, two)
		}
		if seed == 0 && !slices.IsSorted(one) {
			t.Errorf("without a seed: %v", one)
		}
		seen[fmt.Sprint(one)] = true
	}
	if len(seen) < 9 {
		t.Errorf("10 seeds have %d orders", len(seen))
	}
}
