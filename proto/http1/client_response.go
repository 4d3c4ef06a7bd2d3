package http1

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

// answer makes the Response of the final head.
func (t *clientTrip) answer(h *clientHead) (*http.Response, error) {
	c := t.c
	resp := &http.Response{
		Status: strings.TrimLeft(h.line[len("HTTP/1.1 "):], " "), StatusCode: h.Status,
		Proto: h.line[:len("HTTP/1.1")], ProtoMajor: 1, ProtoMinor: int(h.line[7] - '0'),
		Header: h.header, Close: h.Close, Request: t.req,
	}
	c.mu.Lock()
	t.waiting = false
	cause := t.cause
	t.keep = t.keep && !h.Close
	c.mu.Unlock()
	if cause != nil {
		return nil, cause
	}
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil && t.c.cl.HeadTime > 0 {
		return nil, err
	}
	stream := h.Status == http.StatusSwitchingProtocols || t.req.Method == http.MethodConnect && h.Status < 300
	if stream {
		resp.ContentLength, resp.Body = -1, t.takeOver()
		if h.Status == http.StatusSwitchingProtocols {
			resp.ContentLength = 0
		}
		return resp, nil
	}
	if err := t.setBody(resp, h); err != nil {
		return nil, err
	}
	return resp, nil
}

// setBody says how the body ends, in the words of package net/http.
func (t *clientTrip) setBody(resp *http.Response, h *clientHead) error {
	length := h.header["Content-Length"]
	if len(length) > 1 { // they are the same
		h.header["Content-Length"] = length[:1]
	}
	coded := h.header["Transfer-Encoding"] != nil
	if coded {
		delete(h.header, "Transfer-Encoding")
		resp.TransferEncoding = []string{"chunked"}
	}
	if err := declareTrailers(resp, coded); err != nil {
		return err
	}
	resp.ContentLength = h.Length
	switch {
	case h.Body == NoBody:
		if t.req.Method == http.MethodHead && length == nil {
			resp.ContentLength = -1
		} else if t.req.Method != http.MethodHead {
			resp.ContentLength = 0
		}
		resp.Body = http.NoBody
		t.received(true)
		return nil
	case h.Body != ByLength:
		resp.ContentLength = -1
	}
	b := &clientBody{t: t, resp: resp, kind: h.Body, left: h.Length}
	if h.Body == ByChunks {
		b.chunks = &Chunked{Limits: t.c.cl.limits}
	}
	resp.Body = b
	return nil
}

// declareTrailers makes the map of trailers that the head announces.
func declareTrailers(resp *http.Response, chunked bool) error {
	lists := resp.Header["Trailer"]
	if !chunked || lists == nil {
		return nil
	}
	delete(resp.Header, "Trailer")
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(strings.Trim(name, " \t")); name == "" {
				continue
			}
			if !trails([]byte(name)) {
				return fmt.Errorf("http: trailer %q: %w", name, ErrTrailer)
			}
			if resp.Trailer == nil {
				resp.Trailer = make(http.Header)
			}
			resp.Trailer[name] = nil
		}
	}
	return nil
}

// A clientBody is the body of an answer.
type clientBody struct {
	t      *clientTrip
	resp   *http.Response
	kind   Body
	left   int64
	chunks *Chunked
	data   []byte // of a chunk: a view into the connection's buffer
	err    error  // sticky
}

// Read is of io.Reader.
func (b *clientBody) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	switch b.kind {
	case ByChunks:
		n, err = b.readChunks(p)
	default:
		n, err = b.readPlain(p)
	}
	if err != nil {
		b.fail(err)
		err = b.err
	}
	if n > 0 && err != io.EOF {
		err = nil // it comes with the next
	}
	return n, err
}

// readPlain reads a body that has a length, or that ends with the connection.
func (b *clientBody) readPlain(p []byte) (n int, err error) {
	c := b.t.c
	if b.kind == ByLength {
		p = p[:min(int64(len(p)), b.left)]
	}
	if c.r == c.w && len(p) < clientInput {
		err = c.fill()
	}
	if c.r < c.w {
		n = copy(p, c.buf[c.r:c.w])
		c.r += n
	} else if err == nil {
		c.release()
		n, err = c.nc.Read(p)
	}
	if b.kind == ByClose {
		return n, err
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readChunks reads as much as has come, and waits for what comes first.
func (b *clientBody) readChunks(p []byte) (n int, err error) {
	c := b.t.c
	for {
		if len(b.data) > 0 {
			m := copy(p[n:], b.data)
			n += m
			if b.data = b.data[m:]; n == len(p) && len(b.data) > 0 {
				return n, nil
			}
		}
		data, m, err := b.chunks.Next(c.buf[c.r:c.w])
		switch b.data = data; {
		case err != nil:
			return n, err
		case b.chunks.Done():
			b.trailers()
			c.r += m
			return n, io.EOF
		}
		if c.r += m; m > 0 && (n < len(p) || len(data) == 0) {
			continue
		}
		if n > 0 {
			return n, nil
		}
		if err := c.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
}

// trailers gives the Response the fields behind the last chunk.
func (b *clientBody) trailers() {
	for _, f := range b.chunks.Trailers() {
		if b.resp.Trailer == nil {
			b.resp.Trailer = make(http.Header)
		}
		b.resp.Trailer.Add(string(f.Name), string(f.Value))
	}
}

// fail is for the body's end, or why it has none.
func (b *clientBody) fail(err error) {
	b.data = nil
	t := b.t
	t.c.mu.Lock()
	if t.cause != nil {
		err = t.cause
	}
	t.c.mu.Unlock()
	b.err = err
	if err == io.EOF {
		t.received(b.kind != ByClose)
		return
	}
	t.abort(err)
}

// Close is of io.Closer. If what is left of the body has come already, the connection stays; else it is closed, since
// nobody knows how long the rest would take.
func (b *clientBody) Close() error {
	if b.err != nil {
		b.err = closedOr(b.err)
		return nil
	}
	c := b.t.c
	switch b.kind {
	case ByLength:
		if int64(c.w-c.r) >= b.left {
			c.r += int(b.left)
			b.fail(io.EOF)
		}
	case ByChunks:
		for err := error(nil); err == nil; {
			var n int
			if _, n, err = b.chunks.Next(c.buf[c.r:c.w]); err != nil {
				break
			}
			c.r += n
			if b.chunks.Done() {
				b.trailers()
				b.fail(io.EOF)
				break
			}
			if n == 0 {
				break
			}
		}
	}
	if b.err == nil {
		b.err = ErrBodyClosed
		b.t.abort(ErrBodyClosed)
	}
	b.err = closedOr(b.err)
	return nil
}

// closedOr makes the end of a body that is closed the error of reading one that is.
func closedOr(err error) error {
	if err == io.EOF {
		return ErrBodyClosed
	}
	return err
}

// A clientStream is the connection behind an answer that ends HTTP on it.
type clientStream struct{ t *clientTrip }

// takeOver gives the connection to the answer's reader.
func (t *clientTrip) takeOver() io.ReadCloser {
	t.watchNoMore()
	t.c.mu.Lock()
	t.keep, t.c.spent = false, ErrConnSpent
	t.c.mu.Unlock()
	return &clientStream{t}
}

// Read is of io.Reader: first what was read ahead.
func (s *clientStream) Read(p []byte) (int, error) {
	c := s.t.c
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		if c.r += n; c.r == c.w {
			c.r, c.w = 0, 0
			c.release()
		}
		return n, nil
	}
	return c.nc.Read(p)
}

// Write is of io.Writer.
func (s *clientStream) Write(p []byte) (int, error) { return s.t.c.nc.Write(p) }

// Close is of io.Closer.
func (s *clientStream) Close() (err error) {
	s.t.end(ErrBodyClosed, func() { err = s.t.c.nc.Close() })
	return err
}

// Buffered is how many bytes were read ahead.
func (s *clientStream) Buffered() int { return s.t.c.w - s.t.c.r }

// CloseWrite ends our half, where the connection can.
func (s *clientStream) CloseWrite() error {
	if half, ok := s.t.c.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}
