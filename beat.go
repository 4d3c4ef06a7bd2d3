package plexor

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// A beat is how a loop knows how long its connections have been idle, without a timer for each and without the time
// at each byte: it counts ticks (worker.tick), a byte stores the count of its moment, and now and then a sweep
// compares. It beats as long as there is a connection.
//
//	tick    tick    tick    tick    tick    tick    tick    tick    tick
//	└─────────────sweep─────────────┴─────────────sweep─────────────┴──▶
//
// A sweep looks at all connections, in passes, so that many of them do not hold the loop. Between two passes
// connections come and go: those before next are yet to be looked at, and delist keeps it so.
type beat struct {
	unit   time.Duration // of a tick
	every  uint32        // ticks from one sweep to the next; 0: no sweeps
	idle   uint32        // Limits.IdleTimeout in ticks, rounded up; 0: none
	read   uint32        // Limits.ReadIdle, likewise
	write  uint32        // Limits.WriteIdle, likewise
	timer  *loop.Timer   // nil: there was no connection yet
	runs   bool
	last   time.Duration // loop.Uptime at the last tick
	swept  uint32        // the tick of the sweep that is under way, or of the last one
	before uint32        // that of the one before it
	next   int           // conns[:next] are yet to be looked at
	pass   *loop.Call
	told   map[*Conn]struct{} // whose hook runs beside a handler
}

const (
	// sweeps is how many there are in the shortest of the times for idle connections: so much later than it one is
	// found.
	sweeps = 8
	// coarsest and finest bound a tick: it is what ConnInfo knows times by, and a timer of the loop.
	coarsest, finest = time.Second, time.Millisecond
	// passBudget is what a pass may cost, some 2 ms; a connection that is closed or told costs as much as pokeCost of
	// them that are looked at.
	passBudget, pokeCost = 1 << 14, 64
	// stampUnit is what connections' ages are kept in: 67 ms, so that 32 bits last for nine years.
	stampUnit = 26 // bits of a time.Duration
)

// setBeat prepares the beat of a server's loop.
func (w *worker) setBeat() {
	b, l := &w.beat, &w.srv.limits
	b.unit = coarsest
	for _, t := range []time.Duration{l.IdleTimeout, l.ReadIdle, l.WriteIdle} {
		if t > 0 {
			b.unit = max(min(b.unit, t/sweeps), finest)
		}
	}
	for _, x := range []struct {
		t  time.Duration
		to *uint32
	}{{l.IdleTimeout, &b.idle}, {l.ReadIdle, &b.read}, {l.WriteIdle, &b.write}} {
		if x.t <= 0 {
			continue
		}
		*x.to = uint32(min((x.t+b.unit-1)/b.unit, 1<<30))
		if every := max(*x.to/sweeps, 1); b.every == 0 || every < b.every {
			b.every = every
		}
	}
	b.pass = w.loop.NewCall(w.sweep)
}

// newStream is the stream of a connection that begins now.
func (w *worker) newStream(lc *loop.Conn, peer netip.AddrPort, flags streamFlags) stream {
	return stream{lc: lc, w: w, peer: peer, flags: flags, tick: w.tick, sent: w.tick, since: w.stamp()}
}

// stamp is the loop's time as a connection keeps it.
func (w *worker) stamp() uint32 { return uint32(w.loop.Uptime() >> stampUnit) }

// startBeat is for when a connection comes.
func (w *worker) startBeat() {
	b := &w.beat
	b.runs, b.last = true, w.loop.Uptime()
	b.swept, b.before = w.tick, w.tick
	if b.timer == nil {
		b.timer = w.loop.AfterFunc(b.unit, w.count)
	} else {
		b.timer.Reset(b.unit)
	}
}

// count counts the ticks that have passed: but no more than lie between two sweeps, for after a longer time the
// process was stopped, and what has come meanwhile is yet to be read.
func (w *worker) count() {
	b := &w.beat
	now := w.loop.Uptime()
	ticks := (now - b.last) / b.unit
	if b.every > 0 {
		ticks = min(ticks, time.Duration(b.every))
	}
	w.tick += uint32(max(ticks, 1))
	b.last = now
	if b.every > 0 && b.next == 0 && w.tick-b.swept >= b.every {
		b.before, b.swept = b.swept, w.tick
		b.next = len(w.conns)
		w.sweep()
	}
	if b.runs = len(w.conns) > 0; b.runs {
		b.timer.Reset(b.unit)
	}
}

// sweep is a pass.
func (w *worker) sweep() {
	b := &w.beat
	for budget := passBudget; b.next > 0; budget-- {
		if budget <= 0 {
			_ = b.pass.Ask() // a loop that has ended has no connections
			return
		}
		b.next--
		if w.conns[b.next].look() {
			budget -= pokeCost
		}
	}
}

// look closes a connection that has been idle for too long, or has its handler told. It reports whether it did.
func (c *Conn) look() bool {
	s, b := &c.raw, &c.raw.w.beat
	if s.is(givenAway) {
		c.stirred()
	}
	read, write := s.quietFor(b.swept)
	if b.idle > 0 && min(read, write) > b.idle {
		s.w.srv.stats.idle.Add(1)
		c.idle()
		return true
	}
	e := Idle{Read: b.passed(read, b.read), Write: b.passed(write, b.write)}
	return e != Idle{} && c.tell(e)
}

// passed reports whether a time of n ticks has passed since the last sweep, once more, of a connection that has been
// quiet for so many ticks. The first of them may have been all but over when it began to be quiet, and does not
// count.
func (b *beat) passed(quiet, n uint32) bool {
	if n == 0 || quiet <= n {
		return false
	}
	then := uint32(0)
	if step := b.swept - b.before; quiet > step {
		then = quiet - step
	}
	return then == 0 || (quiet-1)/n > (then-1)/n
}

// quietFor is for how many ticks nothing has come from the peer, and nothing was written, at a tick. A byte that
// moved since then has not been quiet at all.
func (s *stream) quietFor(tick uint32) (read, write uint32) {
	return uint32(max(int32(tick-s.tick), 0)), uint32(max(int32(tick-s.sent), 0))
}
