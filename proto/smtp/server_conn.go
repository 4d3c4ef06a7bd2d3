package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A ServerConn is the server's side of a connection. Whoever has the connection calls Open, and then Turn whenever
// bytes have come, until one of them returns an error; then Closed. Between two turns it holds no buffer, but for the
// beginning of a line. Its methods are for one goroutine, or coroutine, at a time.
//
// Package smtpd has the sessions of package plexor that do so.
type ServerConn struct {
	srv     *Server
	nc      net.Conn
	session Session
	in      *input       // nil: between two turns
	part    []byte       // of a line
	scan    Scanner      // of that line
	by      time.Time    // until when the next command has to be there
	tx      *transaction // nil: no MAIL
	auth    Exchange     // nil: no AUTH is under way
	refused *Error       // why there is no session; every command gets this
	hello   string
	proxied *proxied // nil: the addresses are the connection's
	domains map[string]struct{}
	end     error           // why it is over; the first reason
	busy    <-chan struct{} // closed when the method that Block has given up has returned; nil: there is none
	left    atomic.Bool
	flags   connFlags

	errors, junk, messages, tries uint32
}

type connFlags uint16

const (
	opened        connFlags = 1 << iota
	extended                // EHLO, or LHLO
	authenticated           // the client has logged in
	closes                  // it is this side that closes: the client may be sending still
	over                    // Closed was called
	expects                 // DATA was answered, and the message is to come
)

func (c *ServerConn) is(f connFlags) bool { return c.flags&f != 0 }

// A transaction is a message and who it is for, from MAIL on.
type transaction struct {
	utf8       bool
	binary     bool
	recipients []Mailbox // that were taken; LMTP names them in its answers
	body       *body     // nil: no DATA or BDAT yet
}

// NewConn is a connection on which nothing was said yet. It is not closed by the ServerConn.
func (s *Server) NewConn(nc net.Conn) *ServerConn {
	s.once.Do(s.fill)
	return &ServerConn{srv: s, nc: nc}
}

// An input is what a turn works with: what has come and was not taken, and what is answered.
type input struct {
	b    []byte // b[r:w]
	r, w int
	out  []byte
}

// Of the buffers, in bytes. inputSize is what is read at once, and longer than each line; mostOut is how much of
// answers is held, to be written at once.
const (
	inputSize = 16 << 10
	mostOut   = 4 << 10
)

var inputs = sync.Pool{New: func() any { return &input{b: make([]byte, inputSize), out: make([]byte, 0, 512)} }}

func (in *input) unread() []byte { return in.b[in.r:in.w] }

// get begins a turn.
func (c *ServerConn) get() {
	c.in = inputs.Get().(*input)
	c.in.w = copy(c.in.b, c.part)
}

// put ends a turn: what is left of a line is kept.
func (c *ServerConn) put() {
	in := c.in
	if b := in.unread(); len(b) == 0 {
		c.part = nil
	} else if cap(c.part) < len(b) {
		c.part = append([]byte(nil), b...)
	} else {
		c.part = append(c.part[:0], b...)
	}
	c.in = nil
	in.r, in.w, in.out = 0, 0, in.out[:0]
	if cap(in.out) <= 2*mostOut {
		inputs.Put(in)
	}
}

// Open begins: it reads a PROXY header if there is to be one, makes the handshake if nc is a *tls.Conn, makes the
// Session, and greets. The context is that of NewSession. An error is as of Turn.
func (c *ServerConn) Open(ctx context.Context) error {
	c.get()
	defer c.put()
	return c.guard(func() error {
		if f := c.srv.Proxied; f != nil && f(c.nc) {
			if err := c.readProxy(); err != nil {
				c.srv.stats.proxy.Add(1)
				return err
			}
		}
		if t, ok := c.nc.(*tls.Conn); ok {
			if err := c.handshake(ctx, t); err != nil {
				return err
			}
		}
		c.flags |= opened
		c.srv.stats.sessions.Add(1)
		if err := c.newSession(ctx); err != nil {
			return err
		}
		switch {
		case c.refused == nil:
			kind := " ESMTP "
			if c.srv.LMTP {
				kind = " LMTP "
			}
			banner := c.srv.Banner
			if banner == "" {
				banner = "ready"
			}
			c.reply(220, Enhanced{}, c.srv.name()+kind+banner)
		case c.refused.Code == 421:
			return c.farewell(c.refused)
		default: // RFC 5321, section 3.1: the client is to say QUIT
			c.answer(c.refused)
		}
		return c.finish()
	})
}

// newSession makes the Session.
func (c *ServerConn) newSession(ctx context.Context) error {
	session, err := c.sessionOf(ctx)
	if err == nil {
		c.session = session
		return nil
	}
	if errors.Is(err, ErrHangUp) {
		return c.ends(err)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if c.refused = e; e.Code != 421 && (e.Code < 500 || e.Code > 599) {
			c.refused = &Error{554, e.Enhanced, e.Text}
		}
		return nil
	}
	c.srv.logger.Error("smtp: no session for a connection", "peer", c.remoteAddr(), "err", err)
	c.refused = errOurs
	return nil
}

// sessionOf is the Backend's NewSession.
func (c *ServerConn) sessionOf(ctx context.Context) (Session, error) {
	if c.srv.Block == nil {
		return c.srv.Backend.NewSession(ctx, Peer{c})
	}
	made := new(Session)
	err := c.callError(ctx, func() (err error) {
		*made, err = c.srv.Backend.NewSession(ctx, Peer{c})
		return err
	})
	if err == errGaveUp && c.busy != nil {
		go func(busy <-chan struct{}) { // nobody else closes what is made now
			if <-busy; *made != nil {
				defer c.caught()
				(*made).Close(ErrHangUp)
			}
		}(c.busy)
		return nil, err
	}
	return *made, err
}

// Turn reads what has come, waiting if there is nothing, and answers the commands that are whole. It returns nil when
// it has answered all of them, and an error when the connection is to be closed, behind what was written: io.EOF behind
// a QUIT or when the client has hung up; an *[Error] that the client was told; [ErrHangUp]; or why reading or writing
// failed. The contexts of the Session's methods are ctx. A message is taken within one turn.
func (c *ServerConn) Turn(ctx context.Context) error {
	if c.end != nil {
		return c.end // Farewell was told, and the client goes on all the same
	}
	c.get()
	defer c.put()
	return c.guard(func() error {
		if err := c.fillUp(); err != nil {
			return err
		}
		for {
			more, err := c.step(ctx)
			if err == nil && !more {
				err = c.finish()
			}
			if err != nil || !more {
				return err
			}
			c.by = time.Time{}
			if err := c.spill(); err != nil {
				return err
			}
		}
	})
}

// fillUp reads once, and finds out why if nothing comes.
func (c *ServerConn) fillUp() error {
	n, err := c.nc.Read(c.in.b[c.in.w:])
	if n == 0 && c.left.Load() && c.carrying() && errors.Is(err, os.ErrDeadlineExceeded) && c.srv.now().Before(c.by) {
		c.setBy(c.by) // it was to wake a client that waits, and this one sends a message
		n, err = c.nc.Read(c.in.b[c.in.w:])
	}
	c.in.w += n
	if n > 0 {
		return nil
	}
	switch {
	case err == nil:
		err = io.ErrNoProgress
	case errors.Is(err, os.ErrDeadlineExceeded):
		if c.left.Load() {
			return c.farewell(ErrLeaving)
		}
		return c.farewell(ErrTooSlow)
	case err == io.EOF && c.carrying():
		c.srv.stats.incomplete.Add(1)
		err = ErrIncomplete
	}
	return c.ends(err)
}

// finish is the end of a turn: what was answered is written, and the time for the next command begins.
func (c *ServerConn) finish() error {
	if err := c.flush(); err != nil {
		return c.ends(err)
	}
	if (c.left.Load() || c.srv.draining.Load()) && c.tx == nil {
		return c.farewell(ErrLeaving)
	}
	if c.by.IsZero() { // else it is the time of a line that has begun
		c.by = c.srv.now().Add(c.srv.limits.CommandTime)
	}
	by := c.by
	if c.srv.IdleTold && len(c.in.unread()) == 0 {
		by = by.Add(time.Minute)
	}
	c.setBy(by)
	return nil
}

// setBy sets until when something has to come. A context of Serve that is done meanwhile has the last word.
func (c *ServerConn) setBy(t time.Time) {
	_ = c.nc.SetReadDeadline(t) // if it fails, so does the next Read
	if c.left.Load() && !c.carrying() {
		_ = c.nc.SetReadDeadline(longAgo)
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// carrying reports whether a message is being taken.
func (c *ServerConn) carrying() bool { return c.is(expects) || c.tx != nil && c.tx.body != nil }

// guard has a panic of the Backend end the connection, and not the process.
func (c *ServerConn) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.stats.panics.Add(1)
			stack := debug.Stack()
			if p, ok := v.(*sessionPanic); ok { // it was on another goroutine
				stack = p.stack
			}
			c.srv.logger.Error("smtp: the backend panicked", "peer", c.nc.RemoteAddr(), "panic", v, "stack", string(stack))
			err = c.farewell(errOurs)
		}
	}()
	return f()
}

// errOurs is what the client is told where the Backend has panicked, or can make no Session.
var errOurs = &Error{421, Enhanced{4, 3, 0}, "an error here; try again later"}

// farewell says why the connection ends, and ends it.
func (c *ServerConn) farewell(e *Error) error {
	if c.is(opened) {
		c.answer(e)
	}
	if err := c.flush(); err != nil {
		return c.ends(err)
	}
	c.flags |= closes
	return c.ends(e)
}

// ends notes why the connection ends. The first reason stays.
func (c *ServerConn) ends(err error) error {
	if c.end == nil {
		c.end = err
	}
	return err
}

// Busy reports whether whoever shuts down has to leave the connection to itself: a message is under way, and is to be
// taken, or the connection is being closed.
func (c *ServerConn) Busy() bool { return c.end != nil || c.carrying() }

// Idle is for whoever has the connection and finds that the client has been silent for Limits.CommandTime, between two
// turns: it tells the client so (421), and the connection is to be closed.
func (c *ServerConn) Idle() error {
	c.get()
	defer c.put()
	return c.farewell(ErrTooSlow)
}

// Farewell is for whoever has the connection and ends it, between two turns, since the server shuts down: it returns
// what is to be written before the connection is closed (421), and does not wait. It is nil while a turn runs or a
// message is under way, and when it was told before.
func (c *ServerConn) Farewell() []byte {
	if c.in != nil || c.end != nil || !c.is(opened) || c.carrying() {
		return nil
	}
	c.srv.stats.count(ErrLeaving)
	_ = c.ends(ErrLeaving) // which Closed is told
	return AppendReply(nil, ErrLeaving.Code, ErrLeaving.Enhanced, ErrLeaving.Text)
}

// Closed ends the Session, and is to be called once, when the connection has ended. reason is why; what Turn has
// returned before has precedence.
func (c *ServerConn) Closed(reason error) {
	if c.is(over) {
		return
	}
	c.flags |= over
	if c.end != nil {
		reason = c.end
	}
	c.endSession(reason)
}

// endSession ends the Session, and its message.
func (c *ServerConn) endSession(reason error) {
	if c.session == nil {
		return
	}
	s := c.session
	if c.busy != nil {
		go c.later(s, c.busy, c.tx != nil, reason)
		c.session, c.tx = nil, nil
		return
	}
	defer func() { c.session = nil }()
	defer c.caught()
	c.reset()
	s.Close(reason)
}

// caught notes a panic of the Session, where nobody can be told.
func (c *ServerConn) caught() {
	if v := recover(); v != nil {
		c.srv.stats.panics.Add(1)
		c.srv.logger.Error("smtp: the backend panicked", "panic", v, "stack", string(debug.Stack()))
	}
}

// reset ends the message that is under way, if there is one.
func (c *ServerConn) reset() {
	if c.tx != nil {
		c.tx = nil
		c.flags &^= expects
		c.session.Reset()
	}
}

// remoteAddr and localAddr are the client's, and its other end.
func (c *ServerConn) remoteAddr() net.Addr {
	if c.proxied != nil {
		return c.proxied.from
	}
	return c.nc.RemoteAddr()
}

func (c *ServerConn) localAddr() net.Addr {
	if c.proxied != nil {
		return c.proxied.to
	}
	return c.nc.LocalAddr()
}

// tlsState is that of the connection, if it has TLS.
func (c *ServerConn) tlsState() (tls.ConnectionState, bool) {
	t, ok := c.nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return tls.ConnectionState{}, false
	}
	state := t.ConnectionState()
	return state, state.HandshakeComplete
}

// protocol is that of a Received field.
func (c *ServerConn) protocol() string {
	if !c.is(extended) {
		return "SMTP"
	}
	p := "ESMTP"
	if c.srv.LMTP {
		p = "LMTP"
	}
	if c.tx != nil && c.tx.utf8 {
		p = "UTF8" + map[bool]string{true: "LMTP", false: "SMTP"}[c.srv.LMTP]
	}
	if _, ok := c.tlsState(); ok {
		p += "S"
	}
	if c.is(authenticated) {
		p += "A"
	}
	return p
}
