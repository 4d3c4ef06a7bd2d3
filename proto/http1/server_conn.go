package http1

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A ServerConn is the server's side of a connection. Between two turns it holds no buffer, but for the beginning of a
// head. Its methods are for one goroutine, or coroutine, at a time.
//
//	Turn: bytes ──▶ a head is whole ──▶ the handler ──▶ the answer ──▶ the next head, …, rest
//	          └──▶ a part of one: it is kept, in as much memory as it needs
type ServerConn struct {
	srv  *Server
	nc   net.Conn
	in   *input   // nil: between two turns
	part *partial // nil: no head has begun
	more *connMore

	asked    bool // a request has come
	timed    bool // a read deadline is set
	closes   bool // it is this side that closes it: the client may be sending still
	prefaced bool // it has spoken HTTP/1
	told     bool // Server.Active, that a request has begun
}

// A partial is the beginning of a head.
type partial struct {
	b  []byte
	by time.Time // until when the rest has to be there
}

// connMore is what few connections have.
type connMore struct {
	proto   Protocol // in place of HTTP; nil: none
	request *requestMore
}

// requestMore is what its requests have besides.
type requestMore struct {
	base context.Context // of ConnContext
	tls  *tls.ConnectionState
}

func (c *ServerConn) getMore() *requestMore {
	if c.more == nil {
		c.more = new(connMore)
	}
	if c.more.request == nil {
		c.more.request = new(requestMore)
	}
	return c.more.request
}

// Init makes c a connection of s, as NewConn does, in memory of the caller's.
func (c *ServerConn) Init(s *Server, nc net.Conn) {
	s.once.Do(s.fill)
	c.srv, c.nc = s, nc
}

// An input is what a turn works with: what has come and was not taken, and what is answered.
type input struct {
	b    []byte // b[r:w]
	r, w int
	scan Scanner
	head Head

	// Of the answer under way, until its head is sent: the fields that the handler set, as they are sent, and the body.
	fields, body []byte
	out          []byte // of answers, not written yet
	x            *response
	failed       error  // of a write: nothing is written any more
	peer         string // the client's address; "": nobody asked in this turn

	lost bool // somebody who reads a body still has it: it is not used again
}

// inputSize is what is read at once, in bytes. A longer head makes the buffer grow.
const inputSize = 4 << 10

var inputs = sync.Pool{New: func() any {
	return &input{b: make([]byte, inputSize), fields: make([]byte, 0, fieldBuffer), body: make([]byte, 0, bodyBuffer),
		out: make([]byte, 0, outBuffer)}
}}

func (in *input) unread() []byte { return in.b[in.r:in.w] }

// room is where more can be read into: at least a byte, and as much as least if that is more.
func (in *input) room(least int) []byte {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if len(in.b)-in.w < least && in.r > 0 {
		in.w = copy(in.b, in.unread())
		in.r = 0
	}
	if len(in.b)-in.w < least {
		b := make([]byte, max(2*len(in.b), in.w+least))
		copy(b, in.b[:in.w])
		in.b = b
	}
	return in.b[in.w:]
}

// putInput gives it back.
func putInput(in *input) {
	if in.lost || len(in.b) > inputSize || cap(in.head.Fields) > defaultFields || cap(in.fields)+cap(in.out) > mostPooled {
		return
	}
	in.r, in.w = 0, 0
	in.fields, in.body, in.out, in.x, in.failed = in.fields[:0], in.body[:0], in.out[:0], nil, nil
	in.peer = ""
	inputs.Put(in)
}

// Of the buffers for answers, in bytes. mostOut is how much, to requests that came behind one another, is held to be
// written at once; what has become longer than mostPooled is not used again. An answer that is not longer than
// bodyBuffer gets a Content-Length by itself.
const (
	fieldBuffer = 512
	bodyBuffer  = 4 << 10
	outBuffer   = 1 << 10
	mostOut     = 16 << 10
	mostPooled  = 32 << 10
)

// Turn reads what has come, waiting if there is nothing, and answers the requests that are whole. It returns nil when
// it has answered all of them; io.EOF when the connection is to be closed, behind what was written; ErrGone,
// ErrAbandoned, ErrAborted, or why reading or writing failed. After Switch it is the Turn of that Protocol.
func (c *ServerConn) Turn() error {
	if c.Switched() {
		return c.more.proto.Turn()
	}
	in := inputs.Get().(*input)
	in.scan = Scanner{Limits: c.srv.limits}
	if c.part != nil {
		in.w = copy(in.room(len(c.part.b)), c.part.b)
	}
	n, err := c.nc.Read(in.room(1))
	in.w += n
	if n == 0 {
		putInput(in)
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	if c.srv.Active != nil && !c.told {
		c.told = true
		c.srv.Active(c.nc, true)
	}
	c.in = in
	if c.part == nil && c.timed {
		c.untime()
	}
	err = c.answer()
	c.closes = err == io.EOF
	if err == nil || err == io.EOF {
		if e := c.flush(); e != nil {
			err = e
		}
	}
	if errors.Is(err, ErrAbandoned) {
		return err // the handler still has the buffers
	}
	if err == nil && !c.Switched() {
		c.rest()
	}
	c.in = nil
	putInput(in)
	return err
}

// untime takes a read deadline back.
func (c *ServerConn) untime() {
	_ = c.nc.SetReadDeadline(time.Time{})
	c.timed = false
}

// rest keeps the beginning of a head, and sets the deadline for what has to come next.
func (c *ServerConn) rest() {
	b := c.in.unread()
	if len(b) == 0 {
		c.dropPart()
		if c.srv.IdleTime > 0 {
			_ = c.nc.SetReadDeadline(c.srv.now().Add(c.srv.IdleTime))
			c.timed = true
		} else if c.timed {
			c.untime()
		}
		if c.told {
			c.told = false
			c.srv.Active(c.nc, false)
		}
		return
	}
	if c.part == nil {
		c.part = new(partial)
		if d := c.srv.headTime(); d > 0 {
			c.part.by = c.srv.now().Add(d)
			_ = c.nc.SetReadDeadline(c.part.by)
			c.timed = true
		}
	}
	if p := c.part; cap(p.b) < len(b) || cap(p.b) > 2*len(b) {
		p.b = bytes.Clone(b)
	} else {
		p.b = append(p.b[:0], b...)
	}
	if h, ok := c.nc.(Holder); ok {
		h.HoldsInput(cap(c.part.b))
	}
}

// dropPart is for a head that is whole, or whose rest is not awaited.
func (c *ServerConn) dropPart() {
	if c.part == nil {
		return
	}
	c.part = nil
	if h, ok := c.nc.(Holder); ok {
		h.HoldsInput(0)
	}
}

// answer answers the requests that are whole.
func (c *ServerConn) answer() error {
	in := c.in
	for in.r < in.w {
		b := in.unread()
		if !c.prefaced && c.srv.HTTP2 != nil && b[0] == preface[0] {
			switch n := min(len(b), len(preface)); {
			case string(b[:n]) != preface[:n]:
			case n < len(preface):
				return nil
			default:
				return c.toHTTP2(b)
			}
		}
		n, err := in.scan.Scan(b)
		if err != nil {
			return c.refuse(err)
		}
		if n == 0 {
			return nil
		}
		if err := in.head.ParseRequest(b[:n], c.srv.limits); err != nil {
			return c.refuse(err)
		}
		in.r += n
		c.prefaced = true
		if c.part != nil || c.timed {
			c.dropPart()
			c.untime()
		}
		if err := c.exchange(&in.head, b[:n]); err != nil || c.Switched() {
			return err
		}
	}
	return nil
}

// preface is how a client begins that speaks HTTP/2 (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func (c *ServerConn) toHTTP2(ahead []byte) error {
	if err := c.srv.HTTP2(c.nc, bytes.Clone(ahead)); err != nil {
		return err
	}
	return ErrGone
}

// refuse answers what is no request, and ends the connection.
func (c *ServerConn) refuse(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{400, err.Error()}
	}
	if c.srv.Refused != nil {
		c.srv.Refused(c.nc, e)
	}
	text := http.StatusText(e.Status)
	c.put("HTTP/1.1 ")
	c.putInt(int64(e.Status))
	c.put(" " + text + "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: ")
	text += ": " + e.What + "\n"
	c.putInt(int64(len(text)))
	c.put("\r\n\r\n" + text)
	return io.EOF
}

// exchange has a request answered, whose head is h, with the bytes raw.
func (c *ServerConn) exchange(h *Head, raw []byte) error {
	x := &response{c: c, length: -1}
	c.in.fields, c.in.body = c.in.fields[:0], c.in.body[:0]
	if err := x.parse(h, raw); err != nil {
		return c.refuse(err)
	}
	if c.srv.Done != nil {
		x.began = c.srv.now()
	}
	c.in.x = x
	if len(c.in.out) > 0 && !x.body.whole() { // the answers before may be what the client waits for
		if err := c.flush(); err != nil {
			return err
		}
	}
	done := true
	if c.srv.Run != nil {
		done = c.srv.Run(c.nc, x.req, x.serve)
	} else {
		x.serve()
	}
	if !done {
		x.ctx.end()
		return ErrAbandoned
	}
	err := x.end()
	c.in.x = nil
	if c.srv.Done != nil {
		c.srv.Done(x.record(err))
	}
	return err
}

// Switched reports whether another protocol has taken over.
func (c *ServerConn) Switched() bool { return c.more != nil && c.more.proto != nil }

// protocol is what has taken over; nil: nothing.
func (c *ServerConn) protocol() Protocol {
	if c.more == nil {
		return nil
	}
	return c.more.proto
}

// Leave tells a Protocol that has taken over that the server shuts down, if it wants to know (see [Leaver]), and
// reports whether it does.
func (c *ServerConn) Leave() bool {
	if !c.Switched() {
		return false
	}
	l, ok := c.more.proto.(Leaver)
	if ok {
		l.Leave()
	}
	return ok
}

// Closed is told when the connection has ended, with the reason: a Protocol that has taken over is told of it.
func (c *ServerConn) Closed(reason error) {
	if c.Switched() {
		c.more.proto.Closed(reason)
	}
}

// baseContext is what those of its requests derive from.
func (c *ServerConn) baseContext() context.Context {
	if c.more != nil && c.more.request != nil && c.more.request.base != nil {
		return c.more.request.base
	}
	base := c.srv.Context
	if base == nil {
		base = context.Background()
	}
	if f := c.srv.ConnContext; f != nil {
		base = f(base, c.nc)
		c.getMore().base = base
	}
	return base
}
