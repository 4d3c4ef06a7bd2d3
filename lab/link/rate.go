package link

import (
	"math"
	"time"
)

// RateOptions say how fast a line is, and what the queue before it does.
type RateOptions struct {
	Bits  float64 // a second
	Queue int     // bytes that wait at most, besides the frame that is sent; one more is dropped. 64 KiB at 0
	CoDel bool    // frames that have waited for too long are dropped too (RFC 8289)
	MTU   int     // CoDel leaves a queue alone that has no more than this, in bytes: 1514 at 0
}

// The defaults, and CoDel's constants (RFC 8289, section 4.2 and 4.3).
const (
	defaultQueue  = 64 << 10
	defaultMTU    = 1514
	codelTarget   = 5 * time.Millisecond
	codelInterval = 100 * time.Millisecond
)

// Rate is a line that takes one frame after the other, at so many bits a second, and the queue before it.
func Rate(l Line, o RateOptions, w Watch) Line {
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.MTU <= 0 {
		o.MTU = defaultMTU
	}
	return &rate{Line: l, o: o, watch: w}
}

type rate struct {
	Line
	o     RateOptions
	watch Watch

	queue   fifo // since is when they came
	bytes   int  // in queue
	sending *Frame
	done    time.Duration // when sending is through
	codel   codel
}

func (l *rate) Put(now time.Duration, f *Frame) {
	l.work(now)
	if l.sending == nil {
		l.send(now, f)
		return
	}
	if l.bytes+len(f.Bytes) > l.o.Queue {
		l.watch.tell(now, f, Overflowed)
		f.Free()
		return
	}
	f.since = now
	l.queue.push(f)
	l.bytes += len(f.Bytes)
}

func (l *rate) send(now time.Duration, f *Frame) {
	l.sending = f
	l.done = now + time.Duration(float64(8*len(f.Bytes))/l.o.Bits*float64(time.Second))
}

// work does what has happened by now: frames that are through go on, and the next ones begin.
func (l *rate) work(now time.Duration) {
	for l.sending != nil && l.done <= now {
		at := l.done
		l.Line.Put(at, l.sending)
		l.sending = nil
		if f := l.dequeue(at); f != nil {
			l.send(at, f)
		}
	}
}

// dequeue is the frame that is sent next.
func (l *rate) dequeue(now time.Duration) *Frame {
	if l.o.CoDel {
		return l.codel.next(now, l)
	}
	return l.pop()
}

func (l *rate) pop() *Frame {
	if l.queue.len() == 0 {
		return nil
	}
	f := l.queue.pop()
	l.bytes -= len(f.Bytes)
	return f
}

func (l *rate) Next() (time.Duration, bool) {
	at, ok := l.Line.Next()
	if l.sending != nil && (!ok || l.done < at) {
		return l.done, true
	}
	return at, ok
}

func (l *rate) Take(now time.Duration) *Frame {
	l.work(now)
	return l.Line.Take(now)
}

// A codel is the state of RFC 8289's controller. It drops a frame when all have waited for more than the target for an
// interval, and then ever more often, until the wait is below it:
//
//	quiet ── above target for an interval: drop ──> dropping ── next drop after interval / sqrt(count) ──┐
//	  ^                                                │  ^                                              │
//	  └────────────── a frame below target ────────────┘  └──────────────────────────────────────────────┘
type codel struct {
	dropping bool
	above    time.Duration // when the wait will have been above the target for an interval; 0: it is not above
	drop     time.Duration // the next
	count    int           // drops since dropping began
	last     int           // count when it began
}

// next takes the next frame that is not dropped from l's queue.
func (c *codel) next(now time.Duration, l *rate) *Frame {
	f, late := c.pop(now, l)
	switch {
	case c.dropping && !late:
		c.dropping = false
	case c.dropping:
		for now >= c.drop && c.dropping {
			l.discard(now, f)
			c.count++
			if f, late = c.pop(now, l); late {
				c.drop += c.pause()
			} else {
				c.dropping = false
			}
		}
	case late:
		l.discard(now, f)
		f, _ = c.pop(now, l)
		c.dropping = true
		// If the last time is not long ago, the pace of that time is a good one to begin with.
		more := c.count - c.last
		if c.count = 1; more > 1 && now-c.drop < 16*codelInterval {
			c.count = more
		}
		c.drop, c.last = now+c.pause(), c.count
	}
	return f
}

// pause is the time to the next drop: the rate of drops grows by the square root of their number, to which the
// throughput of TCP answers.
func (c *codel) pause() time.Duration {
	return time.Duration(float64(codelInterval) / math.Sqrt(float64(c.count)))
}

// pop takes a frame, and reports whether it may be dropped as the wait has been above the target for an interval.
func (c *codel) pop(now time.Duration, l *rate) (f *Frame, late bool) {
	f = l.pop()
	switch {
	case f == nil || now-f.since < codelTarget || l.bytes <= l.o.MTU:
		c.above = 0
	case c.above == 0:
		c.above = now + codelInterval
	case now >= c.above:
		late = true
	}
	return f, late
}

func (l *rate) discard(now time.Duration, f *Frame) {
	l.watch.tell(now, f, Dropped)
	f.Free()
}
