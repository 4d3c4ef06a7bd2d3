package web

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/plexor-go/plexor/coro"
)

// HTTP/2 is net/http's own: its Transport gets connections of the loop, by Shared, and blocks on goroutines. What a
// coroutine waits for of it goes by coro.AwaitIn.

// mostHTTP2 is how many requests and Reads of HTTP/2 wait at once, each on a goroutine.
const mostHTTP2 = 1024

type clientHTTP2 struct {
	transport *http.Transport // nil: nobody speaks it
	places    *coro.Semaphore
}

func (h *clientHTTP2) closeIdle() {
	if h.transport != nil {
		h.transport.CloseIdleConnections()
	}
}

// ofHTTP2 makes the Transport when it is first needed.
func (c *Client) ofHTTP2() *clientHTTP2 {
	if c.h2.transport == nil {
		c.h2.places = coro.NewSemaphore(mostHTTP2)
		cfg := c.tlsConfig("")
		c.h2.transport = &http.Transport{
			Proxy: c.o.Proxy, ProxyConnectHeader: c.o.ProxyHeader, TLSClientConfig: cfg, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: c.o.TLSTime, DisableCompression: true, IdleConnTimeout: c.o.IdleTime,
			DisableKeepAlives: c.o.NoKeepAlive, MaxResponseHeaderBytes: int64(c.o.Limits.WithDefaults().Head),
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				return coro.Call(ctx, c.sched, "web: connect to "+addr, func(ctx context.Context) (net.Conn, error) {
					nc, err := c.connect(ctx, noTrace, addr)
					if err != nil {
						return nil, err
					}
					return nc.Shared(), nil
				})
			},
		}
	}
	return &c.h2
}

// runHTTP2 is RoundTrip for a host that speaks it.
func (x *clientExchange) runHTTP2(req *http.Request) (*http.Response, error) {
	h := x.c.ofHTTP2()
	ctx, cancel := context.WithCancelCause(req.Context())
	sent := req.WithContext(ctx)
	gzips := x.asksGzip(req)
	if gzips {
		sent.Header = sent.Header.Clone()
		sent.Header["Accept-Encoding"] = gzipHeader["Accept-Encoding"]
	}
	if req.Body != nil && req.Body != http.NoBody {
		sent.Body = &loopBody{x.c, req.Body}
	}
	resp, err := coro.AwaitIn(x.ctx, h.places, func() (*http.Response, error) { return h.transport.RoundTrip(sent) })
	if err != nil {
		cancel(err) // an answer that comes all the same has no body then
		return nil, err
	}
	resp.Request = x.req
	x.letGo()
	if x.abort = cancel; resp.Body == http.NoBody {
		cancel(nil)
	} else if _, stream := resp.Body.(io.Writer); !stream {
		resp.Body = &goroutineBody{c: x.c, body: resp.Body, cancel: cancel}
	}
	x.wrap(resp, gzips)
	return resp, nil
}

// A loopBody is a request's body that is read by a goroutine, on coroutines of the loop.
type loopBody struct {
	c    *Client
	body io.ReadCloser
}

// Read is of io.Reader.
func (b *loopBody) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	r, err := coro.Call(context.Background(), b.c.sched, "web: read the body of a request",
		func(context.Context) (r result, _ error) {
			r.n, r.err = b.body.Read(p)
			return r, nil
		})
	if err != nil {
		return 0, err
	}
	return r.n, r.err
}

// Close is of io.Closer.
func (b *loopBody) Close() error {
	b.c.beside(func() { _ = b.body.Close() }) // nobody wants to know
	return nil
}

// goroutinePiece is what a goroutineBody reads at once, in bytes.
const goroutinePiece = 16 << 10

// A goroutineBody is a body that blocks, for coroutines. A Read that is cancelled leaves the goroutine with a buffer
// that is not the caller's.
type goroutineBody struct {
	c      *Client
	body   io.ReadCloser
	cancel func(error)
	rest   []byte // that was read and not taken
	err    error
}

// Read is of io.Reader.
func (b *goroutineBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 && b.err == nil && len(p) > 0 {
		t, err := b.c.sched.Self("web: Read of an answer's body")
		if err != nil {
			return 0, err
		}
		type result struct {
			p   []byte
			err error
		}
		r, err := coro.AwaitIn(t.Context(), b.c.h2.places, func() (r result, _ error) {
			buf := make([]byte, min(len(p), goroutinePiece))
			n, err := b.body.Read(buf)
			return result{buf[:n], err}, nil
		})
		if err != nil {
			b.err = err
			b.cancel(err)
			return 0, err
		}
		b.rest, b.err = r.p, r.err
	}
	n := copy(p, b.rest)
	if b.rest = b.rest[n:]; len(b.rest) > 0 || b.err == nil {
		return n, nil
	}
	b.rest = nil
	b.cancel(b.err)
	return n, b.err
}

// Close is of io.Closer.
func (b *goroutineBody) Close() error {
	b.rest, b.err = nil, http.ErrBodyReadAfterClose
	b.cancel(b.err)
	go b.body.Close() // it may wait for a moment, and what it says is of no use
	return nil
}
