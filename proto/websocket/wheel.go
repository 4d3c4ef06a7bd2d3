package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

// A wheel asks the silent among the sockets of a handler on an engine, by one timer for all. A socket lies in the
// slot of the tick in which it is looked at next; one that was heard meanwhile is put into a later one. So a message
// costs no clock and no lock, and a socket is looked at once in Options.PingEvery.
//
//	tick ──▶ its slot ──heard──▶ a later slot
//	             ├──silent for PingEvery──▶ a ping, and a later slot
//	             └──no answer for PongWait──▶ it is given up with ErrNoPong
type wheel struct {
	every, wait uint32 // in ticks; every 0: there are no pings
	tick        time.Duration
	now         atomic.Uint32

	mu    sync.Mutex
	slots [wheelSlots]*Socket
	n     int
	timer *time.Timer
}

// ticksEvery is into how many ticks PingEvery is divided; wheelSlots is how far ahead a slot may be.
const (
	ticksEvery = 8
	wheelSlots = 16
	leastTick  = time.Millisecond
)

// A pulse is a Socket's part in a wheel.
type pulse struct {
	heard      atomic.Uint32 // tick in which bytes came last
	pinged     uint32        // when it was asked, if asked
	asked      bool
	in         bool
	slot       uint8
	next, prev *Socket
}

func (w *wheel) init(o *Options) {
	if o.PingEvery <= 0 {
		return
	}
	w.tick = max(o.PingEvery/ticksEvery, leastTick)
	w.every = uint32((o.PingEvery + w.tick - 1) / w.tick)
	w.wait = uint32(min((orElse(o.PongWait, defaultPongWait)+w.tick-1)/w.tick+1, 1<<30))
}

// hear notes that bytes came.
func (s *Socket) hear() {
	if w := &s.e.wheel; w.every != 0 {
		s.heard.Store(w.now.Load())
	}
}

func (w *wheel) add(s *Socket) {
	if w.every == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.heard.Store(w.now.Load())
	w.put(s, w.every)
	if w.n++; w.n == 1 {
		if w.timer == nil {
			w.timer = time.AfterFunc(w.tick, w.turn)
		} else {
			w.timer.Reset(w.tick)
		}
	}
}

func (w *wheel) remove(s *Socket) {
	if w.every == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.in {
		return
	}
	w.take(s)
	if w.n--; w.n == 0 {
		w.timer.Stop()
	}
}

// put lays s into the slot in so many ticks.
func (w *wheel) put(s *Socket, in uint32) {
	s.slot = uint8((w.now.Load() + min(max(in, 1), wheelSlots-1)) % wheelSlots)
	first := &w.slots[s.slot]
	s.next, s.prev, s.in = *first, nil, true
	if *first != nil {
		(*first).prev = s
	}
	*first = s
}

func (w *wheel) take(s *Socket) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		w.slots[s.slot] = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.next, s.prev, s.in = nil, nil, false
}

// turn looks at those of the next slot.
func (w *wheel) turn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		return
	}
	now := w.now.Add(1)
	for s := w.slots[now%wheelSlots]; s != nil; {
		next := s.next
		w.take(s)
		w.put(s, w.look(s, now))
		s = next
	}
	w.timer.Reset(w.tick)
}

// look reports in how many ticks s is to be looked at again.
func (w *wheel) look(s *Socket, now uint32) uint32 {
	heard := s.heard.Load()
	silent := now - heard
	if s.asked && int32(heard-s.pinged) >= 0 {
		s.asked = false
	}
	switch {
	case s.asked && now-s.pinged >= w.wait:
		s.because(ErrNoPong)
		_ = s.link.Go("websocket end", func() { _ = s.link.Abort() })
		return wheelSlots
	case s.asked:
		return w.wait - (now - s.pinged)
	case silent < w.every:
		return w.every - silent
	}
	s.asked, s.pinged = true, now
	_ = s.link.Go("websocket ping", s.ping)
	return w.wait
}

// ping sends one. It is for a coroutine of the loop.
func (s *Socket) ping() {
	if s.closing() {
		return
	}
	b := AppendControl(getBuffer(), PingFrame, nil, nil)
	_, _ = s.link.Write(b) // one that fails has no answer
	putBuffer(b)
}
