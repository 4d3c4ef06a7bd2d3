package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
)

// HTTP/2 is net/http's: its connections come to an http.Server by way of a listener in memory, in plain text, though
// they may speak TLS below: for what a client has agreed on is known here. The server is there as long as they are.

// two is the http.Server of the connections that speak HTTP/2, and who they are.
type two struct {
	mu    sync.Mutex
	conns int
	ln    *handedOver // nil: there are none
	srv   *http.Server

	draining bool
}

// A handedOver is a net.Listener for connections that are there.
type handedOver struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handedOver) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// toHTTP2 hands a connection over, with what was read of it.
func (s *server) toHTTP2(nc net.Conn, ahead []byte) error {
	k := nc.(*conn)
	k.two = true
	t := &twoConn{s: s, k: k, ahead: bytes.NewReader(ahead)}
	if k.c.TLS() {
		state := k.c.ConnectionState()
		t.tls = &state
	}
	t.Conn = k.c.Shared()
	s.two.mu.Lock()
	if s.two.ln == nil {
		s.two.start(s)
	}
	s.two.conns++
	ln := s.two.ln
	s.two.mu.Unlock()
	go func() {
		select { // to the goroutine that accepts, which is ready at once
		case ln.conns <- t:
		case <-ln.done:
			_ = t.Close()
		}
	}()
	return nil
}

// start starts the server. The lock is held.
func (t *two) start(s *server) {
	ln := &handedOver{conns: make(chan net.Conn), done: make(chan struct{})}
	t.ln = ln
	o := &s.options
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: withTLS{recorded(s.http.Handler, o.Done)}, Protocols: protocols,
		ReadHeaderTimeout: s.http.ReadHeaderTimeout, IdleTimeout: o.IdleTime,
		MaxHeaderBytes: s.one.Limits.WithDefaults().Head,
		ErrorLog:       log.New(lineLog{s.log}, "", 0)}
	if o.ConnState != nil {
		srv.ConnState = func(nc net.Conn, state http.ConnState) {
			if state != http.StateNew { // it was told of that
				o.ConnState(nc.(*twoConn).k, state)
			}
		}
	}
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		t := nc.(*twoConn)
		if o.Context != nil {
			ctx = context.WithValue(o.Context, http.ServerContextKey, ctx.Value(http.ServerContextKey))
		}
		if o.ConnContext != nil {
			ctx = o.ConnContext(ctx, t.Conn)
		}
		return context.WithValue(ctx, tlsKey{}, t.tls)
	}
	t.srv = srv
	if t.draining {
		_ = ln.Close()
	}
	go func() { _ = srv.Serve(ln) }() // until ended closes ln
}

// drain has clients told that nothing new is taken; what goes on is finished.
func (t *two) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	if t.ln != nil {
		go func(srv *http.Server) { _ = srv.Shutdown(context.Background()) }(t.srv) // until they have gone
	}
}

// ended is told that a connection has been closed.
func (t *two) ended() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns--; t.conns == 0 {
		_ = t.ln.Close()
		t.ln = nil
	}
}

// A twoConn is a connection that speaks HTTP/2. It has no ConnectionState, or net/http would ask for a *tls.Conn.
type twoConn struct {
	net.Conn
	s     *server
	k     *conn // before it was handed over
	ahead *bytes.Reader
	tls   *tls.ConnectionState // nil: plain text
	once  sync.Once
}

func (t *twoConn) Read(p []byte) (int, error) {
	if t.ahead != nil {
		n, err := t.ahead.Read(p)
		if err != io.EOF {
			return n, err
		}
		t.ahead = nil
	}
	return t.Conn.Read(p)
}

func (t *twoConn) Close() error {
	t.once.Do(t.s.two.ended)
	return t.Conn.Close()
}

// A lineLog takes what net/http says of a connection, a line each. All of them are alike to the log, which so bounds
// their rate: what they say is a client's to choose.
type lineLog struct{ log *slog.Logger }

func (l lineLog) Write(p []byte) (int, error) {
	l.log.Error("net/http has trouble with HTTP/2", "says", strings.TrimSpace(string(p)))
	return len(p), nil
}

type tlsKey struct{}

// withTLS tells handlers of the TLS below.
type withTLS struct{ h http.Handler }

func (w withTLS) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if state, _ := r.Context().Value(tlsKey{}).(*tls.ConnectionState); state != nil {
		r.TLS = state
	}
	w.h.ServeHTTP(rw, r)
}
