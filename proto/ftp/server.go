package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
)

// A Server serves control connections. It knows no listener for them: whoever has a connection calls Serve, or
// NewSession and Turn. Fill in the fields; they must not change from the first use on. Its methods are for any number
// of goroutines at once.
type Server struct {
	Users  Users
	Limits Limits

	// TLS is what AUTH TLS switches to, and data connections use after PROT P (nil: AUTH is refused). The Server sets
	// WrapSession and UnwrapSession of copies of it: see [Binding].
	TLS *tls.Config
	// Implicit has control connections begin with TLS (RFC 4217, section 13; port 990 by habit).
	Implicit bool
	// RequireTLS refuses to log in, and to transfer, in plain text.
	RequireTLS bool
	// Binding is what a data connection over TLS has to show.
	Binding Binding

	// Greeting is the text of the first reply (default "ready").
	Greeting string
	// Hosts, if set, says which names HOST may have (RFC 7151), and Login.Host is one of them. Without it HOST is unknown.
	Hosts func(name string) bool

	// Listen listens for passive data connections, and Dial makes active ones, from the local address (default: package
	// net's). Of what they return, io.ReaderFrom is used for an *os.File where there is one (it has sendfile(2) in package
	// net), and SetLinger, to reset a connection that has failed. A listener's Close has to end its Accept.
	Listen func(ctx context.Context, address string) (net.Listener, error)
	Dial   func(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error)
	// FirstPort and LastPort are the range of passive ports (default 0 and 0: any that is free).
	FirstPort, LastPort uint16
	// Public is the address that PASV tells (default that of this end of the control connection). EPSV tells none.
	Public netip.Addr
	// NoActive refuses PORT and EPRT.
	NoActive bool

	// Done, if set, is told of each login and transfer when it is over. For a session it is called once at a time, by any
	// goroutine, and must not block.
	Done func(Record)
	// Log gets panics of FileSystem and Users, and their errors that clients are not told (default slog.Default()). A
	// client does not set the rate of its lines: of those alike ten are written at once and then one a second.
	Log *slog.Logger
	// Now is the clock of listings and deadlines (default time.Now).
	Now func() time.Time

	once   sync.Once
	fault  error
	limits Limits
	logger *slog.Logger
	inputs sync.Pool
	stats  counters

	mu       sync.Mutex
	sessions map[string]int // by user
}

// A Record is a login or a transfer that is over.
type Record struct {
	Remote  net.Addr
	User    string
	Command string // PASS, RETR, STOR, …
	Path    string
	Bytes   int64
	Time    time.Duration
	Code    int   // of the reply
	Err     error // nil: it has succeeded
}

// ErrOptions is a Server whose fields contradict each other.
var ErrOptions = errors.New("ftp: options of the Server exclude each other")

// fill fills in what is not set.
func (s *Server) fill() {
	s.limits = s.Limits.WithDefaults()
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	s.logger, _ = sample.New(log, nil) // there is no end of a Server: what is left out is told two seconds later
	s.sessions = make(map[string]int)
	switch {
	case s.Users == nil:
		s.fault = errors.Join(ErrOptions, errors.New("there are no Users"))
	case s.TLS == nil && (s.Implicit || s.RequireTLS):
		s.fault = errors.Join(ErrOptions, errors.New("there are Implicit or RequireTLS, and there is no TLS"))
	case s.TLS != nil && s.TLS.SessionTicketsDisabled && s.Binding != BindOff:
		s.fault = errors.Join(ErrOptions, errors.New("without session tickets Binding can only be BindOff"))
	case s.LastPort < s.FirstPort:
		s.fault = errors.Join(ErrOptions, errors.New("the field LastPort is less than FirstPort"))
	}
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// lingerTime is how long Serve waits for the client to take the last reply: a close at once would reset the connection
// if the client is sending still, and the reply might be lost. mostDiscarded is how much of that it reads meanwhile.
const (
	lingerTime    = 500 * time.Millisecond
	mostDiscarded = 256 << 10
)

// Serve serves a control connection to its end, and closes it. When ctx ends the session ends at once, and Serve
// returns the cause. The error is nil if the client went, or was told that it has to.
func (s *Server) Serve(ctx context.Context, nc net.Conn) error {
	c, err := s.NewSession(ctx, nc)
	if err != nil {
		_ = nc.Close() // the error above is the one to tell
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if err = c.Open(); err == nil {
		for err == nil {
			err = c.Turn()
		}
	}
	c.Closed()
	if err == io.EOF && c.flags&ending != 0 {
		c.linger()
	}
	_ = c.nc.Close()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		return nil
	}
	return err
}

// linger lets the client take the last reply.
func (c *Session) linger() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.nc, mostDiscarded)
	}
}

// enter counts a session of a user in.
func (s *Server) enter(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := s.limits.UserSessions; most > 0 && s.sessions[user] >= most {
		return false
	}
	s.sessions[user]++
	return true
}

// leave counts it out.
func (s *Server) leave(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[user]--; s.sessions[user] == 0 {
		delete(s.sessions, user)
	}
}
