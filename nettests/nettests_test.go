// Package nettests runs golang.org/x/net/nettest, which holds any net.Conn to what package net promises, on the
// connections of plexor. It is a module of its own, so that nothing it needs reaches a user's graph.
package nettests

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
)

// TestMain leaves out what a tls.Conn of crypto/tls can't do on any net.Conn: "after a Write has timed out, the TLS
// state is corrupt and all future writes will return the same error" (its SetWriteDeadline). These tests write on, and
// then wait for ever for what was never sent: see TestLeftOut. Listen gives out such a Conn for a tls address, and so
// does our end's peer; what Conn and Shared do over TLS is not left out.
func TestMain(m *testing.M) {
	flag.Parse()
	if skip := flag.Lookup("test.skip"); skip.Value.String() == "" {
		const out = "^TestConn$/./(crypto.tls|Listen.TLS|TLS,.as.the.peer)/^(PastTimeout|FutureTimeout|ConcurrentMethods)$"
		if err := skip.Value.Set(out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(leak.Main(m))
}

// virtual is the driver of a server on a host of a lab's world, in the system's time.
const virtual = "virtual"

// A kind is a way to come to a net.Conn of a server.
type kind struct {
	name   string
	scheme string
	// serve starts to serve at an address; each connection comes out of conns.
	serve func(srv *plexor.Server, addr string, conns chan<- net.Conn) (net.Addr, error)
}

var kinds = []kind{
	{"Listen", "tcp", listen},
	{"Listen unix", "unix", listen},
	{"Listen TLS", "tls", listen},
	{"crypto tls over Listen", "tcp", func(srv *plexor.Server, addr string, conns chan<- net.Conn) (net.Addr, error) {
		plain := make(chan net.Conn)
		a, err := listen(srv, addr, plain)
		cert := certificate()
		go func() {
			for c := range plain {
				conns <- tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			}
		}()
		return a, err
	}},
	{"Shared", "tcp", shared},
	{"Shared TLS", "tls", shared},
	{"Conn", "tcp", onLoop},
	{"Conn unix", "unix", onLoop},
	{"Conn TLS", "tls", onLoop},
}

// certificate is one that nobody checks.
func certificate() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
}

// listen is Server as a net.Listener.
func listen(srv *plexor.Server, addr string, conns chan<- net.Conn) (net.Addr, error) {
	ln, err := srv.Listen(addr)
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(conns)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	return ln.Addr(), nil
}

// shared is a handler that gives its connection away.
func shared(srv *plexor.Server, addr string, conns chan<- net.Conn) (net.Addr, error) {
	return srv.Open(addr, plexor.GreeterFunc(func(c *plexor.Conn) { conns <- c.Shared() }))
}

// onLoop is the Conn itself: whatever goroutine calls a method, it runs as a coroutine on the connection's loop.
func onLoop(srv *plexor.Server, addr string, conns chan<- net.Conn) (net.Addr, error) {
	return srv.Open(addr, plexor.GreeterFunc(func(c *plexor.Conn) {
		t, err := coro.Self(context.WithoutCancel(c.Context()), "nettests")
		if err != nil {
			panic(err)
		}
		x := &coroConn{c: c, s: t.Scheduler(), over: make(chan struct{})}
		conns <- x
		// The handler lasts until its connection is closed, and all calls have returned.
		_, _ = coro.Await(context.WithoutCancel(c.Context()), func() (int, error) { <-x.over; return 0, nil })
	}))
}

// A coroConn is a Conn for goroutines, each of whose calls is a coroutine.
type coroConn struct {
	c     *plexor.Conn
	s     *coro.Scheduler
	calls sync.RWMutex // held for reading by each call
	over  chan struct{}
}

func (x *coroConn) call(op string, f func() (int, error)) (n int, err error) {
	x.calls.RLock()
	defer x.calls.RUnlock()
	_, lost := coro.Call(context.Background(), x.s, op, func(context.Context) (struct{}, error) {
		n, err = f()
		return struct{}{}, nil
	})
	if lost != nil {
		return 0, lost
	}
	return n, err
}

func (x *coroConn) Read(p []byte) (int, error) {
	return x.call("read", func() (int, error) { return x.c.Read(p) })
}

func (x *coroConn) Write(p []byte) (int, error) {
	return x.call("write", func() (int, error) { return x.c.Write(p) })
}

func (x *coroConn) do(op string, f func() error) error {
	_, err := x.call(op, func() (int, error) { return 0, f() })
	return err
}

func (x *coroConn) Close() error { return x.do("close", x.c.Close) }
func (x *coroConn) SetDeadline(t time.Time) error {
	return x.do("set", func() error { return x.c.SetDeadline(t) })
}
func (x *coroConn) SetReadDeadline(t time.Time) error {
	return x.do("set", func() error { return x.c.SetReadDeadline(t) })
}
func (x *coroConn) SetWriteDeadline(t time.Time) error {
	return x.do("set", func() error { return x.c.SetWriteDeadline(t) })
}
func (x *coroConn) LocalAddr() (a net.Addr) {
	_ = x.do("addr", func() error { a = x.c.LocalAddr(); return nil })
	return a
}
func (x *coroConn) RemoteAddr() (a net.Addr) { return x.c.RemoteAddr() }

// address is where to listen for a kind's connections.
func (k kind) address(t *testing.T) string {
	if k.scheme != "unix" {
		return k.scheme + "://127.0.0.1:0"
	}
	dir, err := os.MkdirTemp("", "plexor") // shorter than t.TempDir, for a socket's path is bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return "unix://" + filepath.Join(dir, "s")
}

// dial is the other end, one of package net, or of a lab's host.
func (k kind) dial(a net.Addr, dial func(network, address string) (net.Conn, error)) (net.Conn, error) {
	c, err := dial(a.Network(), a.String())
	if err == nil && (k.scheme == "tls" || strings.HasPrefix(k.name, "crypto")) {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c, err
}

// TestConn runs nettest.TestConn on each kind and driver, with ours as either end.
func TestConn(t *testing.T) {
	for _, d := range append(loop.Drivers(), loop.DriverInfo{Name: virtual}) {
		if d.Err != nil {
			continue
		}
		for _, k := range kinds {
			for _, end := range []string{"", ", as the peer"} {
				t.Run(d.Name+"/"+k.name+end, func(t *testing.T) {
					if k.scheme == "unix" && runtime.GOOS == "windows" {
						t.Skip("unix sockets are untested on windows")
					}
					if k.scheme == "unix" && d.Name == virtual {
						t.Skip("a Network has no unix sockets")
					}
					nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
						ours, theirs, stop, err := k.pipe(t, d.Name)
						if end != "" {
							return theirs, ours, stop, err
						}
						return ours, theirs, stop, err
					})
				})
			}
		}
	}
}

// pipe makes a server with one connection.
func (k kind) pipe(t *testing.T, driver string) (ours, theirs net.Conn, stop func(), err error) {
	before := leak.Take()
	srv := &plexor.Server{Driver: driver, Loops: 1, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	address, dial := k.address(t), net.Dial
	var w *lab.World
	if driver == virtual {
		w = lab.New(lab.Options{Live: true})
		client, server := w.Host("client"), w.Host("server")
		w.Connect(client, server, link.Options{})
		srv.Network, address = server, k.scheme+"://10.0.0.2:0"
		dial = func(network, address string) (net.Conn, error) {
			return client.DialContext(context.Background(), network, address)
		}
	}
	conns := make(chan net.Conn, 1)
	a, err := k.serve(srv, address, conns)
	if err != nil {
		return nil, nil, nil, err
	}
	if theirs, err = k.dial(a, dial); err != nil {
		return nil, nil, nil, err
	}
	if tc, ok := theirs.(*tls.Conn); ok {
		// Both ends shake hands before the tests set deadlines, which would end a handshake for ever.
		shaken := make(chan error, 1)
		go func() { shaken <- tc.Handshake() }()
		ours = <-conns
		if h, ok := ours.(interface{ Handshake() error }); ok {
			if err := h.Handshake(); err != nil {
				return nil, nil, nil, err
			}
		} else if k.name == "Listen TLS" { // it shakes hands with the first Read or Write
			go func() { _, _ = ours.Write(nil) }()
		}
		if err := <-shaken; err != nil {
			return nil, nil, nil, err
		}
	} else {
		ours = <-conns
	}
	return ours, theirs, func() {
		done := make(chan struct{})
		go func() { // a Conn's waits until all is delivered, or, here, the other end is gone
			defer close(done)
			ours.Close()
		}()
		theirs.Close()
		<-done
		if x, ok := ours.(*coroConn); ok {
			x.calls.Lock() // a Close of the test's own may still wait, and the server's would break it off
			close(x.over)
			x.calls.Unlock()
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if w != nil {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		if left := before.Left(); left != "" {
			t.Error(left)
		}
	}, nil
}
