package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/proto/http1"
)

// Options are the choices of [Handler]. The zero value of each field means its default.
type Options struct {
	// Limits bound what a request may be.
	Limits http1.Limits

	// HeadTime, BodyTime, BodyRate and WriteTime are how long a client may take: see http1.Server. IdleTime is how long a
	// connection may wait for its next request (default: as long as plexor.Limits.IdleTimeout lets it, an hour).
	HeadTime, IdleTime, BodyTime, WriteTime time.Duration
	BodyRate                                int

	// Context is what those of requests derive from (default context.Background()), and ConnContext, if set, makes that of
	// a connection from it, when its first request comes.
	Context     context.Context
	ConnContext func(ctx context.Context, nc net.Conn) context.Context
	// ConnState, if set, is told of what becomes of a connection, as that of http.Server is. It is called on the
	// connection's loop, and must not block; for one that speaks HTTP/2, by net/http.
	ConnState func(nc net.Conn, state http.ConnState)

	// NoHTTP2 leaves HTTP/2 out: clients that speak it are refused.
	NoHTTP2 bool

	// Done, if set, is told of each request that was answered, and Refused of what was no request of HTTP/1. They are
	// called on the connection's loop, or for HTTP/2 by the goroutine of the request, and must not block. A Record of
	// HTTP/2 has no Conn. [AccessLog] and [Counters] stand on them.
	Done    func(http1.Record)
	Refused func(nc net.Conn, err *http1.Error)

	// Log gets panics of handlers and their mistakes (default slog.Default()). A client does not set the rate of its
	// lines, as with plexor.Server.Log.
	Log *slog.Logger
}

// Handler serves h on the connections of a [plexor.Server], by HTTP/1.1 and HTTP/1.0, and HTTP/2. Over TLS it asks for
// h2 and http/1.1 by ALPN, unless the Server's TLS says something else.
func Handler(h http.Handler, o Options) plexor.Handler {
	if h == nil {
		h = http.DefaultServeMux
	}
	s := &server{options: o, http: &http.Server{Handler: h, ReadHeaderTimeout: o.HeadTime, IdleTimeout: o.IdleTime}}
	s.log = sampled(o.Log)
	s.one = http1.Server{
		Handler: h, Limits: o.Limits,
		HeadTime: o.HeadTime, IdleTime: o.IdleTime, BodyTime: o.BodyTime, BodyRate: o.BodyRate, WriteTime: o.WriteTime,
		Context: o.Context, ConnContext: o.ConnContext, Name: s.http, Run: s.run,
		Done: o.Done, Refused: o.Refused, Log: s.log,
	}
	if !o.NoHTTP2 {
		s.one.HTTP2 = s.toHTTP2
	}
	if o.ConnState != nil {
		s.one.Active = func(nc net.Conn, active bool) {
			state := http.StateIdle
			if active {
				state = http.StateActive
			}
			o.ConnState(nc, state)
		}
	}
	s.runsInline = inlines(h)
	s.Sessions = plexor.Sessions[*conn]{Open: s.open, Turn: s.turn, Leave: s.leave, Closed: s.closed}
	return s
}

// A server is what Handler returns: the sessions of its connections, with what they have in common.
type server struct {
	plexor.Sessions[*conn]
	options    Options
	log        *slog.Logger
	one        http1.Server
	http       *http.Server // for HTTP/2, and what contexts have as their server
	two        two
	workers    workers
	runsInline func(*http.Request) bool
	conns      atomic.Int64
	numbers    atomic.Uint32 // of requests, for conn.away
}

var (
	_ plexor.ALPNHandler = (*server)(nil)
	_ plexor.Drainer     = (*server)(nil)
)

// Drain is of plexor.Drainer: what is answered from now on closes, and HTTP/2 gets a GOAWAY (RFC 9113, section 6.8).
func (s *server) Drain() {
	s.one.Drain()
	s.two.drain()
}

// NextProtos is of plexor.ALPNHandler.
func (s *server) NextProtos() []string {
	if s.options.NoHTTP2 {
		return []string{"http/1.1"}
	}
	return []string{"h2", "http/1.1"}
}

func (s *server) open(c *plexor.Conn) (*conn, error) {
	k := &conn{c: c}
	k.http.Init(&s.one, k)
	s.conns.Add(1)
	s.state(k, http.StateNew)
	return k, nil
}

func (s *server) turn(c *plexor.Conn, k *conn) error {
	if !s.options.NoHTTP2 && !k.looked { // net/http has a goroutine for it from here on
		k.looked = true
		if c.TLS() && c.ConnectionState().NegotiatedProtocol == "h2" {
			return s.toHTTP2(k, nil) // the session ends, since the connection is given away
		}
	}
	err := k.http.Turn()
	switch {
	case err == nil || err == io.EOF:
	case errors.Is(err, http1.ErrGone):
		return nil // the session ends since the connection was given away
	case errors.Is(err, http1.ErrAborted):
		_ = c.Abort()
		return io.EOF
	default:
		if k.http.Switched() {
			return err
		}
		s.log.Debug("a connection of HTTP ended", "peer", c.String(), "err", err)
		return io.EOF
	}
	return err
}

func (s *server) leave(_ *plexor.Conn, k *conn) bool { return k.http.Leave() }

func (s *server) closed(k *conn, reason error) {
	k.http.Closed(reason)
	if k.two {
		// net/http tells of its end
	} else if errors.Is(reason, plexor.ErrGivenAway) {
		s.state(k, http.StateHijacked)
	} else {
		s.state(k, http.StateClosed)
	}
	if s.conns.Add(-1) == 0 {
		s.workers.dismiss()
	}
}

func (s *server) state(k *conn, state http.ConnState) {
	if f := s.options.ConnState; f != nil {
		f(k, state)
	}
}

// sampled is the log, or slog's default one, with a bound for lines that clients cause. What is left out is told two
// seconds later, and there is no end at which to tell it earlier.
func sampled(log *slog.Logger) *slog.Logger {
	if log == nil {
		log = slog.Default()
	}
	log, _ = sample.New(log, nil)
	return log
}
