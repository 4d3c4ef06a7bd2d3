package plexor

import (
	"context"
	"io"
)

// Messages over TLS hold no coroutine while they wait, as without: once the handshake is done, nothing below a tls.Conn
// waits (see secured), so the loop itself can have it read.
//
//	Data ──▶ hello: a coroutine makes the handshake ──▶ shaken
//	Data ──▶ nextOver ──▶ pull: tls.Conn.Read ──▶ plain ──▶ the decoder      errNothing: wait for more, with nothing held
//
// What remains of a connection that waits is what crypto/tls keeps: its keys, and the buffer of its largest record.

// hello is Data until the handshake is done.
func (m *messageConn) hello(p []byte) {
	if m.raw.is(started) {
		m.raw.received(p)
		return
	}
	m.raw.offer(p)
	m.shake()
	m.raw.withdraw()
}

// helloEnd is EOF until the handshake is done.
func (m *messageConn) helloEnd() {
	if m.raw.is(started) {
		m.raw.readers.wakeAll()
	} else {
		m.shake()
	}
}

// shake starts the coroutine of the handshake. Its stack grows to 16 KiB, and goes back to the pool with it: the next
// handshake finds it grown, and if there is none the collector halves it, down to 4 KiB.
func (m *messageConn) shake() {
	w := m.raw.w
	m.raw.flags |= started
	w.srv.stats.handlers.Add(1)
	w.sched.Start(context.Background(), "plexor handshake", func(ctx context.Context) error {
		m.base = ctx
		if m.serveTLS() {
			m.raw.flags &^= unshaken
		}
		return nil
	}).OnEnd(m.shaken)
}

// shaken is called when that coroutine has ended.
func (m *messageConn) shaken(err error) {
	if m.raw.is(unshaken) {
		m.Conn.handled(err)
		return
	}
	m.dropContext()
	m.raw.flags &^= started
	m.raw.w.srv.stats.handlers.Add(-1)
	if !m.raw.is(closed | over | givenAway) {
		m.raw.w.delist(&m.Conn)
		m.raw.w.await(&m.Conn)
	}
	m.arrived() // with the last of the handshake there may be more
}

// nextOver is next over a layer.
func (m *messageConn) nextOver() bool {
	for {
		if p := m.over.pulled(); len(p) > 0 {
			if m.raw.is(awaited) {
				m.raw.w.heard(&m.Conn)
			}
			msg, rest, err := m.dec.Next(p)
			if err != nil {
				m.run.bad = err
				return false
			}
			m.over.take(len(p) - len(rest))
			if msg != nil {
				m.run.msg = msg
				m.raw.w.whole(&m.raw)
				return true
			}
		}
		if err := m.over.pull(messageBuffer); err == errNothing {
			return false
		} else if err != nil {
			m.run.end = err
			return false
		}
	}
}

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

func (x *secured) pulled() []byte {
	if x.plain == nil {
		return nil
	}
	return x.plain.b[x.plain.from:]
}

func (x *secured) take(n int) { x.plain.from += n }

func (x *secured) drop() {
	if x.plain != nil {
		x.c.raw.w.buffers.put(x.plain)
		x.plain = nil
	}
}

func (x *secured) partial() int { return x.meter.partial() }

func (x *secured) inside() bool { return x.meter.inside() || len(x.pulled()) > 0 }
