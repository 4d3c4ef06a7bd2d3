package plexor

import (
	"context"
	"runtime/debug"
	"unsafe" // for the way from a connection to the state behind it

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// Sessions is a [Handler] for connections that have a state of the user's: who is logged in, which rooms they are in.
// It is [Messages] or [Turns] with an S for each connection, which is made when that opens, and told of its end. While
// nothing is handled, a connection costs what one of Messages does, and the S.
//
//	srv.Handler = plexor.Sessions[*member]{
//		Codec:   frame.Line{},
//		Open:    func(c *plexor.Conn) (*member, error) { return &member{c: c}, c.Send([]byte("your name?")) },
//		Message: func(c *plexor.Conn, m *member, msg []byte) error { … },
//		Closed:  func(m *member, reason error) { m.leave() },
//	}
//
// For one connection the functions are called one at a time, each on a coroutine of the
// connection's loop, so all of them may wait: Open, then Message or Turn as often as something
// comes, and Idle between them, then Closed. With several loops those of different connections
// run at once: what they share (rooms, counts) needs a lock, unless Server.Loops is 1.
//
// [Conn.Context] is the session's: it lasts across messages and turns, for coroutines that serve the connection beside
// them, and is cancelled when the session ends, with the reason as its cause (coro.ErrLoopClosed when the server is
// closed). Once it was asked for it costs a quarter of a KiB more.
//
// A connection that is refused (Limits.Conns, Limits.ConnsPerPeer) or whose TLS handshake fails has no session: no S is
// made, and no function called.
type Sessions[S any] struct {
	// Codec is what messages are made of, for Message and [Conn.Send]. With Turn it is for Send alone, and may be nil.
	Codec frame.Codec
	// Open makes the state when the connection is there, over TLS behind the handshake, before anything of the peer's is
	// handled. It may greet, and set deadlines. Meanwhile up to 64 KiB of what comes are kept. An error refuses the
	// connection: it is logged, counted in Stats.Failed, and closes behind what was written; Closed is not called. With
	// Turn, Open may Read too. Limits.FirstByte holds as without Open. If it is nil, the state is the zero S.
	Open func(c *Conn) (S, error)
	// Message handles a message: see [Messages]. Either it or Turn is set.
	Message func(c *Conn, s S, msg []byte) error
	// Turn handles what has come: see [Turns].
	Turn func(c *Conn, s S) error
	// Idle is told, in place of Server.OnIdle, that the peer or this end has been silent for Limits.ReadIdle or
	// Limits.WriteIdle: see [Idle]. It is called as Message and Turn are, while neither runs.
	Idle func(c *Conn, s S, idle Idle) error
	// Leave, if set, is told that Shutdown has begun, after Open: by loop code, so it must not wait, again whenever
	// Shutdown looks, also while Message or Turn runs. If it returns true Shutdown leaves the connection to the session,
	// which has to say its farewell and end it.
	Leave func(c *Conn, s S) bool
	// Closed is told of the end, once for each Open that returned nil, after the last Message or Turn has returned. The
	// Conn can't be used any more. What was written may still be on its way. The reason is what ended the session first:
	//
	//	io.EOF                  the peer closed its half, behind a whole message or turn; or Turn returned io.EOF
	//	an *frame.Error         what came is no message, or the stream ended inside one (then io.ErrUnexpectedEOF, too)
	//	an error of Message's   as it was returned; so with Turn
	//	a *coro.PanicError      Message or Turn panicked, or called runtime.Goexit
	//	net.ErrClosed           Message or Turn called Conn.Close; loop.ErrAborted: it called Conn.Abort
	//	ErrGivenAway            it called Conn.Shared, whose result goes on without the session
	//	ErrIdle, ErrFirstByte, ErrFrameTime, ErrPartialInput: of Limits
	//	os.ErrDeadlineExceeded  a read deadline passed while nothing was handled (ErrIdle and its kin are this, too)
	//	ErrServerClosed         Shutdown or Close
	//	syscall.ECONNRESET, …   the connection broke
	//	io.ErrUnexpectedEOF     over TLS the stream ended without close_notify; else what crypto/tls found wrong
	//
	// All by errors.Is or errors.As. When the server is closed or its Shutdown has run out of time, Closed may be called
	// when no coroutine can run any more: what waits then fails at once, with net.ErrClosed or coro.ErrLoopClosed.
	Closed func(s S, reason error)
}

// ServeConn is a session on a connection that has a coroutine already, whose HandlerFunc calls this after other things
// were said. It returns after Closed. The context is that of the HandlerFunc.
func (h Sessions[S]) ServeConn(c *Conn) {
	var s S
	m := h.handler(func(*Conn) S { return s })
	opened := false
	defer func() {
		if !opened || h.Closed == nil {
			return
		}
		if v := recover(); v != nil {
			h.Closed(s, &coro.PanicError{Value: v, Stack: debug.Stack()})
			panic(v)
		}
	}()
	reason := m.serve(c, func() (err error) {
		if h.Open != nil {
			s, err = h.Open(c)
		}
		opened = err == nil
		return err
	})
	if opened && h.Closed != nil {
		opened = false
		h.Closed(s, reason)
	}
}

// rests is of rester.
func (h Sessions[S]) rests() *messages {
	state := func(c *Conn) *S { return &(*stated[S])(unsafe.Pointer(c)).state }
	m := h.handler(func(c *Conn) S { return *state(c) })
	m.sessions.room = func() *messageConn { return &new(stated[S]).messageConn }
	if h.Turn == nil {
		m.sessions.room = func() *messageConn {
			d := new(statedDecoded[S])
			d.dec = &d.own
			return &d.messageConn
		}
	}
	m.sessions.open = func(c *Conn) (err error) {
		if h.Open != nil {
			*state(c), err = h.Open(c)
		}
		return err
	}
	if h.Closed != nil {
		m.sessions.closed = func(c *Conn, reason error) { h.Closed(*state(c), reason) }
	}
	if h.Leave != nil {
		m.sessions.leave = func(c *Conn) bool { return h.Leave(c, *state(c)) }
	}
	return m
}

// handler is what handles messages or turns, with the state that each connection has.
func (h Sessions[S]) handler(state func(*Conn) S) *messages {
	m := &messages{name: "Sessions", codec: h.Codec, sessions: new(sessionHooks)}
	if h.Message != nil {
		m.f = func(c *Conn, msg []byte) error { return h.Message(c, state(c), msg) }
	}
	if h.Idle != nil {
		m.sessions.idle = func(c *Conn, idle Idle) error { return h.Idle(c, state(c), idle) }
	}
	if h.Turn != nil {
		m.turn = func(c *Conn) error { return h.Turn(c, state(c)) }
	}
	return m
}

// sessionHooks are the functions of a Sessions for connections that the server has accepted.
type sessionHooks struct {
	room   func() *messageConn // makes a connection with room for a state
	open   func(c *Conn) error
	closed func(c *Conn, reason error) // nil: nobody wants to know
	idle   func(c *Conn, idle Idle) error
	leave  func(c *Conn) bool // nil: it has nothing to say
}

// A stated is a connection with its state. It lies in one piece, the Conn first, so that
// the state costs no more than its size, and connections of Messages and Turns nothing:
// from the one to the other there is no pointer but the address.
type stated[S any] struct {
	session
	state S
}

// A statedDecoded is one of messages, with its decoder.
type statedDecoded[S any] struct {
	stated[S]
	own frame.Decoder
}

// A session is a connection of Sessions, without the state, whose type is the user's.
//
//	unopened ──Open──▶ opened ──conclude──▶ concluded, and Closed is called
//	    └──the end, an error of Open──────────▶ concluded
type session struct {
	messageConn
	reason error // why it ends, the first that was found
}

// sessionStage is kept in the stream, where there is room for it.
type sessionStage uint8

const (
	unopened sessionStage = iota
	opened
	concluded
)

// session is what lies behind m if it is a connection of Sessions; else nil.
func (m *messageConn) session() *session {
	if m.ep.rest.sessions == nil { // msgs may be another's, in ServeConn
		return nil
	}
	return (*session)(unsafe.Pointer(m))
}

// open has Open called, behind which what has come is handled.
func (m *messageConn) open() {
	if m.raw.stage == unopened && !m.raw.is(closed|over) {
		m.run = m.raw.w.getRun()
		m.start()
	}
}

// beginSession is the beginning of handle for a session. It reports whether there is something to handle.
func (m *messageConn) beginSession() (more bool, err error) {
	if m.raw.stage != unopened {
		return true, nil
	}
	if err := m.msgs.sessions.open(&m.Conn); err != nil {
		return false, err
	}
	m.raw.stage = opened
	return m.next(), nil
}

// because notes why a session ends, and cancels its context. The first reason stays.
func (m *messageConn) because(reason error) {
	if s := m.session(); s != nil && s.reason == nil {
		s.reason = reason
		s.cancel(reason)
	}
}

// leaves tells a session of Shutdown, and reports whether it ends by itself.
func (m *messageConn) leaves() bool {
	s := m.session()
	return s != nil && s.raw.stage == opened && !m.raw.is(closed|over|givenAway) && m.ep.rest.sessions.leave != nil &&
		m.ep.rest.sessions.leave(&m.Conn)
}

// conclude ends a session, once: nothing of its is handled any more.
func (m *messageConn) conclude() {
	s := m.session()
	if s == nil || s.raw.stage == concluded {
		return
	}
	told := s.raw.stage == opened && m.ep.rest.sessions.closed != nil
	s.raw.stage = concluded
	s.asked = nil
	if told {
		s.tell(m.ep.rest.sessions.closed)
	}
}

// tell calls Closed, on a coroutine if there can be one.
func (s *session) tell(closed func(*Conn, error)) {
	w := s.raw.w
	w.srv.stats.handlers.Add(1)
	began := false
	w.sched.Go(context.Background(), "plexor session end", func(context.Context) error {
		began = true
		closed(&s.Conn, s.reason)
		return nil
	}).OnEnd(func(err error) {
		if !began { // the loop has ended, and its coroutines with it
			err = caught(func() { closed(&s.Conn, s.reason) })
		}
		w.srv.stats.handlers.Add(-1)
		s.report(err)
	})
}

// caught calls f, and returns its panic as that of a coroutine.
func caught(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &coro.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	f()
	return nil
}
