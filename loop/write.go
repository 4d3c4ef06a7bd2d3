package loop

import (
	"fmt"

	"github.com/plexor-go/plexor/sock"
)

// connectError is how a connect ended.
func connectError(c *Conn) error {
	if err := c.sock.ConnectError(); err != nil {
		return fmt.Errorf("loop: %w", err) // it says connect itself
	}
	return nil
}

// writeOn writes on, by a driver's write, where the kernel's buffer was full.
func writeOn(c *Conn, write func(c *Conn, extra []byte) error) {
	if c.out.size == 0 { // a file waits for room: see SendFile
		c.loop.blocks.putQueue(c.out)
		c.out = nil
		c.sentSome()
		return
	}
	before := c.out.size
	if err := write(c, nil); err != nil {
		c.breakOutput(fmt.Errorf("loop: send: %w", err))
		return
	}
	if c.out == nil || c.out.size < before {
		c.sentSome()
	} else {
		c.loop.driver.update(c)
	}
}

// maxViews is how many blocks one system call sends: 2 MiB of large ones.
const maxViews = 64

// writeNow is a driver's write by system calls.
func (c *Conn) writeNow(extra []byte) error {
	if c.out == nil && (c.corkLen == 0 || len(extra) == 0) { // one piece: most often an answer that was corked
		p := extra
		if c.corkLen > 0 {
			p = c.takeCorked()
		}
		n, err := c.sock.Send(p)
		if err != nil && err != sock.ErrWouldBlock {
			return err
		}
		c.keep(p[n:])
		return nil
	}
	l := c.loop
	var corked []byte
	if c.corkLen > 0 {
		corked = c.takeCorked()
	}
	queued := 0
	vs := l.views[:0]
	if c.out != nil {
		vs = c.out.views(vs, maxViews)
		queued = c.out.size
	}
	whole := len(vs) < maxViews
	if whole && len(corked) > 0 {
		vs = append(vs, corked)
	}
	if whole && len(extra) > 0 {
		vs = append(vs, extra)
	}
	n, err := c.sock.SendV(vs)
	clear(vs)
	l.views = vs[:0]
	if err != nil && err != sock.ErrWouldBlock {
		return err
	}
	if q := min(n, queued); q > 0 {
		c.consume(q)
		n -= q
	}
	if k := min(n, len(corked)); k > 0 {
		corked = corked[k:]
		n -= k
	}
	c.keep(corked)
	c.keep(extra[n:])
	return nil
}
