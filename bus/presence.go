package bus

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
)

// A Member is somebody who is in a room, on one of the nodes. Two nodes may have one with the same ID.
type Member struct {
	Node NodeID
	On   string // the node's name
	ID   string
	Data []byte // what the member was entered with. It must not be written to
}

// Enter has all nodes see that somebody is in the room, on this node, until leave is called. It fails with ErrTaken if
// this node has a member of that ID in the room already. Members of a node that dies are gone, for all others, within
// three seconds. Who subscribes is no member by that, nor the other way round. data must not be written to any more.
func (r Room) Enter(id string, data []byte) (leave func(), err error) {
	e := &entry{sort: sortMember, room: r.name, key: id, data: data}
	err = ErrClosed
	r.b.do(func(m *machine) {
		if m.mine.all.get(e.name()) != nil {
			err = ErrTaken
			return
		}
		err = m.set(e, false)
	})
	if err != nil {
		return nil, err
	}
	var once sync.Once
	return func() {
		once.Do(func() { r.b.do(func(m *machine) { _ = m.set(e, true) }) }) // which does not fail
	}, nil
}

// Members are who is in the room, on all nodes that this one is connected with, by ID.
func (r Room) Members() (all []Member) {
	r.b.do(func(m *machine) {
		m.each(sortMember, r.name, func(node NodeID, on string, e *entry) {
			all = append(all, Member{node, on, e.key, e.data})
		})
	})
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// A Watch tells of changes: of members, or of values. It tells the state of what has changed since it was last asked,
// and not each step: so it needs no queue, and is never behind. At first all that is there has changed. It is for one
// goroutine at a time; Close is for any.
type Watch[T any] struct {
	b     *Bus
	w     *watch
	look  func(m *machine, key string) T
	ready chan struct{}
	over  chan struct{}
	once  sync.Once
}

func newWatch[T any](b *Bus, s sort, room string, look func(m *machine, key string) T) (*Watch[T], error) {
	w := &Watch[T]{b: b, look: look, ready: make(chan struct{}, 1), over: make(chan struct{})}
	b.do(func(m *machine) { w.w = m.watch(s, room, func() { offer(w.ready) }) })
	if w.w == nil {
		return nil, ErrClosed
	}
	return w, nil
}

// Next waits for the next change.
func (w *Watch[T]) Next(ctx context.Context) (t T, err error) {
	for {
		var ok bool
		w.b.do(func(m *machine) {
			var key string
			if key, ok = w.w.next(); ok {
				t = w.look(m, key)
			}
		})
		if ok {
			return t, nil
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
			return t, context.Cause(ctx)
		case <-w.over:
			return t, ErrClosed
		case <-w.b.done:
			return t, ErrClosed
		}
	}
}

// Close ends the watch.
func (w *Watch[T]) Close() {
	w.once.Do(func() {
		close(w.over)
		w.b.do(func(m *machine) { m.unwatch(w.w) })
	})
}

// A Presence is the members with an ID that a room has now, one for each node that has one; none: they are gone.
type Presence struct {
	ID string
	In []Member
}

// WatchMembers tells who comes and goes.
func (r Room) WatchMembers() (*Watch[Presence], error) {
	return newWatch(r.b, sortMember, r.name, func(m *machine, id string) Presence {
		p := Presence{ID: id}
		name := entryName(sortMember, r.name, id)
		if e := m.mine.all.get(name); e != nil {
			p.In = append(p.In, Member{m.id, m.name, id, e.data})
		}
		for _, peer := range m.peers {
			if e := peer.entries.all.get(name); e != nil {
				p.In = append(p.In, Member{peer.id, peer.name, id, e.data})
			}
		}
		return p
	})
}

// A Bucket has values by key, which all nodes hold. Who writes last, by the nodes' clocks, wins; what two nodes write
// at the same time, or while they are cut off from each other, is decided alike on all when they have heard of both. A
// value lives as long as one node that has heard of it. So it is for what may be lost, as settings and hints; what must
// not be lost belongs into a database.
//
// Create, Update and Remove are compare-and-set: of those who would replace the same version one succeeds, whatever
// nodes come and die meanwhile. That holds among nodes of which each hears one that the others hear too. Parts that are
// cut off from each other wholly decide each for itself, after two seconds, and so does a node that has just begun and
// has not found the others; when they meet, the later value wins. Put and Delete ask nobody: who uses both for the same
// key may find that an Update has replaced a Put that its decider had not heard of.
type Bucket struct {
	b    *Bus
	name string
}

// Bucket is the one of that name.
func (b *Bus) Bucket(name string) Bucket { return Bucket{b, name} }

// Put sets a value. It is there for this node at once, and for the others when they have heard of it. value must not
// be written to any more.
func (k Bucket) Put(key string, value []byte) error { return k.write(key, value, false) }

// Delete deletes a value. That it was there is remembered for an hour.
func (k Bucket) Delete(key string) error { return k.write(key, nil, true) }

func (k Bucket) write(key string, data []byte, gone bool) error {
	err := ErrClosed
	k.b.do(func(m *machine) { err = m.write(k.name, key, data, gone) })
	return err
}

// Get is a value; false: there is none. It must not be written to.
func (k Bucket) Get(key string) (value []byte, ok bool) {
	k.b.do(func(m *machine) {
		if w := m.winner(k.name, key); w != nil && !w.gone {
			value, ok = w.data, true
		}
	})
	return value, ok
}

// Keys are those that have a value, sorted.
func (k Bucket) Keys() (keys []string) {
	k.b.do(func(m *machine) {
		m.each(sortValue, k.name, func(_ NodeID, _ string, e *entry) { keys = append(keys, e.key) })
		slices.Sort(keys)
		keys = slices.DeleteFunc(slices.Compact(keys), func(key string) bool { return m.winner(k.name, key).gone })
	})
	return keys
}

// A Change is what a key has now.
type Change struct {
	Key     string
	Value   []byte
	Deleted bool // there is no value
}

// Watch tells of changes of values.
func (k Bucket) Watch() (*Watch[Change], error) {
	return newWatch(k.b, sortValue, k.name, func(m *machine, key string) Change {
		w := m.winner(k.name, key)
		if w == nil || w.gone {
			return Change{Key: key, Deleted: true}
		}
		return Change{Key: key, Value: bytes.Clone(w.data)}
	})
}
