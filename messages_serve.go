package plexor

import (
	"io"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// Messages, Turns and Sessions on a connection that has a coroutine already: what ServeConn of theirs does.

// messageBuffer is what is read at once where messages are read from a coroutine of their own, in bytes.
const messageBuffer = 4 << 10

// ServeConn handles the messages of a connection that has a coroutine already, whose HandlerFunc calls this after other
// things were said.
func (h *messages) ServeConn(c *Conn) {
	_ = h.serve(c, nil) // the log was told
}

// serve is ServeConn. open, if there is one, comes first. It returns why it ended.
func (h *messages) serve(c *Conn, open func() error) error {
	if err := h.check(); err != nil {
		panic(err)
	}
	t, err := c.enter("read", 0)
	if err != nil {
		return err
	}
	s := &c.raw
	was, of, flags := c.msgs, s.above&messaging, s.flags&halfway
	c.msgs = h
	s.above &^= messaging
	s.flags &^= halfway
	if h.turn == nil {
		s.above |= messaging
	}
	defer func() {
		c.msgs, s.above, s.flags = was, s.above&^messaging|of, s.flags&^halfway|flags
		s.w.unread(s)
	}()
	if open != nil {
		if err := open(); err != nil {
			c.raw.w.handlerFailed(c, err)
			return err
		}
	}
	if h.turn != nil {
		return h.serveTurns(c, t)
	}
	return h.serveMessages(c, t)
}

func (h *messages) serveMessages(c *Conn, t *coro.Task) error {
	var dec frame.Decoder
	if err := dec.Reset(h.codec); err != nil {
		panic(err) // check has passed it
	}
	defer dec.End()
	w := c.raw.w
	for {
		if c.raw.flags &^= halfway; dec.Buffered() > 0 {
			c.raw.flags |= halfway
		}
		c.incomplete(&dec)
		b, err := c.receive(t, messageBuffer)
		switch {
		case err == nil:
			if err = h.feed(c, &dec, b); err != nil {
				return err
			}
		case err == io.EOF:
			if bad := dec.End(); bad != nil {
				w.refuseFrame(&c.raw, bad)
				return bad
			}
			return err
		default:
			w.log.Debug("a connection of messages ended", "peer", c.raw.String(), "err", err)
			return err
		}
	}
}

// feed handles the messages that are complete with what is in b, and gives b back.
func (h *messages) feed(c *Conn, dec *frame.Decoder, b *buffer) error {
	defer c.raw.w.buffers.put(b) // also if the handler panics
	for p := b.b; ; {
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
	return h.withContext(c, func() error { return h.f(c, msg) })
}

// withContext calls f, for which c has a context of its own, unless there is one for the session.
func (h *messages) withContext(c *Conn, f func() error) error {
	if h.sessions != nil {
		return f()
	}
	was := c.asked // of the handler that called ServeConn, if it asked for one
	c.asked = nil
	defer func() {
		c.cancel(ErrReturned)
		if c.asked = was; c.raw.is(over | closed) {
			c.cancel(c.reason()) // it ended meanwhile
		}
	}()
	return f()
}
