package loop

import (
	"math"
	"time"
)

// A Timer calls a function once, on its loop, when its time has come. Timers of a loop live in a heap of four
// children a node, ordered by time and then by the order in which they were set: to set or stop one of n takes
// O(log n), to know the next one takes nothing. A wheel would set in O(1), but rounds times to its ticks, and a
// connection's deadlines, of which there are most, seldom touch the heap at all (see Conn.SetReadDeadline).
type Timer struct {
	loop *Loop
	f    func()
	when int64  // the loop's nanoseconds
	seq  uint64 // equal times run in the order in which they were set
	at   int32  // place in the heap plus one; 0: not set
}

// AfterFunc returns a Timer that calls f on the loop once d has passed, never earlier. A d of zero or less means
// as soon as possible, in a turn after this one's timers.
func (l *Loop) AfterFunc(d time.Duration, f func()) *Timer {
	t := &Timer{loop: l, f: f}
	t.Reset(d)
	return t
}

// Reset sets the timer anew, whether it has run, was stopped or still waits; it reports whether it was waiting.
func (t *Timer) Reset(d time.Duration) bool {
	return t.set(after(t.loop.readClock(), max(d, 0)))
}

// after is now and d, or the end of time if that comes first.
func after(now int64, d time.Duration) int64 {
	if t := now + int64(d); t >= now {
		return t
	}
	return math.MaxInt64
}

func (t *Timer) set(when int64) bool {
	was := t.Stop()
	t.when = max(when, t.loop.now)
	t.loop.timers.push(t)
	return was
}

// Stop keeps the timer from running; it reports whether it was still waiting.
func (t *Timer) Stop() bool {
	if t.at == 0 {
		return false
	}
	t.loop.timers.remove(int(t.at) - 1)
	return true
}

// timerHeap is a 4-ary min-heap. The times stand next to the pointers so that a comparison stays in the slice.
type timerHeap struct {
	slots []timerSlot
	seq   uint64
}

type timerSlot struct {
	when int64
	t    *Timer
}

func (a timerSlot) before(b timerSlot) bool {
	return a.when < b.when || a.when == b.when && a.t.seq < b.t.seq
}

func (h *timerHeap) push(t *Timer) {
	h.seq++
	t.seq = h.seq
	h.slots = append(h.slots, timerSlot{})
	h.up(len(h.slots)-1, timerSlot{t.when, t})
}

func (h *timerHeap) remove(i int) {
	h.slots[i].t.at = 0
	last := len(h.slots) - 1
	s := h.slots[last]
	h.slots[last] = timerSlot{}
	h.slots = h.slots[:last]
	if i == last {
		return
	}
	if i > 0 && s.before(h.slots[(i-1)/4]) {
		h.up(i, s)
	} else {
		h.down(i, s)
	}
}

// up puts s in place i or above it; down puts it in place i or below it.
func (h *timerHeap) up(i int, s timerSlot) {
	for i > 0 {
		p := (i - 1) / 4
		if !s.before(h.slots[p]) {
			break
		}
		h.put(i, h.slots[p])
		i = p
	}
	h.put(i, s)
}

func (h *timerHeap) down(i int, s timerSlot) {
	for {
		first := 4*i + 1
		if first >= len(h.slots) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h.slots)); c++ {
			if h.slots[c].before(h.slots[least]) {
				least = c
			}
		}
		if !h.slots[least].before(s) {
			break
		}
		h.put(i, h.slots[least])
		i = least
	}
	h.put(i, s)
}

func (h *timerHeap) put(i int, s timerSlot) {
	h.slots[i] = s
	s.t.at = int32(i) + 1
}

// runTimers runs what was due at now and was set before this turn's timers began: one that sets itself anew with
// nothing to wait for takes its turn with everybody else. No timer is set to before now, so those set meanwhile
// come after all others that are due.
func (l *Loop) runTimers() {
	h := &l.timers
	limit := h.seq
	for len(h.slots) > 0 && h.slots[0].when <= l.now && h.slots[0].t.seq <= limit {
		t := h.slots[0].t
		h.remove(0)
		t.f()
	}
}
