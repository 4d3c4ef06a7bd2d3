package loop

import (
	"fmt"
	"syscall"
)

// Behind the peer's end nothing is read, and so nothing would tell that the connection broke but the next write: a peer
// that asks, closes its half, and dies while the answer is made. So errors and hang-ups are watched for from then on
// (Conn.wantsHangup), and before that not: what is read tells.
//
// A connection that is paused is not watched. What its peer had sent before it died comes first, and Resume finds it,
// and behind it the error.

// wantsHangup tells the driver whether it is to watch for errors and hang-ups alone: nothing is read behind the peer's
// end, so nothing else tells that the connection broke. Once both halves are closed a hang-up is no news, and would be
// reported for ever.
func (c *Conn) wantsHangup() bool {
	return c.state&(sawEOF|closing|ended|broken|shutDone|goneAtOnce) == sawEOF && c.out == nil
}

// lookGone looks, at the end of the peer's stream, whether that was the end of both halves, as where a Unix socket is
// closed at once. Over TCP nobody could tell that from a closed half, and so it is none here either: what the peer sent
// is served to its end, and a write tells. What comes later is the death of a peer that had kept a half open.
func (c *Conn) lookGone() {
	if up, failed := c.loop.sys.hungUp(c.sock); up && !failed {
		c.state |= goneAtOnce
	}
}

// hungUp is told by the driver that the connection is broken or closed. The system's error of a reset is
// EPIPE behind the peer's end; a hang-up without one, as of a Unix socket that was closed, is the same.
func (c *Conn) hungUp() {
	if !c.wantsHangup() { // a handler of this turn was faster
		return
	}
	err := c.sockError()
	if err == nil {
		err = syscall.EPIPE
	}
	c.breakOutput(fmt.Errorf("loop: the peer is gone: %w", err))
}
