package coro

import "context"

// An item is a task's place in a queue of those that wait for the same thing, with what it wants or gets. It is used
// again when the wait is over.
type item[T any] struct {
	Waiter
	next, prev *item[T]
	in         bool // a list
	served     bool // Queue: v was taken, or given
	v          T
}

// A list is such a queue: first come, first served. Items whose wait was cancelled stay until their task, which will
// run soon, takes them out; until then they are passed over.
type list[T any] struct {
	head, tail *item[T]
}

func (l *list[T]) push(it *item[T]) {
	it.in, it.next, it.prev = true, nil, l.tail
	if l.tail != nil {
		l.tail.next = it
	} else {
		l.head = it
	}
	l.tail = it
}

func (l *list[T]) remove(it *item[T]) {
	if !it.in {
		return
	}
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		l.head = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		l.tail = it.prev
	}
	it.in, it.next, it.prev = false, nil, nil
}

// first is the first that waits; nil if there is none.
func (l *list[T]) first() *item[T] {
	for l.head != nil && !l.head.Waiting() {
		l.remove(l.head)
	}
	return l.head
}

// pop takes the first that waits out of the list, for the caller to wake.
func (l *list[T]) pop() *item[T] {
	it := l.first()
	if it != nil {
		l.remove(it)
	}
	return it
}

// len is how many wait.
func (l *list[T]) len() (n int) {
	for it := l.head; it != nil; it = it.next {
		if it.Waiting() {
			n++
		}
	}
	return n
}

// waitAt waits at it, at the end of the list. Whoever wakes it has taken it out.
func (l *list[T]) waitAt(it *item[T], ctx context.Context, t *Task, what string, on any) error {
	l.push(it)
	err := t.waitIn(ctx, &it.Waiter, what, on)
	if err != nil {
		l.remove(it)
	}
	return err
}

// wait waits at the worker's own item, with the number v.
func (l *list[T]) wait(ctx context.Context, t *Task, what string, on any, v T) error {
	it := any(&t.co.item).(*item[T])
	it.v = v
	return l.waitAt(it, ctx, t, what, on)
}
