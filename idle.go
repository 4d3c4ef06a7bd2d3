package plexor

import (
	"context"
	"errors"
)

// Idle says in which direction a connection has been silent. Server.OnIdle, or in its place Sessions.Idle, is told of
// it, on a coroutine of the connection's loop, so that it can tell a peer that is gone from one that has nothing to
// say, or keep a router from forgetting the connection:
//
//	srv.Limits.ReadIdle, srv.Limits.WriteIdle = time.Minute, 20*time.Second
//	srv.OnIdle = func(c *plexor.Conn, idle plexor.Idle) error {
//		if idle.Read {
//			return plexor.ErrIdle // closes, as IdleTimeout does
//		}
//		return c.Send(ping)
//	}
//
// It may do what a handler may that does not read: Send and Write, and wait. An error closes the connection.
// [ErrIdle] is counted in Stats.Idle, as that of IdleTimeout; any other is logged and counted in Stats.Failed. A
// panic resets it.
//
// With [Messages], [Turns] and [Sessions] it is called as their handler is, while that does not run: what comes
// meanwhile is handled behind it. Beside the handler of a stream, which has a coroutine from its first byte to its
// end, it runs in one of its own, and the next call waits until it has returned. A Read or Write that waits there
// fails with its error.
//
// It is not called before the first byte of the peer's, for which Limits.FirstByte holds, in a TLS handshake, once
// Shutdown has begun, and for what [Conn.Shared] and [Server.Listen] made: that has deadlines of its own. Bytes that
// TLS sends by itself count in both directions.
type Idle struct {
	Read  bool // nothing has come from the peer for Limits.ReadIdle, or that many times over
	Write bool // nothing was written for Limits.WriteIdle, likewise
}

// checkIdle refuses times of which nobody would be told, and who would be told at no time.
func (ep *endpoint) checkIdle() error {
	s := ep.srv
	timed := s.Limits.ReadIdle != 0 || s.Limits.WriteIdle != 0
	hooked := ep.rest != nil && ep.rest.idleHook() != nil
	switch {
	case timed && !hooked && s.OnIdle == nil:
		return errors.New("plexor: Limits.ReadIdle or WriteIdle is set, and nobody is told: " +
			"set Server.OnIdle, or Sessions.Idle")
	case !timed && hooked:
		return errors.New("plexor: Sessions.Idle is set, and would never be called: set Limits.ReadIdle or WriteIdle")
	case !timed && s.OnIdle != nil:
		return errors.New("plexor: Server.OnIdle is set, and would never be called: set Limits.ReadIdle or WriteIdle")
	}
	return nil
}

// idleHook is that of Sessions; nil: there is none.
func (h *messages) idleHook() func(*Conn, Idle) error {
	if h.sessions == nil {
		return nil
	}
	return h.sessions.idle
}

// wasIdle calls the hook.
func (c *Conn) wasIdle(idle Idle) error {
	hook := c.raw.w.srv.OnIdle
	if c.msgs != nil && c.msgs.idleHook() != nil {
		hook = c.msgs.idleHook()
	}
	if hook == nil {
		return nil // a session of ServeConn has one, and its connection has been idle outside of that
	}
	err := hook(c, idle)
	if err == ErrIdle {
		c.raw.w.srv.stats.idle.Add(1)
	}
	return err
}

// tell has the handler told that the connection has been idle. It reports whether it is.
func (c *Conn) tell(idle Idle) bool {
	s := &c.raw
	if s.w.draining || s.is(closed|over|givenAway) {
		return false
	}
	return s.served().tell(idle)
}

func (e *events) tell(idle Idle) bool {
	c := (*Conn)(e)
	return c.raw.above&(started|returned|unshaken) == started && c.raw.w.tellBeside(c, idle)
}

func (e *messageEvents) tell(idle Idle) bool {
	m := (*messageConn)(e)
	if m.run != nil || m.is(unshaken) {
		return false
	}
	m.run = m.raw.w.getRun()
	m.run.idle = idle
	m.start()
	return true
}

// tellIdle is the beginning of handle for a connection that rests and has been idle. It reports whether there is
// something to handle now.
func (m *messageConn) tellIdle() (more bool, err error) {
	idle := m.run.idle
	m.run.idle = Idle{}
	err = m.wasIdle(idle)
	m.endContext()
	if err != nil {
		return false, err
	}
	return m.next(), nil
}

// tellBeside tells while a handler has the connection. It reports whether it does: one call at a time.
func (w *worker) tellBeside(c *Conn, idle Idle) bool {
	told := &w.beat.told
	if _, still := (*told)[c]; still {
		return false
	}
	if *told == nil {
		*told = make(map[*Conn]struct{})
	}
	(*told)[c] = struct{}{}
	w.srv.stats.handlers.Add(1)
	t := w.sched.Go(context.Background(), "plexor idle", func(context.Context) error { return c.wasIdle(idle) })
	t.OnEnd(func(err error) {
		delete(*told, c)
		w.srv.stats.handlers.Add(-1)
		switch {
		case err == nil || c.is(returned) || c.raw.is(closed|over|givenAway):
			c.report(err)
		case c.report(err):
			c.cancel(err)
			c.raw.abort(err)
		default:
			w.handlerFailed(c, err)
			c.expel(err)
		}
	})
	return true
}
