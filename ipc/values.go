package ipc

import (
	"context"
	"encoding/binary"
)

// A Map is a map of a manager. Keys and values are strings and []byte as they are, and all else as JSON: two keys are
// the same if their JSON is. Its methods are for any goroutine and any coroutine.
type Map[K comparable, V any] struct {
	c    *Client
	name string
}

// OpenMap is the map of a name. It makes no call: the map is made by the first that changes it.
func OpenMap[K comparable, V any](c *Client, name string) *Map[K, V] {
	given("OpenMap", "the client", c != nil)
	return &Map[K, V]{c, name}
}

// Get returns the value of a key; false means that it has none.
func (m *Map[K, V]) Get(ctx context.Context, k K) (v V, ok bool, err error) {
	return got[V](m.c.with(ctx, m.step(opMapGet, k)))
}

// Set sets the value of a key.
func (m *Map[K, V]) Set(ctx context.Context, k K, v V) error {
	_, err := m.c.with(ctx, m.Setting(k, v))
	return err
}

// Delete deletes a key; false means that it was not there.
func (m *Map[K, V]) Delete(ctx context.Context, k K) (bool, error) {
	return is(m.c.with(ctx, m.Deleting(k)))
}

// Len is how many keys there are.
func (m *Map[K, V]) Len(ctx context.Context) (int, error) {
	rp, err := m.c.with(ctx, Step{step: step{op: opMapLen, name: m.name}})
	return int(rp.n), err
}

// All returns a copy of the map. One that is longer than a message is [ErrLimit].
func (m *Map[K, V]) All(ctx context.Context) (map[K]V, error) {
	rp, err := m.c.with(ctx, Step{step: step{op: opMapAll, name: m.name}})
	if err != nil {
		return nil, err
	}
	all := make(map[K]V, len(rp.items)/2)
	for i := 0; i+1 < len(rp.items); i += 2 {
		k, err := decode[K](rp.items[i])
		if err != nil {
			return nil, &Error{"read the map " + m.name, err}
		}
		if all[k], err = decode[V](rp.items[i+1]); err != nil {
			return nil, &Error{"read the map " + m.name, err}
		}
	}
	return all, nil
}

// Setting is the step that sets the value of a key.
func (m *Map[K, V]) Setting(k K, v V) Step { return m.both(opMapSet, k, v) }

// Deleting is the step that deletes a key, if it is there.
func (m *Map[K, V]) Deleting(k K) Step { return m.step(opMapDelete, k) }

// Is asks whether a key has this value.
func (m *Map[K, V]) Is(k K, v V) Step { return m.both(opMapIs, k, v) }

// Has asks whether a key is there.
func (m *Map[K, V]) Has(k K) Step { return m.step(opMapHas, k) }

// Lacks asks whether a key is not there.
func (m *Map[K, V]) Lacks(k K) Step { return m.step(opMapLacks, k) }

func (m *Map[K, V]) step(o op, k K) Step {
	a, err := encode(k)
	return Step{step{op: o, name: m.name, a: a}, err}
}

func (m *Map[K, V]) both(o op, k K, v V) Step {
	s := m.step(o, k)
	if s.err == nil {
		s.step.b, s.err = encode(v)
	}
	return s
}

// with makes the call of a step.
func (c *Client) with(ctx context.Context, s Step) (reply, error) {
	op := opNames[s.step.op]
	if s.err != nil {
		return reply{}, &Error{op + " " + s.step.name, s.err}
	}
	rp, err := c.reply(ctx, op, kindCall, []step{s.step})
	if err == nil && rp.status == statusError {
		err = codeError(rp.n, string(rp.item(0)))
	}
	if err != nil {
		return rp, &Error{op + " " + s.step.name, err}
	}
	return rp, nil
}

// opNames are for errors.
var opNames = [opEnd]string{
	opMapGet: "get from the map", opMapSet: "set in the map", opMapDelete: "delete from the map",
	opMapLen: "count the map",
	opMapAll: "read the map", opMapIs: "ask the map", opMapHas: "ask the map", opMapLacks: "ask the map",
	opListGet: "get from the list", opListSet: "set in the list", opListInsert: "insert into the list",
	opListRemove: "remove from the list", opListLen: "count the list", opListAll: "read the list",
	opValueGet: "get the value", opValueSet: "set the value", opValueIs: "ask the value", opValueLacks: "ask the value",
	opCounterAdd: "add to the counter", opCounterSet: "set the counter", opCounterIs: "ask the counter",
	opLock: "lock", opUnlock: "unlock", opLockIs: "ask the lock",
	opAcquire: "acquire the semaphore", opRelease: "release the semaphore",
	opEventSet: "set the event", opEventClear: "clear the event", opEventIs: "ask the event",
	opEventWait:   "wait for the event",
	opBarrierWait: "wait at the barrier", opQueuePut: "put into the queue", opQueueGet: "get from the queue",
	opQueueLen: "count the queue", opWatch: "watch", opUnwatch: "end the watch of", opRemove: "remove",
}

// got is the value of a reply that has one if the answer is yes.
func got[V any](rp reply, err error) (v V, ok bool, _ error) {
	if err != nil || rp.status != statusOK {
		return v, false, err
	}
	if v, err = decode[V](rp.item(0)); err != nil {
		return v, false, &Error{"read a value", err}
	}
	return v, true, nil
}

func is(rp reply, err error) (bool, error) { return rp.status == statusOK && err == nil, err }

// A List is a list of a manager. Its methods are for any goroutine and any coroutine. Items are encoded as those of a
// [Map]. An index that the list does not have is [ErrIndex].
type List[T any] struct {
	c    *Client
	name string
}

// OpenList is the list of a name. It makes no call.
func OpenList[T any](c *Client, name string) *List[T] {
	given("OpenList", "the client", c != nil)
	return &List[T]{c, name}
}

// Append appends an item and returns the new length.
func (l *List[T]) Append(ctx context.Context, v T) (int, error) {
	rp, err := l.c.with(ctx, l.Appending(v))
	return int(rp.n), err
}

// Appending is the step that appends an item.
func (l *List[T]) Appending(v T) Step { return l.step(opListInsert, -1, v) }

func (l *List[T]) step(o op, i int, v T) Step {
	a, err := encode(v)
	return Step{step{op: o, name: l.name, n: int64(i), a: a}, err}
}

func (l *List[T]) at(o op, i int) Step { return Step{step: step{op: o, name: l.name, n: int64(i)}} }

// Insert inserts an item before the one at index i, or at the end if i is the length.
func (l *List[T]) Insert(ctx context.Context, i int, v T) error {
	if i < 0 {
		return &Error{"insert into the list " + l.name, ErrIndex}
	}
	_, err := l.c.with(ctx, l.step(opListInsert, i, v))
	return err
}

// Get returns the item at index i.
func (l *List[T]) Get(ctx context.Context, i int) (T, error) {
	v, _, err := got[T](l.c.with(ctx, l.at(opListGet, i)))
	return v, err
}

// Set replaces the item at index i.
func (l *List[T]) Set(ctx context.Context, i int, v T) error {
	_, err := l.c.with(ctx, l.step(opListSet, i, v))
	return err
}

// Remove removes the item at index i and returns it.
func (l *List[T]) Remove(ctx context.Context, i int) (T, error) {
	v, _, err := got[T](l.c.with(ctx, l.at(opListRemove, i)))
	return v, err
}

// Len is how many items there are.
func (l *List[T]) Len(ctx context.Context) (int, error) {
	rp, err := l.c.with(ctx, l.at(opListLen, 0))
	return int(rp.n), err
}

// All returns a copy of the list. One that is longer than a message is [ErrLimit].
func (l *List[T]) All(ctx context.Context) ([]T, error) {
	rp, err := l.c.with(ctx, l.at(opListAll, 0))
	if err != nil {
		return nil, err
	}
	all := make([]T, len(rp.items))
	for i, p := range rp.items {
		if all[i], err = decode[T](p); err != nil {
			return nil, &Error{"read the list " + l.name, err}
		}
	}
	return all, nil
}

// A Value is one value of a manager, encoded as those of a [Map]. Its methods are for any goroutine and any coroutine.
type Value[T any] struct {
	c    *Client
	name string
}

// OpenValue is the value of a name. It makes no call.
func OpenValue[T any](c *Client, name string) *Value[T] {
	given("OpenValue", "the client", c != nil)
	return &Value[T]{c, name}
}

// Get returns the value; false means that it was never set.
func (x *Value[T]) Get(ctx context.Context) (v T, ok bool, err error) {
	return got[T](x.c.with(ctx, x.Lacks().as(opValueGet)))
}

// Set sets the value.
func (x *Value[T]) Set(ctx context.Context, v T) error {
	_, err := x.c.with(ctx, x.Setting(v))
	return err
}

// Setting is the step that sets the value.
func (x *Value[T]) Setting(v T) Step { return x.step(opValueSet, v) }

// Is asks whether it has this value.
func (x *Value[T]) Is(v T) Step { return x.step(opValueIs, v) }

// Lacks asks whether it was never set.
func (x *Value[T]) Lacks() Step { return Step{step: step{op: opValueLacks, name: x.name}} }

func (x *Value[T]) step(o op, v T) Step {
	a, err := encode(v)
	return Step{step{op: o, name: x.name, a: a}, err}
}

func (s Step) as(o op) Step {
	s.step.op = o
	return s
}

// A Counter is an int64 of a manager; one that was never set is 0. Its methods are for any goroutine and any coroutine.
// What would overflow it is [ErrLimit], and not done.
type Counter struct {
	c    *Client
	name string
}

// OpenCounter is the counter of a name. It makes no call.
func OpenCounter(c *Client, name string) *Counter {
	given("OpenCounter", "the client", c != nil)
	return &Counter{c, name}
}

// Add adds n, which may be negative, and returns the sum.
func (x *Counter) Add(ctx context.Context, n int64) (int64, error) {
	rp, err := x.c.with(ctx, x.Adding(n))
	return rp.n, err
}

// Get returns the counter.
func (x *Counter) Get(ctx context.Context) (int64, error) { return x.Add(ctx, 0) }

// Set sets the counter.
func (x *Counter) Set(ctx context.Context, n int64) error {
	_, err := x.c.with(ctx, x.Setting(n))
	return err
}

// Adding is the step that adds n.
func (x *Counter) Adding(n int64) Step { return Step{step: step{op: opCounterAdd, name: x.name, n: n}} }

// Setting is the step that sets the counter.
func (x *Counter) Setting(n int64) Step { return x.Adding(n).as(opCounterSet) }

// Is asks whether the counter is n.
func (x *Counter) Is(n int64) Step { return x.Adding(n).as(opCounterIs) }

// A Namespace is attributes of different types under one name, as Python's multiprocessing.Namespace is: a map by
// names, where each attribute knows its type. Its methods are for any goroutine and any coroutine.
type Namespace struct{ m Map[string, []byte] }

// OpenNamespace is the namespace of a name, which is that of a map too. It makes no call.
func OpenNamespace(c *Client, name string) *Namespace {
	given("OpenNamespace", "the client", c != nil)
	return &Namespace{Map[string, []byte]{c, name}}
}

// Names are the attributes that are set, in no order.
func (ns *Namespace) Names(ctx context.Context) ([]string, error) {
	all, err := ns.m.All(ctx)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	return names, err
}

// Watch watches all attributes: the key of a change is a name, and the value is as the manager has it, which is the
// text itself of a string or []byte, and JSON else.
func (ns *Namespace) Watch(ctx context.Context) (*Watch[Change[string, []byte]], error) {
	return ns.m.Watch(ctx)
}

// An Attribute is one of a [Namespace], with its type.
type Attribute[T any] struct {
	m    Map[string, T]
	name string
}

// AttributeOf is the attribute of a name. It makes no call.
func AttributeOf[T any](ns *Namespace, name string) *Attribute[T] {
	given("AttributeOf", "the namespace", ns != nil)
	return &Attribute[T]{Map[string, T]{ns.m.c, ns.m.name}, name}
}

// Get returns the attribute; false means that it is not set.
func (a *Attribute[T]) Get(ctx context.Context) (v T, ok bool, err error) {
	return a.m.Get(ctx, a.name)
}

// Set sets the attribute.
func (a *Attribute[T]) Set(ctx context.Context, v T) error { return a.m.Set(ctx, a.name, v) }

// Delete deletes the attribute; false means that it was not set.
func (a *Attribute[T]) Delete(ctx context.Context) (bool, error) { return a.m.Delete(ctx, a.name) }

// Setting is the step that sets the attribute.
func (a *Attribute[T]) Setting(v T) Step { return a.m.Setting(a.name, v) }

// Is asks whether the attribute has this value.
func (a *Attribute[T]) Is(v T) Step { return a.m.Is(a.name, v) }

// A SharedQueue is a bounded queue in a manager: first in, first out, any number of clients on either side. Its methods
// are for any goroutine and any coroutine. Items are encoded as those of a [Map].
//
// It lives and dies with the manager's process, and an item that was handed to a client which died at that moment is
// lost.
type SharedQueue[T any] struct {
	c     *Client
	name  string
	bound int
}

// OpenSharedQueue is the queue of a name, of bound items; all who open it say the same bound. It makes no call.
func OpenSharedQueue[T any](c *Client, name string, bound int) *SharedQueue[T] {
	given("OpenSharedQueue", "the client", c != nil)
	return &SharedQueue[T]{c, name, bound}
}

func (q *SharedQueue[T]) step(o op, m int64) Step {
	return Step{step: step{op: o, name: q.name, n: int64(q.bound), m: m}}
}

func (q *SharedQueue[T]) putting(v T, m int64) Step {
	s := q.step(opQueuePut, m)
	s.step.a, s.err = encode(v)
	return s
}

// Put puts an item, and waits while the queue is full.
func (q *SharedQueue[T]) Put(ctx context.Context, v T) error {
	_, err := q.c.with(ctx, q.putting(v, 0))
	return err
}

// TryPut puts an item if there is room.
func (q *SharedQueue[T]) TryPut(ctx context.Context, v T) (bool, error) {
	return is(q.c.with(ctx, q.putting(v, 1)))
}

// Get waits for an item.
func (q *SharedQueue[T]) Get(ctx context.Context) (T, error) {
	v, _, err := got[T](q.c.with(ctx, q.step(opQueueGet, 0)))
	return v, err
}

// TryGet takes an item if there is one.
func (q *SharedQueue[T]) TryGet(ctx context.Context) (v T, ok bool, err error) {
	return got[T](q.c.with(ctx, q.step(opQueueGet, 1)))
}

// Len is how many items are in the queue.
func (q *SharedQueue[T]) Len(ctx context.Context) (int, error) {
	rp, err := q.c.with(ctx, q.step(opQueueLen, 0))
	return int(rp.n), err
}

// varint is n as bytes.
func varint(n int64) []byte { return binary.AppendVarint(nil, n) }
