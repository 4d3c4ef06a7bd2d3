package plexor

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/tlsrecord"
	"github.com/plexor-go/plexor/loop"
)

// A secured is TLS between a Conn's face and its stream.
//
// The trap: a tls.Conn has mutexes of its own, and holds that of the way in while it reads from what is underneath, and
// that of the way out while it writes. Two of a loop's coroutines must not meet at such a mutex, for the second would
// block the loop, and the first, which is parked, would never run again. And they do meet, whoever guards Read and
// Write: a tls.Conn that reads answers a KeyUpdate (RFC 8446 section 4.6.3), and sends alerts, by the way out. A peer
// that stops to read, and then sends a KeyUpdate or a broken record, would stop the loop.
//
// So, once the handshake is done, nothing below the tls.Conn waits. Reading it finds what has arrived, or else a
// temporary error, after which a tls.Conn may be read again; Read then waits outside, with no mutex held:
//
//	Read ──▶ tls.Conn.Read ──▶ stream.peek      nothing there: errNothing, wait, again
//	Write ──▶ room? ──▶ tls.Conn.Write ──▶ loop.Conn.WriteMore  full: spill, flushed when there is room
//
// Write waits for room before it gives the tls.Conn a piece. The records of that piece are all taken: what the loop
// refuses is spilled, which is at most a piece (pieceSize) and a few records of the reader's. It also means that no
// deadline ever cuts a record: while a tls.Conn is of no use after a Write that timed out, as package crypto/tls says,
// this one is as usable as before.
//
// What reading makes us write, the answers to KeyUpdates, waits in the same place, and a
// peer decides how much of it there is. So nothing is read while more than spillLimit of
// it has found no room: the peer has to take what it asked for first.
//
// During the handshake its coroutine waits below the tls.Conn, and so all others are refused until it is over.
type secured struct {
	c        *Conn
	tc       *tls.Conn
	state    secureState
	stirred  bool   // bytes have come since the last look of coolSome
	warmAt   uint32 // its place in worker.warmed, and 1; 0: none
	meter    tlsrecord.Meter
	spill    *buffer // records that found no room; nil: none
	plain    *buffer // what pull has read, and who reads gets first; nil: nothing
	notified bool    // close_notify was sent
	err      error   // why it is of no use: failed

	handshake *handshake // a server's, as long as it is under way
	under     transport  // of tc
}

// A secureState goes shaking ──▶ open, or ──▶ failed.
type secureState uint8

const (
	shaking secureState = iota
	open
	failedTLS
)

// pieceSize is how much a Write gives the tls.Conn at once, in bytes: two records of the largest size.
const pieceSize = 32 << 10

// spillLimit is from how many bytes of records that found no room on nothing is read, until the peer has taken them. It
// is more than a Write spills, a piece and its records, so that what is written and not taken never keeps from reading.
const spillLimit = 2 * pieceSize

// choked reports whether reading has to wait for the peer to take what it caused.
func (x *secured) choked() bool { return x.spill != nil && len(x.spill.b)-x.spill.from >= spillLimit }

// mayRead is choked, after another try.
func (x *secured) mayRead() bool {
	if x.choked() {
		_ = x.flush() // who writes next gets the error too
	}
	return !x.choked()
}

// errNothing is what a tls.Conn reads when nothing has arrived: it may be asked again.
var errNothing error = nothingError{}

type nothingError struct{}

func (nothingError) Error() string   { return "plexor: nothing has arrived" }
func (nothingError) Timeout() bool   { return true }
func (nothingError) Temporary() bool { return true }

// A truncatedError is the end of the stream where TLS did not end.
type truncatedError struct{}

func (truncatedError) Error() string {
	return "the peer ended the connection without a TLS close_notify: what came may have been cut short"
}

func (truncatedError) Unwrap() error { return io.ErrUnexpectedEOF }

// usable reports why nothing can be done now.
func (x *secured) usable() error {
	switch x.state {
	case shaking:
		return ErrHandshaking
	case failedTLS:
		return x.err
	}
	return nil
}

// read is Read by the task t.
func (x *secured) read(t *coro.Task, p []byte) (int, error) {
	if err := x.usable(); err != nil {
		return 0, x.wrap("read", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := x.try(p)
		if err == errNothing {
			if err = x.await(t); err == nil {
				continue
			}
		}
		return n, x.wrap("read", err)
	}
}

// try is read that does not wait: with nothing there it is errNothing, and await waits until trying is worth it.
func (x *secured) try(p []byte) (int, error) {
	s := &x.c.raw
	switch {
	case s.is(closed | givenAway):
		return 0, s.notOurs()
	case s.readExpired():
		return 0, os.ErrDeadlineExceeded
	case x.plain != nil:
		return x.fill(p, x.takePlain(p)), nil
	case !x.mayRead():
		return 0, errNothing
	}
	n, err := x.tc.Read(p)
	if n > 0 {
		n, err = x.fill(p, n), nil // it repeats its errors
	}
	if err != errNothing && !s.readers.empty() {
		s.readers.wake() // what is left of a record is not where the stream sees it
	}
	return n, err
}

// fill reads what else has arrived into p, of which n bytes are read: a tls.Conn reads one record at once. Of a few
// bytes with nothing behind them there will hardly be more, and asking would cost each small message.
func (x *secured) fill(p []byte, n int) int {
	for n < len(p) && (n >= messageBuffer || len(x.c.raw.peek()) > 0) && x.plain == nil && x.mayRead() {
		m, err := x.tc.Read(p[n:])
		if n += m; err != nil {
			break // it repeats its errors
		}
	}
	return n
}

// takePlain reads what pull has read.
func (x *secured) takePlain(p []byte) int {
	n := copy(p, x.pulled())
	if x.take(n); len(x.pulled()) == 0 {
		x.drop()
	}
	x.c.raw.readers.wake() // there may be more for the next
	return n
}

// await is stream.await, but that it returns after each wake: what another reader has
// left in the tls.Conn, its end too, is not where the stream sees it.
func (x *secured) await(t *coro.Task) error {
	s := &x.c.raw
	choked := x.choked()
	if len(s.peek()) > 0 && !choked {
		return nil
	}
	switch err := s.unreadable(); {
	case err == io.EOF && choked: // it stands behind what is not read yet
	case err == io.EOF:
		return nil // which is TLS's to judge
	case err == ErrServerClosed && !s.is(over) && x.meter.Inside(): // Shutdown waits for the rest of a record
	case err != nil:
		return err
	}
	if front := s.readers.front(); front != nil {
		return front.Park(t, "read", x)
	}
	return s.readers.queue(t, "read", x)
}

// wrap is stream.wrap, but that crypto/tls has an OpError of its own, which names nobody.
func (x *secured) wrap(op string, err error) error {
	if e, ok := err.(*net.OpError); ok && e.Addr == nil {
		s := &x.c.raw
		return &net.OpError{Op: op, Net: s.network(), Addr: s.remoteAddr(), Err: e}
	}
	return x.c.raw.wrap(op, err)
}

// write is Write by the task t.
func (x *secured) write(t *coro.Task, p []byte) (int, error) {
	s := &x.c.raw
	err := x.usable()
	if err == nil {
		err = s.lockWrite(t)
	}
	if err != nil {
		return 0, x.wrap("write", err)
	}
	n, err := x.writeLocked(t, p)
	s.unlockWrite()
	return n, x.wrap("write", err)
}

// writeLocked writes while nobody else does.
func (x *secured) writeLocked(t *coro.Task, p []byte) (n int, err error) {
	for n < len(p) {
		if err := x.room(t); err != nil {
			return n, err
		}
		if x.notified {
			return n, loop.ErrWriteClosed
		}
		m, err := x.tc.Write(p[n:min(n+pieceSize, len(p))])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// room waits until the loop takes what is written.
func (x *secured) room(t *coro.Task) error {
	s := &x.c.raw
	for {
		if err := x.flush(); err != nil {
			return err
		}
		if s.writeExpired() {
			return os.ErrDeadlineExceeded
		}
		if x.spill == nil && !s.lc.Full() {
			return nil
		}
		if err := s.awaitRoom(t); err != nil {
			return err
		}
	}
}

// put gives records to the loop, or keeps them. It never waits, and may be called by loop code.
func (x *secured) put(p []byte) error {
	s := &x.c.raw
	if x.spill == nil {
		_, err := s.lc.WriteMore(p)
		if err == nil {
			s.wrote()
			return nil
		}
		if !later(err) {
			return s.unwritable(err)
		}
	}
	x.spill = s.w.buffers.add(x.spill, p)
	return nil
}

// later reports whether loop.Conn.Write may take the same again: there is no room now, or the deadline has passed.
func later(err error) bool {
	_, late := err.(*loop.DeadlineError)
	return late || err == loop.ErrFull
}

// flush gives the loop what was spilled, if it takes it.
func (x *secured) flush() error {
	if x.spill == nil {
		return nil
	}
	s := &x.c.raw
	_, err := s.lc.Write(x.spill.b[x.spill.from:])
	if err != nil && later(err) {
		return nil
	}
	s.w.buffers.put(x.spill)
	x.spill = nil
	if err != nil {
		return s.unwritable(err)
	}
	return nil
}

// writable is the loop's call: there is room.
func (x *secured) writable() {
	choked := x.choked()
	_ = x.flush() // who writes next gets the error too
	if choked && !x.choked() {
		x.c.raw.readers.wakeAll()
	}
}

// finish is stream.finish.
func (x *secured) finish() {
	x.c.raw.w.unwarm(x)
	if x.spill != nil {
		x.c.raw.w.buffers.put(x.spill)
		x.spill = nil
	}
}

// closeWrite sends close_notify. The connection's own half stays open, for a KeyUpdate may still have to be answered.
func (x *secured) closeWrite() error {
	s := &x.c.raw
	err := x.usable()
	if err == nil && s.is(closed) {
		err = net.ErrClosed
	}
	if err != nil {
		return s.wrap("close", err)
	}
	x.putRest(s.endBox(loop.ErrWriteClosed, true))
	err = x.notify()
	s.wakeWriters()
	return x.wrap("close", err)
}

// notify tells the peer that nothing more comes: it sends close_notify, once.
func (x *secured) notify() error {
	if x.notified || x.state != open {
		return nil
	}
	x.notified = true
	return x.tc.CloseWrite()
}

// close sends close_notify and closes, for the task t, which waits as stream.close does.
func (x *secured) close(t *coro.Task) error {
	s := &x.c.raw
	if s.is(closed) {
		return s.wrap("close", net.ErrClosed)
	}
	done := s.is(over) || x.spill == nil && !s.boxWaits() && s.acknowledged()
	if !x.shut() || done {
		return nil // a close_notify that does not arrive takes nothing from what did
	}
	if err := s.awaitDelivery(t); err != nil {
		return s.wrap("close", err)
	}
	return nil
}

// shut is stream.shut. What has found no room, and close_notify, go behind what the loop has.
func (x *secured) shut() bool {
	s := &x.c.raw
	_ = s.lc.SetWriteDeadline(time.Time{}) // that Writes are late does not keep what was written from leaving
	x.putRest(s.endBox(nil, true))
	_ = x.notify() // what is over has told why, or will tell Close
	was := false
	if x.spill != nil {
		was = s.lc.CloseBehind(x.spill.b[x.spill.from:]) == nil
		s.w.buffers.put(x.spill)
		x.spill = nil
	}
	return s.shut() || was
}

// ConnectionState tells what the TLS handshake has agreed on: version, ALPN, server name, the peer's certificates. It
// is zero, with HandshakeComplete false, on a connection without TLS, during the handshake, and after wrong use.
func (c *Conn) ConnectionState() tls.ConnectionState {
	if x := c.tls; x != nil && x.state == open && c.usable("tls") == nil {
		return x.tc.ConnectionState()
	}
	return tls.ConnectionState{}
}

// TLS reports whether the connection speaks TLS: from its start, or since StartTLS.
func (c *Conn) TLS() bool { return c.tls != nil }

// String is for lists of what coroutines wait for.
func (x *secured) String() string { return fmt.Sprintf("tls://%s", x.c.raw.remoteAddr()) }
