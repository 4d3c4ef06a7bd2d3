package coro

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAwait(t *testing.T) {
	b := newBed(t, Options{Blocking: 3})
	var now, most atomic.Int32
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			for i := range 30 {
				g.Go(func(ctx context.Context) error {
					n, err := Await(ctx, func() (int, error) {
						n := now.Add(1)
						defer now.Add(-1)
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						runtime.Gosched()
						return i, nil
					})
					if n != i {
						t.Errorf("Await = %d, want %d", n, i)
					}
					return err
				})
			}
			return nil
		})
	})
	if most := most.Load(); most > 3 || most < 1 {
		t.Errorf("%d ran at once, want at most 3", most)
	}
	b.must(func(ctx context.Context) error {
		_, err := Await(ctx, func() (int, error) { return 0, errBoom })
		if err != errBoom {
			t.Errorf("Await = %v, want %v", err, errBoom)
		}
		_, err = Await(ctx, func() (int, error) { panicHere(errBoom); return 0, nil })
		if !isPanic(err) {
			t.Errorf("Await of a panic = %v", err)
		}
		_, err = Await(ctx, func() (int, error) { exitHere(); return 0, nil })
		if p, ok := errors.AsType[*PanicError](err); !ok || !p.Goexit || !strings.Contains(string(p.Stack), "exitHere") {
			t.Errorf("Await of Goexit = %v", err)
		}
		return nil
	})
	b.do(func() {
		if b.s.slots.free != 3 {
			t.Errorf("%d slots are free, want 3", b.s.slots.free)
		}
	})
}

// TestAwaitAbandoned: a cancelled Await fails at once, and its goroutine counts until it ends.
func TestAwaitAbandoned(t *testing.T) {
	b := newBed(t, Options{Blocking: 1})
	release := make(chan struct{})
	b.must(func(ctx context.Context) error {
		err := Group(ctx, func(g *Tasks) error {
			g.Go(func(ctx context.Context) error {
				_, err := Await(ctx, func() (int, error) { <-release; return 1, nil })
				return err
			})
			_ = Yield(ctx)
			return errCut
		})
		if err != errCut || b.s.slots.free != 0 {
			t.Errorf("Group = %v, and %d slots are free, want %v, 0", err, b.s.slots.free, errCut)
		}
		close(release)
		n, err := Await(ctx, func() (int, error) { return 2, nil })
		if n != 2 {
			t.Errorf("Await after it = %d, want 2", n)
		}
		return err
	})
}

// TestAwaitOutlivesLoop: a goroutine that ends after the loop has nowhere to bring its result.
func TestAwaitOutlivesLoop(t *testing.T) {
	b := newBed(t, Options{})
	release, started, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var tk *Task
	b.do(func() {
		tk = b.s.Start(context.Background(), "", func(ctx context.Context) error {
			_, err := Await(ctx, func() (int, error) { defer close(ended); close(started); <-release; return 1, nil })
			return err
		})
	})
	<-started
	b.close()
	if err := tk.Err(); err != ErrLoopClosed {
		t.Errorf("Await ended with %v, want %v", err, ErrLoopClosed)
	}
	close(release)
	<-ended
}

// TestFullPostQueue: what comes from outside gets in although the loop's own queue is full for a while.
func TestFullPostQueue(t *testing.T) {
	b := newBed(t, Options{})
	hold, held := make(chan struct{}), make(chan struct{})
	var tk *Task
	cut := make(chan struct{})
	b.do(func() {
		tk = b.s.Start(context.Background(), "", func(ctx context.Context) error {
			below, cancel := context.WithCancelCause(ctx)
			go func() { <-cut; cancel(errCut) }()
			return Sleep(below, time.Hour)
		})
	})
	go b.loop.Post(func() { close(held); <-hold })
	<-held
	for b.loop.Post(func() {}) == nil {
	}
	close(cut)
	for { // until the cancellation has tried
		b.s.inbox.mu.Lock()
		posted := b.s.inbox.posted
		b.s.inbox.mu.Unlock()
		if posted {
			break
		}
		runtime.Gosched()
	}
	close(hold)
	<-tk.Done()
	if tk.Err() != errCut {
		t.Errorf("got %v, want %v", tk.Err(), errCut)
	}
}

// TestAwaitCancelledWithSlot: who is cancelled when it has just got a slot gives it back, and starts nothing.
func TestAwaitCancelledWithSlot(t *testing.T) {
	b := newBed(t, Options{Blocking: 1})
	b.must(func(ctx context.Context) error {
		b.s.slots.free = 0
		tk := b.s.Go(ctx, "", func(ctx context.Context) error {
			_, err := Await(ctx, func() (int, error) { t.Error("it was started"); return 0, nil })
			return err
		})
		_ = Yield(ctx)
		_ = Yield(ctx)
		b.s.slots.release(1)
		tk.Cancel(errCut)
		if err := tk.Wait(ctx); err != errCut || b.s.slots.free != 1 {
			t.Errorf("Await = %v, and %d slots are free, want %v, 1", err, b.s.slots.free, errCut)
		}
		return nil
	})
}

// TestAwaitIn: calls within a bound of the caller's are bounded by it, and neither hold up those of Await nor wait for
// them.
func TestAwaitIn(t *testing.T) {
	b := newBed(t, Options{Blocking: 1})
	places, release := NewSemaphore(2), make(chan struct{})
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			stuck := func(ctx context.Context) error {
				_, err := AwaitIn(ctx, places, func() (int, error) { <-release; return 0, nil })
				return err
			}
			g.Go(stuck)
			g.Go(stuck)
			third := g.Go(stuck)
			if err := Yield(ctx); err != nil {
				return err
			}
			if places.TryAcquire(1) {
				t.Error("there is a place beside two calls in a bound of 2")
			}
			if n, err := Await(ctx, func() (int, error) { return 7, nil }); n != 7 || err != nil {
				t.Errorf("Await = %d, %v beside calls that are stuck; want 7", n, err)
			}
			close(release)
			return third.Wait(ctx)
		})
	})
	b.do(func() {
		if !places.TryAcquire(2) {
			t.Error("the places were not given back")
		}
	})
}
