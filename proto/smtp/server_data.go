package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// A body is a message that is being taken, and its reader.
type body struct {
	c       *ServerConn
	dec     DataDecoder
	chunked bool  // by BDAT
	binary  bool  // of bytes, not of lines
	left    int64 // bytes of the chunk that have not come
	last    bool  // it is the last one
	n       int64 // bytes of the message so far
	begun   time.Time

	soft  *Error // why it is refused when it has come; nil: it is not
	err   error  // why there is nothing more to read; io.EOF: it is whole
	fatal error  // why the connection is over; nil: it is not

	// What the Session has said.
	answered bool
	id       string
	each     []error
	failed   error
}

// errBrokenOff is the err of a body whose client went on with another command in place of the next chunk.
var errBrokenOff = fmt.Errorf("%w: it broke off", ErrIncomplete)

// Read is for the Session.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.answered {
		return 0, ErrIncomplete
	}
	if b.soft != nil {
		return 0, b.soft
	}
	n, err := b.next(p)
	if b.soft != nil {
		return 0, b.soft
	}
	return n, err
}

// next is Read, which goes on when the message is too large.
func (b *body) next(p []byte) (n int, err error) {
	for n == 0 && b.err == nil {
		if b.chunked && b.left == 0 {
			b.endChunk()
			continue
		}
		if b.chunked && b.n+b.left > b.c.srv.limits.Message {
			b.refuse(ErrTooLarge)
		}
		src := b.c.in.unread()
		if len(src) == 0 {
			b.more()
			continue
		}
		if b.chunked && int64(len(src)) > b.left {
			src = src[:b.left]
		}
		n = b.take(p, src)
	}
	b.n += int64(n)
	if b.n > b.c.srv.limits.Message {
		b.refuse(ErrTooLarge)
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// refuse notes why the message is refused when it has come. The first reason stays.
func (b *body) refuse(e *Error) {
	if b.soft == nil {
		b.soft = e
	}
}

// take takes bytes of src, which has come, and writes the message's to p.
func (b *body) take(p, src []byte) (written int) {
	var taken int
	var end bool
	var err error
	if b.chunked && b.binary {
		written = copy(p, src)
		taken = written
	} else {
		written, taken, end, err = b.dec.Decode(p, src)
	}
	b.c.in.r += taken
	b.left -= int64(taken) // which means nothing behind DATA
	switch {
	case err == ErrTextLine:
		b.refuse(ErrTextLine)
	case err != nil:
		b.end(err)
	case end:
		b.err = io.EOF
	}
	return written
}

// end ends the message with an error, and the connection.
func (b *body) end(err error) {
	b.err = err
	if e, ok := errors.AsType[*Error](err); ok {
		b.fatal = b.c.farewell(e)
		return
	}
	b.fatal = b.c.ends(err)
}

// more waits for bytes.
func (b *body) more() {
	c := b.c
	if err := c.flush(); err != nil {
		b.end(err)
		return
	}
	if c.in.r == c.in.w {
		c.in.r, c.in.w = 0, 0
	}
	for {
		by := b.until()
		_ = c.nc.SetReadDeadline(by) // if it fails, so does Read
		n, err := c.nc.Read(c.in.b[c.in.w:])
		c.in.w += n
		switch {
		case n > 0:
			return
		case err == nil:
			err = io.ErrNoProgress
		case errors.Is(err, os.ErrDeadlineExceeded):
			if c.srv.now().Before(by) && c.left.Load() {
				continue // it was to wake a client that waits, and this one does not
			}
			err = ErrTooSlow
		case err == io.EOF:
			c.srv.stats.incomplete.Add(1)
			err = ErrIncomplete
		}
		b.end(err)
		return
	}
}

// until is when the next bytes have to be there.
func (b *body) until() time.Time {
	l := &b.c.srv.limits
	all := b.begun.Add(l.DataTime + time.Duration(b.n/int64(l.DataRate))*time.Second)
	if one := b.c.srv.now().Add(l.BlockTime); one.Before(all) {
		return one
	}
	return all
}

// endChunk answers for a chunk that has come, and finds the next one.
func (b *body) endChunk() {
	if b.last {
		if err := b.dec.Cut(); err != nil {
			b.end(err)
			return
		}
		b.err = io.EOF
		return
	}
	c := b.c
	c.replyChunk(b.n)
	for b.err == nil {
		line, ok, err := c.line()
		if err != nil {
			b.err, b.fatal = err, err
			return
		}
		if !ok {
			b.more()
			continue
		}
		if found, err := b.between(line); err != nil {
			b.err, b.fatal = err, err
		} else if found {
			return
		}
	}
}

func (c *ServerConn) replyChunk(n int64) {
	c.reply(250, Enhanced{2, 0, 0}, strconv.FormatInt(n, 10)+" bytes so far")
}

// between obeys a command between two chunks. It reports whether it is the next chunk, or one that ends the message,
// which is left for whoever comes next.
func (b *body) between(line []byte) (found bool, err error) {
	c := b.c
	cmd, err := ParseCommand(line)
	if err != nil {
		return false, c.wrong(err)
	}
	switch cmd.Verb {
	case "BDAT":
		if b.left, b.last, err = ParseBdat(cmd.Arg); err != nil {
			return false, c.farewell(ErrSyntax)
		}
		return true, nil
	case "NOOP":
		if c.junk++; int(c.junk) > c.srv.limits.Junk {
			return false, c.farewell(ErrTooMuchJunk)
		}
		c.reply(250, Enhanced{2, 0, 0}, "Ok")
		return false, nil
	case "RSET", "QUIT", "EHLO", "HELO", "LHLO":
		c.in.r -= len(line) + 2
		b.err = errBrokenOff
		return true, nil
	}
	return false, c.wrong(ErrSequence)
}

// deliver has the Session take the message, and answers.
func (c *ServerConn) deliver(ctx context.Context, b *body) error {
	s := c.session
	e, ok := s.(EachRecipient)
	switch each := ok && c.srv.LMTP; {
	case c.srv.Block != nil:
		c.relay(ctx, b, func(r io.Reader) (id string, errs []error, err error) {
			if each {
				errs, err = e.DataEach(ctx, r)
			} else {
				id, err = s.Data(ctx, r)
			}
			return id, errs, err
		})
	case each:
		b.each, b.failed = e.DataEach(ctx, b)
	default:
		b.id, b.failed = s.Data(ctx, b)
	}
	b.answered = true
	c.by = time.Time{}
	return c.settle(b)
}

// settle throws away what the Session has not read, of the message or of this chunk of it, and answers.
func (c *ServerConn) settle(b *body) error {
	if b.fatal == nil && errors.Is(b.failed, ErrHangUp) {
		return c.refuse(b.failed)
	}
	if e, ok := errors.AsType[*Error](b.failed); ok && e.Code == 421 && b.fatal == nil && b.soft == nil {
		return c.farewell(e)
	}
	if err := b.drain(); err != nil {
		return err
	}
	switch {
	case errors.Is(b.err, errBrokenOff):
		c.srv.stats.incomplete.Add(1)
		c.reset()
		return nil
	case b.chunked && !b.last && b.failed == nil && b.soft == nil:
		c.replyChunk(b.n)
		return nil
	case b.chunked && !b.last:
		return c.wrong(b.refusal())
	}
	return c.conclude(b)
}

// drain reads on, to the end of the message or chunk. An error ends the connection.
func (b *body) drain() error {
	var room [512]byte
	for most := b.c.srv.limits.Discard; b.err == nil && (!b.chunked || b.left > 0 || b.last); {
		n, _ := b.next(room[:]) // which is b.err
		if most -= int64(n); most < 0 {
			b.fatal = b.c.farewell(ErrTooLarge)
			break
		}
	}
	return b.fatal
}

// refusal is the answer to a message that was not taken.
func (b *body) refusal() *Error {
	if b.soft != nil {
		return b.soft
	}
	return b.c.errorOf(b.failed)
}

// conclude answers for the whole message.
func (c *ServerConn) conclude(b *body) error {
	to := c.tx.recipients
	c.srv.stats.bytes.Add(uint64(b.n))
	refused := b.soft != nil || b.failed != nil
	taken := len(to)
	for i := range to {
		if !refused && i < len(b.each) && b.each[i] != nil {
			taken--
		}
	}
	if !refused && taken > 0 {
		c.srv.stats.messages.Add(1)
		c.srv.stats.recipients.Add(uint64(taken))
		c.junk = 0
	}
	c.reset()
	var all error
	if refused {
		all = b.refusal()
	}
	switch {
	case c.srv.LMTP:
	case refused:
		return c.wrong(all)
	default:
		c.accept(b.id)
		return nil
	}
	for i, m := range to { // RFC 2033, section 4.2
		err := all
		if err == nil && i < len(b.each) {
			err = b.each[i]
		}
		if err == nil {
			c.accept("<" + m.String() + ">")
		} else if err := c.refuse(err); err != nil {
			return err
		}
	}
	return nil
}

// accept is the answer to a message that was taken.
func (c *ServerConn) accept(id string) {
	text := "Ok"
	if id != "" {
		text += ": " + id
	}
	c.reply(250, Enhanced{2, 0, 0}, text)
}

// skip throws a chunk away that belongs to no message.
func (c *ServerConn) skip(size int64) error {
	if size > c.srv.limits.Discard {
		return c.farewell(ErrTooLarge)
	}
	b := &body{c: c, chunked: true, binary: true, left: size, begun: c.srv.now()}
	return b.drain()
}
