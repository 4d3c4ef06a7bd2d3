package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Client sends requests on connections and reads the answers, one after the other on each (RFC 9112). It dials
// nothing and pools nothing: whoever has a connection calls NewConn and RoundTrip. It runs on goroutines and, with Go
// set, on coroutines. Fill in the fields; they must not change from the first use on. Its methods are for any number of
// goroutines at once.
type Client struct {
	// Limits bound what a server may send. The defaults of Head and Fields are 64 KiB and 256 here, since servers send
	// more than clients do.
	Limits Limits
	// Interim is how many answers of status 1xx may come before the final one (default 16).
	Interim int
	// ContinueTime is how long a request with "Expect: 100-continue" waits for leave to send its body, before it is sent
	// all the same (RFC 9110, section 10.1.1; default 1 s; negative: not at all).
	ContinueTime time.Duration
	// HeadTime is how long the head of an answer may take once the request is sent (default and negative: for ever). A
	// 1xx begins it anew.
	HeadTime time.Duration
	// UserAgent is for requests that have none (default "plexor"). A request with an empty one sends none.
	UserAgent string

	// Go runs f beside the caller, where connections may be used: bodies are sent so, and requests ended whose context is
	// done. Any goroutine may call it (default: a goroutine).
	Go func(f func())
	// Done, if set, is told once of each RoundTrip that has begun to write, when the connection is free again or closed;
	// ClientConn.Usable tells which. It is called by whoever comes to the end last: who reads the body or who sends one.
	Done func(c *ClientConn)
	// Now is the clock of the connections' deadlines (default time.Now).
	Now func() time.Time

	once   sync.Once
	limits Limits // filled
}

// The defaults of a Client.
const (
	defaultClientHead   = 64 << 10
	defaultClientFields = 256
	defaultInterim      = 16
	defaultContinueTime = time.Second
	defaultUserAgent    = "plexor"
)

// Times for a connection whose end is near.
const (
	// answerAfter is how long an answer may take to come when the request could not be sent: it most often says why.
	answerAfter = 200 * time.Millisecond
	// sentAfter is how long the end of a request may take to be written when its answer is over.
	sentAfter = time.Second
)

// The errors of a client. Those of bytes that are no answer are of type *[Error].
var (
	// ErrConnBusy is a RoundTrip on a connection where another is under way.
	ErrConnBusy = errors.New("http: another request is under way on this connection")
	// ErrConnSpent is a RoundTrip on a connection that can't be used any more.
	ErrConnSpent = errors.New("http: the connection can't be used for another request")
	// ErrBodyClosed is a Read of an answer's body after its Close.
	ErrBodyClosed = http.ErrBodyReadAfterClose
	// ErrInterim is a server that sends more answers of status 1xx than Client.Interim.
	ErrInterim = errors.New("http: the server sent too many answers of status 1xx")
	// ErrUnasked is an answer 101 to a request that asked for no other protocol (RFC 9110, section 15.2.2).
	ErrUnasked = errors.New("http: the server changed the protocol, and was not asked to")
	// ErrCanceled is a request whose Cancel was closed. One whose context is done fails with the context's cause.
	ErrCanceled = errors.New("http: the request was cancelled by its Cancel")
	// ErrHeadTime is an answer whose head took longer than Client.HeadTime. It is a timeout to net.Error.
	ErrHeadTime error = clientTimeout("http: the head of the answer took longer than it may")
)

type clientTimeout string

func (e clientTimeout) Error() string { return string(e) }
func (clientTimeout) Timeout() bool   { return true }
func (clientTimeout) Temporary() bool { return true }

// A NoAnswerError is a connection that ended before a byte of the answer came. The server may have done what it was
// asked, or not. Unwrap gives what the connection said: io.EOF, most often, of one that waited for too long.
type NoAnswerError struct{ Err error }

func (e *NoAnswerError) Error() string {
	return "http: the connection ended before the answer: " + e.Err.Error()
}

// Unwrap is Err.
func (e *NoAnswerError) Unwrap() error { return e.Err }

// A ClientConn is the client's end of a connection. RoundTrip is for one at a time; Abort, Close and Usable are for
// whoever may use the connection.
type ClientConn struct {
	// Absolute is for a connection to a proxy: targets are whole URLs (RFC 9112, section 3.2.2). Extra are fields that
	// each request gets besides its own, which it must not have. All may be changed between two requests.
	Absolute bool
	Extra    http.Header
	// Unwatched is for a request whose context ends the waits of nc by itself: nothing is set up for that then.
	Unwatched bool

	cl    *Client
	nc    net.Conn
	buf   []byte // nil: nothing is read ahead
	r, w  int    // buf[r:w] is unread
	scan  Scanner
	mu    sync.Mutex
	trip  *clientTrip // nil: none is under way
	spent error       // why there can be no other
}

// NewConn makes a ClientConn of nc, on which nothing has been sent or read. It is the ClientConn's to close.
func (cl *Client) NewConn(nc net.Conn) *ClientConn {
	cl.once.Do(func() {
		cl.limits = cl.Limits
		if cl.limits.Head <= 0 {
			cl.limits.Head = defaultClientHead
		}
		if cl.limits.Fields <= 0 {
			cl.limits.Fields = defaultClientFields
		}
		cl.limits = cl.limits.WithDefaults()
	})
	return &ClientConn{cl: cl, nc: nc, scan: Scanner{Limits: cl.limits, Response: true}}
}

func (cl *Client) run(f func()) {
	if cl.Go != nil {
		cl.Go(f)
		return
	}
	go f()
}

func (cl *Client) now() time.Time {
	if cl.Now != nil {
		return cl.Now()
	}
	return time.Now()
}

// Usable reports whether another request may be sent: none is under way, and the last answer has ended where it should,
// with nothing behind it.
func (c *ClientConn) Usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trip == nil && c.spent == nil
}

// NetConn is the connection below.
func (c *ClientConn) NetConn() net.Conn { return c.nc }

// Close closes the connection. What is under way fails with net.ErrClosed.
func (c *ClientConn) Close() error {
	c.Abort(net.ErrClosed)
	return nil
}

// Abort closes the connection: what is under way fails with err.
func (c *ClientConn) Abort(err error) {
	c.mu.Lock()
	t := c.trip
	closing := c.spent == nil
	if closing {
		c.spent = ErrConnSpent
	}
	c.mu.Unlock()
	if t != nil {
		t.abort(err)
	} else if closing {
		_ = c.nc.Close() // nobody waits for what it says
	}
}

// A clientTrip is a request and its answer. The connection's lock guards what changes.
type clientTrip struct {
	c     *ClientConn
	req   *http.Request
	frame clientFraming
	trace *clientTrace
	stop  func() bool   // ends the watch of the request's context
	ended chan struct{} // nil: there is no Request.Cancel

	sending   bool  // the body is not sent yet
	last      bool  // all of the request has been given to the connection
	receiving bool  // the answer has not ended
	waiting   bool  // its head has not come
	answered  bool  // its first byte has
	keep      bool  // the connection may be used again
	told      bool  // Done was called
	bodyShut  bool  // the request's body is closed
	cause     error // why it was aborted
	sendErr   error // why the request could not be sent
}

// RoundTrip sends req and returns its answer when that has a head, as [net/http.RoundTripper] has it: the body is
// streamed, and the caller closes it. A body of the request that is not in memory is sent by Client.Go meanwhile, and
// goes on being sent when the answer comes before it has ended. The request's body is closed in any case. When the
// request's context is done, or its Cancel, the connection is closed, and what waits fails with the context's cause.
//
// The answer 101, and 2xx to CONNECT, has a Body that is an io.ReadWriteCloser: the connection, with what was read
// ahead, which is its user's from then on, whatever becomes of the request's context.
func (c *ClientConn) RoundTrip(req *http.Request) (*http.Response, error) {
	t := &clientTrip{c: c, req: req, sending: true, receiving: true, waiting: true, keep: true}
	t.trace = clientTraceOf(req.Context())
	head, err := t.prepare()
	if err == nil {
		err = c.begin(t)
	}
	if err != nil {
		t.closeBody()
		return nil, err
	}
	t.watch()
	resp, err := t.exchange(head)
	if err != nil {
		err = t.failed(err)
		t.abort(err)
		t.watchNoMore()
		return nil, err
	}
	return resp, nil
}

func (c *ClientConn) begin(t *clientTrip) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.trip != nil:
		return ErrConnBusy
	case c.spent != nil:
		return c.spent
	}
	if ctx := t.req.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.trip = t
	return nil
}

// watch has the trip end with the request's context.
func (t *clientTrip) watch() {
	//lint:ignore SA1019 http.Client.Timeout uses it
	ctx, cancel := t.req.Context(), t.req.Cancel
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if !t.c.Unwatched && ctx.Done() != nil {
		t.stop = context.AfterFunc(ctx, func() {
			t.c.cl.run(func() { t.abort(context.Cause(ctx)) })
		})
	}
	if cancel != nil {
		ended := make(chan struct{})
		t.ended = ended
		go func() {
			select {
			case <-cancel:
				t.c.cl.run(func() { t.abort(ErrCanceled) })
			case <-ended:
			}
		}()
	}
}

func (t *clientTrip) watchNoMore() {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
	if t.ended != nil {
		close(t.ended)
		t.ended = nil
	}
}

// failed is err as RoundTrip returns it.
func (t *clientTrip) failed(err error) error {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	switch {
	case t.cause != nil:
		return t.cause
	case t.sendErr != nil:
		err = t.sendErr
	}
	if own, ok := errors.AsType[*clientBodyError](err); ok {
		return own.err
	}
	if t.answered || err == ErrHeadTime {
		return err
	}
	return &NoAnswerError{Err: err}
}

// abort ends the trip with err, and the connection, at once where it can. The first one says why.
func (t *clientTrip) abort(err error) {
	t.end(err, func() {
		if a, ok := t.c.nc.(interface{ Abort() error }); ok {
			_ = a.Abort() // err is the one to tell
		} else {
			_ = t.c.nc.Close()
		}
	})
}

func (t *clientTrip) end(err error, closes func()) {
	c := t.c
	c.mu.Lock()
	if c.trip != t {
		c.mu.Unlock()
		return
	}
	if t.cause == nil {
		t.cause = err
	}
	t.keep, t.receiving = false, false
	c.spent = ErrConnSpent
	c.mu.Unlock()
	closes()
	t.closeBody() // whoever reads it to send it is to stop
	t.over()
}

// received is for the end of the answer: clean is that it ended where it should.
func (t *clientTrip) received(clean bool) {
	c := t.c
	c.mu.Lock()
	if c.trip != t || !t.receiving {
		c.mu.Unlock()
		return
	}
	t.receiving = false
	if !clean || c.r != c.w || t.sending && !t.last { // what comes behind an answer was not asked for
		t.keep = false
	}
	late := t.sending && t.keep
	c.release()
	c.mu.Unlock()
	if late {
		_ = c.nc.SetWriteDeadline(c.cl.now().Add(sentAfter)) // a connection that has none is closed by its server at last
	}
	t.over()
}

// sent is for the end of the request.
func (t *clientTrip) sent(err error) {
	c := t.c
	c.mu.Lock()
	late := t.sending && !t.receiving && t.keep
	t.sending = false
	if err != nil {
		t.keep = false
		if t.sendErr == nil {
			t.sendErr = err
		}
	}
	c.mu.Unlock()
	if late {
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	if t.trace != nil {
		t.trace.wroteRequest(err)
	}
	t.over()
}

// over closes the connection if it is of no more use, and tells Done once all has ended that has to.
func (t *clientTrip) over() {
	c := t.c
	c.mu.Lock()
	if t.told || t.receiving || t.sending && t.keep {
		c.mu.Unlock()
		return
	}
	t.told = true
	c.trip = nil
	closing := !t.keep && c.spent == nil
	if !t.keep {
		c.spent = ErrConnSpent
	}
	c.mu.Unlock()
	t.watchNoMore()
	if closing {
		_ = c.nc.Close() // all that was expected has come
		t.closeBody()
	}
	if c.cl.Done != nil {
		c.cl.Done(c)
	}
}

// closeBody closes the request's body, once.
func (t *clientTrip) closeBody() {
	t.c.mu.Lock()
	shut := t.bodyShut
	t.bodyShut = true
	t.c.mu.Unlock()
	if !shut && t.req.Body != nil {
		_ = t.req.Body.Close() // RoundTripper has nowhere to tell
	}
}

// A clientBodyError is what the request's body itself did wrong.
type clientBodyError struct{ err error }

func (e *clientBodyError) Error() string { return e.err.Error() }
func (e *clientBodyError) Unwrap() error { return e.err }

var _ io.ReadWriteCloser = (*clientStream)(nil)
