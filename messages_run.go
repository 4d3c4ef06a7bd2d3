package plexor

import (
	"context"
	"slices"

	"github.com/plexor-go/plexor/coro"
)

// A runner is a coroutine that handles messages, of one connection after the other. It costs less to wake than a new
// task costs to make.
type runner struct {
	w    *worker
	m    *messageConn // nil: it waits for one
	wake coro.Waiter
}

// mostRunners bounds how many of them wait on a loop for messages to come.
const mostRunners = 64

// start handles the messages that have come, from the first one on, until the handler waits or there is none.
func (m *messageConn) start() {
	w := m.raw.w
	m.raw.above |= started
	w.srv.stats.handlers.Add(1)
	if last := len(w.runners) - 1; last >= 0 {
		r := w.runners[last]
		w.runners[last] = nil
		w.runners = w.runners[:last]
		r.m = m
		r.wake.Wake()
		return
	}
	r := &runner{w: w, m: m}
	w.sched.Start(context.Background(), "plexor messages", r.run).OnEnd(r.ended)
}

// run is the coroutine. A panic of a handler ends it.
func (r *runner) run(ctx context.Context) error {
	for {
		m := r.m
		err := m.handle(ctx)
		r.m = nil
		m.handled(err)
		if len(r.w.runners) == mostRunners {
			return nil
		}
		r.w.runners = append(r.w.runners, r)
		if err := r.wake.Wait(ctx, "messages", nil); err != nil && r.m == nil { // the loop ends
			r.w.runners = slices.DeleteFunc(r.w.runners, func(o *runner) bool { return o == r })
			return nil
		}
	}
}

// ended is called when the coroutine has: after a panic with its connection, else with none.
func (r *runner) ended(err error) {
	if m := r.m; m != nil {
		r.m = nil
		m.handled(err)
	}
}

// handle calls the handler for each message that is there.
func (m *messageConn) handle(ctx context.Context) error {
	h := m.msgs
	if h.sessions == nil {
		m.base = ctx
	} else if more, err := m.beginSession(); !more {
		return err
	}
	if m.run.idle != (Idle{}) {
		if more, err := m.tellIdle(); !more {
			return err
		}
	}
	if h.turn != nil {
		return m.takeTurns()
	}
	for {
		err := h.f(&m.Conn, m.run.msg)
		m.endContext()
		m.dropMessage()
		if err != nil {
			return err
		}
		if !m.next() {
			return nil
		}
	}
}

// endContext ends the context of a message or a turn. That of a session goes on.
func (m *messageConn) endContext() {
	if m.asked != nil && m.msgs.sessions == nil {
		m.cancel(ErrReturned)
		m.asked = nil
	}
}

func (m *messageConn) dropMessage() {
	if r := m.run; r.buf != nil {
		m.raw.w.buffers.put(r.buf)
		r.buf, r.msg = nil, nil
	}
}

// handled is called when all has been handled, or the handler failed.
func (m *messageConn) handled(err error) {
	if m.msgs.sessions == nil {
		m.dropContext()
	}
	m.dropMessage()
	m.raw.above &^= started
	m.raw.w.srv.stats.handlers.Add(-1)
	m.settle(err)
}
