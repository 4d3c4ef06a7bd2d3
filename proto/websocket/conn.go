package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is a WebSocket connection over a net.Conn, whose methods wait: for goroutines, or for coroutines over a
// plexor.Conn (see Options.NewLock).
//
// One goroutine reads at a time: ReadMessage, NextReader and the reader that it returns. It has to read for pings
// to be answered and the peer's close to be seen. Any number may write at once, and all other methods are for any
// goroutine.
type Conn struct {
	nc     net.Conn
	side   Side
	agreed Agreement
	o      *Options

	// Of who reads.
	a       *Assembler
	buf     []byte
	r, w    int // what of buf was read ahead is buf[r:w]
	stream  *messageReader
	readErr error
	reading atomic.Bool

	// Of who writes.
	message Lock // held for a message, of which the frames are one behind the other
	frame   Lock // held for a frame: control frames come between those of a message
	c       *Composer

	mu       sync.Mutex // never held over a wait
	pong     []byte     // the payload of the pong that is due
	pongDue  bool
	begun    bool // a close was
	sent     bool // no more data: a close frame was, or the connection is closed
	writeErr error
	clock    clock
}

// readAhead is what a Conn reads at once, in bytes. What is longer is read to where it goes.
const readAhead = 4 << 10

// The errors of a Conn, beside those of the net.Conn, an *Error and a *CloseError.
var (
	ErrNoPong = errors.New("websocket: nothing came from the peer, not even the answer to a ping")
	ErrClosed = fmt.Errorf("websocket: a close frame was sent: %w", net.ErrClosed)
	ErrEnded  = fmt.Errorf("websocket: the connection ended without a close frame: %w", io.ErrUnexpectedEOF)
	ErrReader = errors.New("websocket: somebody else is reading this connection")
)

// NewConn is a connection of which the handshake is done. ahead is what was read behind the head; it is kept. a is
// what was agreed on, and o the options, which may be nil.
func NewConn(nc net.Conn, side Side, a *Agreement, ahead []byte, o *Options) *Conn {
	if o == nil {
		o = new(Options)
	}
	c := &Conn{nc: nc, side: side, agreed: *a, o: o, a: NewAssembler(side, a.Compression, o.Limits),
		c: NewComposer(side, a.Compression, o.Deflate), message: o.lock(), frame: o.lock()}
	if len(ahead) > 0 {
		c.buf = slices.Clone(ahead)
		c.w = len(ahead)
	}
	c.clock.heard = o.now()
	c.arm()
	return c
}

// Protocol is the subprotocol; "": none.
func (c *Conn) Protocol() string { return c.agreed.Protocol }

// Compression is what was agreed on; nil: messages are not compressed. It is not to be changed.
func (c *Conn) Compression() *Compression { return c.agreed.Compression }

// NetConn is the connection below: for its addresses and socket options. To read, write or close it breaks the Conn.
func (c *Conn) NetConn() net.Conn { return c.nc }

// SetReadDeadline is that of a net.Conn. A reading method that fails by it may be called again, and goes on where
// it was.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &c.clock
	k.read = t
	if !k.left.IsZero() && !k.pinged.IsZero() { // what came since is there, but nobody has read it
		k.pinged = k.pinged.Add(c.o.now().Sub(k.left))
	}
	k.left = time.Time{}
	return c.armLocked()
}

// SetWriteDeadline is that of a net.Conn. A frame that was written in part by then is the last: writing fails from
// then on.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.clock.write = t
	c.mu.Unlock()
	return c.arm()
}

// ReadMessage waits for the next message. It is valid until the next call of a reading method. What is left of one
// that NextReader began is skipped.
//
// The error is a *CloseError when the peer has closed, an *Error when it broke the protocol, ErrEnded when the
// connection ended without a close frame, os.ErrDeadlineExceeded at the deadline, ErrNoPong, or one of the
// net.Conn. But for the deadline it stays, and the connection is closed.
func (c *Conn) ReadMessage() (Opcode, []byte, error) {
	if !c.reading.CompareAndSwap(false, true) {
		return 0, nil, c.otherReader()
	}
	defer c.reading.Store(false)
	if err := c.skip(); err != nil {
		return 0, nil, err
	}
	a := c.a
	a.release()
	for {
		e, err := c.next()
		if err != nil {
			return 0, nil, err
		}
		if e.First && e.Last && !e.Compressed {
			return e.Op, e.Payload, nil
		}
		if err := c.gather(&e); err != nil {
			return 0, nil, c.fail(err)
		}
		if e.Last {
			a.given = true
			return e.Op, a.buf, nil
		}
	}
}

// otherReader is why nobody else can read: another does, or Close, which reads the peer's answer.
func (c *Conn) otherReader() error {
	if c.closing() {
		return ErrClosed
	}
	return ErrReader
}

// gather adds e to the message; a long frame that is not compressed is then read to where it goes.
func (c *Conn) gather(e *Event) error {
	a := c.a
	if a.buf == nil {
		a.buf = getBuffer()
	}
	if err := a.gather(e); err != nil {
		return err
	}
	if e.Compressed || c.r < c.w || a.parser.Left() < readAhead {
		return nil
	}
	for left := a.parser.Left(); left > 0; left = a.parser.Left() {
		// The buffer grows with what has come, not with what was announced.
		a.buf = slices.Grow(a.buf, int(min(left, 4*readAhead)))
		p := a.buf[len(a.buf):cap(a.buf)]
		n, err := c.read(p[:min(int64(len(p)), left)])
		if err != nil {
			return nil // next meets it again
		}
		_, piece, err := a.parser.Next(p[:n])
		if err != nil {
			return err
		}
		a.buf = a.buf[:len(a.buf)+n]
		e.Last = piece.Last
	}
	return nil
}

// next waits for a piece of a message. Control frames are answered on the way.
func (c *Conn) next() (Event, error) {
	if c.readErr != nil {
		return Event{}, c.readErr
	}
	for {
		n, e, err := c.a.parser.Next(c.buf[c.r:c.w])
		c.r += n
		if err != nil {
			return Event{}, c.fail(err)
		}
		switch e.Kind {
		case Data:
			return e, nil
		case Ping:
			c.answer(e.Payload)
		case Pong:
			if c.o.OnPong != nil {
				c.o.OnPong(e.Payload)
			}
		case Close:
			return Event{}, c.closedByPeer(&e)
		default:
			if err := c.fill(); err != nil {
				return Event{}, err
			}
		}
	}
}

// fill reads ahead, when all that was is eaten.
func (c *Conn) fill() error {
	if cap(c.buf) < readAhead {
		c.buf = make([]byte, readAhead)
	}
	c.buf = c.buf[:cap(c.buf)]
	n, err := c.read(c.buf)
	c.r, c.w = 0, n
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.closing() {
		return err
	}
	if err == io.EOF {
		err = ErrEnded
	}
	c.readErr = err
	c.CloseNow()
	return err
}

// read is the net.Conn's, that sends a ping when nothing comes.
func (c *Conn) read(p []byte) (int, error) {
	for {
		n, err := c.nc.Read(p)
		if n > 0 {
			if c.o.PingEvery > 0 {
				c.hear()
			}
			return n, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && c.o.PingEvery > 0 && !c.closing() {
			if err = c.silent(err); err == nil {
				continue
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

// NextReader waits for the next message, and is for reading it as it comes: its Read returns io.EOF at the
// message's end. What is left of the message before is skipped. Compressed messages are inflated, and text is
// checked, as far as they have come. The errors are those of ReadMessage.
func (c *Conn) NextReader() (Opcode, io.Reader, error) {
	if !c.reading.CompareAndSwap(false, true) {
		return 0, nil, c.otherReader()
	}
	defer c.reading.Store(false)
	if err := c.skip(); err != nil {
		return 0, nil, err
	}
	c.a.release()
	if c.a.buf != nil || c.a.packed != nil { // a deadline cut ReadMessage off within a message
		return 0, nil, ErrHalfRead
	}
	e, err := c.next()
	if err != nil {
		return 0, nil, err
	}
	m := &messageReader{c: c, rest: e.Payload, last: e.Last}
	if e.Compressed {
		m.z = c.a.z
		m.z.begin(e.Op, nil, m.piece)
	}
	c.stream = m
	return e.Op, m, nil
}

// ErrHalfRead is why NextReader can't have a message of which ReadMessage, which a deadline ended, has the beginning.
var ErrHalfRead = errors.New("websocket: ReadMessage has the beginning of this message, and has to be called again")

// skip reads what is left of a message that NextReader began.
func (c *Conn) skip() error {
	if c.stream == nil {
		return nil
	}
	scratch := make([]byte, 512)
	for c.stream != nil {
		if _, err := c.stream.read(scratch); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// A messageReader reads a message as it comes.
type messageReader struct {
	c    *Conn
	rest []byte // what has come and was not read: a view into the Conn's buffer
	last bool   // rest is the message's end
	z    *inflater
	err  error // io.EOF: it was read to its end
}

func (m *messageReader) Read(p []byte) (int, error) {
	if !m.c.reading.CompareAndSwap(false, true) {
		return 0, m.c.otherReader()
	}
	defer m.c.reading.Store(false)
	if m.err == nil && m.c.stream != m {
		m.err = ErrSkipped
	}
	return m.read(p)
}

// ErrSkipped is why a reader can't be read any more: the next message was begun.
var ErrSkipped = errors.New("websocket: the next message was begun")

// piece is the next of the message that is not empty, or io.EOF.
func (m *messageReader) piece() ([]byte, error) {
	for len(m.rest) == 0 {
		if m.last {
			return nil, io.EOF
		}
		e, err := m.c.next()
		if err != nil {
			return nil, err
		}
		m.rest, m.last = e.Payload, e.Last
	}
	b := m.rest
	m.rest = nil
	return b, nil
}

func (m *messageReader) read(p []byte) (n int, err error) {
	switch {
	case m.err != nil:
		return 0, m.err
	case len(p) == 0:
		return 0, nil
	case m.z != nil:
		n, err = m.z.read(p)
	default:
		var b []byte
		if b, err = m.piece(); err == nil {
			n = copy(p, b)
			m.rest = b[n:]
		}
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) && m.z == nil && m.c.readErr == nil {
		return n, err
	}
	m.end(err)
	return n, m.err
}

// end is for a message that was read to its end, or failed.
func (m *messageReader) end(err error) {
	if m.z != nil {
		m.z.end()
	}
	if err != io.EOF && m.c.readErr == nil {
		err = m.c.fail(err)
	}
	m.err, m.c.stream, m.rest = err, nil, nil
}
