package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/plexor-go/plexor/coro"
)

// HTTP/2 is net/http's own: a connection that has agreed on it in the handshake, or speaks it by prior knowledge, is
// given away by Shared to an http.ClientConn, which reads it on a goroutine. The pool is ours: such a connection is
// counted as others are, and takes as many requests at once as its server allows. What blocks runs on goroutines, for
// which a coroutine waits by coro.AwaitIn.

// mostHTTP2 is how many requests and Reads of HTTP/2 wait at once, each on a goroutine.
const mostHTTP2 = 1024

type clientHTTP2 struct {
	transport *http.Transport // nil: nobody speaks it
	places    *coro.Semaphore
}

// A clientMux is a connection of HTTP/2. What is not cc's own belongs to the loop.
type clientMux struct {
	c    *Client
	host *clientHost
	cc   *http.ClientConn
	nc   net.Conn
	tls  *tls.ConnectionState
	used bool // it has served a request
	gone bool
}

// A clientHandKey is what the transport finds a connection under, in the context of NewClientConn.
type clientHandKey struct{}

// ofHTTP2 makes the Transport when it is first needed. It dials nothing: the name "http" has it speak HTTP/2 on what it
// is given, at once. Requests say what their URL says.
func (c *Client) ofHTTP2() *clientHTTP2 {
	if c.h2.transport == nil {
		c.h2.places = coro.NewSemaphore(mostHTTP2)
		alone := new(http.Protocols)
		alone.SetUnencryptedHTTP2(true)
		c.h2.transport = &http.Transport{
			Protocols: alone, DisableCompression: true, IdleConnTimeout: c.o.IdleTime, DisableKeepAlives: c.o.NoKeepAlive,
			MaxResponseHeaderBytes: int64(c.o.Limits.WithDefaults().Head), ResponseHeaderTimeout: max(c.o.HeadTime, 0),
			ExpectContinueTimeout: cmpDefault(c.o.ContinueTime, time.Second),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return ctx.Value(clientHandKey{}).(net.Conn), nil
			},
		}
	}
	return &c.h2
}

// cmpDefault is d, or what is there when it is 0; less is none.
func cmpDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return max(d, 0)
}

// speak gives the connection to net/http's client, once for ever.
func (k *clientConn) speak(ctx context.Context) error {
	c, m := k.c, &clientMux{c: k.c, host: k.host, nc: k.nc.Shared(), tls: k.tls}
	transport := c.ofHTTP2().transport
	cc, err := coro.AwaitIn(ctx, c.moments, func() (*http.ClientConn, error) {
		return transport.NewClientConn(context.WithValue(context.Background(), clientHandKey{}, m.nc), "http", "h2:80")
	})
	if err != nil {
		_ = m.nc.Close() // it is of no use to anybody
		return err
	}
	m.cc, k.mux, k.nc = cc, m, nil
	if c.o.NoKeepAlive {
		_ = cc.Reserve() // it is the caller's alone
	} else {
		m.host.muxes = append(m.host.muxes, m)
	}
	cc.SetStateHook(func(*http.ClientConn) { c.beside(m.changed) })
	return nil
}

// changed is called when a request has ended, or the connection has.
func (m *clientMux) changed() {
	if m.gone {
		return
	}
	once := m.c.closed || m.c.o.NoKeepAlive
	if m.cc.Err() == nil && (!once && m.host.offer(m.cc.Available()) || m.cc.InFlight() > 0) {
		return
	}
	if m.cc.Err() == nil && !once && m.c.hungry.Len() == 0 {
		return // it rests; else others wait for its room
	}
	m.retire()
	m.c.leave(m.host)
}

// retire closes it, and takes it out of the pool.
func (m *clientMux) retire() {
	m.gone = true
	_ = m.cc.Close() // what it says is of no use any more
	_ = m.nc.Close()
	m.host.muxes = slices.DeleteFunc(m.host.muxes, func(other *clientMux) bool { return other == m })
}

// offer has n of those that wait look for a connection again, and reports whether there was one.
func (h *clientHost) offer(n int) (offered bool) {
	for ; n > 0 && h.give(clientWaiter{err: errLookAgain}); n-- {
		offered = true
	}
	return offered
}

// reserve is a connection of HTTP/2 that has room for a request, which is the caller's.
func (h *clientHost) reserve() *clientMux {
	for _, m := range h.muxes {
		if m.cc.Reserve() == nil {
			return m
		}
	}
	return nil
}

// evictMux closes a connection of HTTP/2 on which nothing is under way, and reports whether there was one. Its room is
// the caller's.
func (c *Client) evictMux() bool {
	for _, h := range c.hosts {
		for _, m := range h.muxes {
			if m.cc.InFlight() == 0 {
				m.retire()
				h.open--
				c.open--
				c.forget(h)
				return true
			}
		}
	}
	return false
}

// sendMux sends req on a connection of HTTP/2.
func (x *clientExchange) sendMux(k *clientConn, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	sent := req.WithContext(ctx)
	gzips := x.asksGzip(req)
	if sent.Header = sent.Header.Clone(); gzips {
		sent.Header["Accept-Encoding"] = gzipHeader["Accept-Encoding"]
	}
	if sent.Header["User-Agent"] == nil {
		sent.Header.Set("User-Agent", x.c.o.UserAgent)
	}
	if req.Body != nil && req.Body != http.NoBody {
		sent.Body = &loopBody{x.c, req.Body}
	}
	resp, err := coro.AwaitIn(x.ctx, x.c.h2.places, func() (*http.Response, error) { return k.mux.cc.RoundTrip(sent) })
	if err != nil {
		cancel(err) // an answer that comes all the same has no body then
		return nil, err
	}
	resp.Request, resp.TLS = x.own, k.tls
	x.letGo()
	if x.abort = cancel; resp.Body == http.NoBody {
		cancel(nil)
	} else if _, stream := resp.Body.(io.Writer); !stream {
		resp.Body = &goroutineBody{c: x.c, body: resp.Body, cancel: cancel}
	}
	x.wrap(resp, gzips)
	return resp, nil
}

// http2StreamError is what a stream was ended with: errors.As fills it in from net/http's own.
type http2StreamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e http2StreamError) Error() string { return "HTTP/2 stream error" }

// http2Refused is RFC 9113, section 7: the server has done nothing of the request.
const http2Refused = 7

// The texts of net/http's errors that say the same, and have no name.
const (
	http2GoneAway = "http2: Transport received Server's graceful shutdown GOAWAY"
	http2Unusable = "http2: client conn not usable"
)

// isUntouched reports whether an error of HTTP/2 says that the server has done nothing of the request (RFC 9113,
// section 8.7), so that it may be sent again, whatever its method.
func isUntouched(err error) bool {
	if e, ok := errors.AsType[http2StreamError](err); ok {
		return e.Code == http2Refused
	}
	return err.Error() == http2GoneAway || err.Error() == http2Unusable
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
