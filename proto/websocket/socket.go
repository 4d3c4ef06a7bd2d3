package websocket

import (
	"net"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/plexor-go/plexor/proto/http1"
)

// A Socket is a connection of [Sockets]. Its methods may be called by any goroutine and any coroutine; which of them
// wait is told at each. The Socket may be kept after the end; then they fail.
type Socket struct {
	e           *endpoint
	up          hooks
	compression *Compression
	link        http1.Looped // of an engine; nil: conn
	conn        *Conn        // that a goroutine reads; nil: link
	carried     *carried     // of an engine's, between turns; nil: nothing is
	post        *post        // nil: nobody has posted

	mu       sync.Mutex
	flags    socketFlags
	protocol uint16 // its place among Options.Protocols, counted from 1; 0: none
	sending  uint32 // so many are between their look at closeSent and having written
	why      error  // it ended
	ends     []ending

	pulse
}

type socketFlags uint8

const (
	opened    socketFlags = 1 << iota // Closed is to be called
	closeSent                         // a close frame was sent, or is about to be
	deaf                              // what comes is not looked at any more
	over                              // the connection is
	timed                             // a read deadline is set, for the rest of a message
)

func (s *Socket) is(f socketFlags) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags&f != 0
}

// set sets flags, and returns which of them were set already.
func (s *Socket) set(f socketFlags) socketFlags {
	s.mu.Lock()
	defer s.mu.Unlock()
	were := s.flags & f
	s.flags |= f
	return were
}

func (s *Socket) closing() bool { return s.is(closeSent | over) }

// enter is for who is about to send: until it calls exit no close frame goes out but those that end the connection at
// once.
func (s *Socket) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flags&(closeSent|over) != 0 {
		return ErrClosed
	}
	s.sending++
	return nil
}

// exit sends the close frame that had to wait for it.
func (s *Socket) exit() {
	s.mu.Lock()
	s.sending--
	waits := s.sending == 0 && s.flags&closeSent != 0 && s.post != nil && s.post.farewell != nil
	s.mu.Unlock()
	switch {
	case waits && s.conn != nil:
		s.closeBehindPosts()
	case waits:
		_ = s.link.Go("websocket close", s.closeInTurn) // it fails when the loop has ended
	}
}

// because notes why it ends. The first reason stays, unless the peer's close frame comes behind one of ours.
func (s *Socket) because(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why = err
	}
}

// Protocol is the subprotocol; "": none.
func (s *Socket) Protocol() string {
	if s.protocol == 0 {
		return ""
	}
	return s.e.o.Protocols[s.protocol-1]
}

// Compression is what was agreed on; nil: messages are not compressed. It is not to be changed.
func (s *Socket) Compression() *Compression { return s.compression }

// NetConn is the connection below, for its addresses. To read, write or close it breaks the Socket.
func (s *Socket) NetConn() net.Conn {
	if s.link != nil {
		return s.link
	}
	return s.conn.NetConn()
}

// Send sends a message, compressed where that was agreed on and pays. It waits while the client does not take what
// was sent. Text that is not UTF-8 is refused with ErrText. Behind a close frame it fails with ErrClosed. On an
// engine it is for the functions of Sockets and other coroutines of the loop; elsewhere it is Post.
func (s *Socket) Send(m Message) error {
	if s.conn == nil && !s.link.OnLoop() {
		return s.Post(m)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.exit()
	if s.conn != nil {
		return s.conn.WriteMessage(m.Op, m.Data)
	}
	b, err := s.appendFrame(getBuffer(), m, true)
	if err == nil {
		_, err = s.link.Write(b)
	}
	putBuffer(b)
	return err
}

// SendText is Send of a text.
func (s *Socket) SendText(text string) error { return s.Send(Message{Text, []byte(text)}) }

// Post has a message sent, and never waits: it is queued, in order with others that are posted, but not with those of
// Send. It fails with ErrClosed, or, where the client does not take what it gets and the queue is full, with an error
// of the queue's: ErrFull, or plexor.ErrOutboxFull on package web, where the queue is the connection's Outbox with
// its limits and choices (a connection that was posted to costs a third of a KiB more). It is compressed by itself,
// without a window, and not at all where one was agreed on for what is sent.
func (s *Socket) Post(m Message) error {
	b, err := s.appendFrame(nil, m, false)
	if err != nil {
		return err
	}
	return s.PostFrame(nil, b)
}

// appendFrame writes a server's frame. With its window, if it has one, it is for who writes in order.
func (s *Socket) appendFrame(dst []byte, m Message, window bool) ([]byte, error) {
	if m.Op == Text && !utf8.Valid(m.Data) {
		return dst, ErrText
	}
	h := Header{Final: true, Op: m.Op}
	c, d := s.compression, s.e.o.Deflate
	if c == nil || len(m.Data) < d.threshold() || c.SendWindow && !window {
		return AppendFrame(dst, h, m.Data), nil
	}
	z := s.deflater()
	h.Compressed = true
	packed := z.append(getBuffer(), m.Data, true)
	dst = AppendFrame(dst, h, packed)
	putBuffer(packed)
	return dst, nil
}

// deflater is the one that keeps the window, or one for a message.
func (s *Socket) deflater() *deflater {
	if !s.compression.SendWindow {
		return newDeflater(s.e.o.Deflate.level(), s.compression)
	}
	k := s.keep()
	if k.z == nil {
		k.z = newDeflater(s.e.o.Deflate.level(), s.compression)
	}
	return k.z
}

// OnEnd has f called when nothing more is to be sent: before a close frame is, or when the connection has ended
// without; before Closed is. nil takes it back, and one with the same key is replaced. f must not wait. It fails with
// ErrClosed behind Close, and when the end has been.
func (s *Socket) OnEnd(key any, f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends = slices.DeleteFunc(s.ends, func(e ending) bool { return e.key == key }); f == nil {
		return nil
	}
	if s.flags&(closeSent|over) != 0 {
		return ErrClosed
	}
	s.ends = append(s.ends, ending{key, f})
	return nil
}

// An ending is what is to be called at the end.
type ending struct {
	key any
	f   func()
}

// tellEnds calls what OnEnd was given.
func (s *Socket) tellEnds() {
	s.mu.Lock()
	ends := s.ends
	s.ends = nil
	s.mu.Unlock()
	for _, e := range ends {
		e.f()
	}
}

// tellEnd is tellEnds, and calls Closed. Nothing is sent any more.
func (s *Socket) tellEnd() {
	s.tellEnds()
	if s.is(opened) {
		_ = s.call(func() error { s.up.closed(s.why); return nil })
	}
}

// Close begins the close of the connection: a close frame with a code, or without one where it may not be sent (see
// [Code.Sendable]), and a reason of at most 123 bytes of UTF-8. It does not wait. What was posted before goes out
// before. The client has Options.CloseWait to answer; messages that come meanwhile are dropped. A second call does
// nothing.
func (s *Socket) Close(code Code, reason string) error {
	if !s.beginClose(code, reason) {
		return nil
	}
	if s.conn != nil {
		s.tellEnds()
		s.conn.beginClose()
		s.closeBehindPosts() // who reads sees the answer, or the end
		return nil
	}
	return s.link.Go("websocket close", s.closeInTurn)
}
