package plexor

import "io"

// Messages over TLS hold no coroutine while they wait, as without: once the handshake is done, nothing below a tls.Conn
// waits (see secured), so the loop itself can have it read.
//
//	Data ──▶ hello: a coroutine makes the handshake ──▶ shaken
//	Data ──▶ nextTLS ──▶ pull: tls.Conn.Read ──▶ plain ──▶ the decoder      errNothing: wait for more, with nothing held
//
// What remains of a connection that waits is what crypto/tls keeps: its keys, and for a second the buffer of its
// largest record (see warmList).

// shaken is called when the coroutine of the handshake has ended.
func (m *messageConn) shaken(err error) {
	switch {
	case !m.shook(err):
	case m.msgs.sessions != nil:
		m.open()
	default:
		m.arrived() // with the last of the handshake there may be more
	}
}

// nextTLS is next over TLS.
func (m *messageConn) nextTLS() bool {
	for {
		if p := m.tls.pulled(); len(p) > 0 {
			if m.raw.is(awaited) {
				m.raw.w.heard(&m.Conn)
			}
			msg, rest, err := m.dec.Next(p)
			if err != nil {
				m.run.bad = err
				return false
			}
			m.tls.take(len(p) - len(rest))
			if msg != nil {
				m.run.msg = msg
				m.raw.w.whole(&m.raw)
				return true
			}
		}
		if err := m.tls.pull(messageBuffer); err == errNothing {
			return false
		} else if err != nil {
			m.run.end = err
			return false
		}
	}
}

// pull reads what has arrived, size bytes at most, into plain; with nothing there the error is errNothing. It, and what
// stands here of plain, are for the loop too.
func (x *secured) pull(size int) error {
	s := &x.c.raw
	if !x.mayRead() {
		return errNothing
	}
	if x.plain == nil {
		x.plain = s.w.buffers.get(size)
	}
	b := x.plain
	n, err := x.tc.Read(b.b[:size])
	if n > 0 {
		b.b, b.from = b.b[:n], 0
		return nil // it repeats its errors
	}
	x.drop()
	if err == nil {
		err = io.ErrNoProgress // not reached: a tls.Conn reads something, or tells why not
	}
	return err
}

// pulled is what is in plain.
func (x *secured) pulled() []byte {
	if x.plain == nil {
		return nil
	}
	return x.plain.b[x.plain.from:]
}

// take takes n bytes of it.
func (x *secured) take(n int) {
	x.c.raw.flags |= taken
	x.plain.from += n
}

// drop gives plain back, and what is in it is lost.
func (x *secured) drop() {
	if x.plain != nil {
		x.c.raw.w.buffers.put(x.plain)
		x.plain = nil
	}
}

// partial is how many bytes are held, or soon will be, for a record that has come in part.
func (x *secured) partial() int { return x.meter.Partial() }

// inside reports whether anything has come that is neither taken nor can be pulled yet.
func (x *secured) inside() bool { return x.meter.Inside() || len(x.pulled()) > 0 }
