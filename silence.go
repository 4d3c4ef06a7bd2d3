package plexor

import (
	"time"

	"github.com/plexor-go/plexor/loop"
)

// A silence is what a loop knows of the connections of which no byte has come yet: they stand in a table of their own,
// so that the sweeps, which are frequent, look at none that has spoken. With its first byte a connection moves to
// worker.conns; that is one branch a callback for all others. No timer runs while the table is empty.
type silence struct {
	conns   []*Conn
	tick    uint32 // counts the sweeps
	every   time.Duration
	timer   *loop.Timer // nil: there was none yet
	running bool
}

// await bounds the time until c's first byte by Limits.FirstByte. c is in neither table, and goes to that of the silent
// ones. Where an idle connection ends sooner, that is the bound.
func (w *worker) await(c *Conn) {
	l := &w.srv.limits
	if l.FirstByte < 0 || l.IdleTimeout > 0 && l.IdleTimeout <= l.FirstByte {
		w.enlist(c)
		return
	}
	c.raw.flags |= awaited
	c.raw.tick = w.silence.tick
	w.enlist(c)
	q := &w.silence
	if q.running {
		return
	}
	q.running = true
	if q.timer == nil {
		q.every = max(l.FirstByte/sweeps, time.Millisecond)
		q.timer = w.loop.AfterFunc(q.every, w.sweepSilent)
	} else {
		q.timer.Reset(q.every)
	}
}

// heard is for a connection that was awaited and has spoken.
func (w *worker) heard(c *Conn) {
	w.delist(c)
	c.raw.flags &^= awaited
	c.raw.tick = w.tick
	w.enlist(c)
}

func (w *worker) sweepSilent() {
	q := &w.silence
	q.tick++
	for i := len(q.conns) - 1; i >= 0; i-- {
		if i < len(q.conns) && q.tick-q.conns[i].raw.tick > sweeps { // closing one may end others
			q.conns[i].unheard()
		}
	}
	if q.running = len(q.conns) > 0; q.running {
		q.timer.Reset(q.every)
	}
}

// unheard is for a connection whose first byte has not come in time.
func (c *Conn) unheard() {
	s := &c.raw
	s.w.heard(c) // it is said once, and what is left of its end has the time of all others
	if s.is(closed | over) {
		return
	}
	s.w.srv.stats.silent.Add(1)
	s.w.log.Debug("no first byte came in time: the connection is closed", "peer", s.String())
	s.served().unheard()
}
