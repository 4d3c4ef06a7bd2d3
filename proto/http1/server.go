package http1

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
)

// A Server answers the requests of connections by an [http.Handler], one after the other on each (RFC 9112). It knows
// no listener and makes no goroutines: whoever has a connection calls ServeConn, or NewConn and Turn. So it runs on
// goroutines and on coroutines alike. Fill in the fields; they must not change from the first use on. Its methods are
// for any number of goroutines at once, each with connections of its own.
//
// A handler may rely on what it may rely on with net/http: the body is streamed, in both directions; the
// ResponseWriter is a Flusher, a Hijacker and an io.ReaderFrom, and http.ResponseController works; "100 Continue" is
// sent when the body is read for the first time; what is left of the body is thrown away, up to 256 KiB, or the
// connection is closed; short answers get a Content-Length, longer ones are chunked; the context is cancelled when the
// handler returns, and when the client goes. A Request is not used again for another one.
type Server struct {
	Handler http.Handler

	Limits Limits

	// HeadTime is how long a head may take, from its first byte to its last (default 30 s; negative: for ever). The
	// connection is closed then.
	HeadTime time.Duration
	// IdleTime is how long a connection may wait for its next request (default and negative: as long as whoever has the
	// connection lets it).
	IdleTime time.Duration
	// BodyTime and BodyRate are how long the body of a request may take: BodyTime, and a second more for each BodyRate
	// bytes that have come (default 30 s and 500; a negative BodyTime: for ever). The handler's Read fails then. A
	// deadline that the handler sets (http.ResponseController) holds in their place.
	BodyTime time.Duration
	BodyRate int
	// WriteTime is how long a piece of an answer may wait for the client to take it (default 1 minute; negative: for
	// ever), unless the handler sets a deadline.
	WriteTime time.Duration

	// Context is what those of requests derive from (default context.Background()), and ConnContext, if set, makes that
	// of a connection from it: it is called with the first request.
	Context     context.Context
	ConnContext func(ctx context.Context, nc net.Conn) context.Context
	// Name is what a request's context has by http.ServerContextKey (default an empty one).
	Name *http.Server

	// Run, if set, runs a handler: it calls serve, on whatever goroutine it likes, and returns true when that has
	// returned. It returns false if the connection is over, and serve goes on: nothing of the request is touched then.
	Run func(nc net.Conn, r *http.Request, serve func()) bool
	// HTTP2, if set, gets a connection whose client speaks HTTP/2 without having asked (RFC 9113, section 3.3), with
	// what was read of it. Turn returns [ErrGone] then, unless HTTP2 has an error of its own.
	HTTP2 func(nc net.Conn, ahead []byte) error
	// Done, if set, is told of each request that was answered, before the next one is read. Refused is told of bytes that
	// are no request, and that were answered with an error and a close.
	Done    func(Record)
	Refused func(nc net.Conn, err *Error)
	// Active, if set, is told that a request has begun to come (true), and that the connection waits for one again.
	Active func(nc net.Conn, active bool)

	// Log gets panics of handlers and their mistakes (default slog.Default()). A client does not set the rate of its
	// lines: of those alike ten are written at once and then one a second, which says how many were not.
	Log *slog.Logger
	// Now is the clock (default time.Now).
	Now func() time.Time

	draining atomic.Bool

	once   sync.Once
	limits Limits // filled
	logger *slog.Logger
}

// A Record is what was asked and answered.
type Record struct {
	Request *http.Request
	Conn    net.Conn
	Status  int
	Sent    int64 // bytes of the answer's body
	Begin   time.Time
	Time    time.Duration // from the end of the head to the end of the answer
	Aborted bool          // the handler panicked, or the client went
}

// The defaults of a Server.
const (
	defaultHeadTime  = 30 * time.Second
	defaultBodyTime  = 30 * time.Second
	defaultBodyRate  = 500
	defaultWriteTime = time.Minute
)

// The errors of a connection.
var (
	// ErrGone is why Turn has nothing to do any more with a connection that a handler has hijacked, or that was handed
	// to HTTP2.
	ErrGone = errors.New("http: the connection was given to somebody else")
	// ErrAbandoned is Turn whose Run has returned before the handler did.
	ErrAbandoned = errors.New("http: the connection is over, and its handler goes on")
	// ErrAborted is a handler that panicked in the midst of an answer that ends with the connection: it is to be reset,
	// or the client would take what it has for the whole.
	ErrAborted = errors.New("http: the handler broke the answer off")
)

// Drain has each answer from now on say that its connection ends, and end it: whoever has connections that wait for a
// request closes those.
func (s *Server) Drain() { s.draining.Store(true) }

// fill fills in what is not set.
func (s *Server) fill() {
	s.limits = s.Limits.WithDefaults()
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	s.logger, _ = sample.New(log, nil) // there is no end of a Server: what is left out is told two seconds later
}

func (s *Server) headTime() time.Duration { return orDefault(s.HeadTime, defaultHeadTime) }

func (s *Server) writeTime() time.Duration { return orDefault(s.WriteTime, defaultWriteTime) }

// orDefault is d, or the default if it is 0; 0 if it is negative.
func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0)
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// NewConn is a connection that speaks HTTP from its next byte on.
func (s *Server) NewConn(nc net.Conn) *ServerConn {
	c := new(ServerConn)
	c.Init(s, nc)
	return c
}

// lingerTime is how long ServeConn waits for the client to take the last answer and close, when it closes the
// connection: a close at once would reset it if the client is sending still, and the answer might be lost (RFC 9112,
// section 9.6).
const lingerTime = 500 * time.Millisecond

// ServeConn serves a connection to its end, and closes it, unless a handler has hijacked it. It holds a buffer of 4 KiB
// while it waits. The error is nil if the client went between two requests.
func (s *Server) ServeConn(nc net.Conn) error {
	c := s.NewConn(nc)
	if d := s.headTime(); d > 0 {
		c.part = &partial{by: s.now().Add(d)}
		_ = nc.SetReadDeadline(c.part.by)
		c.timed = true
	}
	err := c.turns()
	c.Closed(err)
	switch {
	case errors.Is(err, ErrGone):
		return nil
	case errors.Is(err, ErrAborted):
		if l, ok := nc.(interface{ SetLinger(sec int) error }); ok {
			_ = l.SetLinger(0)
		}
		fallthrough
	case errors.Is(err, ErrAbandoned):
		_ = nc.Close()
		return err
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok && c.closes && half.CloseWrite() == nil {
		t := time.AfterFunc(lingerTime, func() { _ = nc.Close() })
		_, _ = io.CopyN(io.Discard, nc, mostDiscarded)
		t.Stop()
	}
	_ = nc.Close()
	if err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// turns takes turns to the end. A handler that ends its goroutine (runtime.Goexit) ends the connection.
func (c *ServerConn) turns() (err error) {
	over := false
	defer func() {
		if !over {
			c.Closed(ErrAbandoned)
			_ = c.nc.Close()
		}
	}()
	for err == nil {
		err = c.Turn()
	}
	over = true
	return err
}
