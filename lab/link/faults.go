package link

import (
	"math/rand/v2"
	"time"
)

// A fault is what the faults have in common: something happens to a frame with a probability, on its way into a line.
type fault struct {
	Line
	p      float64
	random *rand.Rand
	watch  Watch
}

// hits reports whether it happens to this frame. One number is drawn for each, whatever the probability.
func (f *fault) hits() bool { return f.random.Float64() < f.p }

// Loss is a line before which a frame is lost with probability p.
func Loss(l Line, p float64, random *rand.Rand, w Watch) Line { return &loss{fault{l, p, random, w}} }

type loss struct{ fault }

func (l *loss) Put(now time.Duration, f *Frame) {
	if l.hits() {
		l.watch.tell(now, f, Lost)
		f.Free()
		return
	}
	l.Line.Put(now, f)
}

// Duplicate is a line into which a frame goes twice with probability p.
func Duplicate(l Line, p float64, random *rand.Rand, w Watch) Line {
	return &duplicate{fault{l, p, random, w}}
}

type duplicate struct{ fault }

func (l *duplicate) Put(now time.Duration, f *Frame) {
	var second *Frame
	if l.hits() {
		second = f.again()
	}
	l.Line.Put(now, f)
	if second != nil {
		l.watch.tell(now, second, Doubled)
		l.Line.Put(now, second)
	}
}

// again is a copy of the frame, from the same pool.
func (f *Frame) again() *Frame {
	if f.pool == nil {
		return &Frame{Bytes: append([]byte(nil), f.Bytes...)}
	}
	return f.pool.Copy(f.Bytes)
}

// Corrupt is a line before which one bit of a frame changes with probability p. The card's check sequence would find it
// on a real cable and the frame would be lost; here it arrives, as one that was spoilt in a router's memory does.
func Corrupt(l Line, p float64, random *rand.Rand, w Watch) Line {
	return &corrupt{fault{l, p, random, w}}
}

type corrupt struct{ fault }

func (l *corrupt) Put(now time.Duration, f *Frame) {
	if l.hits() && len(f.Bytes) > 0 {
		bit := l.random.IntN(8 * len(f.Bytes))
		f.Bytes[bit/8] ^= 1 << (bit % 8)
		l.watch.tell(now, f, Corrupted)
	}
	l.Line.Put(now, f)
}

// Reorder is a line into which a frame goes with probability p only after a time by, so that later ones overtake it.
func Reorder(l Line, p float64, by time.Duration, random *rand.Rand, w Watch) Line {
	return &reorder{fault: fault{l, p, random, w}, by: by}
}

type reorder struct {
	fault
	by   time.Duration
	held fifo // since is when they go on
}

func (l *reorder) Put(now time.Duration, f *Frame) {
	l.release(now)
	if l.hits() {
		l.watch.tell(now, f, Held)
		f.since = now + l.by
		l.held.push(f)
		return
	}
	l.Line.Put(now, f)
}

// release lets those go on whose time has come.
func (l *reorder) release(now time.Duration) {
	for l.held.len() > 0 && l.held.first().since <= now {
		f := l.held.pop()
		l.Line.Put(f.since, f)
	}
}

func (l *reorder) Next() (time.Duration, bool) {
	at, ok := l.Line.Next()
	if l.held.len() > 0 {
		if first := l.held.first().since; !ok || first < at {
			return first, true
		}
	}
	return at, ok
}

func (l *reorder) Take(now time.Duration) *Frame {
	l.release(now)
	return l.Line.Take(now)
}
