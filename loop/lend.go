package loop

import (
	"errors"

	"github.com/plexor-go/plexor/sock"
)

// A connection can be lent: somebody else then does its input and output, on whatever goroutine, by the descriptor
// itself. To the loop it stays one of its connections, which counts, and which ends with the loop; but nothing is read,
// written or waited for, and the driver does not know it. On Linux it is watched for the death of its peer: see
// loanSet.
//
//	open ──Lend──▶ lending ──(all is sent, nothing under way)──▶ lent ──Return──▶ open
//	                                                             lent ──(fail, the loop's end)──▶ Revoke, ended
//
// While it is lent the descriptor is the borrower's alone: so nobody but the borrower can close it, and the loop never
// touches a number that is another's by then.

// A Borrower is a [Handler] that a connection can be lent to.
type Borrower interface {
	Handler
	// Lent hands over the descriptor, which is the borrower's from now on, to be closed by it or to be given back by
	// Conn.Return. It is non-blocking. If Lent returns false the descriptor stays the loop's, as if Lend had not been
	// called. It is called by the loop, inside no other call of the handler, and may call nothing of the loop's but Post;
	// WithSocket, by other goroutines, waits for its end, and then the descriptor is the borrower's.
	Lent(c *Conn, s sock.Socket) bool
	// Broken says, by the loop, that the system has an error of the connection, or that the peer, having closed its half,
	// has closed the other one too. What arrived before may still be unread, and is the borrower's to read, who then ends
	// the connection by CloseWithError; whoever reads or writes may have found it already. It comes on Linux alone.
	Broken(c *Conn)
	// Revoke says that the connection ends with err before it was given back: the borrower is to reset and close the
	// descriptor at once. Closed comes behind it, as ever. It may be called by any goroutine, when a loop is held by
	// another handler, and by several; then also before anything was lent, for whoever waits for the loop on another
	// goroutine.
	Revoke(err error)
}

var errNoBorrower = errors.New("loop: Lend: the connection's handler is no Borrower")

// Lend has the descriptor handed to the connection's handler, which must be a [Borrower], as soon as all that was
// written has left and nothing more is under way: at the end of this turn at best. What arrives until then comes by
// Data as ever. From then on no method of the connection may be called but Return, CloseWithError, Abort, Loop and
// Handler. On a [Network], which has no descriptors, nothing is ever lent, and Lend does nothing.
func (c *Conn) Lend() {
	if _, ok := c.handler.(Borrower); !ok {
		panic(errNoBorrower)
	}
	if c.state&(ended|closing|connecting|lending|lent) != 0 || c.loop.sys.network() != nil {
		return
	}
	c.state |= lending
	c.loop.Soon(c.tryLend)
}

// tryLend lends if nothing keeps from it. Else the driver, or the output's end, has it called again, by lendSoon.
func (c *Conn) tryLend() {
	if !c.is(lending) {
		return
	}
	if c.state&(ended|closing|broken) != 0 {
		c.state &^= lending
		return
	}
	if c.waits() || c.is(isDirty) || !c.loop.driver.forget(c) {
		return
	}
	c.state &^= lending
	if !c.offerSocket() {
		c.rejoin()
	}
}

// rejoin has the driver know the connection again.
func (c *Conn) rejoin() {
	c.state &^= lent
	if err := c.loop.driver.add(c); err != nil {
		c.failUnknown(err)
		return
	}
	c.loop.driver.update(c)
}

// lendSoon has tryLend called at the end of the turn, if that is wanted: something that kept from it has changed.
func (c *Conn) lendSoon() {
	if c.is(lending) {
		c.loop.Soon(c.tryLend)
	}
}

// offerSocket hands the descriptor to the borrower. For the loop there is none then: see Loop.breakOff.
func (c *Conn) offerSocket() bool {
	if c.loop.watchLoan(c) != nil { // for want of memory or a descriptor; or the loop ends
		return false
	}
	c.state |= lent
	s := c.sock
	if c.hand(s) {
		return true
	}
	c.loop.unwatchLoan(c, s)
	return false
}

// hand gives the descriptor to the borrower in one step for whoever asks by WithSocket: the loop has it, or Lent has
// returned.
func (c *Conn) hand(s sock.Socket) bool {
	c.loop.table.Lock()
	defer c.loop.table.Unlock()
	c.sock = sock.None
	if c.handler.(Borrower).Lent(c, s) {
		return true
	}
	c.sock = s
	return false
}

func (c *Conn) setSocket(s sock.Socket) {
	c.loop.table.Lock()
	defer c.loop.table.Unlock()
	c.sock = s
}

// Return ends a loan. s is the connection's descriptor, the one that was lent or a duplicate of it, and is the loop's
// from now on, which goes on as before; or it is sock.None, if the borrower has closed the connection, and then Closed
// comes with nil. If the connection has ended meanwhile, s is closed.
func (c *Conn) Return(s sock.Socket) {
	switch {
	case c.state&(lent|ended) != lent:
		if s != sock.None {
			_ = c.loop.sys.abort(s) // whoever ended it is told
		}
	case s == sock.None:
		c.release(nil, false)
	default:
		c.loop.unwatchLoan(c, s)
		c.setSocket(s)
		c.rejoin()
	}
}

// failUnknown ends a connection that the driver does not know, since it had no room for it.
func (c *Conn) failUnknown(err error) {
	s := c.sock
	c.state |= lent // to nobody, so that the driver is not asked to release it
	c.release(err, true)
	_ = c.loop.sys.abort(s) // err is the one to tell
}

// endLoan is the end of a connection that is lent.
func (c *Conn) endLoan(err error) {
	if c.sock == sock.None { // else whoever has it at this moment sees to it: failUnknown, adoptLent
		c.loop.unwatchLoan(c, sock.None)
		c.handler.(Borrower).Revoke(err)
	}
}

// adoptLent is adopt for a listener whose connections are lent from the start: the driver never hears of them.
func (ln *Listener) adoptLent(c *Conn) {
	to := c.loop
	to.enlist(c)
	c.state |= lent
	s := c.sock
	if h := ln.choose(c); h == nil {
		c.SetHandler(Base{})
		to.stats.refused.Add(1)
		c.release(ErrAborted, true)
	} else {
		c.SetHandler(h)
		h.Opened(c)
	}
	switch {
	case c.is(ended):
		_ = c.loop.sys.abort(s) // whoever ended it is told
	case !c.offerSocket():
		c.rejoin()
	}
}
