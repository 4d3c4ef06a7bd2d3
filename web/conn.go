package web

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/http1"
)

// A conn is a connection, as the handlers of package http1 see it: a [net.Conn] that is used by the connection's
// coroutine, and, while a handler runs on a goroutine, by that and those that it starts. Then the connection's loop
// does what they ask for, and they wait.
//
//	coroutine: Turn ──▶ run ──▶ waits ──────────────────────────────▶ Turn goes on
//	goroutine:            └──▶ ServeHTTP ──Read, Write──▶ returns ──┘
//	                                          └──▶ a coroutine of its own does it on the loop
type conn struct {
	c      *plexor.Conn
	http   http1.ServerConn
	done   coro.Waiter   // the coroutine waits here for the handler
	away   atomic.Uint32 // number of the request whose handler runs on a goroutine; 0: none
	ended  bool          // that has returned
	two    bool          // it was handed to net/http, for HTTP/2
	looked bool          // at what ALPN has come to
}

// run runs a handler. It is http1.Server.Run.
func (s *server) run(nc net.Conn, r *http.Request, serve func()) bool {
	if s.runsInline(r) {
		serve()
		return true
	}
	k := nc.(*conn)
	t, err := coro.On(k.c.Loop()).Self("an http.Handler")
	if err != nil {
		panic(err) // Turn is called by a coroutine
	}
	k.ended = false
	k.away.Store(s.numbers.Add(1) | 1)
	s.workers.do(job{k, serve})
	k.c.Loop().GiveWay()
	for !k.ended {
		if err := k.done.Park(t, "an http.Handler", k.c); err != nil && !k.ended {
			return false // the loop ends
		}
	}
	k.away.Store(0)
	return true
}

// A job is a handler that is to be called, for a connection.
type job struct {
	k     *conn
	serve func()
}

// do calls it; on a goroutine.
func (j job) do() {
	defer func() {
		_ = j.k.c.Loop().Post(j.k.worked) // it fails when the loop has ended, and its coroutines with it
	}()
	j.serve()
}

// worked has the coroutine go on; on the loop.
func (k *conn) worked() {
	k.ended = true
	k.done.Wake()
}

// across does f on the loop, as a coroutine, and waits for it. The caller is on a goroutine.
func (k *conn) across(what string, f func()) {
	done := make(chan struct{})
	l := k.c.Loop()
	err := l.Post(func() {
		coro.On(l).Start(context.Background(), what, func(context.Context) error { f(); return nil }).
			OnEnd(func(error) { close(done) })
	})
	if err == nil {
		<-done
	}
}

// Read is of net.Conn.
func (k *conn) Read(p []byte) (n int, err error) {
	if k.away.Load() == 0 {
		return k.c.Read(p)
	}
	err = k.closed("read")
	k.across("http read", func() { n, err = k.c.Read(p) })
	return n, err
}

// Write is of net.Conn.
func (k *conn) Write(p []byte) (n int, err error) {
	if k.away.Load() == 0 {
		return k.c.Write(p)
	}
	err = k.closed("write")
	k.across("http write", func() { n, err = k.c.Write(p) })
	return n, err
}

// WriteBuffers is that of a plexor.Conn.
func (k *conn) WriteBuffers(b net.Buffers) (n int64, err error) {
	if k.away.Load() == 0 {
		return k.c.WriteBuffers(b)
	}
	err = k.closed("write")
	k.across("http write", func() { n, err = k.c.WriteBuffers(b) })
	return n, err
}

// SendFile is that of a plexor.Conn.
func (k *conn) SendFile(f *os.File, off, n int64) (m int64, err error) {
	if k.away.Load() == 0 {
		return k.c.SendFile(f, off, n)
	}
	err = k.closed("write")
	k.across("http write", func() { m, err = k.c.SendFile(f, off, n) })
	return m, err
}

// closed is the error of an operation for which there is no loop any more.
func (k *conn) closed(op string) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: k.c.RemoteAddr(), Err: net.ErrClosed}
}

// set is for what neither waits nor fails but when the connection is over.
func (k *conn) set(f func() error) (err error) {
	if k.away.Load() == 0 {
		return f()
	}
	err = k.closed("set")
	k.across("http set", func() { err = f() })
	return err
}

// SetDeadline is of net.Conn, as those behind it.
func (k *conn) SetDeadline(t time.Time) error {
	return k.set(func() error { return k.c.SetDeadline(t) })
}

func (k *conn) SetReadDeadline(t time.Time) error {
	return k.set(func() error { return k.c.SetReadDeadline(t) })
}

func (k *conn) SetWriteDeadline(t time.Time) error {
	return k.set(func() error { return k.c.SetWriteDeadline(t) })
}

// Close is of net.Conn. It waits for nothing: what was written goes out.
func (k *conn) Close() error {
	return k.set(func() error { return k.c.Close() })
}

// OnEnd tells package http1 when the client has gone. Any goroutine may ask.
func (k *conn) OnEnd(f func()) {
	l := k.c.Loop()
	if l.OnLoop() {
		k.c.OnEnd(f)
		return
	}
	asked := k.away.Load()
	_ = l.Post(func() {
		if asked != 0 && k.away.Load() == asked { // the handler is still at it
			k.c.OnEnd(f)
		}
	})
}

// Hijack gives the connection away, for goroutines.
func (k *conn) Hijack() (nc net.Conn, err error) {
	err = k.set(func() error { nc = k.c.Shared(); return nil })
	return nc, err
}

// TLS reports whether it speaks TLS, and ConnectionState what was agreed on.
func (k *conn) TLS() bool { return k.c.TLS() }

func (k *conn) ConnectionState() tls.ConnectionState { return k.c.ConnectionState() }

// Outbox is that of the connection, for protocols that it has switched to: it is called by their coroutine.
func (k *conn) Outbox() *plexor.Outbox { return k.c.Outbox() }

// Box is Outbox, for protocols that do not know package plexor.
func (k *conn) Box() http1.Box { return box{k.c.Outbox()} }

type box struct{ *plexor.Outbox }

// WriteLast makes room beyond the limits for p alone: nobody but p's writer is to put anything from now on.
func (b box) WriteLast(p []byte) error {
	_, err := b.Write(p)
	if errors.Is(err, plexor.ErrOutboxFull) || errors.Is(err, plexor.ErrOutboxTooLong) {
		has := b.Stats()
		if err = b.SetLimits(plexor.OutboxLimits{Bytes: has.Bytes + len(p), Entries: has.Entries + 1}); err == nil {
			_, err = b.Write(p)
		}
	}
	return err
}

// OnLoop is of http1.Looped, as those behind it.
func (k *conn) OnLoop() bool { return k.c.Loop().OnLoop() }

func (k *conn) Go(what string, f func()) error {
	l := k.c.Loop()
	return l.Post(func() {
		coro.On(l).Start(context.Background(), what, func(context.Context) error { f(); return nil })
	})
}

func (k *conn) HoldsInput(n int) { k.c.HoldsInput(n) }

func (k *conn) CloseWrite() error { return k.c.CloseWrite() }

func (k *conn) Abort() error { return k.c.Abort() }

var _ http1.Looped = (*conn)(nil)

// Plexor is the connection underneath, for such protocols.
func (k *conn) Plexor() *plexor.Conn { return k.c }

// Waits reports whether a small Write may have to wait, as far as that is known here: a handler on a goroutine has its
// own deadline once it has written much.
func (k *conn) Waits() bool { return k.away.Load() == 0 && k.c.Pending() > 0 }

// RemoteAddr is the client's address.
func (k *conn) RemoteAddr() net.Addr { return k.c.RemoteAddr() }

// RemoteAddrPort is for http1, which tells it with each request.
func (k *conn) RemoteAddrPort() netip.AddrPort { return k.c.RemoteAddrPort() }

// LocalAddr is this end's. Any goroutine may ask.
func (k *conn) LocalAddr() (a net.Addr) {
	if k.c.Loop().OnLoop() {
		return k.c.LocalAddr()
	}
	k.across("http address", func() { a = k.c.LocalAddr() })
	return a
}
