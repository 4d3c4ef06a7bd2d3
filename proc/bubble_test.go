//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/proc"
)

// A holding is the argument of holds.
type holding = struct {
	Begun string
	Ever  bool
}

// outsideBubbles has functions called by goroutines that are in no bubble. Make it outside of one.
func outsideBubbles(t *testing.T) chan<- func() {
	o := make(chan func())
	go func() {
		for f := range o {
			go f()
		}
	}()
	t.Cleanup(func() { close(o) })
	return o
}

// waitFor waits until a worker has made a file, in a bubble too.
func waitFor(t *testing.T, path string) {
	const look = 2 * time.Millisecond
	p := wait.NewPulse(look)
	defer p.Stop()
	for left := patience; !exists(path); left -= look {
		if left < 0 {
			t.Fatalf("waited for %s", path)
		}
		p.Next(nil)
	}
}

// TestBubbleCalls: calls of a pool that was made outside of a testing/synctest bubble, by goroutines of one: results by
// each way that there is, what is cancelled in the bubble, and outside it, before it begins and while it runs.
func TestBubbleCalls(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Workers: 2, Grace: time.Minute})
	held := filepath.Join(t.TempDir(), "held")
	outer, cancelOuter := context.WithCancel(context.Background())
	defer cancelOuter()
	_ = outer.Done() // a channel of outside
	o := outsideBubbles(t)
	synctest.Test(t, func(t *testing.T) {
		for n := range 5 {
			if got, err := square.Call(t.Context(), p, n); got != n*n || err != nil {
				t.Errorf("Call: %d, %v", got, err)
			}
			future, err := square.Submit(context.Background(), p, n)
			if err != nil {
				t.Fatal(err)
			}
			<-future.Done()
			if got, err := future.Wait(t.Context()); got != n*n || err != nil {
				t.Errorf("Submit: %d, %v", got, err)
			}
			if future, err = square.Submit(t.Context(), p, n); err != nil {
				t.Fatal(err)
			}
			if got, err := future.Wait(t.Context()); got != n*n || err != nil {
				t.Errorf("Submit, no Done: %d, %v", got, err)
			}
		}
		var got []int
		for v, err := range square.Map(t.Context(), p, numbers) {
			if err != nil {
				t.Error(err)
			}
			got = append(got, v)
		}
		if len(got) != 2 || got[0] != 1 || got[1] != 4 {
			t.Errorf("Map: %v", got)
		}
		if err := plexor.Run(t.Context(), func(ctx context.Context) error {
			n, err := square.Call(ctx, p, 12)
			if n != 144 {
				t.Errorf("Call by a coroutine: %d", n)
			}
			return err
		}); err != nil {
			t.Errorf("Call by a coroutine: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls := make(chan error)
		go func() { _, err := holds.Call(ctx, p, holding{Begun: held}); calls <- err }()
		go func() { _, err := holds.Call(outer, p, holding{Begun: held + "2"}); calls <- err }()
		waitFor(t, held)
		waitFor(t, held+"2")
		queued, err := square.Submit(ctx, p, 1)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-calls; !errors.Is(err, context.Canceled) {
			t.Errorf("a call that was cancelled in the bubble: %v", err)
		}
		if _, err := queued.Wait(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("one that waited for a worker: %v", err)
		}
		o <- func() { cancelOuter() }
		if err := <-calls; !errors.Is(err, context.Canceled) {
			t.Errorf("a call that was cancelled outside: %v", err)
		}
		begun := time.Now()
		if time.Sleep(time.Hour); time.Since(begun) != time.Hour {
			t.Error("the bubble's time does not go on")
		}
	})
}

// TestBubbleContext: a context of a bubble is as before once a pool that was made outside has had it: its end is told
// by a channel of the bubble, so that the bubble's time goes on when all wait for that.
func TestBubbleContext(t *testing.T) {
	p := newPool(t, proc.PoolOptions{Workers: 1})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := square.Call(ctx, p, 1); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	})
}

// TestBubblePoolEnds: a pool that was made outside of a bubble is closed, and shut down, while goroutines of the bubble
// wait: for room in its queue, for a worker, for a result, and for its end.
func TestBubblePoolEnds(t *testing.T) {
	for _, way := range []string{"closed outside", "closed inside", "shut down inside", "shut down outside"} {
		t.Run(way, func(t *testing.T) {
			p := newPool(t, proc.PoolOptions{Workers: 1, Queue: 1})
			begun := filepath.Join(t.TempDir(), "begun")
			o := outsideBubbles(t)
			ended := make(chan error, 2)
			synctest.Test(t, func(t *testing.T) {
				var runs, waits *proc.Future[int]
				var err error
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if runs, err = holds.Submit(ctx, p, holding{Begun: begun}); err != nil {
					t.Fatal(err)
				}
				waitFor(t, begun)
				if waits, err = square.Submit(t.Context(), p, 3); err != nil {
					t.Fatal(err)
				}
				room := make(chan error)
				go func() { _, err := square.Call(t.Context(), p, 3); room <- err }()
				shut := func() { ended <- p.Shutdown(context.Background()) }
				want := proc.ErrPoolClosed
				switch way {
				case "closed outside":
					o <- func() { ended <- p.Close() }
				case "closed inside":
					go func() { ended <- p.Close() }()
				case "shut down inside":
					go shut()
					cancel()
					want = nil
				default:
					o <- shut
					go shut()
					cancel()
					want = nil
				}
				if _, err := runs.Wait(t.Context()); !errors.Is(err, proc.ErrPoolClosed) && !errors.Is(err, context.Canceled) {
					t.Errorf("the call that ran: %v", err)
				}
				if got, err := waits.Wait(t.Context()); !errors.Is(err, want) || err == nil && got != 9 {
					t.Errorf("the call that waited for a worker: %d, %v, want %v", got, err, want)
				}
				if err := <-room; !errors.Is(err, want) && !errors.Is(err, proc.ErrPoolClosed) {
					t.Errorf("the call that waited for room: %v, want %v", err, want)
				}
				if err := <-ended; err != nil {
					t.Errorf("the pool's end: %v", err)
				}
				if way == "shut down outside" {
					if err := <-ended; err != nil {
						t.Errorf("the pool's end: %v", err)
					}
				}
			})
		})
	}
}

// TestBubblePool: a pool that was made in a bubble, whose time stands still while it lives: its calls, a worker that
// dies more than once, and its limits, which go by the system's clock.
func TestBubblePool(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, proc.PoolOptions{Workers: 1, Tries: 3, Limit: 50 * time.Millisecond, Grace: time.Millisecond})
		for n := range 3 {
			if got, err := square.Call(t.Context(), p, n); got != n*n || err != nil {
				t.Errorf("Call: %d, %v", got, err)
			}
		}
		if _, err := leaves.Call(t.Context(), p, "/"); err == nil {
			t.Error("a call whose workers died has a result")
		}
		held := holding{Begun: filepath.Join(dir, "begun"), Ever: true}
		if _, err := holds.Call(t.Context(), p, held); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that takes too long: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun := filepath.Join(dir, "again")
		go func() { waitFor(t, begun); cancel() }()
		if _, err := holds.Call(ctx, p, holding{Begun: begun, Ever: true}); err == nil {
			t.Error("a call that was cancelled has a result")
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
