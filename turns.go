package plexor

import (
	"errors"
	"io"
	"os"

	"github.com/plexor-go/plexor/coro"
)

// Turns is a [Handler] for protocols that are best read by hand, as a stream, and whose connections mostly wait: f is
// called anew whenever bytes have come, in a coroutine that lasts until it returns. Between two turns an idle
// connection costs what one of [Messages] does, neither stack nor buffer.
//
//	srv.Handler = plexor.Turns(func(c *plexor.Conn) error {
//		line, err := readLine(c)          // waits for the rest of it, if it has to
//		if err != nil {
//			return err                // io.EOF: the peer has closed its half
//		}
//		_, err = c.Write(answer(line))
//		return err                        // nil: rest until more comes
//	})
//
// In its turn f may do what a [HandlerFunc] may: Read and Write, wait, StartTLS,
// ServeConn of another handler, Shared. What it returns is what comes next:
//
//   - nil: the connection rests. If bytes are left that f has not read, the next turn begins at once. A turn that has
//     read none of those that it began with would begin again for ever: that ends the connection with [ErrNothingRead].
//   - io.EOF: the connection is closed behind what was written, and that is all, as at the stream's end.
//   - any other error closes likewise, and is logged and counted in Stats.Failed, unless
//     the connection, or the server, is over anyway.
//
// What f reads ahead into a buffer of its own is for f to handle before it returns, since a turn begins with bytes that
// nobody has read: with a bufio.Reader, go on until its Buffered is 0. Who keeps the beginning of a message until the
// next turn says how much, by [Conn.HoldsInput].
//
// When the peer has closed its half, a last turn begins when all else is read, in which Read
// returns io.EOF at once. f can still write; whatever it returns, the connection is closed
// then. There is none where the connection broke, or where TLS ended without its close_notify.
//
// Limits.FirstByte and Limits.IdleTimeout hold as for Messages; Limits.FrameTime between turns, for a record of TLS of
// which part has come. A turn that waits for the rest of something has the deadlines that f sets, and the idle timeout.
// A read deadline that is left set closes the connection when it passes between turns. Shutdown closes a connection
// that rests; a turn goes on to its end, and its Reads wait for the peer as long as Shutdown does: so a turn is one
// exchange or a few, and not a loop for ever. While Limits.HighWater bytes wait to be sent nothing more is read. The
// context of the Conn is that of the turn. If f panics, the connection is reset.
func Turns(f func(c *Conn) error) Handler {
	return &messages{name: "Turns", turn: f}
}

// ErrNothingRead is why a connection ended whose handler of [Turns] returned nil and had
// read none of the bytes that its turn began with.
var ErrNothingRead = errors.New("plexor: a turn returned nil and had read nothing: " +
	"the same bytes would begin the next, for ever")

// nextTurn reports whether a turn is to begin, for what has come or for the end of the stream.
func (m *messageConn) nextTurn() bool {
	s := &m.raw
	if s.lc.Gone() && !s.is(over) { // aborted in this turn of the loop, which is about to tell
		return false
	}
	if m.tls != nil {
		for len(m.tls.pulled()) == 0 {
			if err := m.tls.pull(messageBuffer); err != nil {
				if err != errNothing {
					m.run.end = err
				}
				return err == io.EOF
			}
		}
	} else if len(s.peek()) == 0 {
		if !s.is(gotEOF) {
			return false
		}
		m.run.end = io.EOF
		return true
	}
	if s.is(awaited) {
		s.w.heard(&m.Conn)
	}
	s.w.whole(s)
	return true
}

// takeTurns calls the handler until it has read all that has come.
func (m *messageConn) takeTurns() error {
	s := &m.raw
	for {
		s.flags = s.flags&^taken | halfway
		err := m.msgs.turn(&m.Conn)
		s.flags &^= halfway
		m.endContext()
		switch {
		case err != nil || m.run.end != nil || s.is(closed|givenAway) || !m.nextTurn():
			return err
		case m.run.end == nil && !s.is(taken):
			return ErrNothingRead
		}
	}
}

// serveTurns is takeTurns on a coroutine that stays, with the task t: it waits between turns.
func (h *messages) serveTurns(c *Conn, t *coro.Task) error {
	s := &c.raw
	for {
		end := c.awaitBytes(t)
		if end != nil && end != io.EOF {
			s.w.log.Debug("a connection of turns ended", "peer", s.String(), "err", end)
			return end
		}
		s.flags = s.flags&^taken | halfway
		err := h.withContext(c, func() error { return h.turn(c) })
		s.flags &^= halfway
		switch {
		case s.is(closed | givenAway):
			return s.notOurs()
		case err == io.EOF:
			return err
		case err == nil && end == nil && !s.is(taken):
			err = ErrNothingRead
		}
		if err != nil {
			s.w.handlerFailed(c, err)
			return err
		}
		if end != nil {
			return end
		}
	}
}

// awaitBytes waits until there is something to read, and takes nothing. io.EOF is the end of the stream.
func (c *Conn) awaitBytes(t *coro.Task) error {
	if c.tls == nil {
		if err := c.raw.await(t); err != nil {
			return c.raw.wrap("read", err)
		}
		return nil
	}
	if err := c.tls.usable(); err != nil {
		return c.raw.wrap("read", err)
	}
	s := &c.raw
	for len(c.tls.pulled()) == 0 {
		var err error
		switch {
		case s.is(closed | givenAway):
			err = s.notOurs()
		case s.readExpired():
			err = os.ErrDeadlineExceeded
		default:
			if err = c.tls.pull(messageBuffer); err == errNothing {
				err = c.tls.await(t)
			}
		}
		if err != nil {
			return c.tls.wrap("read", err)
		}
	}
	return nil
}
