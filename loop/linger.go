package loop

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"
)

// A closer is what a connection needs between Close and its end, if it does not end at once.
type closer struct {
	timer Timer
	left  int           // bytes that were not acknowledged at the last look
	limit int64         // by then another byte must be
	last  int64         // by then every byte must be
	eofBy int64         // all is acknowledged; by then the peer should have closed its half; 0: not yet known
	step  time.Duration // until the next look
}

// No event of the kernel's tells that the peer's system has acknowledged all, so it is looked at, ever less often.
const (
	firstLook = time.Millisecond
	lastLook  = 100 * time.Millisecond
)

// Close ends the connection gracefully (see the package's text on closing). The handler hears nothing more but
// Closed, which comes with nil once all that was written is delivered. It waits for that as long as the peer goes on
// reading: see Options.Linger. A second Close returns ErrClosed and changes nothing.
func (c *Conn) Close() error {
	if c.is(closing | ended) {
		return ErrClosed
	}
	if c.times != nil {
		c.times.timer.Stop()
	}
	switch {
	case c.is(connecting):
		c.release(nil, false)
	case c.is(broken):
		c.fail(c.err)
	default:
		c.state = c.state&^(paused|full|wantsNotice) | closing | shutWanted
		c.settle()
	}
	return nil
}

// CloseBehind is Close behind p, which is taken even where Write would refuse it for want of room
// or because its deadline has passed: for the last that a protocol above has to say, which is the
// caller's to bound. So the peer has for all of it the time that Close gives it. p is the caller's
// again when it returns. If the connection is broken, or CloseWrite was called, p is dropped.
func (c *Conn) CloseBehind(p []byte) error {
	c.sendBehind(p)
	return c.Close()
}

// linger looks whether a closing connection has come to its end, and otherwise when to look again. Corked output
// is in the kernel or in c.out by now.
func (c *Conn) linger() {
	l := c.loop
	unacked, known := l.sys.unacked(c.sock)
	left := c.Pending() + unacked
	allAcked := false
	if c.is(shutDone) {
		allAcked = unacked == 0 || !known
		if c.is(sawEOF) { // and so nothing is read that would tell of a reset
			if err := c.sockError(); err != nil {
				c.fail(fmt.Errorf("loop: close: %w", err))
				return
			}
			if allAcked {
				c.release(nil, false)
				return
			}
		}
	}
	now := l.readClock()
	k := c.closer
	if k == nil {
		longest := min(l.opt.Linger, math.MaxInt64/mostLingers) * mostLingers
		k = &closer{left: left, limit: after(now, l.opt.Linger), last: after(now, longest), step: firstLook}
		k.timer = Timer{loop: l, f: c.linger}
		c.closer = k
	}
	if left < k.left {
		k.left, k.limit = left, min(after(now, l.opt.Linger), k.last)
	}
	if allAcked && k.eofBy == 0 {
		k.eofBy = now + int64(lingerForEOF)
		if _, ok := c.handler.(DeliveryHandler); ok {
			l.notices = append(l.notices, notice{c: c, kind: noticeDelivered})
		}
	}
	switch {
	case allAcked && now >= k.eofBy:
		c.release(nil, false)
	case allAcked:
		k.timer.set(k.eofBy)
	case now >= k.limit:
		c.release(ErrUndelivered, true)
	case c.is(shutDone):
		look := k.limit
		if l.sys.network() == nil { // else its driver tells
			look = min(now+int64(k.step), k.limit)
			k.step = min(2*k.step, lastLook)
		}
		k.timer.set(look)
	default: // output still waits; sentSome tells
		k.timer.set(k.limit)
	}
}

// acked is told by the driver, where one is told, that the peer's system has acknowledged all that was written.
func (c *Conn) acked() {
	if c.state&(closing|shutDone|ended) == closing|shutDone && !c.is(isDirty) {
		c.linger()
	}
}

// sockError is what the system keeps as the socket's error: that the peer has reset it.
func (c *Conn) sockError() error {
	err := errors.Unwrap(c.loop.sys.connectError(c.sock))
	if errors.Is(err, syscall.EINPROGRESS) { // what it says of a socket that is not connected any more
		return nil
	}
	return err
}

// Drain closes the connection as soon as it is quiet: when nothing that the peer sent is unread, and nothing that
// was written waits. It reports whether that is so; ask again later otherwise.
func (c *Conn) Drain() bool {
	if c.is(ended | closing) {
		return true
	}
	if c.is(connecting) || !c.Quiet() {
		return false
	}
	_ = c.Close() // it was open
	return true
}

// Quiet reports whether nothing that the peer sent is unread, in the system or on its way to the handler, and nothing
// that was written waits. Where the system does not tell what is unread (see sock.Socket.Unread), that counts as
// nothing. A connection that is lent is never quiet: only its borrower knows.
func (c *Conn) Quiet() bool {
	if c.is(ended) {
		return true
	}
	if c.is(lent) || c.waits() || c.loop.driver.holds(c) {
		return false
	}
	unread, err := c.loop.sys.unread(c.sock)
	return err != nil || unread == 0 || c.is(sawEOF)
}
