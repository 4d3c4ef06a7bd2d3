package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// wrap makes resp's body one that knows its bounds, and tells x of its end.
func (x *clientExchange) wrap(resp *http.Response, gzips bool) {
	if _, stream := resp.Body.(io.Writer); stream || resp.Body == http.NoBody {
		x.end()
		return
	}
	b := &clientBody{x: x, body: resp.Body, left: x.c.o.MostBody, bounded: x.c.o.MostBody > 0}
	resp.Body = b
	if gzips && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength, resp.Uncompressed = -1, true
		resp.Body = &inflatedBody{body: b, left: x.c.o.MostInflated}
	}
}

// A clientBody is an answer's body as it comes.
type clientBody struct {
	x       *clientExchange
	body    io.ReadCloser
	left    int64
	bounded bool
	over    error
}

// Read is of io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	if b.over != nil {
		return 0, b.over
	}
	if b.bounded && int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.bounded {
		if b.left -= int64(n); b.left < 0 {
			b.over = ErrBodyTooLong
			_ = b.Close()
			return n - 1, b.over
		}
	}
	if err != nil {
		b.x.end()
	}
	return n, err
}

// Close is of io.Closer.
func (b *clientBody) Close() error {
	err := b.body.Close()
	b.x.end()
	return err
}

var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

// An inflatedBody is a body that came in gzip. It holds what that needs, some 45 KiB, from the first Read to the end.
type inflatedBody struct {
	body *clientBody
	z    *gzip.Reader
	left int64
	err  error // sticky
}

// Read is of io.Reader.
func (b *inflatedBody) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.z == nil {
		z := inflaters.Get().(*gzip.Reader)
		if err := z.Reset(b.body); err != nil {
			inflaters.Put(z)
			if err == io.EOF { // nothing came, which is not gzip
				err = io.ErrUnexpectedEOF
			}
			return 0, b.fail(err)
		}
		b.z = z
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err = b.z.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, err = n-1, ErrBodyTooLong
		_ = b.body.Close()
	}
	if err != nil {
		err = b.fail(err)
	}
	return n, err
}

func (b *inflatedBody) fail(err error) error {
	b.err = err
	if b.z != nil {
		inflaters.Put(b.z)
		b.z = nil
	}
	return err
}

// Close is of io.Closer.
func (b *inflatedBody) Close() error {
	_ = b.fail(http.ErrBodyReadAfterClose)
	return b.body.Close()
}
