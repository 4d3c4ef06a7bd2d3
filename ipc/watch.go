package ipc

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
)

// A Watch is told of the changes of something in a manager, each once and in their order, from when it was made. Next
// is for any goroutine and any coroutine, one at a time; Close for any.
//
// Up to [MaxPendingEvents] wait here, and ManagerOptions.MaxEvents more in the manager, for somebody who is behind. Of
// those beyond, Next says once that they were lost ([ErrLost]), after the ones before, and goes on with what comes
// then.
type Watch[E any] struct {
	w      *watch
	decode func(o op, n int64, key, value []byte) (E, error)
}

// MaxPendingEvents is how many events of a watch wait in the client.
const MaxPendingEvents = 256

// A watch is the part of a Watch that knows no types.
type watch struct {
	c    *Client
	id   uint64
	name string
	gate gate

	// Guarded by c.mu.
	events []reply
	lost   int64
	err    error
	more   place // ready: something is there
}

// A Change is what happened to a key of a map.
type Change[K comparable, V any] struct {
	Key     K
	Value   V // as it was set
	Deleted bool
}

// Watch watches the map.
func (m *Map[K, V]) Watch(ctx context.Context) (*Watch[Change[K, V]], error) {
	w, err := m.c.watch(ctx, m.name, kindMap)
	if err != nil {
		return nil, err
	}
	return &Watch[Change[K, V]]{w, func(o op, _ int64, key, value []byte) (ch Change[K, V], err error) {
		if ch.Key, err = decode[K](key); err != nil {
			return ch, err
		}
		if o == opMapDelete {
			ch.Deleted = true
			return ch, nil
		}
		ch.Value, err = decode[V](value)
		return ch, err
	}}, nil
}

// A ListChange is what happened to a list.
type ListChange[T any] struct {
	Index int
	Value T // the item that is there now; not when one was removed
	// Inserted and Removed say that the items behind have moved; neither means that the item was replaced.
	Inserted, Removed bool
}

// Watch watches the list.
func (l *List[T]) Watch(ctx context.Context) (*Watch[ListChange[T]], error) {
	w, err := l.c.watch(ctx, l.name, kindList)
	if err != nil {
		return nil, err
	}
	return &Watch[ListChange[T]]{w, func(o op, n int64, _, value []byte) (ch ListChange[T], err error) {
		ch = ListChange[T]{Index: int(n), Inserted: o == opListInsert, Removed: o == opListRemove}
		if !ch.Removed {
			ch.Value, err = decode[T](value)
		}
		return ch, err
	}}, nil
}

// Watch watches the value: Next returns what it is set to.
func (x *Value[T]) Watch(ctx context.Context) (*Watch[T], error) {
	w, err := x.c.watch(ctx, x.name, kindValue)
	if err != nil {
		return nil, err
	}
	return &Watch[T]{w, func(_ op, _ int64, _, value []byte) (T, error) { return decode[T](value) }}, nil
}

// Watch watches the counter: Next returns what it has become.
func (x *Counter) Watch(ctx context.Context) (*Watch[int64], error) {
	w, err := x.c.watch(ctx, x.name, kindCounter)
	if err != nil {
		return nil, err
	}
	return &Watch[int64]{w, func(_ op, n int64, _, _ []byte) (int64, error) { return n, nil }}, nil
}

// Watch watches the event: Next returns whether it was set or cleared.
func (e *Event) Watch(ctx context.Context) (*Watch[bool], error) {
	w, err := e.c.watch(ctx, e.name, kindEvent)
	if err != nil {
		return nil, err
	}
	return &Watch[bool]{w, func(o op, _ int64, _, _ []byte) (bool, error) { return o == opEventSet, nil }}, nil
}

// watch begins one. It is there before the manager is asked, so that no event finds it missing.
func (c *Client) watch(ctx context.Context, name string, k kind) (*watch, error) {
	op := "watch " + name
	givenContext(op, ctx)
	ca := calls.Get().(*call)
	id, err := c.begin(ca)
	if err != nil {
		return nil, &Error{op, err}
	}
	w := &watch{c: c, id: id, name: name}
	c.mu.Lock()
	c.watches[id] = w
	c.mu.Unlock()
	rp, err := c.finish(ctx, op, id, ca, kindCall, []step{{op: opWatch, name: name, n: int64(k)}})
	if err == nil && rp.status == statusError {
		err = codeError(rp.n, string(rp.item(0)))
	}
	if err != nil {
		w.forget()
		return nil, &Error{op, err}
	}
	return w, nil
}

func (w *watch) forget() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	delete(w.c.watches, w.id)
}

// event and fail are called with c.mu held.
func (w *watch) event(rp reply) {
	switch {
	case rp.status == statusLost:
		w.lost += rp.n
	case w.lost > 0 || len(w.events) >= MaxPendingEvents:
		w.lost++
	default:
		w.events = append(w.events, rp)
	}
	w.more.tell()
}

func (w *watch) fail(err error) {
	w.err = err
	w.more.tell()
}

// take takes the first event, if there is one. Behind those that are there comes what was lost, and then the end.
func (w *watch) take() (rp reply, ok bool, err error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	switch {
	case len(w.events) > 0:
		rp = w.events[0]
		w.events[0] = reply{}
		w.events = w.events[1:]
		return rp, true, nil
	case w.lost > 0:
		err = fmt.Errorf("%w: %d of them", ErrLost, w.lost)
		w.lost = 0
		return rp, false, err
	}
	return rp, false, w.err
}

// Next waits for the next event.
func (x *Watch[E]) Next(ctx context.Context) (e E, err error) {
	w := x.w
	op := "watch " + w.name
	if err := w.gate.enter(ctx, op); err != nil {
		return e, &Error{op, err}
	}
	defer w.gate.leave()
	for {
		rp, ok, err := w.take()
		if ok {
			n, _ := binary.Varint(rp.item(0))
			if e, err = x.decode(opOf(rp.n), n, rp.item(1), rp.item(2)); err != nil {
				err = &Error{op, err}
			}
			return e, err
		}
		if err == nil {
			err = w.c.wait(ctx, op, &w.more)
		}
		if err != nil {
			return e, &Error{op, err}
		}
	}
}

func opOf(n int64) op {
	if n < 0 || n >= int64(opEnd) {
		return 0
	}
	return op(n)
}

// Close ends the watch: Next fails from now on. It waits until the manager knows; without that the watch ends with the
// connection.
func (x *Watch[E]) Close(ctx context.Context) error {
	w := x.w
	givenContext("end the watch of "+w.name, ctx)
	w.forget()
	w.c.mu.Lock()
	if w.err == nil {
		w.err = fmt.Errorf("the watch is closed: %w", net.ErrClosed)
	}
	w.more.tell()
	w.c.mu.Unlock()
	_, err := w.c.do(ctx, "end the watch of "+w.name, kindCall, step{op: opUnwatch, n: int64(w.id)})
	return err
}
