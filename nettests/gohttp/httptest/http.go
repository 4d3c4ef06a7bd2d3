package httptest

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

// Way is how connections are served: "goroutines" and "inline" by package web, "conn" by http1.Server.ServeConn on a
// goroutine each.
var Way = os.Getenv("PLEXOR_WAY")

// HTTPServer stands in the place of http.Server.
type HTTPServer struct {
	Addr              string
	Handler           http.Handler
	TLSConfig         *tls.Config
	ReadTimeout       time.Duration
	ReadHeaderTimeout time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	MaxHeaderBytes    int
	TLSNextProto      map[string]func(*HTTPServer, *tls.Conn, http.Handler)
	ConnState         func(net.Conn, http.ConnState)
	ErrorLog          *log.Logger
	BaseContext       func(net.Listener) context.Context
	ConnContext       func(ctx context.Context, c net.Conn) context.Context
	HTTP2             *http.HTTP2Config
	Protocols         *http.Protocols

	mu     sync.Mutex
	closed bool
	lns    []net.Listener
	srv    *plexor.Server
	conns  map[net.Conn]http.ConnState
	ended  []func()
	served sync.WaitGroup
}

// Serve is as http.Server's.
func (s *HTTPServer) Serve(ln net.Listener) error { return s.serve(ln, nil, make(chan struct{})) }

func (s *HTTPServer) serve(ln net.Listener, config *tls.Config, ready chan struct{}) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		close(ready)
		return http.ErrServerClosed
	}
	_, real := ln.(*net.TCPListener)
	if Way == "conn" || !real {
		s.lns = append(s.lns, ln)
		s.mu.Unlock()
		close(ready)
		if config != nil {
			ln = tls.NewListener(ln, config)
		}
		return s.accept(ln)
	}
	srv := s.srv
	if srv == nil {
		srv = &plexor.Server{Loops: 2, Driver: os.Getenv("PLEXOR_DRIVER"), Stall: -1, Log: s.log()}
		srv.Limits.HandshakeTimeout, srv.Limits.FirstByte = max(s.headTime(), 0), s.headTime()
		if config != nil {
			srv.TLS = &plexor.TLS{Config: config}
		}
		srv.Handler = web.Handler(s.handler(), s.options(ln))
		s.srv = srv
	}
	s.mu.Unlock()
	if config != nil {
		addr := ln.Addr().String()
		_ = ln.Close()
		_, err := srv.Open("tls://"+addr, srv.Handler)
		close(ready)
		if err != nil {
			return err
		}
		return s.over(srv.Wait())
	}
	close(ready)
	return s.over(srv.Serve(ln))
}

func (s *HTTPServer) over(err error) error {
	if errors.Is(err, plexor.ErrServerClosed) {
		return http.ErrServerClosed
	}
	return err
}

func (s *HTTPServer) headTime() time.Duration {
	if s.ReadHeaderTimeout != 0 {
		return s.ReadHeaderTimeout
	}
	return s.ReadTimeout
}

func (s *HTTPServer) handler() http.Handler {
	h := s.Handler
	if h == nil {
		h = http.DefaultServeMux
	}
	if d := s.WriteTimeout; d > 0 {
		h = timed(h, d, func(c *http.ResponseController, t time.Time) error { return c.SetWriteDeadline(t) })
	}
	if d := s.ReadTimeout; d > 0 {
		h = timed(h, d, func(c *http.ResponseController, t time.Time) error { return c.SetReadDeadline(t) })
	}
	if Way == "inline" {
		h = web.Inline(h)
	}
	return h
}

// timed sets a deadline for a request, which is what ReadTimeout and WriteTimeout of http.Server do; the times of
// package web are for progress.
func timed(h http.Handler, d time.Duration, set func(*http.ResponseController, time.Time) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = set(http.NewResponseController(w), time.Now().Add(d))
		h.ServeHTTP(w, r)
	})
}

func (s *HTTPServer) options(ln net.Listener) web.Options {
	o := web.Options{
		Limits: http1.Limits{Head: s.MaxHeaderBytes}, HeadTime: s.headTime(), IdleTime: s.IdleTimeout,
		ConnContext: s.ConnContext, ConnState: s.state, Log: s.log(),
		BodyTime: -1, WriteTime: -1,
	}
	if s.IdleTimeout == 0 {
		o.IdleTime = s.ReadTimeout
	}
	if s.BaseContext != nil {
		o.Context = s.BaseContext(ln)
	}
	if s.Protocols != nil {
		o.NoHTTP2 = !s.Protocols.HTTP2() && !s.Protocols.UnencryptedHTTP2()
	}
	return o
}

func (s *HTTPServer) state(nc net.Conn, state http.ConnState) {
	s.mu.Lock()
	if s.conns == nil {
		s.conns = make(map[net.Conn]http.ConnState)
	}
	if s.conns[nc] = state; state == http.StateClosed || state == http.StateHijacked {
		delete(s.conns, nc)
	}
	s.mu.Unlock()
	if s.ConnState != nil {
		s.ConnState(nc, state)
	}
}

// accept is the way of ServeConn.
func (s *HTTPServer) accept(ln net.Listener) error {
	o := s.options(ln)
	one := &http1.Server{
		Handler: s.handler(), Limits: o.Limits, HeadTime: o.HeadTime, IdleTime: o.IdleTime, BodyTime: -1, WriteTime: -1,
		Context: o.Context, ConnContext: o.ConnContext, Log: o.Log,
		Active: func(nc net.Conn, active bool) {
			s.state(nc, map[bool]http.ConnState{true: http.StateActive, false: http.StateIdle}[active])
			if !active && s.isClosed() {
				_ = nc.Close()
			}
		},
	}
	for {
		nc, err := ln.Accept()
		if err != nil {
			if s.isClosed() {
				return http.ErrServerClosed
			}
			return err
		}
		s.state(nc, http.StateNew)
		s.served.Add(1)
		go func() {
			defer s.served.Done()
			state := http.StateHijacked
			if hijacked := one.ServeConn(nc) == http1.ErrGone; !hijacked {
				state = http.StateClosed
			}
			s.state(nc, state)
		}()
	}
}

func (s *HTTPServer) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// log has ErrorLog write what slog would.
func (s *HTTPServer) log() *slog.Logger {
	if s.ErrorLog == nil {
		return slog.Default()
	}
	return slog.New(lines{s.ErrorLog})
}

type lines struct{ to *log.Logger }

func (lines) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (l lines) WithAttrs([]slog.Attr) slog.Handler         { return l }
func (l lines) WithGroup(string) slog.Handler              { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.Key + "=" + a.Value.String())
		return true
	})
	l.to.Print(b.String())
	return nil
}

// hijackedTime is how long Shutdown waits for connections that nobody closes, since a test has hijacked them: net/http
// does not wait for those.
const hijackedTime = 5 * time.Second

// Shutdown is as http.Server's.
func (s *HTTPServer) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	lns, srv, ended := s.lns, s.srv, s.ended
	s.lns, s.ended = nil, nil
	for nc, state := range s.conns {
		if srv == nil && state != http.StateActive {
			_ = nc.Close()
		}
	}
	s.mu.Unlock()
	for _, ln := range lns {
		_ = ln.Close()
	}
	if srv != nil {
		srv.StopListening()
	}
	for _, f := range ended {
		go f()
	}
	if srv != nil {
		ctx, cancel := context.WithTimeout(ctx, hijackedTime)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	}
	s.served.Wait()
	return nil
}

// Close is as http.Server's.
func (s *HTTPServer) Close() error {
	s.mu.Lock()
	s.closed = true
	lns, srv := s.lns, s.srv
	for nc := range s.conns {
		if srv == nil {
			_ = nc.Close()
		}
	}
	s.mu.Unlock()
	for _, ln := range lns {
		_ = ln.Close()
	}
	if srv != nil {
		return srv.Close()
	}
	return nil
}

// RegisterOnShutdown is as http.Server's.
func (s *HTTPServer) RegisterOnShutdown(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, f)
}

// ExportAllConnsByState is as that of http.Server in its tests.
func (s *HTTPServer) ExportAllConnsByState() map[http.ConnState]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := make(map[http.ConnState]int)
	for _, state := range s.conns {
		n[state]++
	}
	return n
}
