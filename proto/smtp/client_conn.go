package smtp

import (
	"context"
	"errors"
	"io"
	"time"
)

// How a Client writes commands and reads replies.

func (c *Client) now() time.Time {
	if c.o.Now != nil {
		return c.o.Now()
	}
	return time.Now()
}

// errNoContext is why Dial, NewClient, a Client's methods and Server.Serve fail that were given nil for a context.
var errNoContext = errors.New("smtp: the context is nil: pass context.Background()")

// during has f run until it returns or ctx is done.
func (c *Client) during(ctx context.Context, f func() error) error {
	if c.broken != nil {
		return c.broken
	}
	switch {
	case ctx == nil:
		return errNoContext
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if _, own := c.nc.(startTLSer); own { // an engine's connection ends its waits by itself
		return f()
	}
	nc := c.nc
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	err := f()
	if !stop() {
		c.broken = context.Cause(ctx)
		return c.broken
	}
	return err
}

// breaks notes that the connection is of no use any more.
func (c *Client) breaks(err error) error {
	if c.broken == nil {
		c.broken = err
	}
	return err
}

// ask writes a line and reads the reply.
func (c *Client) ask(line string, d time.Duration) (Reply, error) {
	c.out = append(append(c.out[:0], line...), '\r', '\n')
	if err := c.write(c.out, d); err != nil {
		return Reply{}, err
	}
	return c.reply(d)
}

// write writes b. Before, nothing may have come that was not read: a reply to nothing would be taken for that to b.
func (c *Client) write(b []byte, d time.Duration) error {
	if c.r != c.w {
		if _, done, err := c.parser.Parse(c.in[c.r:c.w]); err == nil && done {
			if r := c.parser.Reply(); r.Code == 421 {
				return c.breaks(r.err())
			}
		}
		return c.breaks(ErrUnasked)
	}
	return c.put(b, d)
}

// put writes b. If that fails, the server may have said why.
func (c *Client) put(b []byte, d time.Duration) error {
	_ = c.nc.SetWriteDeadline(c.now().Add(d)) // if it fails, so does Write
	_, err := c.nc.Write(b)
	if err == nil {
		return nil
	}
	if r, e := c.reply(answerTime); e == nil && r.Code >= 400 {
		return c.breaks(r.err())
	}
	return c.breaks(err)
}

// answerTime is how long an answer may take to come when something could not be sent.
const answerTime = 200 * time.Millisecond

// reply reads one. 421 ends the connection, whatever it answers.
func (c *Client) reply(d time.Duration) (Reply, error) {
	_ = c.nc.SetReadDeadline(c.now().Add(d)) // if it fails, so does Read
	for {
		n, done, err := c.parser.Parse(c.in[c.r:c.w])
		c.r += n
		if err != nil {
			return Reply{}, c.breaks(err)
		}
		if done {
			r := c.parser.Reply()
			if r.Code == 421 {
				return r, c.breaks(r.err())
			}
			return r, nil
		}
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
		n, err = c.nc.Read(c.in[c.w:])
		c.w += n
		if n == 0 {
			if errors.Is(err, io.EOF) || err == nil {
				err = io.ErrUnexpectedEOF
			}
			return Reply{}, c.breaks(err)
		}
	}
}
