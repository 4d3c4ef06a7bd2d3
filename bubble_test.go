package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
)

// TestBubbleShared: a connection whose loop is outside the bubble is used inside one as one of package net is. Each
// step waits, and is woken by the loop. A mistake ends the process.
func TestBubbleShared(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		beside(t)
		_, server, client := pair(t, &plexor.Server{})
		sent := random(portion.Fewer(4<<20, 1<<20), 2)
		steps := make(chan func()) // made outside: the peer is not in the bubble
		defer close(steps)
		go func() {
			for f := range steps {
				f()
			}
		}()
		synctest.Test(t, func(t *testing.T) {
			if err := server.SetDeadline(time.Time{}); err != nil {
				t.Error(err)
			}
			steps <- func() {
				io.Copy(struct{ io.Writer }{client}, struct{ io.Reader }{client})
				client.(interface{ CloseWrite() error }).CloseWrite()
			}
			wrote := make(chan error, 1)
			go func() {
				_, err := server.Write(sent)
				wrote <- err
			}()
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("what came back: equal=%v, %v", bytes.Equal(got, sent), err)
			}
			if err := <-wrote; err != nil {
				t.Error(err)
			}
			// A deadline is so much later by the bubble's clock, and passes by the system's.
			if err := server.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			if _, err := server.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read: %v, want the deadline's error", err)
			}
			if err := server.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
			if err := server.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
			wantEnd(t, server)
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// TestBubbleListener: Listen, Accept and Close of a bubble, of a server that runs outside it.
func TestBubbleListener(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b, outer := p.listen(t, &plexor.Server{})
		dials := make(chan net.Addr)
		defer close(dials)
		go func() {
			for a := range dials {
				if c, err := dialPeer(a); err == nil {
					io.WriteString(c, "hello")
					c.Close()
				}
			}
		}()
		synctest.Test(t, func(t *testing.T) {
			addr := "tcp://127.0.0.1:0"
			inner, err := b.Listen(addr)
			if err != nil {
				t.Fatal(err)
			}
			for _, ln := range []*plexor.Listener{outer, inner} {
				next := make(chan net.Conn)
				go func() {
					defer close(next)
					c, err := ln.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					next <- c
				}()
				dials <- ln.Addr()
				if c := <-next; c != nil {
					want(t, c, "hello")
					c.Close()
				}
				ended := make(chan error)
				go func() { _, err := ln.Accept(); ended <- err }()
				if err := ln.Close(); err != nil {
					t.Error(err)
				}
				if err := <-ended; !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: %v, want net.ErrClosed", err)
				}
			}
		})
	})
}

// TestBubbleServer: a server that runs outside the bubble is closed from inside it.
func TestBubbleServer(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b, ln := p.listen(t, &plexor.Server{})
		c := b.dial()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			if _, err := b.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v, want the context's error", err)
			}
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, plexor.ErrServerClosed) {
				t.Errorf("Read: %v, want ErrServerClosed", err)
			}
		})
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the client read something")
		}
	})
}

// TestBubbleShutdown: a graceful Shutdown from inside a bubble ends, though the bubble's time stands still: it looks
// for quiet by the system's.
func TestBubbleShutdown(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{Loops: 2}, plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }))
		c := b.dial()
		send(t, c, "x")
		want(t, c, "x")
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, c)
			ended <- errors.Join(err, c.Close())
		}()
		synctest.Test(t, func(t *testing.T) {
			if err := b.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		if err := <-ended; err != nil {
			t.Errorf("the client: %v, want the end of the stream", err)
		}
	})
}

// TestBubbleHeld: a loop that a handler holds is given up though who closes it is in a bubble, whose time stands still.
func TestBubbleHeld(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		t.Parallel() // it waits for a second
		released, holds := make(chan struct{}), make(chan struct{})
		defer close(released)
		srv := &plexor.Server{Driver: p.driver, Loops: 1, Stall: -1}
		addr, err := srv.Open(p.addr, plexor.GreeterFunc(func(*plexor.Conn) {
			close(holds)
			holdUntil(released)
		}))
		if err != nil {
			t.Fatal(err)
		}
		(&bench{t: t, Server: srv, addr: addr}).dial()
		receive(t, holds, "the handler")
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 2)
			go func() {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				ended <- srv.Shutdown(ctx)
			}()
			go func() { ended <- srv.Close() }()
			for range 2 {
				if held, ok := errors.AsType[*loop.HeldError](<-ended); !ok || !strings.Contains(held.At, "holdUntil") {
					t.Errorf("got %v, want a *loop.HeldError that names holdUntil", held)
				}
			}
		})
	})
}
