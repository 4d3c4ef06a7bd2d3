package loop

import "github.com/plexor-go/plexor/sock"

// The ends of a connection: of our half, at once, and what is given back then. Close,
// which waits for what was written, is in linger.go.

// CloseWrite sends the end of the stream behind what was written. The peer can go on sending.
func (c *Conn) CloseWrite() error {
	if c.is(ended | closing | connecting) {
		return ErrClosed
	}
	if !c.is(shutWanted) {
		c.state |= shutWanted
		c.settle()
	}
	return nil
}

// CloseWriteBehind is CloseWrite behind p, which is taken as [Conn.CloseBehind] takes its
// own: for what was promised before.
func (c *Conn) CloseWriteBehind(p []byte) error {
	c.sendBehind(p)
	return c.CloseWrite()
}

// sendBehind takes p, room or not, unless the way out is closed or broken.
func (c *Conn) sendBehind(p []byte) {
	if len(p) > 0 && c.state&(shutWanted|closing|ended|connecting|broken) == 0 {
		_ = c.send(p) // if it fails, Closed tells
	}
}

// Abort ends the connection at once, with a reset where the protocol has one. What was written and not yet
// acknowledged may be lost. Closed gets ErrAborted.
func (c *Conn) Abort() { c.fail(ErrAborted) }

// CloseWithError ends the connection at once, as Abort does, and Closed gets err.
func (c *Conn) CloseWithError(err error) { c.fail(err) }

// fail ends the connection with err, once. A connection that is broken is closed; one that is ended while it is sound
// is reset, so that the peer knows.
func (c *Conn) fail(err error) {
	if !c.is(ended) {
		if c.err != nil && err != ErrLoopClosed {
			err = c.err // what broke it first
		}
		c.release(err, !c.is(connecting))
	}
}

// dropOutput forgets what waits to be sent.
func (c *Conn) dropOutput() {
	if c.out != nil {
		c.out.drop(&c.loop.blocks)
		c.loop.blocks.putQueue(c.out)
		c.out = nil
	}
	c.corkOff, c.corkLen, c.flight = 0, 0, 0
}

// release gives everything back and puts Closed off to the end of the turn.
func (c *Conn) release(err error, reset bool) {
	l := c.loop
	c.state = c.state&^connecting | ended
	c.dropOutput()
	if c.times != nil {
		c.times.timer.Stop()
	}
	if c.closer != nil {
		c.closer.timer.Stop()
		c.closer = nil
	}
	l.delist(c) // before the descriptor goes: see Loop.letGo
	if c.is(lent) {
		c.endLoan(err)
	} else {
		l.driver.release(c, reset)
	}
	c.sock = sock.None
	l.stats.conns.Add(-1)
	l.starved.fed()
	l.notices = append(l.notices, notice{c: c, kind: noticeClosed, err: err})
}
