package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"unicode/utf8"
)

// WriteMessage sends a message as one frame, compressed where that was agreed on and pays. It does not keep or
// change msg. Text that is not UTF-8 is refused with ErrText. Behind a close frame it fails with ErrClosed.
func (c *Conn) WriteMessage(op Opcode, msg []byte) error {
	if op == Text && !utf8.Valid(msg) {
		return ErrText
	}
	if err := c.message.Lock(); err != nil {
		return err
	}
	defer c.message.Unlock()
	h := c.c.header(op)
	if c.c.d == nil || len(msg) < c.c.threshold {
		return c.writeFrame(h, msg)
	}
	h.Compressed = true
	packed := c.c.d.append(getBuffer(), msg, true)
	err := c.writeFrame(h, packed)
	putBuffer(packed)
	if err != nil {
		c.c.d.forget() // the peer has not what our window has
	}
	return err
}

// WritePrepared sends a message that was prepared for many.
func (c *Conn) WritePrepared(p *Prepared) error {
	if err := c.message.Lock(); err != nil {
		return err
	}
	defer c.message.Unlock()
	if c.side == Server {
		frame, packed := p.frame(c.agreed.Compression)
		if packed {
			c.c.d.forget() // what the peer remembers now is not what our window has
		}
		return c.writeWhole(frame)
	}
	h := c.c.header(p.op)
	payload := p.msg
	if packed := p.compressed(c.agreed.Compression); packed != nil {
		h.Compressed, payload = true, packed
		c.c.d.forget()
	}
	return c.writeFrame(h, payload)
}

// Ping sends a ping, with at most MaxControl bytes. The pong is told to Options.OnPong.
func (c *Conn) Ping(payload []byte) error {
	return c.writeWhole(AppendControl(nil, PingFrame, payload, c.key()))
}

// key is a new one for a client, and nil for a server.
func (c *Conn) key() *[4]byte {
	if c.side == Server {
		return nil
	}
	key := newKey()
	return &key
}

// writable is why nothing can be sent any more.
func (c *Conn) writable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeErr == nil && c.sent {
		return ErrClosed
	}
	return c.writeErr
}

// lockFrame waits until no other frame is written.
func (c *Conn) lockFrame() error {
	if err := c.frame.Lock(); err != nil {
		return err
	}
	err := c.writable()
	if err != nil {
		c.unlockFrame()
	}
	return err
}

// writeWhole sends bytes that are a frame.
func (c *Conn) writeWhole(b []byte) error {
	if err := c.lockFrame(); err != nil {
		return err
	}
	defer c.unlockFrame()
	return c.write(b)
}

// unlockFrame sends the pong that became due meanwhile, if any. There is never more than one: of several pings the
// latest is answered (RFC 6455, section 5.5.3), so a flood of them needs no memory.
func (c *Conn) unlockFrame() {
	for {
		if b := c.duePong(); b != nil {
			c.write(b) // an error is kept for the next that writes
			putBuffer(b)
		}
		c.frame.Unlock()
		c.mu.Lock()
		due := c.pongDue && !c.sent && c.writeErr == nil
		c.mu.Unlock()
		if !due || !c.frame.TryLock() {
			return
		}
	}
}

// duePong is the frame of the pong that is due, which it is no more then; nil: none is.
func (c *Conn) duePong() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pongDue || c.sent || c.writeErr != nil {
		return nil
	}
	c.pongDue = false
	return AppendControl(getBuffer(), PongFrame, c.pong, c.key())
}

// answer is for a ping. If a frame is being written, whoever does it sends the pong.
func (c *Conn) answer(ping []byte) {
	c.mu.Lock()
	c.pong, c.pongDue = append(c.pong[:0], ping...), true
	c.mu.Unlock()
	if c.frame.TryLock() {
		c.unlockFrame()
	}
}

// write is the net.Conn's, for who holds the lock of frames. Behind a frame that was written in part nothing can
// follow.
func (c *Conn) write(b []byte) error {
	n, err := c.nc.Write(b)
	return c.wrote(int64(n), err)
}

func (c *Conn) wrote(n int64, err error) error {
	if err != nil && (n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
		c.mu.Lock()
		c.writeErr = err
		c.mu.Unlock()
	}
	return err
}

// copied is up to which length a frame is put together in a buffer, in bytes, to be written by one call.
const copied = 8 << 10

// writeFrame sends a frame.
func (c *Conn) writeFrame(h Header, payload []byte) error {
	h.Length = int64(len(payload))
	if err := c.lockFrame(); err != nil {
		return err
	}
	defer c.unlockFrame()
	b := getBuffer()
	defer func() { putBuffer(b) }()
	if len(payload) <= copied {
		b = AppendFrame(b, h, payload)
		return c.write(b)
	}
	b = AppendHeader(b, h)
	if h.Masked {
		return c.writeMasked(b, h, payload)
	}
	bufs := net.Buffers{b, payload}
	if v, ok := c.nc.(interface {
		WriteBuffers(net.Buffers) (int64, error)
	}); ok { // a plexor.Conn
		return c.wrote(v.WriteBuffers(bufs))
	}
	return c.wrote(bufs.WriteTo(c.nc))
}

// writeMasked sends a long frame in pieces, each masked in a buffer, which begins with the header b.
func (c *Conn) writeMasked(b []byte, h Header, payload []byte) error {
	for pos := 0; pos < len(payload); {
		start, n := len(b), min(len(payload)-pos, copied)
		b = append(b, payload[pos:pos+n]...)
		Mask(b[start:], h.Key, int64(pos))
		if err := c.write(b); err != nil {
			return c.wrote(1, err) // within a frame, whatever this piece came to
		}
		pos, b = pos+n, b[:0]
	}
	return nil
}

// NextWriter begins a message that is sent as it is written, in fragments of some KiB. Other messages wait until it is
// closed, which has to be done in any case; pings and pongs go between.
func (c *Conn) NextWriter(op Opcode) (io.WriteCloser, error) {
	if err := c.message.Lock(); err != nil {
		return nil, err
	}
	if err := c.writable(); err != nil {
		c.message.Unlock()
		return nil, err
	}
	return &messageWriter{c: c, op: op, h: Header{Op: op, Compressed: c.c.d != nil}, b: getBuffer()}, nil
}

// fragment is from which length on a fragment is sent, in bytes.
const fragment = 4 << 10

type messageWriter struct {
	c    *Conn
	op   Opcode // of the message
	h    Header // of the next frame
	b    []byte // what is to be sent
	text runes
	err  error
}

// Write takes a piece of a message. Text may be cut within a character.
func (m *messageWriter) Write(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.op == Text && !m.text.check(p) {
		m.err = ErrText
		return 0, m.err
	}
	n := 0
	for n < len(p) {
		piece := p[n:min(n+fragment, len(p))]
		if m.c.c.d != nil {
			m.b = m.c.c.d.append(m.b, piece, false)
		} else {
			m.b = append(m.b, piece...)
		}
		n += len(piece)
		if len(m.b) >= fragment {
			if m.err = m.send(false); m.err != nil {
				return n, m.err
			}
		}
	}
	return n, nil
}

func (m *messageWriter) send(final bool) error {
	m.h.Final = final
	if m.c.side == Client {
		m.h.Masked, m.h.Key = true, newKey()
	}
	err := m.c.writeFrame(m.h, m.b)
	m.h.Op, m.h.Compressed, m.b = Continuation, false, m.b[:0]
	return err
}

// Close sends the rest. A message that failed can't be ended: then the connection is closed with InternalError,
// unless nothing of it was sent.
func (m *messageWriter) Close() error {
	if m.c == nil {
		return nil
	}
	c := m.c
	defer func() {
		putBuffer(m.b)
		m.c, m.b, m.err = nil, nil, ErrClosed
		c.message.Unlock()
	}()
	if m.err == nil && m.op == Text && !m.text.ended() {
		m.err = ErrText
	}
	if m.err != nil {
		if c.c.d != nil {
			c.c.d.forget()
		}
		if m.h.Op == Continuation {
			c.sendClose(InternalError, "")
		}
		return m.err
	}
	if c.c.d != nil {
		m.b = c.c.d.append(m.b, nil, true)
	}
	err := m.send(true)
	if err != nil && c.c.d != nil {
		c.c.d.forget()
	}
	return err
}
