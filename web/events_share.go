package web

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// How events get from who sends them to the streams of each loop.
//
//	Send ──▶ eventLog, and a cast for each loop ──▶ share.run, on the loop, on one coroutine ──▶ Conn.TryWrite
//	                                                       └──no room──▶ the connection's Outbox, from then on
//
// An Audience would want an Outbox of each stream, and that is a third of a KiB: more than half of what one costs that
// waits. Most never need it. All casts of a loop go the same way, one stream's too, so the order is that of the calls.

// A share is the streams on one loop; or, without a loop, those that have goroutines.
type share struct {
	e    *Events
	loop *loop.Loop // nil: none
	call *loop.Call // of run

	// Under e.mu.
	all     group
	topics  map[string]*group
	queue   []eventCast
	waiting int // casts in the queue and in work
	bytes   int // of those

	// Of the loop.
	work   []eventCast
	next   int // of work
	member int // of that cast
}

// A group is streams that get the same.
type group struct {
	members []*Stream
	lent    *int // to so many casts that are under way: they must not change, but for what is appended
}

// An eventCast is one thing for some streams.
type eventCast struct {
	to     []*Stream
	lent   *int // of the group whose members they are; nil: nobody's
	p      []byte
	key    any
	except *Stream
	end    error // the streams are to end, for this
	beat   int   // a look at the streams of this slot, plus 1
}

// The bounds of what waits for a loop, which takes it up in its next turn: beyond them the loop is held by somebody. As
// with an Audience.
const (
	mostEventCasts     = 4096
	mostEventCastBytes = 16 << 20
	// eventBudget is how many streams are written to before the loop's other connections have their turn.
	eventBudget = 2048
)

// cast hands c to the streams of a topic; "": to all. e.mu is held.
func (e *Events) cast(topic string, c eventCast) error {
	missed := 0
	for _, d := range e.shares {
		g := &d.all
		if topic != "" {
			g = d.topics[topic]
		}
		if g == nil || len(g.members) == 0 {
			continue
		}
		if d.addTo(g, c) != nil {
			missed += len(g.members)
		}
	}
	if missed == 0 {
		return nil
	}
	e.missed.Add(int64(missed))
	return fmt.Errorf("web: events: a loop is held up, and its %d streams miss an event: %w", missed, plexor.ErrOutboxFull)
}

// add takes a cast in. e.mu is held.
func (d *share) add(c eventCast) error {
	if d.loop == nil {
		for _, s := range c.to {
			if s != c.except {
				s.wait.take(s, &c)
			}
		}
		return nil
	}
	full := d.waiting >= mostEventCasts || d.waiting > 0 && d.bytes+len(c.p) > mostEventCastBytes
	if full && c.end == nil {
		return plexor.ErrOutboxFull
	}
	d.waiting++
	d.bytes += len(c.p)
	if c.lent != nil {
		*c.lent++
	}
	d.queue = append(d.queue, c)
	_ = d.call.Ask() // a loop that has ended has ended its streams, or is about to
	return nil
}

// addTo takes in a cast to all of a group. e.mu is held.
func (d *share) addTo(g *group, c eventCast) error {
	if g.lent == nil {
		g.lent = new(int)
	}
	c.to, c.lent = g.members, g.lent
	return d.add(c)
}

// run does the casts. It never waits.
func (d *share) run() {
	_ = coro.On(d.loop).Start(context.Background(), "events", func(context.Context) error {
		for budget := eventBudget; budget > 0 && d.more(); {
			budget = d.do(&d.work[d.next], budget)
		}
		if d.more() {
			_ = d.call.Ask()
		}
		return nil
	})
}

// more reports whether there is anything to do.
func (d *share) more() bool {
	if d.next < len(d.work) {
		return true
	}
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	d.work, d.next, d.queue = d.queue, 0, nil
	return len(d.work) > 0
}

// do does a cast as far as the budget goes, and returns what is left of that.
func (d *share) do(c *eventCast, budget int) int {
	var packed plexor.Prepared
	made := false
	for budget > 0 && d.member < len(c.to) {
		s := c.to[d.member]
		d.member++
		switch {
		case s == c.except || s.flags&(gone|ending) != 0:
		case s.early != nil:
			if budget--; c.beat == 0 {
				d.e.mu.Lock()
				s.early.queue.take(s, c)
				d.e.mu.Unlock()
			}
		case c.end != nil:
			s.finish(c.end)
		case c.beat > 0:
			if int(s.slot) == c.beat-1 {
				s.look()
				budget--
			}
		case s.write(c.p):
			budget--
		default:
			if budget--; !made {
				packed, made = plexor.PrepareBytes(c.p), true
			}
			s.put(c.key, packed)
		}
	}
	if d.member < len(c.to) {
		return budget
	}
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	d.waiting--
	d.bytes -= len(c.p)
	if c.lent != nil {
		*c.lent--
	}
	*c = eventCast{}
	d.next++
	d.member = 0
	return budget
}

// write writes p if the connection takes it at once. One that is over takes everything.
func (s *Stream) write(p []byte) bool {
	if s.box.Load() != nil {
		return false
	}
	taken, err := s.k.c.TryWrite(p)
	if taken {
		s.flags |= fresh
		s.sent += uint32(len(p))
	}
	return taken || err != nil
}

// put puts what finds no room into the connection's Outbox.
func (s *Stream) put(key any, p plexor.Prepared) {
	box := s.box.Load()
	if box == nil {
		box = s.k.c.Outbox()
		if l := s.e.Limits; l != (plexor.OutboxLimits{}) {
			if err := box.SetLimits(l); err != nil {
				s.finish(err)
				return
			}
		}
		s.box.Store(box)
	}
	s.flags |= fresh
	if box.PutLatest(key, p) != nil && s.e.Limits.WhenFull == plexor.CloseWhenFull {
		s.because(plexor.ErrOutboxFull) // and it ends with it
	}
}

// comment is what a stream gets if there is nothing else. Some clients look for the empty line.
const comment = ":\n\n"

// look is for each stream, once in a period.
func (s *Stream) look() {
	e, waiting := s.e, s.k.c.Pending()
	taken := s.sent - uint32(waiting)
	if box := s.box.Load(); box != nil {
		taken += uint32(box.Stats().Sent)
	}
	if waiting == 0 || taken != s.taken {
		s.stuck = 0
	} else if s.stuck++; e.WriteTime >= 0 &&
		time.Duration(s.stuck)*e.period() >= orElse(e.WriteTime, defaultWriteTime) {
		s.because(ErrSlow)
		s.flags |= ending
		_ = s.k.c.Abort() // a close would wait for what the client does not take
		return
	}
	s.taken = taken
	if s.flags&fresh == 0 && e.KeepAlive >= 0 && waiting == 0 {
		s.write([]byte(comment))
	}
	s.flags &^= fresh
}

// finish ends a stream on its loop, behind what was written.
func (s *Stream) finish(why error) {
	s.because(why)
	if s.flags&(ending|gone) == 0 {
		s.flags |= ending
		_ = s.k.Go("events end", func() { _ = s.k.c.Close() }) // the reason is told; what was not taken in time is lost
	}
}

// enter has a stream begin: what is sent from here on is for it. e.mu is held.
func (e *Events) enter(s *Stream) {
	var l *loop.Loop
	if s.k != nil {
		l = s.k.c.Loop()
		s.early.queue = new(waiting)
	}
	d := e.shares[l]
	if d == nil {
		d = &share{e: e, loop: l}
		if l != nil {
			d.call = l.NewCall(d.run)
		}
		if e.shares == nil {
			e.shares = make(map[*loop.Loop]*share)
		}
		e.shares[l] = d
	}
	s.share, s.slot, s.at = d, e.slot%beatsEvery, int32(len(d.all.members))
	e.slot++
	d.all.members = append(d.all.members, s)
	for _, topic := range s.early.topics {
		d.join(s, topic)
	}
	if e.n++; e.n > 1 {
		return
	}
	if e.timer == nil {
		e.timer = time.AfterFunc(e.beatTime(), e.beat)
	} else {
		e.timer.Reset(e.beatTime())
	}
}

// leave ends a stream's part. e.mu is held.
func (e *Events) leave(s *Stream) {
	d := s.share
	if d == nil {
		return
	}
	for s.seats != nil {
		d.leave(s, (*s.seats)[0].topic)
	}
	d.all.remove(int(s.at), func(moved *Stream, at int) { moved.at = int32(at) })
	s.share = nil
	if len(d.all.members) == 0 {
		delete(e.shares, d.loop) // what is in its queue is for nobody
	}
	if e.n--; e.n == 0 {
		e.timer.Stop()
	}
}

func (d *share) join(s *Stream, topic string) {
	g := d.topics[topic]
	if g == nil {
		if d.topics == nil {
			d.topics = make(map[string]*group)
		}
		g = new(group)
		d.topics[topic] = g
	}
	if s.seats == nil {
		s.seats = new([]seat)
	}
	*s.seats = append(*s.seats, seat{topic, int32(len(g.members))})
	g.members = append(g.members, s)
}

// seatIn is the place of a topic in s.seats; -1: it has not joined.
func (s *Stream) seatIn(topic string) int {
	if s.seats == nil {
		return -1
	}
	return slices.IndexFunc(*s.seats, func(t seat) bool { return t.topic == topic })
}

func (d *share) leave(s *Stream, topic string) {
	i := s.seatIn(topic)
	if i < 0 {
		return
	}
	g := d.topics[topic]
	g.remove(int((*s.seats)[i].at), func(moved *Stream, at int) { (*moved.seats)[moved.seatIn(topic)].at = int32(at) })
	if *s.seats = slices.Delete(*s.seats, i, i+1); len(*s.seats) == 0 {
		s.seats = nil
	}
	if len(g.members) == 0 {
		delete(d.topics, topic)
	}
}

// remove takes a member out; another one takes its place.
func (g *group) remove(at int, move func(moved *Stream, at int)) {
	if g.lent != nil && *g.lent > 0 {
		g.members, g.lent = slices.Clone(g.members), nil
	}
	last := len(g.members) - 1
	moved := g.members[last]
	g.members[at], g.members[last] = moved, nil
	g.members = g.members[:last]
	move(moved, at)
}

func (e *Events) beatTime() time.Duration { return max(e.period()/beatsEvery, leastBeat) }

// beat has the streams of the next slot looked at; by the timer.
func (e *Events) beat() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.n == 0 {
		return
	}
	e.beats++
	for _, d := range e.shares {
		if d.loop != nil { // those that have a goroutine see to it themselves
			_ = d.addTo(&d.all, eventCast{beat: int(e.beats%beatsEvery) + 1}) // a loop that is held up has other worries
		}
	}
	e.timer.Reset(e.beatTime())
}

var errEventsClosed = net.ErrClosed
