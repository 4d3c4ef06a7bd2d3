package loop_test

import (
	"errors"
	"net"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// eachDriver runs f on every driver that works here.
func eachDriver(t *testing.T, f func(t *testing.T, driver string)) {
	for _, d := range loop.Drivers() {
		if d.Err == nil {
			t.Run(d.Name, func(t *testing.T) { f(t, d.Name) })
		}
	}
}

// A stuffed connection does not read, and writes until it is full.
type stuffed struct {
	loop.Base
	full     chan struct{} // closed once it is
	writable chan error    // what Write then said
}

func (s *stuffed) Opened(c *loop.Conn) {
	c.Pause()
	for {
		if _, err := c.Write(make([]byte, 64<<10)); err != nil {
			close(s.full)
			return
		}
	}
}

func (s *stuffed) Writable(c *loop.Conn) {
	_, err := c.Write([]byte("more"))
	s.writable <- err
	c.Abort()
}

// Closed comes in place of Writable if the reset was met by a receive that was under way before Pause.
func (s *stuffed) Closed(_ *loop.Conn, err error) {
	select {
	case s.writable <- err:
	default: // Writable was there
	}
}

// TestBrokenWhileFull: who waits for Writable on a connection that it does not read learns that it is broken.
func TestBrokenWhileFull(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{Driver: driver}, Loops: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		h := &stuffed{full: make(chan struct{}), writable: make(chan error, 1)}
		ln, err := g.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{},
			func(*loop.Conn) loop.Handler { return h })
		if err != nil {
			t.Fatal(err)
		}
		ap, _ := ln.Addr().AddrPort()
		c, err := net.Dial("tcp", ap.String())
		if err != nil {
			t.Fatal(err)
		}
		recv(t, "a full output", h.full)
		if err := c.(*net.TCPConn).SetLinger(0); err != nil { // so that Close resets
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := recv(t, "Writable, or Closed", h.writable); err == nil || errors.Is(err, loop.ErrFull) {
			t.Errorf("Write said %v, want why the connection is broken", err)
		}
	})
}

// TestStopListening: the backlog is taken in, nothing more is accepted, and connections go on.
func TestStopListening(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{Driver: driver}, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		ln, err := g.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{}, func(*loop.Conn) loop.Handler {
			return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) })
		})
		if err != nil {
			t.Fatal(err)
		}
		ap, _ := ln.Addr().AddrPort()
		const n = 20
		var clients []net.Conn
		for range n {
			c, err := net.Dial("tcp", ap.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			clients = append(clients, c)
		}
		g.StopListening()
		for i, c := range clients {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatalf("client %d of %d: %v", i, n, err)
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatalf("client %d of %d: %v", i, n, err)
			}
		}
		if c, err := net.Dial("tcp", ap.String()); err == nil {
			c.Close()
			t.Error("it still listens")
		}
	})
}
