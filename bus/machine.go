package bus

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"
)

// A machine is a node without clock, network and goroutines: it takes the time, frames and calls, and puts what is to
// be sent into out. Its caller does one thing at a time. Time never goes back.
//
// Every node has two sides in a room, which know each other by frames alone, also on the same node:
//
//	room (a follower: it has subscribers)              seat (the owner: it orders the room)
//	away ──▶ joining ──welcome──▶ following             cur: the epoch that takes messages
//	            ▲                     │                 old: epochs that have ended, and are still read
//	            └──retired, owner lost┘
//
// The contract of the network: a frame to a node comes once, or not at all, and none overtakes another one of the same
// sender.
type machine struct {
	id     NodeID
	name   string
	limits Limits
	rand   *rand.Rand
	now    time.Time
	begun  time.Time
	ready  bool // it may own rooms
	gone   bool // it has said goodbye
	helloA time.Time
	sweepA time.Time
	lastID uint64 // of joins, channels of publishers and calls
	gens   uint64 // of peers' lives

	peers     []*peer // by id
	rooms     table[*room]
	seats     table[*seat]
	busyRooms []*room
	busySeats []*seat
	mine      entries // services, members and values
	watches   []*watch
	stamp     uint64 // of values
	calls     calls

	out    []parcel
	local  []frame // to itself
	memory int     // bytes of messages in all logs
	woken  []*room // with something new for subscribers
	stats  Stats
}

// A parcel is a frame on its way.
type parcel struct {
	to NodeID // 0: all
	f  frame
}

// A peer is another node.
type peer struct {
	id        NodeID
	name      string
	heard     time.Time
	connected bool // each hears the other
	hearsMe   bool
	ready     bool
	gen       uint64    // of its life, to me: another number after I took it for dead
	itsGen    uint64    // of my life, to it
	view      uint64    // its, as it said last
	tip       uint64    // version of its entries, as it said last
	clock     uint64    // its, as it said last, which it is told
	echo      uint64    // mine, as it has heard it last
	askA      time.Time // for entries, not before
	entries   entries
}

// newMachine is a node that begins to look for others; alone, it has none.
func newMachine(id NodeID, name string, l Limits, r *rand.Rand, now time.Time, alone bool) *machine {
	m := &machine{id: id, name: name, limits: l, rand: r, now: now, begun: now, ready: alone, sweepA: now.Add(sweepEvery)}
	if !alone {
		m.hello(flagAsk)
	}
	return m
}

// number is one that this node has not used yet.
func (m *machine) number() uint64 { m.lastID++; return m.lastID }

// send puts f into out, or has this node do it before the call from outside returns.
func (m *machine) send(to NodeID, f frame) {
	switch {
	case to == m.id:
		m.local = append(m.local, f)
	case !m.gone:
		m.out = append(m.out, parcel{to, f})
	}
}

// settleLocal does what the node has said to itself.
func (m *machine) settleLocal() {
	for i := 0; i < len(m.local); i++ {
		f := m.local[i]
		m.local[i] = frame{}
		m.do(m.id, &f)
	}
	m.local = m.local[:0]
}

// receive takes a frame. It is the machine's, and its data too.
func (m *machine) receive(now time.Time, from NodeID, f *frame) {
	m.now = now
	if from == m.id || m.gone {
		return // a broadcast comes back
	}
	if f.kind == kindHello {
		m.heard(from, f)
	} else if p := m.peer(from); p != nil && p.connected {
		m.do(from, f)
	}
	m.settleLocal()
}

// do does what from has said.
func (m *machine) do(from NodeID, f *frame) {
	switch f.kind {
	case kindOps:
		m.tookOps(from, f)
	case kindAskOps:
		m.askedOps(from, f)
	case kindJoin:
		m.joined(from, f)
	case kindMerge:
		m.mergeAsked(from, f)
	case kindMerged:
		m.mergeAnswered(f)
	case kindAck:
		m.acked(from, f)
	case kindLeave:
		m.left(from, f)
	case kindPub:
		m.published(from, f)
	case kindPubAck, kindPubNo:
		if r := m.rooms.get(f.room); r != nil {
			r.pubAnswered(from, f)
		}
	case kindWelcome, kindNotMine, kindMsg, kindGap, kindRetired:
		if r := m.rooms.get(f.room); r != nil {
			r.told(from, f)
		} else if f.kind != kindNotMine {
			m.send(from, frame{kind: kindLeave, room: f.room, epoch: f.epoch})
		}
	default:
		m.calls.do(m, from, f)
	}
}

// tick does what is due, and says when to call it next.
func (m *machine) tick(now time.Time, alone bool) (next time.Time) {
	if now.Sub(m.now) > deadAfter/2 { // it was held up itself, and has not heard what was said
		for _, p := range m.peers {
			if late := now.Add(-deadAfter / 2); p.connected && p.heard.Before(late) {
				p.heard = late
			}
		}
	}
	m.now = now
	if !alone {
		m.look()
	}
	m.busyRooms = m.tickRooms()
	m.busySeats = m.tickSeats()
	m.calls.tick(m)
	if !now.Before(m.sweepA) {
		m.sweepA = now.Add(sweepEvery)
		m.sweep()
	}
	m.settleLocal()
	next = m.sweepA
	if !alone && m.helloA.Before(next) {
		next = m.helloA
	}
	if busy := now.Add(tick); busy.Before(next) && (len(m.busyRooms) > 0 || len(m.busySeats) > 0 || m.calls.busy()) {
		next = busy
	}
	return next
}

// look is the part of tick about other nodes.
func (m *machine) look() {
	for _, p := range slices.Clone(m.peers) {
		if p.connected && m.now.Sub(p.heard) > deadAfter {
			m.lose(p)
		}
		if m.now.Sub(p.heard) > time.Minute {
			m.peers = slices.DeleteFunc(m.peers, func(q *peer) bool { return q == p })
		}
	}
	if !m.ready && m.now.Sub(m.begun) >= settle {
		m.ready = true
		m.viewChanged()
		m.hello(0)
	}
	if !m.now.Before(m.helloA) {
		m.hello(0)
	}
}

// hello greets all.
func (m *machine) hello(flags uint64) {
	m.helloA = m.now.Add(helloEvery)
	m.send(0, m.greeting(flags))
}

func (m *machine) greeting(flags uint64) frame {
	if m.ready {
		flags |= flagReady
	}
	var hears []byte
	for _, p := range m.peers {
		if m.now.Sub(p.heard) <= deadAfter {
			hears = binary.BigEndian.AppendUint64(hears, uint64(p.id))
			hears = binary.AppendUvarint(hears, p.gen)
			hears = binary.AppendUvarint(hears, p.clock)
		}
	}
	return frame{kind: kindHello, key: m.name, flags: flags, chn: m.clock(), epoch: m.view(), seq: m.mine.version,
		data: hears}
}

// peer is the one with that id; nil: unknown.
func (m *machine) peer(id NodeID) *peer {
	if i, ok := slices.BinarySearchFunc(m.peers, id, byID); ok {
		return m.peers[i]
	}
	return nil
}

func byID(p *peer, id NodeID) int {
	switch {
	case p.id < id:
		return -1
	case p.id > id:
		return 1
	}
	return 0
}

// heard takes a greeting.
func (m *machine) heard(from NodeID, f *frame) {
	i, known := slices.BinarySearchFunc(m.peers, from, byID)
	if !known {
		if f.flags&flagBye != 0 {
			return
		}
		if len(m.peers) >= m.limits.Nodes-1 {
			m.stats.Refused++
			return
		}
		m.gens++
		m.peers = slices.Insert(m.peers, i, &peer{id: from, gen: m.gens})
	}
	p := m.peers[i]
	if m.now.Sub(p.heard) > deadAfter && p.connected { // this comes before the tick that would have seen it
		m.lose(p)
	}
	p.heard, p.name = m.now, f.key
	gen, echo, hearsMe := listed(f.data, m.id)
	p.view, p.tip, p.clock, p.echo = f.epoch, f.seq, f.chn, echo
	switch ready := f.flags&flagReady != 0; {
	case f.flags&flagBye != 0:
		p.hearsMe = false
		p.heard = m.now.Add(-2 * deadAfter)
		if p.connected {
			m.lose(p)
		}
		return
	case !hearsMe && p.connected:
		m.lose(p)
	case hearsMe && !p.connected:
		p.hearsMe, p.itsGen, p.ready, p.connected = true, gen, ready, true
		m.viewChanged()
	case hearsMe && (p.itsGen != gen || p.ready != ready):
		relink := p.itsGen != gen
		p.itsGen, p.ready = gen, ready
		if relink {
			m.relink(p)
		}
		m.viewChanged()
	}
	if !known || !hearsMe || f.flags&flagAsk != 0 {
		m.send(from, m.greeting(0))
	}
	if p.connected && f.seq != p.entries.version {
		m.askOps(p)
	}
}

// listed looks an id up in a greeting.
func listed(hears []byte, id NodeID) (gen, clock uint64, ok bool) {
	for len(hears) > 8 {
		who := NodeID(binary.BigEndian.Uint64(hears))
		gen, n := binary.Uvarint(hears[8:])
		if n <= 0 {
			return 0, 0, false
		}
		clock, more := binary.Uvarint(hears[8+n:])
		if more <= 0 {
			return 0, 0, false
		}
		if who == id {
			return gen, clock, true
		}
		hears = hears[8+n+more:]
	}
	return 0, 0, false
}

// lose is the end of a peer's life, to this node.
func (m *machine) lose(p *peer) {
	p.connected, p.hearsMe = false, false
	m.stats.Lost++
	m.gens++
	p.gen = m.gens
	m.dropEntries(p)
	for _, s := range m.seats.all {
		s.lose(p.id)
	}
	for _, r := range m.rooms.all {
		r.lost(p.id)
	}
	m.calls.lost(m, p.id)
	m.viewChanged()
}

// relink begins anew with a peer that took this node for dead meanwhile, and forgot what this node follows.
func (m *machine) relink(p *peer) {
	for _, r := range m.rooms.all {
		if r.state == following && r.owner == p.id {
			r.join(p.id)
		}
	}
	for _, c := range m.calls.out {
		if c.to == p.id && c.gen != p.itsGen {
			c.end(ErrLost)
		}
	}
}

// owner is the node that is to own a room, as far as this node knows; 0: it does not know.
func (m *machine) owner(room string) (owner NodeID) {
	h := hash(room)
	var best uint64
	if m.ready {
		owner, best = m.id, mix(h^uint64(m.id))
	}
	for _, p := range m.peers {
		if w := mix(h ^ uint64(p.id)); p.connected && p.ready && (owner == 0 || w > best) {
			owner, best = p.id, w
		}
	}
	return owner
}

// hash is FNV-1a.
func hash[T string | []byte](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the last part of splitmix64, which makes each bit depend on all.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// viewChanged has rooms move to where they belong now.
func (m *machine) viewChanged() {
	for _, s := range m.seats.all {
		if s.cur != nil && m.owner(s.name) != m.id {
			s.retire()
		}
	}
	for _, r := range m.rooms.all {
		r.viewChanged()
	}
}

// sweep drops what is old.
func (m *machine) sweep() {
	for _, r := range slices.Clone(m.rooms.all) {
		r.log.expire(m, m.now.Add(-m.limits.HistoryAge))
		if r.refs == 0 && len(r.pub.queue) == 0 && (r.state == away || m.now.Sub(r.idleAt) > m.limits.Linger) {
			r.leave()
			r.log.clear(m)
			m.rooms.remove(r.name)
		}
	}
	for _, s := range slices.Clone(m.seats.all) {
		s.sweep()
	}
	m.sweepEntries()
}

// bye says goodbye, and takes and says nothing more.
func (m *machine) bye(now time.Time) {
	m.now, m.ready = now, false
	for _, s := range m.seats.all {
		if s.cur != nil {
			s.retire() // so that those who have all see that they do
		}
	}
	m.send(0, frame{kind: kindHello, key: m.name, flags: flagBye})
	m.gone = true
}

// A table has values by name, and in an order that depends on nothing but what was done to it.
type table[V any] struct {
	by  map[string]int
	all []V
	ids []string
}

func (t *table[V]) get(name string) (v V) {
	if i, ok := t.by[name]; ok {
		return t.all[i]
	}
	return v
}

func (t *table[V]) put(name string, v V) {
	if t.by == nil {
		t.by = make(map[string]int)
	}
	t.by[name] = len(t.all)
	t.all, t.ids = append(t.all, v), append(t.ids, name)
}

func (t *table[V]) remove(name string) {
	i, ok := t.by[name]
	if !ok {
		return
	}
	last := len(t.all) - 1
	t.all[i], t.ids[i] = t.all[last], t.ids[last]
	t.by[t.ids[i]] = i
	delete(t.by, name)
	var zero V
	t.all[last] = zero
	t.all, t.ids = t.all[:last], t.ids[:last]
}
