package plexor

import (
	"io"
	"net"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// copyBuffer is the size of the buffers through which ReadFrom and WriteTo copy, in bytes.
const copyBuffer = 32 << 10

// WriteTo writes what arrives to dst until the end of the stream, which is no error, or until one of the two fails.
// [io.Copy] uses it. To a Conn of the same loop it writes the loop's own buffer, so that io.Copy(c, c) and a proxy copy
// as little as a callback does; to anything else it copies through a buffer, which is
// held only while there is something in it.
func (c *Conn) WriteTo(dst io.Writer) (n int64, err error) {
	t, err := c.enter("read", messaging)
	if err != nil {
		return 0, err
	}
	if c.tls != nil {
		return c.copyTLS(t, dst)
	}
	if d, ok := dst.(*Conn); ok && d.tls == nil && d.raw.w == c.raw.w && !d.is(returned) && !d.raw.is(givenAway) {
		return c.pipe(t, d)
	}
	return c.copyTo(t, dst)
}

// copyTo copies to anything, which may wait while it holds what it is given.
func (c *Conn) copyTo(t *coro.Task, dst io.Writer) (n int64, err error) {
	for {
		if err := c.raw.await(t); err != nil {
			return n, c.atEnd(err)
		}
		b := c.raw.w.buffers.get(copyBuffer)
		p := b.b[:copy(b.b[:copyBuffer], c.raw.peek())]
		c.raw.took(len(p))
		m, err := dst.Write(p)
		c.raw.w.buffers.put(b)
		n += int64(m)
		if err == nil && m < len(p) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
}

// copyTLS is copyTo over TLS.
func (c *Conn) copyTLS(t *coro.Task, dst io.Writer) (n int64, err error) {
	for {
		b, err := c.receiveTLS(t, copyBuffer)
		if err != nil {
			return n, c.atEnd(err)
		}
		m, err := dst.Write(b.b)
		n += int64(m)
		if err == nil && m < len(b.b) {
			err = io.ErrShortWrite
		}
		c.raw.w.buffers.put(b)
		if err != nil {
			return n, err
		}
	}
}

// atEnd makes the end of the stream no error.
func (c *Conn) atEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return c.raw.wrap("read", err)
}

// pipe copies to a connection of the same loop. It first waits for room and then for bytes, so that these are written
// while they still are the loop's view. Whatever is left when it has to wait is kept by the stream.
func (c *Conn) pipe(t *coro.Task, d *Conn) (n int64, err error) {
	src, dst := &c.raw, &d.raw
	for {
		if err := src.await(t); err != nil {
			return n, c.atEnd(err)
		}
		if dst.waits != nil {
			if err := dst.lockWrite(t); err != nil {
				return n, dst.wrap("write", err)
			}
		}
		p := src.peek() // not before, for lockWrite may have waited, and another reader been quicker
		m, err := dst.lc.Write(p)
		if m > 0 {
			dst.wrote()
			n += int64(m)
			src.took(m)
		}
		switch {
		case err == loop.ErrFull:
			if err = dst.awaitRoom(t); err == nil {
				err = dst.unlockAnd(nil)
			}
		case err != nil:
			err = dst.failure(t, err)
		}
		if err != nil {
			return n, dst.wrap("write", dst.unlockAnd(err))
		}
	}
}

// unlockAnd is unlockWrite on the way out.
func (s *stream) unlockAnd(err error) error {
	s.unlockWrite()
	return err
}

// ReadFrom writes what it reads from src until that ends, which is no error. [io.Copy] uses it for sources that have no
// WriteTo. It holds a buffer of 32 KiB meanwhile. A source that blocks the ordinary way, as a pipe of the operating
// system does, blocks the loop: read such a one with coro.Await.
func (c *Conn) ReadFrom(src io.Reader) (n int64, err error) {
	if err := c.usable("write"); err != nil {
		return 0, err
	}
	return copyFrom(writerOnly{c}, src, c.raw.w)
}

type writerOnly struct{ io.Writer }

// copyFrom copies through a buffer of the loop's.
func copyFrom(dst io.Writer, src io.Reader, w *worker) (n int64, err error) {
	b := w.buffers.get(copyBuffer)
	defer w.buffers.put(b)
	for {
		m, err := src.Read(b.b[:copyBuffer])
		if m > 0 {
			k, werr := dst.Write(b.b[:m])
			n += int64(k)
			if werr == nil && k < m {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return n, werr
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// WriteBuffers writes all of bufs, in order, as one Write does; nothing of another coroutine's comes in between. In
// contrast to [net.Buffers.WriteTo] it leaves bufs as it is.
func (c *Conn) WriteBuffers(bufs net.Buffers) (n int64, err error) {
	t, err := c.enter("write", 0)
	if err != nil {
		return 0, err
	}
	if c.tls != nil {
		return c.writeJoined(t, bufs)
	}
	if c.raw.waits != nil {
		if err := c.raw.lockWrite(t); err != nil {
			return 0, c.raw.wrap("write", err)
		}
	}
	x := c.raw.getWaits()
	x.writing = true
	for _, p := range bufs {
		m, err := c.raw.writeLocked(t, p)
		n += int64(m)
		if err != nil {
			c.raw.unlockWrite()
			return n, c.raw.wrap("write", err)
		}
	}
	c.raw.unlockWrite()
	c.raw.dropWaits()
	return n, nil
}

// writeJoined is WriteBuffers over TLS, which would make a record of each piece: small ones are joined.
func (c *Conn) writeJoined(t *coro.Task, bufs net.Buffers) (n int64, err error) {
	b := c.raw.w.buffers.get(copyBuffer)
	defer c.raw.w.buffers.put(b)
	flush := func() error {
		m, err := c.tls.write(t, b.b)
		n += int64(m)
		b.b = b.b[:0]
		return err
	}
	for _, p := range bufs {
		if len(b.b)+len(p) > copyBuffer {
			if err := flush(); err != nil {
				return n, err
			}
		}
		if len(p) > copyBuffer {
			m, err := c.tls.write(t, p)
			n += int64(m)
			if err != nil {
				return n, err
			}
			continue
		}
		b.b = append(b.b, p...)
	}
	return n, flush()
}
