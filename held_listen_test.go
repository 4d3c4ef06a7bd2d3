package plexor_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// hold has a handler hold one of the server's loops until release is called, or the test ends.
func (b *bench) hold() (release func()) {
	b.t.Helper()
	released, holds := make(chan struct{}), make(chan struct{})
	p := place{driver: b.Driver}
	addr, err := b.Open(p.plain(b.t), plexor.HandlerFunc(func(*plexor.Conn) {
		close(holds)
		holdUntil(released)
	}))
	if err != nil {
		b.t.Fatal(err)
	}
	release = sync.OnceFunc(func() { close(released) })
	b.t.Cleanup(release)
	send(b.t, dial(b.t, addr), "x")
	receive(b.t, holds, "the handler")
	return release
}

// namesHolder reports whether an error is a *loop.HeldError that hold has led to.
func namesHolder(err error) bool {
	held, ok := errors.AsType[*loop.HeldError](err)
	return ok && strings.Contains(held.At, "holdUntil") && strings.Contains(held.At, "held_test.go:")
}

// within is what f returns, if it does.
func within(t *testing.T, f func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	return recvError(t, ended)
}

// TestListenerCloseHeld: a handler that holds a loop keeps neither who closes a Listener nor net/http's Shutdown, which
// does. Who connects then is refused, whichever loop the listener is on. The server goes on when the handler returns.
func TestListenerCloseHeld(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		t.Parallel() // it waits for the held loop
		p := place{driver: driver}
		b := p.serve(t, &plexor.Server{Stall: -1}, nil)
		var lns []*plexor.Listener
		for range 4 { // two on each loop
			ln, err := b.Listen(p.plain(t))
			if err != nil {
				t.Fatal(err)
			}
			lns = append(lns, ln)
		}
		web := new(http.Server)
		served := make(chan error, 1)
		last := lns[len(lns)-1]
		go func() { served <- web.Serve(last) }()
		c := dial(t, last.Addr()) // it serves
		send(t, c, "GET / HTTP/1.0\r\n\r\n")
		want(t, c, "HTTP/1.")
		c.Close()
		release := b.hold()
		held := 0
		for i, ln := range lns {
			what, end := "Close", ln.Close
			if ln == last {
				what, end = "http.Server.Shutdown", func() error { return web.Shutdown(t.Context()) }
			}
			err := within(t, end)
			if namesHolder(err) {
				held++
			} else if err != nil {
				t.Errorf("listener %d: %s: %v", i, what, err)
			}
			if c, err := dialPeer(ln.Addr()); err == nil {
				c.Close()
				t.Errorf("listener %d: who connects after %s is not refused", i, what)
			}
			if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("listener %d: Accept after %s: %v", i, what, err)
			}
		}
		if held != len(lns)/2 {
			t.Errorf("%d of %d listeners told that a loop is held, want those of one loop of two", held, len(lns))
		}
		if err := recvError(t, served); err != http.ErrServerClosed {
			t.Errorf("http.Server.Serve: %v", err)
		}
		release()
		if err := b.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown, once the handler has returned: %v", err)
		}
		if text := b.log.text(); strings.Contains(text, "accept failed") {
			t.Errorf("the end of a listener is a failure in the log:\n%s", text)
		}
	})
}

// TestOpenHeld: a handler that holds a loop keeps no method that listens, which leaves nothing behind, not when the
// handler returns either, nor StopListening, after which nobody is there.
func TestOpenHeld(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		t.Parallel() // it waits for a second
		p := place{driver: driver}
		b := p.serve(t, &plexor.Server{Stall: -1, Loops: 1}, nil)
		h := plexor.HandlerFunc(func(*plexor.Conn) {})
		there, err := b.Open(p.plain(t), h)
		if err != nil {
			t.Fatal(err)
		}
		release := b.hold()
		addr, path := p.plain(t), ""
		calls := map[string]func() error{
			"Open":           func() error { _, err := b.Open(addr, h); return err },
			"Listen":         func() error { _, err := b.Listen(p.plain(t)); return err },
			"ListenAndServe": func() error { return b.ListenAndServe(p.plain(t)) },
			"OpenPackets": func() error {
				_, err := b.OpenPackets(strings.Replace(p.plain(t), "tcp:", "udp:", 1), plexor.PacketFunc(func(*plexor.Packet) {}))
				return err
			},
		}
		var ln net.Listener
		if b.Network == nil {
			path = filepath.Join(t.TempDir(), "s")
			addr = "unix://" + filepath.ToSlash(path)
			if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			calls["Serve"] = func() error { return b.Serve(ln) }
		}
		b.Handler = h
		listeners := len(b.Stats().Listeners)
		errs := make(map[string]chan error)
		for name, call := range calls {
			errs[name] = make(chan error, 1)
			to := errs[name]
			go func() { to <- call() }()
		}
		for name := range calls {
			if err := recvError(t, errs[name]); !namesHolder(err) {
				t.Errorf("%s: %v, want a *loop.HeldError that names holdUntil", name, err)
			}
		}
		if err := within(t, b.StopListening); !namesHolder(err) {
			t.Errorf("StopListening: %v, want a *loop.HeldError that names holdUntil", err)
		}
		if c, err := dialPeer(there); err == nil {
			c.Close()
			t.Error("who connects after StopListening is not refused")
		}
		release()
		if err := b.Each(func(plexor.ConnInfo) bool { return true }); err != nil { // the loop has done what had waited for it
			t.Error(err)
		}
		if n := len(b.Stats().Listeners); n > listeners {
			t.Errorf("%d addresses are listed, want %d as before", n, listeners)
		}
		if _, err := os.Stat(path); path != "" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file of an Open that failed is there: %v", err)
		}
		if err := b.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown, once the handler has returned: %v", err)
		}
		if ln != nil {
			if err := ln.Close(); err != nil {
				t.Errorf("what Serve did not take over is closed: %v", err)
			}
		}
	})
}
