package web

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/http1"
)

// ClientOptions are the choices of a Client. The zero value of each field means its default.
type ClientOptions struct {
	// Conns and ConnsPerHost are how many connections there are at once, those that rest too (default 16384 and 512).
	// Requests beyond wait for one, in their order. A host is a scheme, a name, a port and a proxy.
	Conns        int
	ConnsPerHost int
	// Dials is how many connections are being opened at once (default 512). Each takes a coroutine or two, whose stacks
	// are larger than those of requests that wait.
	Dials int
	// Idle and IdlePerHost are how many of them rest at most (default 1024 and 128), and IdleTime for how long (default
	// 90 s). One that rests holds no stack and no buffer, and is gone as soon as its server closes it.
	Idle        int
	IdlePerHost int
	IdleTime    time.Duration
	NoKeepAlive bool // each connection has one request

	// NoRetry switches off what is done otherwise: a request is sent again, on another connection, when the one that had
	// rested ends before a byte of the answer. It is done for methods that may be repeated (RFC 9110, section 9.2.2), or
	// with an Idempotency-Key, and over HTTP/2 for all that the server says it has not begun; if there is no body or the
	// request has GetBody; and three times at most.
	NoRetry bool

	// Proxy is the proxy for a request; nil for none (default; http.ProxyFromEnvironment is the usual one). Its scheme is
	// http, https (TLS to the proxy), socks5 or socks5h; a user and a password in it are for the proxy. ProxyHeader goes
	// with CONNECT. An https server behind an https proxy needs TLS in TLS: such a connection has two goroutines.
	Proxy       func(*http.Request) (*url.URL, error)
	ProxyHeader http.Header

	// NoGzip does not ask for answers in gzip, which are inflated unseen otherwise. MostInflated is how many bytes may
	// come of one (default 256 MiB), and MostBody how many bytes of a body come over the network (default and negative: as
	// many as the server sends). A Read beyond fails with ErrBodyTooLong.
	NoGzip       bool
	MostInflated int64
	MostBody     int64

	// HTTP2 offers HTTP/2 to servers over TLS, and H2C speaks it to those of http:// URLs that no proxy is for, by prior
	// knowledge. A connection that speaks it takes many requests at once; net/http's client reads and writes it, on
	// goroutines. It counts in Conns and ConnsPerHost, and rests for IdleTime, whatever Idle says.
	HTTP2 bool
	H2C   bool

	// Dialer looks names up and connects; its TLS is not used. Dial, if set, connects in its place, to a Unix socket or
	// wherever: addr is the host and port of the server or of its proxy, and ctx a coroutine's, which calls it. The
	// connection is of the Client's loop, and the Client's to close. TLS is for https (nil: the defaults of crypto/tls).
	Dialer plexor.Dialer
	Dial   func(ctx context.Context, addr string) (*plexor.Conn, error)
	TLS    *tls.Config

	// The times: ConnectTime for the name, the connection and the proxy (default 30 s), TLSTime for the handshake
	// (default 10 s), HeadTime for the head of the answer, ContinueTime for leave to send a body (http1.Client), Time for
	// all of it, the body too. HeadTime and Time have no bound by default. All are by the loop's clock.
	ConnectTime  time.Duration
	TLSTime      time.Duration
	HeadTime     time.Duration
	ContinueTime time.Duration
	Time         time.Duration

	Limits    http1.Limits // of answers
	UserAgent string       // of requests that have none (default "plexor")
}

// The defaults of ClientOptions.
const (
	defaultConns        = 16384
	defaultConnsPerHost = 512
	defaultDials        = 512
	defaultIdle         = 1024
	defaultIdlePerHost  = 128
	defaultIdleTime     = 90 * time.Second
	defaultConnectTime  = 30 * time.Second
	defaultTLSTime      = 10 * time.Second
	defaultMostInflated = 256 << 20
	defaultUserAgent    = "plexor"
)

// mostTries is how often a request is sent at most.
const mostTries = 4

// The errors of a Client.
var (
	// ErrClientClosed is a request of a Client after its Close.
	ErrClientClosed = errors.New("web: the Client is closed")
	// ErrBodyTooLong is an answer's body beyond ClientOptions.MostBody or MostInflated.
	ErrBodyTooLong = errors.New("web: the body of the answer is longer than it may be (ClientOptions)")
	// ErrClientTime is a request that took longer than ClientOptions.Time. It is a timeout to net.Error, and
	// context.DeadlineExceeded to errors.Is.
	ErrClientTime error = clientTimeError{}
)

type clientTimeError struct{}

func (clientTimeError) Error() string   { return "web: the request took longer than ClientOptions.Time" }
func (clientTimeError) Timeout() bool   { return true }
func (clientTimeError) Temporary() bool { return true }
func (clientTimeError) Unwrap() error   { return context.DeadlineExceeded }

// A Client is an [http.RoundTripper] for coroutines: its waits park the coroutine that calls, while the loop goes on.
// So an http.Client on it, with redirects and cookies, has thousands of requests under way on one thread:
//
//	err := plexor.Run(ctx, func(ctx context.Context) error {
//		transport, err := web.NewClient(ctx, web.ClientOptions{})
//		if err != nil {
//			return err
//		}
//		defer transport.Close()
//		client := &http.Client{Transport: transport}
//		return coro.Group(ctx, func(g *coro.Tasks) error {
//			for _, url := range urls {
//				g.Go(func(ctx context.Context) error {
//					req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
//					…
//					resp, err := client.Do(req)
//
// It belongs to the loop on which it was made: RoundTrip, and Read and Close of an answer's body, are for coroutines of
// that loop, and fail elsewhere with an error that says so. Bodies of requests are read on coroutines of it. A
// request's context may be cancelled by anybody. http.Client's own Timeout works too, and costs a goroutine for each
// request; ClientOptions.Time does not. The hooks of net/http/httptrace are called, by coroutines (with HTTP/2 by
// goroutines), and must not wait; ConnectStart once for all attempts, with the address that is tried first, and not for
// ClientOptions.Dial.
type Client struct {
	o     ClientOptions // filled
	sched *coro.Scheduler
	h1    http1.Client

	tunnel http1.Client // for CONNECT

	// Of the pool: see client_pool.go.
	hosts  map[clientKey]*clientHost
	open   int
	idle   list.List // of *clientConn, the one that has rested longest first
	hungry list.List // of *clientHost: requests wait, and only for ClientOptions.Conns
	sweep  *loop.Timer
	closed bool

	dials   *coro.Semaphore
	lookUps *coro.Semaphore
	moments *coro.Semaphore
	h2      clientHTTP2
}

// mostClientLookUps is how many names are looked up at once, each by a goroutine.
const mostClientLookUps = 64

// mostMoments is how many calls that block for a moment, and wait for nobody else, run at once, each on a goroutine.
// Users' calls that are stuck in coro.Await hold up none of them.
const mostMoments = 64

// NewClient makes a Client of the calling coroutine's loop. ctx is the coroutine's.
func NewClient(ctx context.Context, o ClientOptions) (*Client, error) {
	t, err := coro.Self(ctx, "web.NewClient")
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, sched: t.Scheduler(), hosts: make(map[clientKey]*clientHost)}
	fill(&c.o.Conns, defaultConns)
	fill(&c.o.ConnsPerHost, defaultConnsPerHost)
	fill(&c.o.Dials, defaultDials)
	fill(&c.o.Idle, defaultIdle)
	fill(&c.o.IdlePerHost, defaultIdlePerHost)
	fill(&c.o.IdleTime, defaultIdleTime)
	fill(&c.o.ConnectTime, defaultConnectTime)
	fill(&c.o.TLSTime, defaultTLSTime)
	fill(&c.o.MostInflated, defaultMostInflated)
	if c.o.UserAgent == "" {
		c.o.UserAgent = defaultUserAgent
	}
	c.dials = coro.NewSemaphore(c.o.Dials)
	c.lookUps, c.moments = coro.NewSemaphore(mostClientLookUps), coro.NewSemaphore(mostMoments)
	c.h1 = http1.Client{Limits: o.Limits, ContinueTime: o.ContinueTime, HeadTime: o.HeadTime, UserAgent: o.UserAgent,
		Go: c.beside, Now: c.sched.Loop().Now}
	c.tunnel = http1.Client{Limits: o.Limits, UserAgent: o.UserAgent, Go: c.beside, Now: c.sched.Loop().Now}
	c.h1.Done = func(h *http1.ClientConn) { c.finished(h.NetConn().(*clientNet).k) }
	return c, nil
}

// fill is for what is not positive.
func fill[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// beside runs f on a coroutine. Any goroutine may call it.
func (c *Client) beside(f func()) {
	start := func() {
		c.sched.Go(c.sched.Context(), "web.Client", func(context.Context) error {
			f()
			return nil
		})
	}
	if c.sched.Loop().OnLoop() {
		start()
		return
	}
	c.post(start)
}

// clientRetryPost is how long to wait when the loop's queue is full.
const clientRetryPost = time.Millisecond

func (c *Client) post(f func()) {
	if err := c.sched.Loop().Post(f); errors.Is(err, loop.ErrPostQueueFull) {
		time.AfterFunc(clientRetryPost, func() { c.post(f) })
	} // the connections of a loop that has ended have ended too
}

// RoundTrip is of http.RoundTripper.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	t, err := c.sched.Self("web.Client.RoundTrip")
	if err == nil {
		err = c.check(req)
	}
	if err != nil {
		closeRequest(req)
		return nil, err
	}
	x := &clientExchange{c: c, task: t, own: req, req: req, trace: httptrace.ContextClientTrace(req.Context())}
	if x.trace == nil {
		x.trace = noTrace
	}
	x.begin()
	resp, err := x.run()
	if err != nil {
		x.end()
		return nil, x.why(err)
	}
	return resp, nil
}

var noTrace = new(httptrace.ClientTrace)

func (c *Client) check(req *http.Request) error {
	switch {
	case c.closed:
		return ErrClientClosed
	case req.URL == nil:
		return errors.New("web: the request has no URL")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("web: unsupported protocol scheme %q", req.URL.Scheme)
	case req.URL.Host == "":
		return errors.New("web: the request's URL has no host")
	}
	if err := req.Context().Err(); err != nil {
		return context.Cause(req.Context())
	}
	return nil
}

func closeRequest(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // RoundTripper has nowhere to tell
	}
}

// A clientExchange is one RoundTrip, and then its answer's body.
type clientExchange struct {
	c     *Client
	task  *coro.Task
	own   *http.Request // the caller's
	req   *http.Request // that, or with names in ASCII
	trace *httptrace.ClientTrace
	timer *loop.Timer     // of ClientOptions.Time
	ctx   context.Context // the task's, which ends with the request's
	free  func()          // gives ctx back
	abort context.CancelCauseFunc
	k     *clientConn // the connection that it has
	late  bool        // the timer has run
	once  sync.Once
}

// begin makes a context for the waits of the calling task, and sets the timer. The request's own is one most often.
func (x *clientExchange) begin() {
	//lint:ignore SA1019 users may still set it
	canceled := x.req.Cancel
	if of, err := coro.Self(x.req.Context(), "web.Client"); err == nil && of == x.task && x.c.o.Time <= 0 &&
		canceled == nil {
		x.ctx = x.req.Context()
		return
	}
	ctx, cancel := context.WithCancelCause(x.task.Context())
	of := x.own.Context()
	stop := context.AfterFunc(of, func() { cancel(context.Cause(of)) })
	x.ctx, x.abort = ctx, cancel
	ended := make(chan struct{})
	if canceled != nil {
		go func() { // until the answer has a head: its connection watches by itself from then on
			select {
			case <-canceled:
				cancel(http1.ErrCanceled)
			case <-ended:
			}
		}()
	}
	x.free = func() {
		stop()
		close(ended)
		cancel(nil)
	}
	if d := x.c.o.Time; d > 0 {
		x.timer = x.c.sched.Loop().AfterFunc(d, x.expired)
	}
}

// expired is called by the loop.
func (x *clientExchange) expired() {
	x.late = true
	x.abort(ErrClientTime)
	if x.k != nil {
		k := x.k
		x.c.beside(func() { k.h1.Abort(ErrClientTime) })
	}
}

// end is for the end of all: no answer, or all of its body.
func (x *clientExchange) end() {
	x.once.Do(func() {
		x.letGo()
		if x.timer != nil {
			x.timer.Stop()
		}
		x.k = nil
	})
}

// letGo gives the context back: the request's own ends the connection from now on.
func (x *clientExchange) letGo() {
	if x.free != nil {
		x.free()
		x.free = nil
	}
}

// why is err as RoundTrip returns it.
func (x *clientExchange) why(err error) error {
	switch {
	case x.late:
		return ErrClientTime
	case x.req.Context().Err() != nil:
		return context.Cause(x.req.Context())
	}
	return err
}

// run sends the request until there is an answer, or no use in trying again.
func (x *clientExchange) run() (*http.Response, error) {
	req, err := x.named(x.own)
	if err != nil {
		closeRequest(x.own)
		return nil, err
	}
	x.req = req
	key, proxy, err := x.c.keyOf(req)
	if err != nil {
		closeRequest(req)
		return nil, err
	}
	for try := 1; ; try++ {
		k, fresh, err := x.c.get(x, key, proxy)
		if err != nil {
			closeRequest(req)
			return nil, err
		}
		send := x.send
		if k.mux != nil {
			send = x.sendMux
		}
		resp, err := send(k, req)
		if err == nil {
			return resp, nil
		}
		x.k = nil
		again, ok := x.again(req, err)
		if fresh && k.mux == nil || !ok || try >= mostTries {
			return nil, err
		}
		req = again
	}
}

// send sends it on k.
func (x *clientExchange) send(k *clientConn, req *http.Request) (*http.Response, error) {
	x.k, k.trace = k, x.trace
	gzips := x.asksGzip(req)
	k.h1.Extra = k.host.extra(gzips)
	k.h1.Unwatched = req.Context() == x.task.Context() // which is most of them
	sent := req
	if x.c.o.NoKeepAlive && !req.Close {
		sent = req.Clone(req.Context())
		sent.Close = true
	}
	resp, err := k.h1.RoundTrip(sent)
	if err != nil {
		if k.h1.Usable() { // it can't be sent, and was not
			x.c.finished(k)
		}
		return nil, err
	}
	resp.Request = x.own
	if k.tls != nil {
		resp.TLS = k.tls
	}
	x.letGo()
	x.wrap(resp, gzips)
	return resp, nil
}

// asksGzip reports whether the answer may come in gzip, and is to be inflated unseen.
func (x *clientExchange) asksGzip(req *http.Request) bool {
	return !x.c.o.NoGzip && req.Method != http.MethodHead && req.Header["Accept-Encoding"] == nil &&
		req.Header["Range"] == nil
}

// again is the request for another try, if err and the request allow one.
func (x *clientExchange) again(req *http.Request, err error) (*http.Request, bool) {
	if x.c.o.NoRetry || x.late || x.req.Context().Err() != nil {
		return nil, false
	}
	if _, none := errors.AsType[*http1.NoAnswerError](err); !isUntouched(err) && !(none && mayRepeat(req)) {
		return nil, false
	}
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again := *req
	again.Body = body
	return &again, true
}

// mayRepeat reports whether the request may be done twice (RFC 9110, section 9.2.2).
func mayRepeat(req *http.Request) bool {
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return req.Header["Idempotency-Key"] != nil || req.Header["X-Idempotency-Key"] != nil
}

// CloseIdleConnections closes the connections that rest. It is for coroutines of the loop, and http.Client calls it.
func (c *Client) CloseIdleConnections() {
	if _, err := c.sched.Self("web.Client.CloseIdleConnections"); err != nil {
		return // there is nobody to tell
	}
	for c.evict() {
	}
}

// Close ends the Client: connections that rest are closed, requests that wait for one fail, and so do later ones. Those
// that have one go on; their connections are closed behind the answers. It is for coroutines of the loop.
func (c *Client) Close() {
	if c.closed {
		return
	}
	c.closed = true
	c.CloseIdleConnections()
	c.refuseWaiting()
}
