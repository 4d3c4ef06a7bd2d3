package websocket

import (
	"errors"
	"time"
)

// A clock is the deadlines of a Conn: those of its user, those of pings, that of a close.
type clock struct {
	read, write time.Time // the user's
	heard       time.Time // when bytes came last
	pinged      time.Time // when a ping was sent since; zero: none was
	closing     time.Time // when a close is over
	left        time.Time // when the user's deadline ended reading last
}

// soonest is the earlier of two times, of which zero is none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// arm sets the deadlines of the net.Conn.
func (c *Conn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.armLocked()
}

func (c *Conn) armLocked() error {
	k := &c.clock
	read := soonest(k.read, k.closing)
	if c.o.PingEvery > 0 && k.closing.IsZero() {
		if k.pinged.IsZero() {
			read = soonest(read, k.heard.Add(c.o.PingEvery))
		} else {
			read = soonest(read, k.pinged.Add(orElse(c.o.PongWait, defaultPongWait)))
		}
	}
	return errors.Join(c.nc.SetReadDeadline(read), c.nc.SetWriteDeadline(soonest(k.write, k.closing)))
}

// hear is for bytes that came. The deadline is left where it is: when it passes, silent sets the next. But that of a
// pong may lie behind the next ping.
func (c *Conn) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := !c.clock.pinged.IsZero() && orElse(c.o.PongWait, defaultPongWait) > c.o.PingEvery
	c.clock.heard, c.clock.pinged = c.o.now(), time.Time{}
	if late {
		_ = c.armLocked() // the next Read tells
	}
}

// silent is for a read deadline that passed with err: nil if reading goes on.
func (c *Conn) silent(err error) error {
	c.mu.Lock()
	k, now := &c.clock, c.o.now()
	ping := false
	switch {
	case !k.read.IsZero() && !now.Before(k.read):
		k.left = now
		c.mu.Unlock()
		return err
	case !k.pinged.IsZero():
		if !now.Before(k.pinged.Add(orElse(c.o.PongWait, defaultPongWait))) {
			c.mu.Unlock()
			return ErrNoPong
		}
	case !now.Before(k.heard.Add(c.o.PingEvery)):
		k.pinged, ping = now, true
	}
	armed := c.armLocked()
	c.mu.Unlock()
	// A writer that is at it, and stuck, is no reason to wait: nothing comes, and so the connection is given up in time.
	if ping && c.frame.TryLock() {
		c.nc.SetWriteDeadline(now.Add(orElse(c.o.PongWait, defaultPongWait)))
		c.write(AppendControl(nil, PingFrame, nil, c.key()))
		armed = c.arm()
		c.unlockFrame()
	}
	return armed
}

// closing reports whether a close frame was sent, or is about to be.
func (c *Conn) closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// Close sends a close frame with a code, or without one where it may not be sent (see [Code.Sendable]), and a
// reason of at most 123 bytes of UTF-8. Then it waits for the peer's, skipping messages, and closes the connection
// (RFC 6455, section 7.1.2). All of that takes Options.CloseWait at most. If somebody else is reading, that one
// sees the peer's close frame and closes the connection, and Close does not wait for it. The error is nil if the
// peer has answered, or will be waited for by who reads.
func (c *Conn) Close(code Code, reason string) error {
	err := c.sendClose(code, reason)
	if !c.reading.CompareAndSwap(false, true) {
		return err
	}
	defer c.reading.Store(false)
	return c.awaitClose()
}

// awaitClose reads to the end, and closes the connection. It is for who reads.
func (c *Conn) awaitClose() error {
	for c.readErr == nil {
		if _, e := c.next(); e != nil && c.readErr == nil {
			c.readErr = e
		}
	}
	c.CloseNow()
	if answer := new(CloseError); errors.As(c.readErr, &answer) {
		return nil
	}
	return c.readErr
}

// CloseNow closes the connection without a word, as if it were lost.
func (c *Conn) CloseNow() error {
	c.mu.Lock()
	c.begun, c.sent = true, true
	c.mu.Unlock()
	return c.nc.Close()
}

// beginClose sets a limit to all that waits, for a close frame is to be sent.
func (c *Conn) beginClose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun {
		return
	}
	c.begun = true
	c.clock.closing = c.o.now().Add(orElse(c.o.CloseWait, defaultCloseWait))
	c.armLocked() // it fails for a connection that is closed, which writing then tells
}

// sendClose sends a close frame, unless one was sent.
func (c *Conn) sendClose(code Code, reason string) error {
	c.beginClose()
	if err := c.frame.Lock(); err != nil {
		return err
	}
	defer c.frame.Unlock()
	c.mu.Lock()
	sent, err := c.sent, c.writeErr
	c.sent = true
	c.mu.Unlock()
	if sent || err != nil {
		return err
	}
	return c.write(AppendClose(nil, code, reason, c.key()))
}

// closedByPeer answers a close frame with the same code, and ends the connection: a server closes its half at once, a
// client when the server has (RFC 6455, section 7.1.1, which also says why the rest is read).
func (c *Conn) closedByPeer(e *Event) error {
	c.readErr = &CloseError{Code: e.Code, Reason: string(e.Payload)}
	c.sendClose(e.Code, "")
	if c.side == Client || c.closeWrite() {
		c.drain()
	}
	c.CloseNow()
	return c.readErr
}

// fail ends the connection for what the peer did wrong: with the code that it has (RFC 6455, section 7.1.7), and
// reading on for a while, since closing a socket with bytes unread takes back the frame that says why.
func (c *Conn) fail(err error) error {
	c.readErr = err
	if e := new(Error); errors.As(err, &e) {
		c.sendClose(e.Code, e.What)
		if c.closeWrite() {
			c.drain()
		}
	}
	c.CloseNow()
	return err
}

// closeWrite ends what is sent, where the connection can do that.
func (c *Conn) closeWrite() bool {
	half, ok := c.nc.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// mostDrained bounds what is read of a peer that is not listened to any more, in bytes.
const mostDrained = 256 << 10

// drain reads until the peer closes, or the time of a close is over.
func (c *Conn) drain() {
	if cap(c.buf) < readAhead {
		c.buf = make([]byte, readAhead)
	}
	for n := 0; n < mostDrained; {
		m, err := c.nc.Read(c.buf[:cap(c.buf)])
		if err != nil {
			return // whatever it is, there is no more to come
		}
		n += m
	}
}
