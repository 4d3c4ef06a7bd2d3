package bus

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"
)

// Entries are what a node tells all others of itself: who is in its rooms, what it answers, and the values that it has
// set. Each node writes its own and keeps those of the others. They have a version, which rises by one with each
// change. Changes are sent to all, and who has missed some, as a greeting shows, asks for them, or for the whole.
type entries struct {
	version uint64
	all     table[*entry]
	bytes   int
	recent  [][]byte // the last changes, up to version
	whole   *entries // that is coming, in parts
	parts   uint64
}

// An entry is one of them.
type entry struct {
	sort  sort
	room  string // the room, bucket or service
	key   string // the member or the key
	stamp uint64 // of a value: the later one counts, whoever has set it
	gone  bool   // of a value: it was deleted
	data  []byte
}

// A sort is what an entry is.
type sort uint8

const (
	sortMember sort = iota + 1
	sortService
	sortValue
)

const (
	mostRecent     = 256       // changes that are kept for who has missed some
	entryGone      = 0x80      // bits of the first byte of a change, beside the sort
	entryRemoved   = 0x40      //
	tombstoneAfter = time.Hour // a deleted value is remembered for so long, lest somebody who was away brings it back
	askEvery       = 100 * time.Millisecond
)

func (e *entry) name() string { return string(rune(e.sort)) + e.room + "\x00" + e.key }

func entryName(s sort, room, key string) string {
	return (&entry{sort: s, room: room, key: key}).name()
}

func (e *entry) size() int { return len(e.room) + len(e.key) + len(e.data) + entryCost }

// encode is a change: that e is there, or that it is removed.
func (e *entry) encode(p []byte, removed bool) []byte {
	first := byte(e.sort)
	if e.gone {
		first |= entryGone
	}
	if removed {
		first |= entryRemoved
	}
	p = binary.AppendUvarint(append(p, first), e.stamp)
	for _, s := range [...]string{e.room, e.key} {
		p = append(binary.AppendUvarint(p, uint64(len(s))), s...)
	}
	return append(binary.AppendUvarint(p, uint64(len(e.data))), e.data...)
}

// decode takes the first change off p.
func decode(p []byte) (e *entry, removed bool, rest []byte, ok bool) {
	if len(p) == 0 {
		return nil, false, nil, false
	}
	e = &entry{sort: sort(p[0] &^ (entryGone | entryRemoved)), gone: p[0]&entryGone != 0}
	removed = p[0]&entryRemoved != 0
	stamp, n := binary.Uvarint(p[1:])
	if n <= 0 || e.sort < sortMember || e.sort > sortValue {
		return nil, false, nil, false
	}
	e.stamp, p = stamp, p[1+n:]
	var fields [3][]byte
	for i := range fields {
		size, n := binary.Uvarint(p)
		if n <= 0 || size > uint64(len(p)-n) || i < 2 && size > mostName {
			return nil, false, nil, false
		}
		fields[i], p = p[n:n+int(size)], p[n+int(size):]
	}
	e.room, e.key, e.data = string(fields[0]), string(fields[1]), bytes.Clone(fields[2])
	return e, removed, p, true
}

// put takes a change in, and returns what was there.
func (x *entries) put(e *entry, removed bool) (old *entry) {
	name := e.name()
	if old = x.all.get(name); old != nil {
		x.bytes -= old.size()
		x.all.remove(name)
	}
	if !removed {
		x.bytes += e.size()
		x.all.put(name, e)
	}
	return old
}

// set sets an entry of this node's, and tells all.
func (m *machine) set(e *entry, removed bool) error {
	x, l := &m.mine, &m.limits
	old := x.all.get(e.name())
	switch {
	case removed && old == nil:
		return nil
	case len(e.room) > mostName || len(e.key) > mostName || len(e.data) > l.Message:
		return ErrTooLong
	case !removed && old == nil && (len(x.all.all) >= l.Entries || x.bytes+e.size() > l.EntryBytes):
		return ErrFull
	}
	x.put(e, removed)
	x.version++
	op := e.encode(nil, removed)
	if x.recent = append(x.recent, op); len(x.recent) > mostRecent {
		x.recent[0] = nil
		x.recent = x.recent[1:]
	}
	m.send(0, frame{kind: kindOps, seq: x.version - 1, n: x.version, data: op})
	m.changed(e)
	return nil
}

// askOps asks a peer for what was missed.
func (m *machine) askOps(p *peer) {
	if m.now.Before(p.askA) {
		return
	}
	p.askA = m.now.Add(askEvery)
	m.send(p.id, frame{kind: kindAskOps, seq: p.entries.version})
}

// askedOps sends them, or all there is.
func (m *machine) askedOps(from NodeID, f *frame) {
	x := &m.mine
	if behind := x.version - f.seq; f.seq < x.version && behind <= uint64(len(x.recent)) {
		some := frame{kind: kindOps, seq: f.seq, n: f.seq}
		for _, op := range x.recent[uint64(len(x.recent))-behind:] {
			if len(some.data) > 0 && len(some.data)+len(op) > packetGood {
				m.send(from, some)
				some.seq, some.data = some.n, nil
			}
			some.n, some.data = some.n+1, append(some.data, op...)
		}
		m.send(from, some)
		return
	}
	part := frame{kind: kindOps, flags: flagWhole | flagMore, n: x.version}
	for _, e := range x.all.all {
		if len(part.data)+e.size() > packetGood {
			m.send(from, part)
			part.data, part.chn = nil, part.chn+1
		}
		part.data = e.encode(part.data, false)
	}
	part.flags = flagWhole
	m.send(from, part)
}

// tookOps takes changes of a peer's.
func (m *machine) tookOps(from NodeID, f *frame) {
	p := m.peer(from)
	if p == nil {
		return
	}
	x := &p.entries
	if f.flags&flagWhole != 0 {
		m.tookPart(p, f)
		return
	}
	if f.seq > x.version || f.n <= x.version {
		if f.n > x.version {
			m.askOps(p)
		}
		return
	}
	data := f.data
	for v := f.seq + 1; v <= f.n; v++ {
		e, removed, rest, ok := decode(data)
		if !ok || v > x.version && !m.fits(x, e, removed) {
			m.stats.Refused++
			break
		}
		if data = rest; v > x.version {
			x.version = v
			x.put(e, removed)
			m.learned(p, e, removed)
		}
	}
	m.calls.knows(p)
}

func (m *machine) fits(x *entries, e *entry, removed bool) bool {
	return removed || len(x.all.all) <= m.limits.Entries && x.bytes+e.size() <= m.limits.EntryBytes+m.limits.Message
}

// tookPart takes a part of the whole. The last one makes it what the peer has.
func (m *machine) tookPart(p *peer, f *frame) {
	x := &p.entries
	if f.chn == 0 {
		x.whole, x.parts = &entries{version: f.n}, 0
	}
	if x.whole == nil || f.chn != x.parts || f.n != x.whole.version {
		x.whole = nil // it is asked for again
		return
	}
	x.parts++
	for data := f.data; len(data) > 0; {
		e, _, rest, ok := decode(data)
		if !ok || !m.fits(x.whole, e, false) {
			m.stats.Refused++
			x.whole = nil
			return
		}
		x.whole.put(e, false)
		data = rest
	}
	if f.flags&flagMore != 0 {
		return
	}
	was := x.all.all
	whole := x.whole
	p.entries = entries{version: whole.version, all: whole.all, bytes: whole.bytes}
	for _, e := range was {
		if p.entries.all.get(e.name()) == nil {
			m.learned(p, e, true)
		}
	}
	old := make(map[string]*entry, len(was))
	for _, e := range was {
		old[e.name()] = e
	}
	for _, e := range p.entries.all.all {
		if o := old[e.name()]; o == nil || o.stamp != e.stamp || o.gone != e.gone || !bytes.Equal(o.data, e.data) {
			m.learned(p, e, false)
		}
	}
	m.calls.knows(p)
}

// learned is a change of a peer's. A value of this node's that is older, or the same and the peer's id is lower, is the
// peer's to keep from now on.
func (m *machine) learned(p *peer, e *entry, removed bool) {
	m.changed(e)
	if e.sort != sortValue || removed {
		return
	}
	m.stamp = max(m.stamp, e.stamp)
	mine := m.mine.all.get(e.name())
	if mine == nil {
		return
	}
	if later(e, mine) || !later(mine, e) && p.id < m.id {
		_ = m.set(mine, true) // which does not fail
	}
}

// later reports whether a comes behind b. Of two that were set at the same time it is the greater one.
func later(a, b *entry) bool {
	if a.stamp != b.stamp {
		return a.stamp > b.stamp
	}
	if a.gone != b.gone {
		return a.gone
	}
	return bytes.Compare(a.data, b.data) > 0
}

// dropEntries is the end of a peer: who was in its rooms is gone. Its values are kept by those who are left, by all at
// first, and then by the one with the lowest id.
func (m *machine) dropEntries(p *peer) {
	was := p.entries.all.all
	p.entries = entries{}
	for _, e := range was {
		if e.sort == sortValue {
			if w := m.winner(e.room, e.key); w == nil || later(e, w) {
				if m.set(e, false) != nil {
					m.stats.Refused++
				}
				continue
			}
		}
		m.changed(e)
	}
}

// winner is the value that counts, deleted or not; nil: there never was one.
func (m *machine) winner(bucket, key string) *entry {
	name := entryName(sortValue, bucket, key)
	w := m.mine.all.get(name)
	for _, p := range m.peers {
		if e := p.entries.all.get(name); e != nil && (w == nil || later(e, w)) {
			w = e
		}
	}
	return w
}

// write sets or deletes a value.
func (m *machine) write(bucket, key string, data []byte, gone bool) error {
	m.stamp = max(m.stamp+1, uint64(m.now.UnixNano()))
	return m.set(&entry{sort: sortValue, room: bucket, key: key, stamp: m.stamp, gone: gone, data: data}, false)
}

// sweepEntries forgets values that were deleted long ago.
func (m *machine) sweepEntries() {
	before := uint64(m.now.Add(-tombstoneAfter).UnixNano())
	for _, e := range slices.Clone(m.mine.all.all) {
		if e.gone && e.stamp < before {
			_ = m.set(e, true) // which does not fail
		}
	}
}

// each calls f for all entries of a sort and a room, with the node that has them.
func (m *machine) each(s sort, room string, f func(node NodeID, name string, e *entry)) {
	for _, e := range m.mine.all.all {
		if e.sort == s && e.room == room {
			f(m.id, m.name, e)
		}
	}
	for _, p := range m.peers {
		for _, e := range p.entries.all.all {
			if e.sort == s && e.room == room {
				f(p.id, p.name, e)
			}
		}
	}
}

// A watch is who wants to know of changes. It holds what has changed, not how often: so it is as long as there are
// keys, however slow its reader is.
type watch struct {
	sort  sort
	room  string
	dirty table[string]
	wake  func()
}

func (m *machine) changed(e *entry) {
	for _, w := range m.watches {
		if w.sort == e.sort && w.room == e.room {
			w.mark(e.key)
		}
	}
}

func (w *watch) mark(key string) {
	if _, in := w.dirty.by[key]; !in {
		w.dirty.put(key, key)
	}
	w.wake()
}

// next is a key that has changed.
func (w *watch) next() (key string, ok bool) {
	if len(w.dirty.all) == 0 {
		return "", false
	}
	key = w.dirty.all[0]
	w.dirty.remove(key)
	return key, true
}

func (m *machine) watch(s sort, room string, wake func()) *watch {
	w := &watch{sort: s, room: room, wake: wake}
	m.each(s, room, func(_ NodeID, _ string, e *entry) { w.mark(e.key) })
	m.watches = append(m.watches, w)
	return w
}

func (m *machine) unwatch(w *watch) {
	m.watches = slices.DeleteFunc(m.watches, func(o *watch) bool { return o == w })
}
