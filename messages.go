package plexor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/prefetch"
	"github.com/plexor-go/plexor/loop"
)

// Messages is a [Handler] for protocols of messages: f gets each in turn, in a coroutine that exists only while there
// are messages to handle, so that an idle connection costs neither stack nor buffer (over TLS it costs what crypto/tls
// keeps of it, some 6 KiB). One message of a connection is handled at a time, in the order in which they came; further
// ones wait, and once 64 KiB of them do the connection is not read from until f has caught up.
//
// msg is f's, to change too, until f returns, also while it waits; to keep it longer, copy it. f answers with
// [Conn.Send], or with Write for bytes that are no messages of the codec; it can't Read. An error from f is logged, and
// closes the connection behind what was written; to close without one, call c.Close and return nil. What is no message
// of the codec, and a stream that ends inside one, is logged with its place in the stream, and closes likewise.
//
// An invalid codec (see frame.Codec.Check) is an error of whatever starts the server.
func Messages(codec frame.Codec, f func(c *Conn, msg []byte) error) Handler {
	return &messages{codec: codec, f: f}
}

type messages struct {
	codec frame.Codec
	f     func(c *Conn, msg []byte) error
}

func (h *messages) check() error {
	switch {
	case h.codec == nil:
		return errors.New("plexor: Messages: the codec is nil")
	case h.f == nil:
		return errors.New("plexor: Messages: the handler is nil")
	}
	if err := h.codec.Check(); err != nil {
		return fmt.Errorf("plexor: Messages: %w", err)
	}
	return nil
}

// A messageConn is a connection of Messages. While nothing is handled it is all that there is of it.
//
//	Data ──▶ next: is a message complete? ──no──▶ the decoder keeps the beginning of one, if any
//	             └─yes──▶ a coroutine: f(message), next, f(message), …, until there is none
//
// Over TLS it begins with a handshake, which has a coroutine of its own, and next reads what TLS makes of what came: see
// tls_messages.go.
type messageConn struct {
	Conn
	dec frame.Decoder
	run *messageRun // nil: no coroutine
}

// A messageRun is what there is besides while messages are handled.
type messageRun struct {
	msg []byte  // in buf, or in the decoder's own buffer or the secured's, where it stays until the next is asked for
	buf *buffer // nil: in one of those
	bad error   // what came next was no message
	end error   // over TLS: of the stream, io.EOF or what broke it
}

// messageEvents are the loop's calls for it.
type messageEvents messageConn

func (h *messages) accept(ep *endpoint, w *worker, lc *loop.Conn, peer netip.AddrPort) loop.Handler {
	m := &messageConn{Conn: Conn{ep: ep, msgs: h}}
	m.raw = stream{lc: lc, w: w, peer: peer, flags: accepted | messaging, tick: w.tick}
	if ep.secure() {
		m.raw.flags |= unshaken
		w.enlist(&m.Conn) // shook begins to await its first byte
	} else {
		w.await(&m.Conn)
	}
	if err := m.dec.Reset(h.codec); err != nil {
		panic(err) // check has passed it
	}
	return (*messageEvents)(m)
}

func (e *messageEvents) Opened(*loop.Conn) {
	if e.raw.is(unshaken) {
		e.awaitHello()
	}
}

func (e *messageEvents) Data(_ *loop.Conn, p []byte) {
	m := (*messageConn)(e)
	s := &m.raw
	s.touch()
	switch {
	case s.is(unshaken):
		m.hello(p, m.shaken)
	case m.run != nil:
		s.keep(p)
	default:
		s.offer(p)
		m.arrived()
		s.withdraw()
	}
}

// arrived has what has come handled.
func (m *messageConn) arrived() {
	m.run = m.raw.w.getRun()
	if m.next() {
		m.start()
	} else {
		m.settle(nil)
	}
}

// Prefetch is of loop.Prefetcher: the connection is all that there is.
func (e *messageEvents) Prefetch(step int) {
	if step == 0 {
		prefetch.Bytes(unsafe.Pointer(e), unsafe.Sizeof(*e))
	}
}

func (e *messageEvents) EOF(*loop.Conn) {
	m := (*messageConn)(e)
	m.raw.flags |= gotEOF
	switch {
	case m.raw.is(unshaken):
		m.helloEnd(m.shaken)
	case m.run == nil:
		m.arrived()
	}
}

func (e *messageEvents) Writable(lc *loop.Conn) {
	m := (*messageConn)(e)
	choked := m.tls != nil && m.tls.choked()
	(*events)(&e.Conn).Writable(lc)
	if choked && !m.tls.choked() && m.run == nil && !m.raw.is(unshaken|closed|over|givenAway) {
		m.arrived() // what lies there was left until now
	}
}

func (e *messageEvents) Expired(lc *loop.Conn, err *loop.DeadlineError) {
	m := (*messageConn)(e)
	if m.raw.is(unshaken) {
		(*events)(&m.Conn).Expired(lc, err)
		return
	}
	m.raw.expired(err)
	if m.run == nil {
		m.settle(nil)
	}
}

func (e *messageEvents) Closed(_ *loop.Conn, err error) {
	m := (*messageConn)(e)
	m.Conn.closed(err)
	if m.run == nil && !m.raw.is(unshaken) {
		m.settle(nil)
	}
}

// quiet reports whether nothing that the peer sent is left to handle.
func (e *messageEvents) quiet() bool {
	return e.run == nil && e.raw.in == nil && e.dec.Buffered() == 0 && (e.tls == nil || !e.tls.inside())
}

// next takes the next message, if there is one, out of what has arrived, and keeps it for the handler.
func (m *messageConn) next() bool {
	s := &m.raw
	if s.is(closed | givenAway) {
		return false
	}
	if m.tls != nil {
		return m.nextTLS()
	}
	if s.is(awaited) {
		s.w.heard(&m.Conn)
	}
	p := s.peek()
	inside := m.dec.Buffered() > 0 // then the decoder copies the rest of the frame behind its beginning
	msg, rest, err := m.dec.Next(p)
	if err != nil {
		m.run.bad = err
		return false
	}
	if msg != nil {
		m.run.msg = msg
		if inside {
			s.w.whole(s)
		} else {
			b := s.w.buffers.get(len(msg))
			b.b = append(b.b, msg...)
			m.run.buf, m.run.msg = b, b.b
		}
	}
	if n := len(p) - len(rest); n > 0 {
		s.discard(n)
	}
	return msg != nil
}

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
	m.raw.flags |= started
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
	m.base = ctx
	for {
		err := m.msgs.f(&m.Conn, m.run.msg)
		if m.ctx != nil {
			m.cause(ErrReturned)
			m.ctx, m.cause = nil, nil
		}
		m.dropMessage()
		if err != nil {
			return err
		}
		if !m.next() {
			return nil
		}
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
	m.dropContext()
	m.dropMessage()
	m.raw.flags &^= started
	m.raw.w.srv.stats.handlers.Add(-1)
	m.settle(err)
}

// settle goes from handling messages to waiting for one, or to the end.
func (m *messageConn) settle(err error) {
	s := &m.raw
	var bad, end error
	if m.tls == nil && s.is(gotEOF) {
		end = io.EOF
	}
	if m.run != nil {
		bad = m.run.bad
		if m.tls != nil {
			end = m.run.end
		}
		s.w.putRun(m.run)
		m.run = nil
	}
	switch {
	case s.is(givenAway):
		if err != nil && !m.report(err) {
			s.w.handlerFailed(&m.Conn, err)
		}
	case err != nil && m.report(err):
		s.abort(err)
	case err != nil:
		m.failed(err)
	case bad != nil:
		m.badFrame(bad)
	case s.is(closed | over):
	case end != nil:
		m.streamEnded(end)
	case s.readExpired():
		m.shut()
	default:
		s.dropWaits()
		m.incomplete(&m.dec)
		return
	}
	if !s.is(givenAway) {
		s.empty()
	}
	s.dropWaits()
	if m.tls != nil {
		m.tls.drop()
	}
	_ = m.dec.End() // gives its buffer back; what is wrong with it was said
	s.w.forget(s)
}

// streamEnded closes after the stream's end, which is io.EOF, or what broke TLS above it.
func (m *messageConn) streamEnded(end error) {
	if end != io.EOF {
		m.raw.w.log.Debug("a connection of messages ended", "peer", m.raw.String(), "err", m.tls.wrap("read", end))
	} else if err := m.dec.End(); err != nil {
		m.badFrame(err)
		return
	}
	m.shut()
}

func (m *messageConn) failed(err error) {
	m.raw.w.handlerFailed(&m.Conn, err)
	if !m.raw.is(closed) {
		m.shut()
	}
}

// handlerFailed counts and logs a handler's error. That the connection is gone, or the server, is no news.
func (w *worker) handlerFailed(c *Conn, err error) {
	if c.raw.is(over|closed) || errors.Is(err, net.ErrClosed) || errors.Is(err, coro.ErrLoopClosed) {
		w.log.Debug("a handler of messages failed", "peer", c.raw.String(), "err", err)
		return
	}
	if w.srv != nil {
		w.srv.stats.failed.Add(1)
	}
	w.log.Warn("a handler of messages failed: the connection is closed", "peer", c.raw.String(), "err", err)
}

func (m *messageConn) badFrame(err error) {
	m.raw.w.refuseFrame(&m.raw, err)
	if !m.raw.is(closed) {
		m.shut()
	}
}

// refuseFrame counts and logs it.
func (w *worker) refuseFrame(s *stream, err error) {
	if w.srv != nil {
		w.srv.stats.badFrames.Add(1)
	}
	reason, offset := "", int64(-1)
	if e, ok := errors.AsType[*frame.Error](err); ok {
		reason, offset = e.Reason, e.Offset
	}
	w.log.LogAttrs(context.Background(), slog.LevelWarn, "bad frame: the connection is closed", slog.String("peer", s.String()),
		slog.String("reason", reason), slog.Int64("offset", offset), slog.Any("err", err))
}

// messageBuffer is what is read at once where messages are read from a coroutine of their own, in bytes.
const messageBuffer = 4 << 10

// ServeConn handles the messages of a connection that has a coroutine already, whose HandlerFunc calls this after other
// things were said.
func (h *messages) ServeConn(c *Conn) {
	if err := h.check(); err != nil {
		panic(err)
	}
	t, err := c.enter("read", 0)
	if err != nil {
		return // the log was told
	}
	var dec frame.Decoder
	if err := dec.Reset(h.codec); err != nil {
		panic(err) // check has passed it
	}
	was, flags := c.msgs, c.raw.flags&messaging
	c.msgs = h
	c.raw.flags |= messaging
	defer func() { c.msgs, c.raw.flags = was, c.raw.flags&^messaging|flags }()
	w := c.raw.w
	defer dec.End()
	defer func() {
		c.raw.flags &^= halfway
		w.whole(&c.raw)
	}()
	for {
		if c.raw.flags &^= halfway; dec.Buffered() > 0 {
			c.raw.flags |= halfway
		}
		c.incomplete(&dec)
		b, err := c.receive(t, messageBuffer)
		switch {
		case err == nil:
			err = h.feed(c, &dec, b.b)
			w.buffers.put(b)
			if err != nil {
				return
			}
		case err == io.EOF:
			if err := dec.End(); err != nil {
				w.refuseFrame(&c.raw, err)
			}
			return
		default:
			w.log.Debug("a connection of messages ended", "peer", c.raw.String(), "err", err)
			return
		}
	}
}

// feed handles the messages that are complete with p.
func (h *messages) feed(c *Conn, dec *frame.Decoder, p []byte) error {
	for {
		msg, rest, err := dec.Next(p)
		if err != nil {
			c.raw.w.refuseFrame(&c.raw, err)
			return err
		}
		if msg == nil {
			return nil
		}
		c.raw.w.whole(&c.raw)
		if err := h.one(c, msg); err != nil {
			c.raw.w.handlerFailed(c, err)
			return err
		}
		p = rest
	}
}

// one handles a message, with a context of its own.
func (h *messages) one(c *Conn, msg []byte) error {
	ctx, cause := c.ctx, c.cause // of the handler that called ServeConn, if it asked for one
	c.ctx, c.cause = nil, nil
	defer func() {
		if c.cause != nil {
			c.cause(ErrReturned)
		}
		c.ctx, c.cause = ctx, cause
		if cause != nil && c.raw.is(over|closed) {
			cause(c.reason()) // it ended meanwhile
		}
	}()
	return h.f(c, msg)
}
