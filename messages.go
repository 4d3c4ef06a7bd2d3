package plexor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/prefetch"
	"github.com/plexor-go/plexor/loop"
)

// Messages is a [Handler] for protocols of messages: f gets each in turn, in a coroutine that exists only while there
// are messages to handle, so that an idle connection costs neither stack nor buffer (over TLS it costs what crypto/tls
// keeps of it). One message of a connection is handled at a time, in the order in which they came; further
// ones wait, and once 64 KiB of them do the connection is not read from until f has caught up.
//
// msg is f's, to change too, until f returns, also while it waits; to keep it longer, copy it. f answers with
// [Conn.Send], or with Write for bytes that are no messages of the codec; it can't Read. An error from f is logged, and
// closes the connection behind what was written; to close without one, call c.Close and return nil. What is no message
// of the codec, and a stream that ends inside one, is logged with its place in the stream, and closes likewise.
//
// An invalid codec (see frame.Codec.Check) is an error of whatever starts the server.
func Messages(codec frame.Codec, f func(c *Conn, msg []byte) error) Handler {
	return &messages{name: "Messages", codec: codec, f: f}
}

// A messages is the handler of connections that rest, with nothing held, between one thing that comes and the next:
// those of Messages, of Turns and of Sessions.
type messages struct {
	name     string      // of what made it, for errors
	codec    frame.Codec // nil: none; only a handler of turns may have none
	f        func(c *Conn, msg []byte) error
	turn     func(c *Conn) error // in place of f
	sessions *sessionHooks       // nil: its connections have no state
}

// A rester is a Handler that is a messages underneath.
type rester interface{ rests() *messages }

func (h *messages) rests() *messages { return h }

func (h *messages) check() error {
	switch {
	case h.f != nil && h.turn != nil:
		return fmt.Errorf("plexor: %s: Message and Turn are both set: one of them handles what comes", h.name)
	case h.f == nil && h.turn == nil && h.sessions != nil:
		return fmt.Errorf("plexor: %s: neither Message nor Turn is set: one of them handles what comes", h.name)
	case h.codec == nil && h.turn == nil && h.name != "Turns":
		return fmt.Errorf("plexor: %s: the codec is nil", h.name)
	case h.f == nil && h.turn == nil:
		return fmt.Errorf("plexor: %s: the handler is nil", h.name)
	case h.codec == nil:
		return nil
	}
	if err := h.codec.Check(); err != nil {
		return fmt.Errorf("plexor: %s: %w", h.name, err)
	}
	return nil
}

// A messageConn is a connection of Messages, Turns or Sessions. While nothing is handled it is all that there is of it.
//
//	Data ──▶ next: is a message complete? ──no──▶ the decoder keeps the beginning of one, if any
//	             └─yes──▶ a coroutine: f(message), next, f(message), …, until there is none
//
// With Turns any byte will do for next, and the handler reads by itself: see turns.go. With Sessions the coroutine
// calls Open first, and the connection lies in front of its state: see sessions.go. Over TLS it begins with a
// handshake, which has a coroutine of its own, and next reads what TLS makes of what came: see tls_messages.go.
type messageConn struct {
	Conn
	dec *frame.Decoder // nil: it handles turns. Else it lies in the same piece: see decoded
	run *messageRun    // nil: no coroutine
}

// A decoded is a connection of messages without a state, with its decoder behind it.
type decoded struct {
	messageConn
	own frame.Decoder
}

// room makes a connection with room for all that one of its kind has.
func (h *messages) room() *messageConn {
	switch {
	case h.sessions != nil:
		return h.sessions.room()
	case h.turn != nil:
		return new(messageConn)
	}
	d := new(decoded)
	d.dec = &d.own
	return &d.messageConn
}

// A messageRun is what there is besides while messages are handled.
type messageRun struct {
	msg []byte  // in buf, or in the decoder's own buffer or the secured's, where it stays until the next is asked for
	buf *buffer // nil: in one of those
	bad error   // what came next was no message
	end error   // over TLS: of the stream, io.EOF or what broke it

	idle Idle // what is to be told before anything is handled
}

// messageEvents are the loop's calls for it.
type messageEvents messageConn

func (h *messages) accept(ep *endpoint, w *worker, lc *loop.Conn, peer netip.AddrPort) loop.Handler {
	m := h.room()
	m.ep, m.msgs = ep, h
	m.raw = w.newStream(lc, peer, accepted)
	if m.dec != nil {
		m.raw.above |= messaging
		if err := m.dec.Reset(h.codec); err != nil {
			panic(err) // check has passed it
		}
	}
	if ep.secure() {
		m.raw.above |= unshaken
		w.enlist(&m.Conn) // shook begins to await its first byte
	} else {
		w.await(&m.Conn)
	}
	return (*messageEvents)(m)
}

func (e *messageEvents) Opened(*loop.Conn) {
	switch {
	case e.is(unshaken):
		e.awaitHello()
	case e.msgs.sessions != nil:
		(*messageConn)(e).open()
	}
}

func (e *messageEvents) Data(_ *loop.Conn, p []byte) {
	m := (*messageConn)(e)
	s := &m.raw
	s.touch()
	switch {
	case m.is(unshaken):
		m.hello(p, m.shaken)
	case m.run != nil:
		if s.is(awaited) { // Open waits for something
			s.w.heard(&m.Conn)
		}
		s.received(p)
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
	m.raw.tellEnd()
	switch {
	case m.is(unshaken):
		m.helloEnd(m.shaken)
	case m.run == nil:
		m.arrived()
	default:
		m.raw.readers.wakeAll() // of a turn
	}
}

func (e *messageEvents) Writable(*loop.Conn) {
	m := (*messageConn)(e)
	choked := m.tls != nil && m.tls.choked()
	if m.tls != nil {
		m.tls.writable()
	}
	m.raw.writable()
	if choked && !m.tls.choked() && m.run == nil && !m.is(unshaken) && !m.raw.is(closed|over|givenAway) {
		m.arrived() // what lies there was left until now
	}
}

func (e *messageEvents) Expired(lc *loop.Conn, err *loop.DeadlineError) {
	m := (*messageConn)(e)
	if m.is(unshaken) {
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
	m.Conn.finish(err)
	m.because(m.reason())
	if m.run == nil && !m.is(unshaken) {
		m.settle(nil)
	}
}

// Delivered is of loop.DeliveryHandler, for Close.
func (e *messageEvents) Delivered(*loop.Conn) { e.raw.delivered() }

func (e *messageEvents) expel(err error) {
	m := (*messageConn)(e)
	if m.Conn.expel(err); m.run == nil && !m.is(unshaken) && m.raw.is(over) {
		m.settle(nil) // a session is told now, and not when the peer closes too
	}
}

func (e *messageEvents) drain() {
	m := (*messageConn)(e)
	if m.leaves() {
		return
	}
	if m.Conn.drain(m.run == nil && m.raw.in == nil && (m.dec == nil || m.dec.Buffered() == 0)) && !m.is(unshaken) {
		m.because(ErrServerClosed)
		m.conclude()
	}
}

func (e *messageEvents) unheard() {
	m := (*messageConn)(e)
	m.shut()
	if m.because(ErrFirstByte); m.run == nil {
		m.settle(nil)
	}
}

func (e *messageEvents) tooSlow() {
	m := (*messageConn)(e)
	m.because(ErrFrameTime)
	m.shut()
	m.settle(nil)
}

func (e *messageEvents) describe(info *ConnInfo) { e.Conn.describe(info) }

func (e *messageEvents) dropPart() {
	if e.run == nil && e.dec != nil {
		_ = e.dec.Reset(e.msgs.codec) // check has passed it
	}
}

// next takes the next message, if there is one, out of what has arrived, and keeps it for the handler.
func (m *messageConn) next() bool {
	s := &m.raw
	switch {
	case s.is(closed | givenAway):
		return false
	case m.msgs.turn != nil:
		return m.nextTurn()
	case m.tls != nil:
		return m.nextTLS()
	}
	p := s.peek()
	if s.is(awaited) && len(p) > 0 {
		s.w.heard(&m.Conn)
	}
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
	if s.is(closed) {
		m.because(net.ErrClosed) // by Close, for who else closes has said why
	}
	var reason error
	switch {
	case s.is(givenAway):
		reason = ErrGivenAway
		if quiet := err == nil || err == io.EOF && m.msgs.turn != nil; !quiet && !m.report(err) {
			s.w.handlerFailed(&m.Conn, err)
		}
	case err != nil && m.report(err):
		s.abort(err)
		reason = err
	case err == io.EOF && m.msgs.turn != nil: // which it has read, or wants to be it
		m.shut()
		reason = err
	case err != nil:
		m.failed(err)
		reason = s.whyOver(err)
	case bad != nil:
		m.badFrame(bad)
		reason = bad
	case s.is(closed | over):
		reason = m.reason()
	case end != nil:
		reason = m.streamEnded(end)
	case s.readExpired():
		m.shut()
		reason = os.ErrDeadlineExceeded
	default:
		s.dropWaits()
		m.incomplete(m.dec)
		return
	}
	m.cease(reason)
}

// cease gives back what the connection holds, whose end has the reason.
func (m *messageConn) cease(reason error) {
	s := &m.raw
	if !s.is(givenAway) {
		s.empty()
	}
	s.dropWaits()
	if m.tls != nil {
		m.tls.drop()
	}
	if m.dec != nil {
		_ = m.dec.End() // gives its buffer back; what is wrong with it was said
	}
	s.w.forget(s)
	m.because(reason)
	m.conclude()
}

// streamEnded closes after the stream's end, which is io.EOF, or what broke TLS above it. It returns why.
func (m *messageConn) streamEnded(end error) error {
	if end != io.EOF {
		end = m.tls.wrap("read", end)
		m.raw.w.log.Debug("a connection of messages ended", "peer", m.raw.String(), "err", end)
	} else if m.dec != nil {
		if err := m.dec.End(); err != nil {
			m.badFrame(err)
			return err
		}
	}
	m.shut()
	return end
}

func (m *messageConn) failed(err error) {
	m.raw.w.handlerFailed(&m.Conn, err)
	if !m.raw.is(closed) {
		m.shut()
	}
}

// handlerFailed counts and logs a handler's error. That the connection is gone, or the server, is no news.
func (w *worker) handlerFailed(c *Conn, err error) {
	_, cutShort := errors.AsType[truncatedError](err)
	if c.raw.is(over|closed) || cutShort ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, coro.ErrLoopClosed) || err == ErrIdle {
		w.log.Debug("a handler failed", "peer", c.raw.String(), "err", err)
		return
	}
	if w.srv != nil {
		w.srv.stats.failed.Add(1)
	}
	w.log.Warn("a handler failed: the connection is closed", "peer", c.raw.String(), "err", err)
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
	w.log.LogAttrs(context.Background(), slog.LevelWarn, "bad frame: the connection is closed",
		slog.String("peer", s.String()), slog.String("reason", reason), slog.Int64("offset", offset), slog.Any("err", err))
}
