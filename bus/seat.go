package bus

import (
	"slices"
	"time"
)

// A seat is the owner's side of a room.
type seat struct {
	m     *machine
	name  string
	cur   *epoch   // nil: the room has another owner
	old   []*epoch // those that have ended
	pubs  []*publisher
	busy  bool
	usedA time.Time
}

// An epoch is the messages from 1 on, as this node has ordered them.
type epoch struct {
	id      uint64
	last    uint64 // message
	log     logbook
	links   []*link
	had     []NodeID // who has ever joined
	before  uint64   // the epoch that this one follows; 0: none is known
	parents []uint64 // epochs that have ended in this one, that among them
	retired time.Time
	merged  bool // the next owner knows of it
	mergeA  time.Time
}

// A link is a follower of an epoch. What it has not acknowledged after a while is sent again from there on.
type link struct {
	node   NodeID
	joinID uint64
	start  uint64
	acked  uint64
	sent   uint64 // at most window messages and windowBytes are under way, the last of which may be longer
	backA  time.Time
	holeA  time.Time
}

// A publisher is a node that publishes. It numbers its messages in a channel, of which it has one at a time.
type publisher struct {
	node   NodeID
	chn    uint64
	last   uint64 // number that was taken
	closed bool
	recent [window]Position // of the last numbers, by number
}

func (e *epoch) ended() bool { return !e.retired.IsZero() }

// first is the number of the first message that is still there.
func (e *epoch) first() uint64 { return e.last + 1 - uint64(len(e.log.entries)) }

// seat is the one of a room, made if there is none.
func (m *machine) seat(name string) *seat {
	s := m.seats.get(name)
	if s == nil {
		s = &seat{m: m, name: name}
		m.seats.put(name, s)
	}
	s.usedA = m.now
	if s.cur == nil {
		s.cur = &epoch{id: m.rand.Uint64() | 1}
		m.stats.Epochs++
	}
	return s
}

// retire ends the epoch. Who follows it gets the rest, and is told.
func (s *seat) retire() {
	e := s.cur
	s.cur = nil
	e.retired = s.m.now
	s.old = append(s.old, e)
	for _, p := range s.pubs {
		p.closed = true
	}
	for _, l := range e.links {
		s.pump(e, l)
	}
	s.wake()
}

func (s *seat) wake() {
	if !s.busy {
		s.busy = true
		s.m.busySeats = append(s.m.busySeats, s)
	}
}

// epochs are all that can be read.
func (s *seat) epochs() []*epoch {
	if s.cur == nil {
		return s.old
	}
	return append(slices.Clone(s.old), s.cur)
}

// joined takes somebody in, where he is if the epoch is known, or at the begin of the present one.
//
// A follower that comes back to an epoch from another one would get messages of it behind those of another, and again
// those that it had: so then the epoch ends, and all begin a new one.
func (m *machine) joined(from NodeID, f *frame) {
	s := m.seats.get(f.room)
	if s != nil && f.flags&flagFresh == 0 {
		for _, e := range s.epochs() {
			behind := f.seq < e.last || f.seq == e.last && !e.ended()
			if e.id == f.epoch && behind {
				s.welcome(e, from, f, f.seq)
				return
			}
		}
	}
	if m.owner(f.room) != m.id {
		m.send(from, frame{kind: kindNotMine, room: f.room, chn: f.chn})
		return
	}
	s = m.seat(f.room)
	for _, l := range s.cur.links {
		if l.node == from && l.joinID == f.chn { // it has not heard the welcome
			s.welcome(s.cur, from, f, l.start)
			return
		}
	}
	start := uint64(0)
	switch {
	case f.flags&flagFresh != 0:
		start = s.cur.first() - 1
	case slices.Contains(s.cur.had, from):
		s.merge(f.epoch)
		ended := s.cur.id
		s.retire()
		s = m.seat(f.room)
		s.merge(ended)
		fallthrough
	default:
		s.merge(f.epoch)
	}
	s.welcome(s.cur, from, f, start)
}

// merge takes note that an epoch has ended, and whoever was in it joins this one. Those who are in this one already,
// and were not in that one, have missed what it had: they are told.
func (s *seat) merge(ended uint64) {
	e := s.cur
	if slices.Contains(e.parents, ended) {
		return
	}
	if e.before == 0 {
		e.before = ended
	}
	if len(e.parents) == mostParents {
		e.parents = slices.Delete(e.parents, 0, 1)
	}
	e.parents = append(e.parents, ended)
	if len(e.had) > 0 {
		s.order(Event{Kind: Gap, apart: true})
	}
}

// mostParents bounds the list. One that is forgotten is told again if it comes up again.
const mostParents = 16

// mergeAsked is the former owner's word.
func (m *machine) mergeAsked(from NodeID, f *frame) {
	if m.owner(f.room) != m.id {
		return // it asks again, or somebody else
	}
	m.seat(f.room).merge(f.epoch)
	m.send(from, frame{kind: kindMerged, room: f.room, epoch: f.epoch})
}

// mergeAnswered is the next owner's.
func (m *machine) mergeAnswered(f *frame) {
	if s := m.seats.get(f.room); s != nil {
		for _, e := range s.old {
			e.merged = e.merged || e.id == f.epoch
		}
	}
}

func (s *seat) welcome(e *epoch, from NodeID, f *frame, start uint64) {
	s.usedA = s.m.now
	for _, e := range s.epochs() {
		e.links = slices.DeleteFunc(e.links, func(l *link) bool { return l.node == from })
	}
	l := &link{node: from, joinID: f.chn, start: start, acked: start, sent: start}
	e.links = append(e.links, l)
	if !slices.Contains(e.had, from) {
		e.had = append(e.had, from)
	}
	answer := frame{kind: kindWelcome, room: s.name, chn: f.chn, epoch: e.id, seq: start, n: e.last}
	if e.before == f.epoch {
		answer.flags = flagNext
	}
	s.m.send(from, answer)
	s.pump(e, l)
	s.wake()
}

// pump sends a follower what it may have.
func (s *seat) pump(e *epoch, l *link) {
	if l.sent == l.acked {
		l.backA = s.m.now.Add(resendAfter)
	}
	first := e.first()
	bytes := 0 // under way
	for i := max(l.acked+1, first); i <= l.sent; i++ {
		bytes += len(e.log.entries[i-first].Data)
	}
	for l.sent < e.last && bytes < windowBytes && (l.sent < first || l.sent-max(l.acked, first-1) < window) {
		if l.sent+1 < first {
			l.sent = first - 1
			s.m.send(l.node, frame{kind: kindGap, room: s.name, epoch: e.id, seq: l.sent})
			continue
		}
		l.sent++
		was := &e.log.entries[l.sent-first]
		bytes += len(was.Data)
		f := frame{kind: kindMsg, room: s.name, epoch: e.id, seq: l.sent, data: was.Data}
		if was.apart {
			f.flags = flagApart
		}
		s.m.send(l.node, f)
	}
	if e.ended() && l.sent == e.last {
		s.m.send(l.node, frame{kind: kindRetired, room: s.name, epoch: e.id, seq: e.last})
	}
	if l.acked < e.last {
		s.wake()
	}
}

// find is a follower's link.
func (m *machine) find(from NodeID, f *frame) (s *seat, e *epoch, l *link) {
	if s = m.seats.get(f.room); s == nil {
		return nil, nil, nil
	}
	for _, e := range s.epochs() {
		if e.id != f.epoch {
			continue
		}
		for _, l := range e.links {
			if l.node == from {
				return s, e, l
			}
		}
	}
	return s, nil, nil
}

func (m *machine) acked(from NodeID, f *frame) {
	s, e, l := m.find(from, f)
	if l == nil || f.seq > e.last {
		return
	}
	if f.seq > l.acked {
		l.acked, l.backA = f.seq, m.now.Add(resendAfter)
		l.sent = max(l.sent, l.acked)
	}
	if f.flags&flagHole != 0 && m.now.Sub(l.holeA) >= tick && l.sent > l.acked {
		l.holeA, l.sent = m.now, l.acked
		m.stats.Resent++
	}
	s.pump(e, l)
}

func (m *machine) left(from NodeID, f *frame) {
	if _, e, l := m.find(from, f); l != nil {
		e.links = slices.DeleteFunc(e.links, func(o *link) bool { return o == l })
	}
}

// lose forgets a node that is gone.
func (s *seat) lose(id NodeID) {
	for _, e := range s.epochs() {
		e.links = slices.DeleteFunc(e.links, func(l *link) bool { return l.node == id })
	}
}

// published takes a message, once and in its publisher's order, or says that it does not.
//
// A channel that is not known begins with its first message, and not with one that is sent again: that may have been
// refused before, and then be on its way to another owner.
func (m *machine) published(from NodeID, f *frame) {
	s := m.seats.get(f.room)
	mine := m.owner(f.room) == m.id
	if s == nil && mine {
		s = m.seat(f.room)
	}
	var p *publisher
	if s != nil {
		p = s.publisher(from, f, mine)
	}
	switch {
	case p == nil || p.chn != f.chn:
		m.send(from, frame{kind: kindPubNo, room: f.room, chn: f.chn, n: 1})
	case f.seq <= p.last && p.last-f.seq < window:
		at := p.recent[f.seq%window]
		m.send(from, frame{kind: kindPubAck, room: f.room, chn: f.chn, n: f.seq, epoch: at.Epoch, seq: at.Seq})
	case p.closed || !mine:
		p.closed = true
		m.send(from, frame{kind: kindPubNo, room: f.room, chn: f.chn, n: p.last + 1})
	case f.seq == p.last+1:
		p.last++
		s = m.seat(f.room)
		at := s.order(Event{Kind: Message, Data: f.data})
		p.recent[p.last%window] = at
		m.send(from, frame{kind: kindPubAck, room: f.room, chn: f.chn, n: f.seq, epoch: at.Epoch, seq: at.Seq})
	}
}

// publisher is the one of a node, with the channel of f if that can begin.
func (s *seat) publisher(node NodeID, f *frame, mine bool) *publisher {
	var p *publisher
	for _, q := range s.pubs {
		if q.node == node {
			p = q
		}
	}
	begins := mine && f.seq == 1 && f.flags&flagHole == 0
	if begins && (p == nil || p.chn < f.chn) {
		if p == nil {
			p = &publisher{node: node}
			s.pubs = append(s.pubs, p)
		}
		p.chn, p.last, p.closed = f.chn, 0, false
	}
	return p
}

// order gives an event the next number.
func (s *seat) order(ev Event) Position {
	e := s.cur
	e.last++
	at := Position{e.id, e.last}
	e.log.add(s.m, ev, s.m.now)
	s.m.stats.Ordered++
	for _, l := range e.links {
		if l.sent == e.last-1 {
			s.pump(e, l)
		}
	}
	return at
}

// tickSeats sends again what was not acknowledged.
func (m *machine) tickSeats() (busy []*seat) {
	for _, s := range m.busySeats {
		if s.busy = s.tick(); s.busy {
			busy = append(busy, s)
		}
	}
	return busy
}

func (s *seat) tick() (busy bool) {
	for _, e := range s.epochs() {
		for _, l := range e.links {
			if l.acked == e.last && !e.ended() {
				continue
			}
			busy = true
			if !s.m.now.Before(l.backA) {
				if l.sent > l.acked {
					s.m.stats.Resent++
				}
				l.sent, l.backA = l.acked, s.m.now.Add(resendAfter)
				s.pump(e, l)
			}
		}
	}
	s.old = slices.DeleteFunc(s.old, func(e *epoch) bool {
		s.tellNext(e)
		age := s.m.now.Sub(e.retired)
		if len(e.links) == 0 || age > retireLimit {
			e.log.clear(s.m)
			e.links = nil
		}
		return e.links == nil && (e.merged || age > s.m.limits.HistoryAge)
	})
	return busy || len(s.old) > 0
}

// tellNext tells the next owner of an epoch that has ended, until that knows.
func (s *seat) tellNext(e *epoch) {
	m := s.m
	next := m.owner(s.name)
	switch {
	case e.merged || next == 0 || m.now.Before(e.mergeA):
	case next == m.id:
		e.merged = true
		if s.cur != nil {
			s.merge(e.id)
		}
	default:
		e.mergeA = m.now.Add(resendAfter)
		m.send(next, frame{kind: kindMerge, room: s.name, epoch: e.id})
	}
}

// sweep drops old messages, and the seat if nobody has used it for as long as messages are kept.
func (s *seat) sweep() {
	m := s.m
	for _, e := range s.epochs() {
		e.log.expire(m, m.now.Add(-m.limits.HistoryAge))
	}
	s.pubs = slices.DeleteFunc(s.pubs, func(p *publisher) bool { return p.node != m.id && m.peer(p.node) == nil })
	patience := m.limits.HistoryAge
	if len(m.seats.all) > m.limits.Rooms {
		patience = retireLimit
	}
	if e := s.cur; len(s.old) == 0 && (e == nil || len(e.links) == 0) && m.now.Sub(s.usedA) > patience && !s.busy {
		if e != nil {
			e.log.clear(m)
		}
		m.seats.remove(s.name)
	}
}
