package redis

import (
	"context"
	"sync"
	"time"
)

// A combiner makes one call to the server of many that are asked for at the same time, as a group commit does: while
// calls are under way, what is asked for waits, and goes together with the next. Its methods are for any number of
// goroutines.
type combiner[T any] struct {
	run func([]T) // does some together; set before the first use
	// alone does one that nobody else's is with, before ctx ends, or reports that it can't; see do for sent and err. Set
	// before the first use; nil: run does it.
	alone func(ctx context.Context, what T) (done, sent bool, err error)

	mu      sync.Mutex
	waiting []*request[T]
	lanes   int // goroutines that run; and those that do one alone
}

const (
	mostLanes    = 2   // calls under way: the server works on one while the other's answer is on its way
	mostTogether = 512 // arguments' sets, roughly, of one call: a script holds the server up for as long as it runs
	// grace is how long the answer to a call that is under way is waited for when its context has ended: it is most likely
	// near, and says more than that nobody knows.
	grace    = 200 * time.Millisecond
	mostSize = 4 << 20 // bytes of one call, roughly; likewise
)

// A request is one caller's.
type request[T any] struct {
	what     T
	n, bytes int
	taken    bool // under the combiner's mu
	done     chan struct{}
}

// do has what done, which is n things of so many bytes. If ctx ends first, sent tells whether it may be under way;
// what belongs to the combiner then.
func (c *combiner[T]) do(ctx context.Context, what T, n, bytes int) (sent bool, err error) {
	c.mu.Lock()
	if c.alone != nil && c.lanes == 0 {
		c.lanes++
		c.mu.Unlock()
		done, sent, err := c.alone(ctx, what)
		c.mu.Lock()
		if done {
			c.leave()
			c.mu.Unlock()
			return sent, err
		}
		c.lanes--
	}
	r := &request[T]{what: what, n: n, bytes: bytes, done: make(chan struct{})}
	c.waiting = append(c.waiting, r)
	if c.lanes < mostLanes {
		c.lanes++
		go c.lane()
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return true, nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	if r.taken {
		c.mu.Unlock()
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-r.done:
			return true, nil
		case <-t.C:
			return true, context.Cause(ctx)
		}
	}
	defer c.mu.Unlock()
	for i, w := range c.waiting {
		if w == r {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			break
		}
	}
	return false, context.Cause(ctx)
}

// leave ends a lane, or leaves it to a goroutine if there is more to do. The caller holds mu.
func (c *combiner[T]) leave() {
	if len(c.waiting) > 0 {
		go c.lane()
		return
	}
	c.waiting = nil
	c.lanes--
}

// lane does what waits, until nothing does.
func (c *combiner[T]) lane() {
	for {
		some := c.take()
		if some == nil {
			return
		}
		whats := make([]T, len(some))
		for i, r := range some {
			whats[i] = r.what
		}
		c.run(whats)
		for _, r := range some {
			close(r.done)
		}
	}
}

// take returns those that go together next, or nil, and then the lane has ended.
func (c *combiner[T]) take() []*request[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.leave()
		return nil
	}
	i, n, bytes := 0, 0, 0
	for i < len(c.waiting) && (i == 0 || n+c.waiting[i].n <= mostTogether && bytes+c.waiting[i].bytes <= mostSize) {
		n, bytes = n+c.waiting[i].n, bytes+c.waiting[i].bytes
		c.waiting[i].taken = true
		i++
	}
	some := c.waiting[:i:i]
	c.waiting = c.waiting[i:]
	return some
}
