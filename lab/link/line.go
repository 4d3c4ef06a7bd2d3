package link

import (
	"math/rand/v2"
	"time"
)

// A Line carries frames in one direction. Times never go back from one call to the next.
type Line interface {
	// Put takes a frame, which is the line's from now on.
	Put(now time.Duration, f *Frame)
	// Next is the time at which there may be something to Take, or to do in the line. It is not ok where nothing is on
	// its way.
	Next() (at time.Duration, ok bool)
	// Take is the next frame that has arrived by now; nil where there is none. It is the caller's.
	Take(now time.Duration) *Frame
}

// A Fate is what happens to a frame besides arriving.
type Fate uint8

// The fates.
const (
	Lost       Fate = 1 + iota // by Loss
	Doubled                    // by Duplicate: what is told of is the second one
	Corrupted                  // by Corrupt
	Held                       // by Reorder
	Overflowed                 // the queue before a slow line was full
	Dropped                    // CoDel found that the queue has been too long for too long
)

// String is the fate as a comment in a capture has it.
func (f Fate) String() string {
	return [...]string{"", "fault: lost", "fault: duplicated", "fault: corrupted", "fault: held back",
		"dropped here: the queue is full", "dropped here: by CoDel"}[f]
}

// A Watch is told what happens to frames. It may look at f until it returns.
type Watch func(now time.Duration, f *Frame, what Fate)

func (w Watch) tell(now time.Duration, f *Frame, what Fate) {
	if w != nil {
		w(now, f, what)
	}
}

// Wire is a line on which a frame takes delay, and nothing else happens.
func Wire(delay time.Duration) Line { return &delayed{delay: delay} }

type delayed struct {
	delay time.Duration
	fly   fifo // since is when they arrive
}

func (w *delayed) Put(now time.Duration, f *Frame) {
	f.since = now + w.delay
	w.fly.push(f)
}

func (w *delayed) Next() (time.Duration, bool) {
	if w.fly.len() == 0 {
		return 0, false
	}
	return w.fly.first().since, true
}

func (w *delayed) Take(now time.Duration) *Frame {
	if w.fly.len() == 0 || w.fly.first().since > now {
		return nil
	}
	return w.fly.pop()
}

// Options say how a line is. The zero value is a perfect cable.
type Options struct {
	Delay time.Duration // that each frame takes
	Rate  RateOptions   // no limit where Rate.Bits is 0

	// Faults: the probability of each, from 0 to 1, for a frame.
	Loss, Duplicate, Corrupt, Reorder float64
	// HeldFor is how much later a reordered frame goes on: Delay where it is 0, and a millisecond where that is 0 too.
	HeldFor time.Duration
}

// New builds a line: a frame may be lost, corrupted and doubled, then waits in the queue, is sent at the line's rate,
// may be held back, and takes the delay. random makes the stream of random numbers of each fault, by its name ("loss",
// "corrupt", "duplicate", "reorder"); it is called for those that are asked for alone. A watch may be nil.
func New(o Options, random func(fault string) *rand.Rand, w Watch) Line {
	l := Wire(o.Delay)
	if o.Reorder > 0 {
		by := o.HeldFor
		if by <= 0 {
			by = o.Delay
		}
		if by <= 0 {
			by = time.Millisecond
		}
		l = Reorder(l, o.Reorder, by, random("reorder"), w)
	}
	if o.Rate.Bits > 0 {
		l = Rate(l, o.Rate, w)
	}
	if o.Duplicate > 0 {
		l = Duplicate(l, o.Duplicate, random("duplicate"), w)
	}
	if o.Corrupt > 0 {
		l = Corrupt(l, o.Corrupt, random("corrupt"), w)
	}
	if o.Loss > 0 {
		l = Loss(l, o.Loss, random("loss"), w)
	}
	return l
}
