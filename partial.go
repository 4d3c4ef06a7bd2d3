package plexor

import (
	"math/bits"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// The input that a loop holds and no handler could use yet: messages of which part has come, and what came for handlers
// that do not read. Each connection has a bound for it, the codec's longest message and inboxLimit; all together have
// Limits.PartialInput, and a message has Limits.FrameTime to become complete. Protocols that are read by hand say what
// they keep.
//
// A connection has an entry only while it holds such input: a message that comes in one piece costs nothing here, and a
// connection that waits for its next one neither. What an entry holds is what the buffers take, not what is in them.
//
//	bytes kept ──▶ hold ──▶ total > bound? ──▶ evict: the entry with the largest product of bytes and time
//	                 └──▶ a message has begun: sweep closes it after FrameTime, unless whole comes first
//
// The entries stand in heaps by the order of magnitude of what they hold, in each of which the one that has held for
// longest is at the top. So an eviction compares the tops alone, of which the worst is within a factor of 2 of the
// worst of all, and a peer can't make it dear by many small entries. The product is what protects those who did nothing
// wrong: a message that arrives as fast as the network carries it is held for milliseconds, whatever its length, and
// the pieces that somebody leaves lying add up by the second.

// partialInput is all of a loop. Only connections that a server has accepted are in it.
type partialInput struct {
	entries []partial
	free    int32 // the first free entry, linked by at; 0: none. An entry's number is its index plus 1
	used    int
	total   int // bytes
	most    int // Limits.PartialInput; not positive: no bound
	heaps   [bits.UintSize + 1][]int32
	epoch   time.Time // from where times count; zero: there was no entry yet

	timer   *loop.Timer // of sweepFrames; nil: there was none yet
	running bool
}

// A partial is what one connection holds.
type partial struct {
	s *stream // nil: the entry is free
	heldInput
	since time.Duration // when it began to hold anything
	begun time.Duration // when the message did that has come in part
	at    int32         // place in its heap
	heap  uint8
}

// A heldInput is memory in bytes.
type heldInput struct {
	inbox  int // for a handler that does not read
	frame  int // of a message that has come in part
	record int // of a record of TLS likewise, while messages are read
	told   int // by HoldsInput
}

func (h heldInput) size() int { return h.inbox + h.frame + h.record + h.told }

// message reports whether one has begun, and is not whole.
func (h heldInput) message() bool { return h.frame+h.record > 0 }

// sinceEpoch is the loop's time.
func (w *worker) sinceEpoch() time.Duration {
	q := &w.input
	if q.epoch.IsZero() {
		q.epoch = w.loop.Now()
	}
	return w.loop.Now().Sub(q.epoch)
}

// heldBy is what s is said to hold.
func (q *partialInput) heldBy(s *stream) heldInput {
	if s.part == 0 {
		return heldInput{}
	}
	return q.entries[s.part-1].heldInput
}

// holdInbox is told when the memory of s's inbox has changed.
func (w *worker) holdInbox(s *stream) {
	h := w.input.heldBy(s)
	if h.inbox = 0; s.in != nil {
		h.inbox = cap(s.in.b)
	}
	w.hold(s, h)
}

// whole is told that a message has become complete, or that the rest of it is not awaited.
func (w *worker) whole(s *stream) {
	if s.part != 0 {
		h := w.input.heldBy(s)
		w.hold(s, heldInput{inbox: h.inbox, told: h.told})
	}
}

// unread leaves the inbox alone: nobody awaits the rest of anything.
func (w *worker) unread(s *stream) {
	if s.part != 0 {
		w.hold(s, heldInput{inbox: w.input.heldBy(s).inbox})
	}
}

// HoldsInput is for protocols of [Turns] and [Sessions] that are read by hand: it says that n bytes of memory are
// kept, in place of what was said before, for a message that has come in part and no code can use yet. They count for
// Limits.PartialInput until something else is said, HoldsInput(0) as soon as the message is complete, or the
// connection ends: so many connections that send a part and no more can't exhaust the memory of all. The calling
// connection is reset itself if it is the one that has held most for longest: what it does next fails with
// [ErrPartialInput]. It does nothing on a connection that no server has accepted. It is for the connection's loop. How
// long the rest may take is for a read deadline to say.
func (c *Conn) HoldsInput(n int) {
	s := &c.raw
	if n = max(n, 0); n > 0 && s.is(closed|over|givenAway) {
		return // its end has given back what it was said to hold
	}
	if h := s.w.input.heldBy(s); n != h.told {
		h.told = n
		s.w.hold(s, h)
	}
}

// incomplete is for a connection that waits for more of a message: it says what is held of it.
func (c *Conn) incomplete(dec *frame.Decoder) {
	s := &c.raw
	var h heldInput
	if dec != nil {
		h.frame = dec.Held()
	}
	if c.tls != nil {
		h.record = c.tls.partial()
	}
	if h.message() || s.part != 0 {
		was := s.w.input.heldBy(s)
		h.inbox, h.told = was.inbox, was.told
		s.w.hold(s, h)
	}
}

// incompleteRecord is incomplete where what the decoder has is unchanged.
func (c *Conn) incompleteRecord() {
	s, n := &c.raw, c.tls.partial()
	if h := s.w.input.heldBy(s); n != h.record && c.is(messaging) {
		h.record = n
		s.w.hold(s, h)
	}
}

// forget removes what s is said to hold.
func (w *worker) forget(s *stream) {
	if s.part != 0 {
		w.hold(s, heldInput{})
	}
}

// hold is told what s holds now. It may have s, or others, closed to make room.
func (w *worker) hold(s *stream, h heldInput) {
	q := &w.input
	if s.part == 0 {
		if h.size() == 0 || !s.is(accepted) || s.is(closed|over|givenAway) || s.lc.Gone() {
			return // of the last: it had to go in this turn, and its handler still reads what had come
		}
		q.enter(s, w.sinceEpoch())
	}
	p := &q.entries[s.part-1]
	if h.message() && !p.message() {
		p.begun = w.sinceEpoch()
		w.timeFrames()
	}
	q.total += h.size() - p.size()
	p.heldInput = h
	if h.size() == 0 {
		q.leave(s)
		return
	}
	if k := magnitude(h.size()); k != p.heap {
		q.unlink(s.part)
		q.link(s.part, k)
	}
	for q.most > 0 && q.total > q.most && q.used > 1 {
		w.evictInput()
	}
}

func magnitude(size int) uint8 { return uint8(bits.Len(uint(size))) }

// crowded reports that a handler which does not read gets no more than it has.
func (q *partialInput) crowded() bool { return q.most > 0 && q.total >= q.most/2 }

// evictInput resets the connection that has held most for longest.
func (w *worker) evictInput() {
	q := &w.input
	now := w.sinceEpoch() + time.Millisecond // so that at one and the same time it is the largest
	var worst *partial
	most := -1.0
	for _, h := range q.heaps {
		if len(h) == 0 {
			continue
		}
		p := &q.entries[h[0]-1]
		if x := float64(p.size()) * float64(now-p.since); x > most {
			worst, most = p, x
		}
	}
	s := worst.s
	w.srv.stats.evictedInputs.Add(1)
	w.log.Debug("the loop's connections hold too much unfinished input: one is reset",
		"peer", s.String(), "bytes", worst.size())
	w.forget(s)
	if !s.is(over) {
		// The handler is told at the end of the turn; memory is given back now, as far as it can be.
		s.abort(ErrPartialInput)
		s.served().dropPart()
	}
	if s.in != nil { // its handler may be busy for long
		w.buffers.put(s.in)
		s.in = nil
	}
}

// timeFrames has sweepFrames run.
func (w *worker) timeFrames() {
	q, limit := &w.input, w.srv.limits.FrameTime
	if limit < 0 || q.running {
		return
	}
	q.running = true
	every := max(limit/sweeps, time.Millisecond)
	if q.timer == nil {
		q.timer = w.loop.AfterFunc(every, w.sweepFrames)
	} else {
		q.timer.Reset(every)
	}
}

// sweepFrames ends those of which a message takes too long. It runs only while there is one that has begun.
func (w *worker) sweepFrames() {
	q, limit := &w.input, w.srv.limits.FrameTime
	q.running = false
	now, left := w.sinceEpoch(), false
	for i := 0; i < len(q.entries); i++ { // ending one may change others
		p := &q.entries[i]
		switch {
		case !p.message():
			continue
		case p.s.lc.Full():
			p.begun = now // we do not read
		case now-p.begun >= limit:
			p.s.tooSlow()
			continue
		}
		left = true
	}
	if left {
		w.timeFrames()
	}
}

// tooSlow closes a connection a message of which takes too long.
func (s *stream) tooSlow() {
	s.w.srv.stats.slowFrames.Add(1)
	s.w.log.Debug("a message did not become complete in time: the connection is closed", "peer", s.String())
	s.w.whole(s)
	s.served().tooSlow()
}

// enter makes an entry for s, in the heap of what holds nothing.
func (q *partialInput) enter(s *stream, now time.Duration) {
	if q.free == 0 {
		q.entries = append(q.entries, partial{})
		q.free = int32(len(q.entries))
	}
	s.part = q.free
	p := &q.entries[s.part-1]
	q.free = p.at
	*p = partial{s: s, since: now}
	q.used++
	q.link(s.part, 0)
}

// mostEntries is how many entries are kept when none is used, of 56 bytes each.
const mostEntries = 4096

func (q *partialInput) leave(s *stream) {
	q.unlink(s.part)
	q.entries[s.part-1] = partial{at: q.free}
	q.free, s.part = s.part, 0
	if q.used--; q.used == 0 && len(q.entries) > mostEntries {
		q.entries, q.free = nil, 0
		clear(q.heaps[:])
	}
}

// link puts an entry into a heap.
func (q *partialInput) link(part int32, heap uint8) {
	q.entries[part-1].heap = heap
	q.heaps[heap] = append(q.heaps[heap], part)
	q.rise(heap, len(q.heaps[heap])-1, part)
}

func (q *partialInput) unlink(part int32) {
	p := &q.entries[part-1]
	h := q.heaps[p.heap]
	last := len(h) - 1
	moved := h[last]
	q.heaps[p.heap] = h[:last]
	if moved != part {
		q.sink(p.heap, int(p.at), moved)
		q.rise(p.heap, int(q.entries[moved-1].at), moved)
	}
}

// rise puts an entry at place i of a heap, or above it, where it belongs.
func (q *partialInput) rise(heap uint8, i int, part int32) {
	h := q.heaps[heap]
	for i > 0 && q.older(part, h[(i-1)/2]) {
		q.place(h, i, h[(i-1)/2])
		i = (i - 1) / 2
	}
	q.place(h, i, part)
}

// sink puts it at place i or below.
func (q *partialInput) sink(heap uint8, i int, part int32) {
	h := q.heaps[heap]
	for {
		child := 2*i + 1
		if child+1 < len(h) && q.older(h[child+1], h[child]) {
			child++
		}
		if child >= len(h) || !q.older(h[child], part) {
			break
		}
		q.place(h, i, h[child])
		i = child
	}
	q.place(h, i, part)
}

func (q *partialInput) place(h []int32, i int, part int32) {
	h[i] = part
	q.entries[part-1].at = int32(i)
}

func (q *partialInput) older(a, b int32) bool { return q.entries[a-1].since < q.entries[b-1].since }
