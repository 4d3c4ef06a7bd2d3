package coro

import (
	"context"
	"fmt"
	"iter"
)

// A Queue brings values from tasks to tasks of one loop, in order, and makes those wait that put more than it holds.
// First come, first served, on both sides: a value goes to the task that has waited longest, and is its own from then
// on, so that nobody comes in between. A wait that is cancelled has put, or got, nothing. Make it with [NewQueue]. Get
// and Put are for coroutines; all else is for the loop's handlers too. Other goroutines Post.
type Queue[T any] struct {
	home    home
	values  []T // a ring of cap(values) places; values[first] is the oldest of n
	first   int
	n       int
	bound   int
	closed  bool
	getters list[T]
	putters list[T]
	free    *item[T] // items to use again
	nfree   int
}

// mostFree bounds how many items a queue keeps for later waits.
const mostFree = 64

// NewQueue returns a Queue that holds bound values. With 0 it holds none: Put waits until somebody gets the value.
func NewQueue[T any](bound int) *Queue[T] {
	if bound < 0 {
		panic(fmt.Sprintf("coro: NewQueue(%d): it must be at least 0", bound))
	}
	return &Queue[T]{bound: bound}
}

// Put puts v into the queue, and waits while it is full. It fails with ErrQueueClosed if the queue is or gets closed,
// or with ctx's cause; v is then not in the queue.
func (q *Queue[T]) Put(ctx context.Context, v T) error {
	t, err := enter(ctx, "Queue.Put")
	if err != nil {
		return err
	}
	q.home.settle(t.scope.sched, "Queue.Put")
	if q.closed {
		return ErrQueueClosed
	}
	if q.offer(v) {
		return nil
	}
	it := q.item()
	it.v = v
	err = q.putters.waitAt(it, ctx, t, "room in a queue", q)
	if err == nil && !it.served { // woken by Close
		err = ErrQueueClosed
	}
	q.recycle(it)
	return err
}

// TryPut is Put that does not wait: it fails with ErrQueueFull if there is no room for v, and with ErrQueueClosed if
// the queue is closed, full or not.
func (q *Queue[T]) TryPut(v T) error {
	q.home.here("Queue.TryPut")
	switch {
	case q.closed:
		return ErrQueueClosed
	case !q.offer(v):
		return ErrQueueFull
	}
	return nil
}

// offer gives v to the first that waits for a value, or keeps it if there is room.
func (q *Queue[T]) offer(v T) bool {
	if it := q.getters.pop(); it != nil {
		it.v, it.served = v, true
		it.wakeLater()
		return true
	}
	if q.n == q.bound {
		return false
	}
	q.keep(v)
	return true
}

// Get waits for a value. It fails with ErrQueueClosed when the queue is closed and empty, or with ctx's cause.
func (q *Queue[T]) Get(ctx context.Context) (v T, err error) {
	t, err := enter(ctx, "Queue.Get")
	if err != nil {
		return v, err
	}
	q.home.settle(t.scope.sched, "Queue.Get")
	if v, ok := q.take(); ok {
		return v, nil
	}
	if q.closed {
		return v, ErrQueueClosed
	}
	it := q.item()
	err = q.getters.waitAt(it, ctx, t, "a value of a queue", q)
	switch {
	case err != nil:
	case it.served:
		v = it.v
	default:
		err = ErrQueueClosed
	}
	q.recycle(it)
	return v, err
}

// TryGet takes the oldest value, if there is one.
func (q *Queue[T]) TryGet() (v T, ok bool) {
	q.home.here("Queue.TryGet")
	return q.take()
}

// take takes the oldest value, and lets the first that waits for room put its own.
func (q *Queue[T]) take() (v T, ok bool) {
	if q.n > 0 {
		v, ok = q.pull(), true
	}
	if it := q.putters.pop(); it != nil {
		if ok {
			q.keep(it.v)
		} else {
			v, ok = it.v, true // bound is 0
		}
		it.served = true
		it.wakeLater()
	}
	return v, ok
}

// Close closes the queue. Those that wait to put fail, and their values are not in it; what is in it can still be got.
// Closing again changes nothing.
func (q *Queue[T]) Close() {
	q.home.here("Queue.Close")
	if q.closed {
		return
	}
	q.closed = true
	for _, l := range []*list[T]{&q.getters, &q.putters} {
		for it := l.pop(); it != nil; it = l.pop() {
			it.wakeLater()
		}
	}
}

// Len is how many values are in the queue, not counting those of tasks that wait to put them.
func (q *Queue[T]) Len() int {
	q.home.here("Queue.Len")
	return q.n
}

// All gets values until the queue is closed and empty, or ctx is cancelled (ask ctx which it was).
func (q *Queue[T]) All(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			v, err := q.Get(ctx)
			if err != nil || !yield(v) {
				return
			}
		}
	}
}

// PutAll puts all values of a sequence, which runs on the calling coroutine and may wait as well. It stops at the
// first error of Put, and returns it.
func (q *Queue[T]) PutAll(ctx context.Context, seq iter.Seq[T]) error {
	for v := range seq {
		if err := q.Put(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// String is for lists.
func (q *Queue[T]) String() string {
	return fmt.Sprintf("of %d of %d, %d get, %d put", q.n, q.bound, q.getters.len(), q.putters.len())
}

// keep puts v behind the newest. There is room.
func (q *Queue[T]) keep(v T) {
	if q.n == len(q.values) {
		bigger := make([]T, min(max(4, 2*q.n), q.bound))
		for i := range q.n {
			bigger[i] = q.values[(q.first+i)%q.n]
		}
		q.values, q.first = bigger, 0
	}
	q.values[(q.first+q.n)%len(q.values)] = v
	q.n++
}

func (q *Queue[T]) pull() T {
	var zero T
	v := q.values[q.first]
	q.values[q.first] = zero
	q.first = (q.first + 1) % len(q.values)
	q.n--
	return v
}

func (q *Queue[T]) item() *item[T] {
	it := q.free
	if it == nil {
		return new(item[T])
	}
	q.free, it.next = it.next, nil
	q.nfree--
	return it
}

func (q *Queue[T]) recycle(it *item[T]) {
	var zero T
	it.v, it.served = zero, false
	if q.nfree < mostFree {
		it.next, q.free = q.free, it
		q.nfree++
	}
}
