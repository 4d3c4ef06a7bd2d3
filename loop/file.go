package loop

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/plexor-go/plexor/sock"
)

// A file's bytes can leave without a copy through the process (sendfile(2), Linux), on every driver by the same system
// call: io_uring has none for it but two splices through a pipe, which would be two operations, a pipe to each
// connection, and what a pipe holds when the connection breaks.
//
// The file stays its owner's, and so nothing of it is queued: SendFile sends what the socket takes now, and nothing if
// output waits before it. Its caller waits for Writable in between. While that is owed and no output waits, c.out is an
// empty queue: so the driver watches for room as it does for output, and Write refuses.

// SendFile sends at most n bytes of a file, from off on, behind what was written, and returns how many: 0 and no error
// at the file's end. The errors are those of Write, and ErrFull says, as there, that Writable comes when it is worth
// another try; and errors.ErrUnsupported: this file is to be read, and written by Write. The call takes as long as the
// system takes to read the file (see sock.ReadCached), and the loop waits meanwhile: n is for bounding that. Until they
// are sent the bytes are the file's: who changes it meanwhile changes what leaves.
func (c *Conn) SendFile(file uintptr, off int64, n int) (int, error) {
	if c.state&(full|shutWanted|closing|ended|connecting|broken|wroteLate) != 0 {
		return 0, c.refusal()
	}
	if c.loop.sys.network() != nil {
		return 0, fmt.Errorf("loop: sendfile: %w", errors.ErrUnsupported)
	}
	if c.corkLen > 0 && c.out == nil && c.flight == 0 { // most often a head
		p := c.takeCorked()
		m, err := c.sock.SendMore(p)
		if err != nil && err != sock.ErrWouldBlock {
			return 0, c.sendFailed(err)
		}
		c.keep(p[m:])
	}
	if c.Pending() > 0 {
		return 0, c.awaitSpace()
	}
	m, err := c.sock.SendFile(file, off, n)
	switch {
	case err == nil:
		return m, nil
	case err == sock.ErrWouldBlock:
		return 0, c.awaitSpace()
	case lost(err):
		return 0, c.sendFailed(err)
	}
	return 0, fmt.Errorf("loop: sendfile: %w: %w", errors.ErrUnsupported, err)
}

// awaitSpace refuses as a full output does.
func (c *Conn) awaitSpace() error {
	if c.out == nil && c.flight == 0 {
		c.out = c.loop.blocks.getQueue()
	}
	c.state |= full | wantsNotice
	c.loop.driver.update(c)
	return ErrFull
}

// waits reports whether something is to leave, a file too.
func (c *Conn) waits() bool { return c.out != nil || c.Pending() > 0 }

func (c *Conn) sendFailed(err error) error {
	c.breakOutput(fmt.Errorf("loop: send: %w", err))
	return c.err
}

// lost reports whether an error of a call that has a socket and a file is one of the connection's end. All others may
// be the file's, and reading it tells.
func lost(err error) bool {
	e, ok := err.(syscall.Errno)
	return ok && slices.Contains(lostErrnos[:], e)
}

// tcp(7), "Error handling", and EPIPE, behind our own end or the peer's reset.
var lostErrnos = [...]syscall.Errno{syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ETIMEDOUT,
	syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENOTCONN}
