package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
)

// A Server takes mail on connections (RFC 5321). It knows no listener and makes no goroutines: whoever has a connection
// calls Serve, or NewConn and what that has. Fill in the fields; they must not change from the first use on. Its
// methods are for any number of goroutines at once, each with connections of its own.
//
// It offers PIPELINING, SIZE, 8BITMIME, CHUNKING, ENHANCEDSTATUSCODES and LIMITS, what the fields below switch on,
// STARTTLS if there is TLS, and AUTH if the Session is an [Authenticator].
type Server struct {
	Backend Backend
	// Name is what the server calls itself, a domain (default "localhost").
	Name string
	// Banner stands behind the name in the greeting (default "ready").
	Banner string

	Limits Limits

	// TLS, if set, has the server offer STARTTLS (RFC 3207). NeedTLS refuses mail without TLS (530), and NeedAuth mail
	// of clients that have not logged in (530).
	TLS               *tls.Config
	NeedTLS, NeedAuth bool
	// PlainAuth offers AUTH without TLS, too: passwords then go over the network as they are.
	PlainAuth bool
	// LMTP has the server speak that (RFC 2033): it must not be on port 25.
	LMTP bool

	// These are promises that the Backend has to keep. DSN: it reports as MailOptions and RcptOptions say (RFC 3461).
	// UTF8: addresses and headers may be in UTF-8 (RFC 6531). Binary: messages may be without lines (RFC 3030).
	// RequireTLS: what has MailOptions.RequireTLS goes on by TLS alone (RFC 8689); it is offered over TLS.
	DSN, UTF8, Binary, RequireTLS bool

	// Proxied, if set, is asked whether a connection begins with a PROXY header, of version 1 or 2, which tells whose it
	// is. Say yes for proxies that you trust and no others: whoever sends the header chooses the address. One that is
	// missing or wrong closes the connection. See [FromAddrs].
	Proxied func(nc net.Conn) bool

	// IdleTold says that whoever has the connections tells of silence, by ServerConn.Idle: a connection that waits for
	// its next command then has a deadline that is a minute later, for the case that nobody does.
	IdleTold bool

	// Block, if set, runs f, which may wait for a disk or a network, and returns true when f has returned. It returns
	// false when ctx is done and nobody waits for f, whether it has begun, will, or not; the connection is closed then.
	// All methods of the Backend and its Sessions are called in such an f but Mechanisms, Reset and Close, still one at
	// a time; that of Session.Data reads what whoever serves the connection hands over, 32 KiB at once. For event loops,
	// whose other connections go on meanwhile: see package smtpd's Await.
	Block func(ctx context.Context, f func()) bool

	// Refused, if set, is told of each answer with 4xx or 5xx.
	Refused func(p Peer, err *Error)
	// Log gets panics and errors of the Backend (default slog.Default()). A client does not set the rate of its lines:
	// of those alike ten are written at once and then one a second, which says how many were not.
	Log *slog.Logger
	// Now is the clock of the deadlines (default time.Now).
	Now func() time.Time

	draining atomic.Bool
	stats    counters

	once   sync.Once
	limits Limits // filled
	logger *slog.Logger
}

// fill fills in what is not set.
func (s *Server) fill() {
	s.limits = s.Limits.WithDefaults()
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	s.logger, _ = sample.New(log, nil) // there is no end of a Server: what is left out is told two seconds later
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) name() string {
	if s.Name == "" {
		return "localhost"
	}
	return s.Name
}

// Drain has each session from now on end with 421 in place of its next command, unless a message is under way, which is
// taken first. Whoever has connections that wait tells them, by ServerConn.Farewell or the context of Serve.
func (s *Server) Drain() { s.draining.Store(true) }

// lingerTime is how long Serve waits for the client to take the last answer and close, when it closes the connection: a
// close at once would reset it if the client is sending still, and the answer might be lost. lingerBytes is how much it
// reads meanwhile.
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// Serve serves a connection to its end, and closes it. A *tls.Conn makes its handshake first. The contexts of the
// Session's methods derive from ctx; when that is done, and no message is under way, the client is told 421 and the
// connection closed. The error is nil if the client said QUIT, hung up between two messages, or was told why it has to
// go.
func (s *Server) Serve(ctx context.Context, nc net.Conn) error {
	if ctx == nil {
		_ = nc.Close() // as at any other end
		return errNoContext
	}
	c := s.NewConn(nc)
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if _, own := nc.(startTLSer); !own { // an engine's connection fails its waits by itself
		stop := context.AfterFunc(ctx, func() {
			c.left.Store(true)
			_ = nc.SetReadDeadline(time.Unix(1, 0))
		})
		defer stop()
	}
	over := false
	defer func() {
		if !over { // runtime.Goexit in the Session
			c.Closed(ErrHangUp)
			_ = c.nc.Close()
		}
	}()
	err := c.Open(inner)
	for err == nil {
		err = c.Turn(inner)
	}
	over = true
	c.Closed(err)
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && c.is(closes) && half.CloseWrite() == nil {
		t := time.AfterFunc(lingerTime, func() { _ = nc.Close() })
		_ = c.nc.SetReadDeadline(s.now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.nc, lingerBytes)
		t.Stop()
	}
	_ = c.nc.Close()
	var told *Error
	if err == io.EOF || errors.As(err, &told) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// A startTLSer is a connection that can go on in TLS by itself, as plexor.Conn.
type startTLSer interface {
	StartTLS(cfg *tls.Config) error
}
