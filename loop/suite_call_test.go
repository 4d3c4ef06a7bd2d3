//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plexor-go/plexor/loop"
)

// TestCall: what was written before any Ask the function sees, though it runs no more
// often than it must; also when the queue of posted functions is full.
func TestCall(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		const askers, n = 4, 5000
		r := run(t, loop.Options{Driver: driver, PostQueue: 1})
		var told atomic.Int64
		var runs, seen int64 // of the loop
		var all sync.WaitGroup
		c := r.NewCall(func() {
			runs++
			seen = told.Load()
		})
		for range askers {
			all.Go(func() {
				for range n {
					told.Add(1)
					if err := c.Ask(); err != nil {
						t.Errorf("Ask: %v", err)
						return
					}
				}
			})
		}
		all.Wait()
		r.do(func() {}) // behind it
		r.do(func() {
			if seen != askers*n || runs > askers*n || runs == 0 {
				t.Errorf("the last of %d runs saw %d of %d", runs, seen, askers*n)
			}
			before := runs
			for range 100 {
				_ = c.Ask() // as above
			}
			if runs != before {
				t.Error("it ran inside Ask")
			}
		})
		r.do(func() {})
	})
}

// TestCallAgain: an Ask by the function itself has it run again, in another turn.
func TestCallAgain(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		done := make(chan int, 1)
		n := 0
		var c *loop.Call
		c = r.NewCall(func() {
			if n++; n == 10 {
				done <- n
				return
			}
			if err := c.Ask(); err != nil {
				t.Errorf("Ask %d: %v", n, err)
			}
		})
		if err := c.Ask(); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got != 10 {
			t.Errorf("%d runs, want 10", got)
		}
	})
}

// TestCallOfEndedLoop: Ask fails, each time.
func TestCallOfEndedLoop(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		c := r.NewCall(func() { t.Error("it ran") })
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Ask(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Ask: %v, want %v", err, net.ErrClosed)
			}
		}
	})
}
