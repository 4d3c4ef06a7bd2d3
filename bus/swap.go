package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Compare-and-set. One node decides for a key, the one that rooms of that name would have as their owner. It does so
// only while it is sure that no other one does, though each node has a view of its own:
//
//   - All nodes that it hears have said that they have the same view of who is there and ready. By it they all have the
//     same owner. A node that has another one, which it has not told yet, must have dropped this one from its view.
//   - Each of them has heard this one within the last lease. Nobody drops a node that it has heard within deadAfter,
//     which is longer. A greeting carries the sender's clock, and what it heard last of the clocks of the others: so
//     this node knows what they have heard of it, by its own clock, and a node that was stopped knows nothing any more.
//   - It has all changes that they had made when they said so. Whoever decided before is among them, or is dead.
//
// If it is not sure it says so, and is asked again. That is the price: after a node has come or gone, half a second in
// which nothing is decided. The other way was agreement of a majority by a log (Raft): it needs to know how many nodes
// there are, and a disk for each. Nodes that do not hear each other at all are not held off each other: see Bucket.
//
// Who asks has its answer when its own node has heard of the value. So two nodes have it, and it outlives one.

// lease is how long a node may decide after others have heard it.
const lease = deadAfter * 3 / 4

// ErrConflict is a value that has changed: it is not the version that was to be replaced, or there is one already.
var ErrConflict = errors.New("bus: conflict: the value is another one than expected")

// A Version is one state of a value: another one after each change. The zero value is that of a key without one.
type Version struct{ stamp, sum uint64 }

// version is e's; e may be nil.
func (e *entry) version() Version {
	if e == nil || e.gone {
		return Version{}
	}
	return Version{e.stamp, hash(e.data)} // two nodes may have taken the same stamp
}

// A swap is a call for a change of a value.
type swap struct {
	key    string
	was    Version
	remove bool

	need uint64 // the version of the decider's entries that has the result; 0: it has not answered
	now  Version
	err  error
}

// fill makes a call's frame that of a swap.
func (s *swap) fill(f *frame) {
	f.flags, f.key, f.seq = flagSwap, s.key, s.was.stamp
	if s.remove {
		f.flags |= flagRemove
	}
	f.data = append(binary.BigEndian.AppendUint64(nil, s.was.sum), f.data...)
}

// swap asks for a change.
func (m *machine) swap(bucket string, s swap, data []byte, until time.Time, wake func()) (*call, error) {
	switch {
	case len(bucket) > mostName || len(s.key) > mostName || len(data) > m.limits.Message:
		return nil, ErrTooLong
	case len(m.calls.out) >= m.limits.Calls:
		return nil, ErrFull
	}
	c := &call{service: bucket, data: data, until: until, wake: wake, swap: &s}
	m.calls.out = append(m.calls.out, c)
	c.chooseOwner(m)
	return c, nil
}

// chooseOwner turns to who decides, or waits until that is known.
func (c *call) chooseOwner(m *machine) {
	owner := m.decider(c.service, c.swap.key)
	if owner == 0 {
		c.backA = m.now.Add(tick)
		return
	}
	c.turnTo(m, owner)
}

// decider is who decides for a key, as far as this node knows; 0: it does not know.
func (m *machine) decider(bucket, key string) NodeID { return m.owner(bucket + "\x00" + key) }

// decides reports whether this node does, and is sure of it.
func (m *machine) decides(bucket, key string) bool {
	if m.decider(bucket, key) != m.id {
		return false
	}
	view := m.view()
	for _, p := range m.peers {
		switch {
		case !p.connected && m.now.Sub(p.heard) > deadAfter:
		case !p.connected, p.view != view, p.entries.version < p.tip, m.clock() > p.echo+uint64(lease):
			return false
		}
	}
	return true
}

// clock is this node's, in nanoseconds since it began.
func (m *machine) clock() uint64 { return uint64(m.now.Sub(m.begun)) }

// view is a digest of who may own a room.
func (m *machine) view() (v uint64) {
	if m.ready {
		v = mix(uint64(m.id))
	}
	for _, p := range m.peers {
		if p.connected && p.ready {
			v += mix(uint64(p.id))
		}
	}
	return v
}

// The results of a swap, by the first byte of an answer.
var swapErrors = [...]error{nil, ErrConflict, ErrTooLong, ErrFull}

// decide makes the change, if the value is what it is to be, and returns the answer.
func (m *machine) decide(f *frame) []byte {
	var now Version
	err := ErrConflict
	if len(f.data) >= 8 {
		was := Version{f.seq, binary.BigEndian.Uint64(f.data)}
		value, remove := f.data[8:], f.flags&flagRemove != 0
		if m.winner(f.room, f.key).version() == was {
			if err = m.write(f.room, f.key, value, remove); err == nil && !remove {
				now = Version{m.stamp, hash(value)}
			}
		}
	}
	result := slices.Index(swapErrors[:], err)
	if result < 0 {
		panic(fmt.Sprintf("bus: a swap has ended with an error that has no number: %v", err))
	}
	p := []byte{byte(result)}
	for _, v := range [...]uint64{now.stamp, now.sum, m.mine.version} {
		p = binary.AppendUvarint(p, v)
	}
	return p
}

// decided takes the answer.
func (c *call) decided(m *machine, p []byte) {
	if len(p) == 0 || int(p[0]) >= len(swapErrors) {
		m.stats.Refused++
		c.end(ErrLost)
		return
	}
	s := c.swap
	s.err, p = swapErrors[p[0]], p[1:]
	for _, v := range [...]*uint64{&s.now.stamp, &s.now.sum, &s.need} {
		n, used := binary.Uvarint(p)
		if used <= 0 {
			m.stats.Refused++
			c.end(ErrLost)
			return
		}
		*v, p = n, p[used:]
	}
	s.need++ // so that it is none but without an answer
	if peer := m.peer(c.to); peer == nil || peer.entries.version >= s.need-1 {
		c.end(s.err)
	} else {
		m.askOps(peer) // what came before the answer was lost
	}
}

// knows ends the swaps whose result a peer's entries have now.
func (cs *calls) knows(p *peer) {
	for _, c := range cs.out {
		if c.swap != nil && c.swap.need > 0 && c.to == p.id && p.entries.version >= c.swap.need-1 {
			c.end(c.swap.err)
		}
	}
}

// Lookup is Get with the value's version, as this node knows it.
func (k Bucket) Lookup(key string) (value []byte, at Version, ok bool) {
	k.b.do(func(m *machine) {
		if w := m.winner(k.name, key); w != nil && !w.gone {
			value, at, ok = w.data, w.version(), true
		}
	})
	return value, at, ok
}

// Create sets the value of a key that has none, and returns its version. It is Update of the zero Version.
func (k Bucket) Create(ctx context.Context, key string, value []byte) (Version, error) {
	return k.swap(ctx, swap{key: key}, value)
}

// Update sets a value in place of the version was, and returns the new one. It fails with ErrConflict if the key has
// another version, or none; then this node knows what the decider knew, so that Lookup and another Update can follow.
// With ErrLost, ErrClosed and the context's cause it may have been done, or may be yet. value must not be written to
// any more.
//
// One node decides, and Update waits for it: some milliseconds, or, when a node has just come or died, up to three
// seconds. While nodes hear each other in one direction alone, it may wait as long as ctx allows.
func (k Bucket) Update(ctx context.Context, key string, value []byte, was Version) (Version, error) {
	return k.swap(ctx, swap{key: key, was: was}, value)
}

// Remove deletes a value if it is the version was, and fails as Update does.
func (k Bucket) Remove(ctx context.Context, key string, was Version) error {
	_, err := k.swap(ctx, swap{key: key, was: was, remove: true}, nil)
	return err
}

func (k Bucket) swap(ctx context.Context, s swap, value []byte) (Version, error) {
	b, ready := k.b, make(chan struct{}, 1)
	until, _ := ctx.Deadline()
	var c *call
	err := ErrClosed
	b.do(func(m *machine) { c, err = m.swap(k.name, s, value, until, func() { offer(ready) }) })
	if err != nil {
		return Version{}, err
	}
	defer b.do(func(m *machine) { m.forget(c) })
	for {
		over := false
		b.do(func(*machine) { over = c.over })
		if over && c.err != nil {
			return Version{}, c.err
		} else if over {
			return c.swap.now, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return Version{}, context.Cause(ctx)
		case <-b.done:
			return Version{}, ErrClosed
		}
	}
}
