//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/proc"
)

// TestPoolCloseWhileCalled: workers that callers have at the moment go back to their keepers when the pool is closed,
// and each call has its result or the pool's end.
func TestPoolCloseWhileCalled(t *testing.T) {
	for range 5 {
		p := newPool(t, proc.PoolOptions{Workers: 2})
		var callers sync.WaitGroup
		var done atomic.Int64
		for n := range 4 {
			callers.Go(func() {
				for {
					got, err := square.Call(t.Context(), p, n)
					if errors.Is(err, proc.ErrPoolClosed) {
						return
					}
					if err != nil || got != n*n {
						t.Errorf("square(%d) = %d, %v", n, got, err)
						return
					}
					done.Add(1)
				}
			})
		}
		for end := time.Now().Add(patience); done.Load() < 50 && time.Now().Before(end) &&
			!t.Failed(); time.Sleep(time.Millisecond) {
		}
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatalf("Close waits for a worker that was lent, with %+v", p.Stats())
		}
		callers.Wait()
		if s := p.Stats(); s.Left != 0 || s.Done < done.Load() {
			t.Errorf("at the end %+v, and %d calls had results", s, done.Load())
		}
	}
}
