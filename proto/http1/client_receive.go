package http1

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
)

// clientInput is the size of the buffer that a connection reads into while an answer comes, in bytes.
const clientInput = 4 << 10

var clientInputs = sync.Pool{New: func() any { return new([clientInput]byte) }}

// fill reads more behind buf[:w]. A connection that can wait without a buffer (Await) holds none meanwhile.
func (c *ClientConn) fill() error {
	if c.r == c.w {
		if a, ok := c.nc.(interface{ Await() error }); ok {
			c.release()
			if err := a.Await(); err != nil {
				return err
			}
		}
		c.r, c.w = 0, 0
	}
	switch {
	case c.buf == nil:
		c.buf = clientInputs.Get().(*[clientInput]byte)[:]
	case c.w == len(c.buf) && c.r > 0:
		c.r, c.w = 0, copy(c.buf, c.buf[c.r:c.w])
	case c.w == len(c.buf):
		more := make([]byte, 2*len(c.buf)) // the limits of a head and of trailers bound it
		c.w = copy(more, c.buf[:c.w])
		c.release()
		c.buf = more
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// release gives the buffer back if nothing is in it that anybody will read.
func (c *ClientConn) release() {
	if len(c.buf) == clientInput {
		clientInputs.Put((*[clientInput]byte)(c.buf))
	}
	if c.buf = nil; c.r == c.w {
		c.r, c.w = 0, 0
	}
}

func clientIsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// receive reads up to the head of the final answer, and makes a Response of it.
func (t *clientTrip) receive() (*http.Response, error) {
	head, _, err := t.receiveHead(false)
	if err != nil {
		return nil, err
	}
	return t.answer(head)
}

// A clientHead is a head with its fields as package net/http has them.
type clientHead struct {
	Head   // its slices are nobody's any more
	line   string
	header http.Header
}

// keep copies what the head says out of its bytes, which are raw.
func (h *clientHead) keep(raw []byte) {
	text := string(raw)
	view := func(b []byte) string {
		at := cap(raw) - cap(b) // b is cut out of raw
		return text[at : at+len(b)]
	}
	h.line = text[:strings.IndexByte(text, '\r')]
	h.header = make(http.Header, len(h.Fields))
	values := make([]string, len(h.Fields))
	for i, f := range h.Fields {
		name := textproto.CanonicalMIMEHeaderKey(view(f.Name))
		values[i] = view(f.Value)
		if old := h.header[name]; old != nil {
			h.header[name] = append(old, values[i])
			continue
		}
		h.header[name] = values[i : i+1 : i+1]
	}
	h.Method, h.Target, h.Host, h.Reason, h.Fields = nil, nil, nil, nil, nil
}

// receiveHead reads heads until the final one, or until 100 if that is waited for. A timeout leaves all as it was.
func (t *clientTrip) receiveHead(continued bool) (*clientHead, int, error) {
	c, most := t.c, t.c.cl.Interim
	if most <= 0 {
		most = defaultInterim
	}
	for range most + 1 {
		h, err := t.nextHead()
		switch {
		case err != nil:
			return nil, 0, err
		case h.Status == http.StatusSwitchingProtocols:
			if t.req.Header.Get("Upgrade") == "" {
				return nil, 0, ErrUnasked
			}
			return h, h.Status, nil
		case h.Status >= 200:
			return h, h.Status, nil
		}
		if err := t.trace.interim(h.Status, h.header); err != nil {
			return nil, 0, err
		}
		if !continued {
			t.c.mu.Lock()
			sending := t.sending
			t.c.mu.Unlock()
			if !sending {
				t.awaitHead()
			}
		}
		if continued && h.Status == http.StatusContinue {
			return nil, h.Status, nil
		}
		if c.r == c.w {
			c.r, c.w = 0, 0
		}
	}
	return nil, 0, ErrInterim
}

func (t *clientTrip) nextHead() (*clientHead, error) {
	c := t.c
	for {
		if c.r < c.w {
			n, err := c.scan.Scan(c.buf[c.r:c.w])
			if err != nil {
				return nil, err
			}
			if n > 0 {
				h, raw := new(clientHead), c.buf[c.r:c.r+n]
				c.r += n
				if err := h.ParseResponse(raw, t.req.Method, c.cl.limits); err != nil {
					return nil, err
				}
				h.keep(raw)
				if te := h.header["Transfer-Encoding"]; te != nil && (len(te) > 1 || !strings.EqualFold(te[0], "chunked")) {
					return nil, ErrUnknown // nobody here could read it, and what has no body has no need of it
				}
				return h, nil
			}
		}
		err := c.fill()
		if c.w > c.r && !t.answered {
			c.mu.Lock()
			t.answered = true
			c.mu.Unlock()
			t.trace.firstByte()
		}
		if err != nil {
			return nil, t.headError(err)
		}
	}
}

// headError is why there is no head.
func (t *clientTrip) headError(err error) error {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	switch {
	case t.answered && err == io.EOF:
		return io.ErrUnexpectedEOF
	case t.sendErr == nil && !t.sending && clientIsTimeout(err):
		return ErrHeadTime
	}
	return err
}
