package bus

import (
	"slices"
	"time"
)

// A state is where a follower is.
type state uint8

const (
	away      state = iota // nobody here wants the room
	joining                // its owner was asked, or is not known
	following              // its owner sends what comes
)

// A room is the follower's side: what subscribers of this node see.
type room struct {
	m      *machine
	name   string
	refs   int       // subscribers and others who hold it
	idleAt time.Time // since then there are none
	state  state
	owner  NodeID // that was asked, or is followed; 0: not known

	has      bool     // there is a position: it was in an epoch
	pos      Position // of the last message that came
	complete bool     // that was the epoch's last
	tip      uint64   // the last message that there was when it joined
	caught   bool     // up to that

	joinID  uint64
	askAt   time.Time
	ackDue  int
	strayAt time.Time // since then another node should own the room; zero: no

	log  logbook
	subs []*cursor
	pub  pubs
	busy bool
	woke bool
}

// room is the one with that name, made if there is none.
func (m *machine) room(name string) (*room, error) {
	r := m.rooms.get(name)
	switch {
	case r != nil:
		return r, nil
	case len(name) > mostName:
		return nil, ErrTooLong
	case len(m.rooms.all) >= m.limits.Rooms:
		return nil, ErrFull
	}
	r = &room{m: m, name: name}
	m.rooms.put(name, r)
	return r, nil
}

// hold has the node follow the room, until as many drops.
func (r *room) hold() {
	r.refs++
	if r.state == away {
		r.join(r.m.owner(r.name))
	}
}

func (r *room) drop() {
	r.refs--
	r.idleAt = r.m.now
}

// wake has tick come to the room.
func (r *room) wake() {
	if !r.busy {
		r.busy = true
		r.m.busyRooms = append(r.m.busyRooms, r)
	}
}

// join asks a node for the room.
func (r *room) join(owner NodeID) {
	r.state, r.owner, r.joinID = joining, owner, r.m.number()
	r.strayAt = time.Time{}
	r.ackDue = 0
	r.ask()
	r.wake()
}

// ask sends the request, and again when nothing has come.
func (r *room) ask() {
	r.askAt = r.m.now.Add(resendAfter)
	if r.owner == 0 {
		return
	}
	f := frame{kind: kindJoin, room: r.name, chn: r.joinID, epoch: r.pos.Epoch, seq: r.pos.Seq}
	if !r.has {
		f.flags = flagFresh
	}
	r.m.send(r.owner, f)
}

// leave ends it.
func (r *room) leave() {
	if r.state == following {
		r.m.send(r.owner, frame{kind: kindLeave, room: r.name, epoch: r.pos.Epoch})
	}
	r.state, r.owner, r.has = away, 0, false
	r.strayAt = time.Time{}
}

// told is what the owner says.
func (r *room) told(from NodeID, f *frame) {
	switch {
	case f.kind == kindWelcome:
		r.welcomed(from, f)
		return
	case f.kind == kindNotMine:
		if r.state == joining && from == r.owner && f.chn == r.joinID {
			r.owner = 0 // ask decides anew who it is
			r.askAt = r.m.now.Add(resendAfter / 2)
		}
		return
	case r.state != following || from != r.owner || f.epoch != r.pos.Epoch:
		if r.state != joining || from != r.owner {
			r.m.send(from, frame{kind: kindLeave, room: r.name, epoch: f.epoch})
		}
		return
	}
	switch {
	case f.kind == kindMsg && f.seq == r.pos.Seq+1 && f.flags&flagApart != 0:
		r.skip(f.seq, Event{Kind: Gap, Pos: r.pos, Missed: 1, apart: true})
	case f.kind == kindMsg && f.seq == r.pos.Seq+1:
		r.pos.Seq = f.seq
		r.add(Event{Kind: Message, Pos: r.pos, Data: f.data})
		r.ack(0)
	case f.kind == kindGap && f.seq > r.pos.Seq:
		r.skip(f.seq, Event{Kind: Gap, Pos: r.pos, Missed: f.seq - r.pos.Seq})
	case f.kind == kindRetired && f.seq == r.pos.Seq:
		r.complete = true
		r.m.send(from, frame{kind: kindLeave, room: r.name, epoch: f.epoch})
		r.join(r.m.owner(r.name))
	case f.seq > r.pos.Seq:
		r.ack(flagHole)
	default:
		r.ack(0) // it has not heard of the last ones
	}
}

// welcomed begins an epoch, or goes on with it.
func (r *room) welcomed(from NodeID, f *frame) {
	same := r.has && r.pos.Epoch == f.epoch
	switch {
	case r.state != joining || from != r.owner || f.chn != r.joinID:
		switch {
		case r.state == joining && from == r.owner: // it is asked again, and a farewell would undo what it does then
		case r.state != following || from != r.owner || f.epoch != r.pos.Epoch:
			r.m.send(from, frame{kind: kindLeave, room: r.name, epoch: f.epoch})
		}
		return
	case same && f.seq != r.pos.Seq: // such an owner does not do what is agreed
		r.m.stats.Refused++
		return
	}
	r.state = following
	if !same {
		if r.has {
			r.add(Event{Kind: NewEpoch, Pos: r.pos, Complete: r.complete && f.flags&flagNext != 0})
		}
		r.pos = Position{f.epoch, f.seq}
		r.has, r.complete = true, false
	}
	r.tip = f.n
	r.pub.target(r)
	r.notify()
}

// add has subscribers see an event.
func (r *room) add(e Event) {
	r.log.add(r.m, e, r.m.now)
	if e.Kind == Message {
		r.m.stats.Received++
	} else {
		r.m.stats.Gaps++
	}
	r.notify()
}

// skip has subscribers see a gap, behind which the message with that number is the last one.
func (r *room) skip(to uint64, gap Event) {
	r.add(gap)
	r.pos.Seq = to
	r.notify() // the room may have caught up by that
	r.ack(0)
}

// notify tells the machine's owner that there is something for subscribers.
func (r *room) notify() {
	if !r.caught && r.has && r.pos.Seq >= r.tip {
		r.caught = true
		for _, c := range r.subs {
			c.begin()
		}
	}
	if !r.woke && len(r.subs) > 0 {
		r.woke = true
		r.m.woken = append(r.m.woken, r)
	}
}

// ackEvery is after how many messages a follower says that it has them; else it does with the next tick.
const ackEvery = window / 4

func (r *room) ack(flags uint64) {
	r.ackDue++
	if flags == 0 && r.ackDue < ackEvery && r.owner != r.m.id {
		r.wake()
		return
	}
	r.ackDue = 0
	r.m.send(r.owner, frame{kind: kindAck, room: r.name, epoch: r.pos.Epoch, seq: r.pos.Seq, flags: flags})
}

// lost is the end of a node.
func (r *room) lost(id NodeID) {
	r.pub.lost(r, id)
	if r.state != away && r.owner == id {
		r.join(r.m.owner(r.name))
	}
}

// viewChanged looks who should own the room. Who owns it now is followed to the end, which it tells; but not for ever
// if it does not know of the other one.
func (r *room) viewChanged() {
	owner := r.m.owner(r.name)
	switch {
	case r.state == joining && owner != r.owner && !r.m.connected(r.owner):
		r.join(owner)
	case r.state == following && owner != r.owner && r.strayAt.IsZero():
		r.strayAt = r.m.now
		r.wake()
	case owner == r.owner:
		r.strayAt = time.Time{}
	}
}

func (m *machine) connected(id NodeID) bool {
	p := m.peer(id)
	return id == m.id || p != nil && p.connected
}

// tickRooms does what is due in rooms that wait for something.
func (m *machine) tickRooms() (busy []*room) {
	for _, r := range m.busyRooms {
		if r.busy = r.tick(); r.busy {
			busy = append(busy, r)
		}
	}
	return busy
}

func (r *room) tick() (busy bool) {
	m := r.m
	if r.state == joining && !m.now.Before(r.askAt) {
		if owner := m.owner(r.name); owner != r.owner {
			r.join(owner)
		} else {
			r.ask()
		}
	}
	if r.state == following && r.ackDue > 0 {
		r.ackDue = ackEvery
		r.ack(0)
	}
	if !r.strayAt.IsZero() && r.state == following && m.now.Sub(r.strayAt) > strayAfter {
		m.send(r.owner, frame{kind: kindLeave, room: r.name, epoch: r.pos.Epoch})
		r.join(m.owner(r.name))
	}
	r.pub.tick(r)
	return r.state == joining || !r.strayAt.IsZero() || len(r.pub.queue) > 0
}

// A place is how far a cursor is.
type place struct {
	at    uint64   // index in the log
	known bool     // at is: the room had caught up when this subscriber came, or has since
	gap   bool     // it asked for what there is no more
	last  Position // message that it had
}

// A cursor is a subscriber's place in a room's log.
type cursor struct {
	place
	r     *room
	index int        // in r.subs
	after Position   // where it is to begin: behind this one
	had   []Position // the last that it had of other epochs
	wake  func()     // there is something; called from any goroutine, when there may no longer be
}

// subscribe adds a subscriber behind a position; none: from now on.
//
// After are the positions that it has had, the newest last; of an epoch the last is enough.
func (r *room) subscribe(after []Position, wake func()) *cursor {
	c := &cursor{r: r, wake: wake}
	if len(after) > 0 {
		after = after[max(0, len(after)-mostHad):]
		c.after, c.had = after[len(after)-1], slices.Clone(after)
		c.last = c.after
	}
	r.hold()
	c.index = len(r.subs)
	r.subs = append(r.subs, c)
	if r.caught {
		c.begin()
	} else if len(after) == 0 && r.has {
		c.after = Position{r.pos.Epoch, r.tip}
		c.had = []Position{c.after}
	}
	return c
}

func (c *cursor) end() {
	if r := c.r; r != nil {
		last := len(r.subs) - 1
		r.subs[c.index] = r.subs[last]
		r.subs[c.index].index = c.index
		r.subs[last] = nil
		r.subs = r.subs[:last]
		r.drop()
		c.r = nil
	}
}

// begin finds where to begin.
func (c *cursor) begin() {
	b := &c.r.log
	c.known = true
	c.at = b.end()
	if c.after == (Position{}) {
		c.last = c.r.pos
		return
	}
	for i, e := range b.entries {
		first, last := e.Pos.Seq, e.Pos.Seq // the messages that this event tells of
		switch {
		case e.Pos.Epoch != c.after.Epoch:
			continue
		case e.Kind == Gap:
			first, last = last+1, last+e.Missed
		case e.Kind == NewEpoch:
			c.at, c.gap = b.begin+uint64(i), last != c.after.Seq
			return
		}
		if last > c.after.Seq {
			c.at, c.gap = b.begin+uint64(i), first > c.after.Seq+1
			return
		}
	}
	in := c.r.pos.Epoch == c.after.Epoch
	c.gap = !in || c.after.Seq < c.r.pos.Seq // in: it has all, or more than this node
	c.at = b.end()
}

// idle reports that there is no next event.
func (c *cursor) idle() bool { return c.r != nil && c.known && !c.gap && c.at == c.r.log.end() }

// next is the next event, if there is one.
func (c *cursor) next() (e Event, ok bool) {
	if c.r == nil || !c.known {
		return e, false
	}
	b := &c.r.log
	switch {
	case c.at < b.begin:
		c.at, c.gap = b.begin, true
		fallthrough
	case c.gap:
		c.gap = false
		next := Position{c.r.pos.Epoch, c.r.pos.Seq + 1}
		if c.at < b.end() {
			next = b.entries[c.at-b.begin].Pos
			if b.entries[c.at-b.begin].Kind != Message {
				next.Seq++
			}
		}
		e = Event{Kind: Gap, Pos: c.last}
		if next.Epoch == c.last.Epoch && next.Seq > c.last.Seq {
			e.Missed = next.Seq - c.last.Seq - 1
			c.last.Seq = next.Seq - 1
			if e.Missed == 0 {
				break // no message was lost
			}
		}
		return e, true
	}
	for c.at < b.end() {
		e = b.entries[c.at-b.begin].Event
		c.at++
		if e.Kind != NewEpoch && c.hasHad(Position{e.Pos.Epoch, e.Pos.Seq + e.Missed}) {
			continue // from another node
		}
		if e.Kind == Message {
			c.last = e.Pos
		}
		if e.apart {
			e.Missed = 0
		}
		return e, true
	}
	return Event{}, false
}

// mostHad is how many positions of a subscriber are looked at.
const mostHad = 8

// hasHad reports whether the subscriber came with that position or a later one of that epoch.
func (c *cursor) hasHad(p Position) bool {
	return slices.ContainsFunc(c.had, func(h Position) bool { return h.Epoch == p.Epoch && p.Seq <= h.Seq })
}
