package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// everything calls every method of a Conn that can refuse, and returns what they say.
func everything(c *plexor.Conn) map[string]error {
	errs := make(map[string]error)
	p := make([]byte, 1)
	_, errs["Read"] = c.Read(p)
	_, errs["Write"] = c.Write(p)
	_, errs["WriteTo"] = c.WriteTo(io.Discard)
	_, errs["ReadFrom"] = c.ReadFrom(strings.NewReader("x"))
	_, errs["WriteBuffers"] = c.WriteBuffers(net.Buffers{p})
	errs["CloseWrite"] = c.CloseWrite()
	errs["SetDeadline"] = c.SetDeadline(time.Now())
	errs["SetReadDeadline"] = c.SetReadDeadline(time.Now())
	errs["SetWriteDeadline"] = c.SetWriteDeadline(time.Now())
	errs["Context"] = context.Cause(c.Context())
	_, errs["Shared"] = c.Shared().Read(p)
	errs["Abort"] = c.Abort()
	errs["Close"] = c.Close()
	return errs
}

// TestWrongUse: from another goroutine, from another loop, and after the handler has returned, every method fails and
// says why, the log hears of it, and the connection is not harmed.
func TestWrongUse(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		conns := make(chan *plexor.Conn, 2)
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			conns <- c
			p := make([]byte, 1)
			for {
				if _, err := c.Read(p); err != nil {
					return
				}
				if p[0] == '?' { // here: from another connection's handler
					other := <-conns
					conns <- other
					for name, err := range everything(other) {
						if err == nil || !strings.Contains(err.Error(), "another loop") {
							t.Errorf("%s from another loop: %v", name, err)
						}
					}
				}
				if _, err := c.Write(p); err != nil {
					return
				}
			}
		}))
		client := b.dial()
		send(t, client, "a")
		c := receive(t, conns, "the handler")
		want(t, client, "a")
		for name, err := range everything(c) {
			var misuse *coro.MisuseError
			if !errors.As(err, &misuse) || !strings.Contains(err.Error(), "goroutine") {
				t.Errorf("%s from a goroutine: %v, want a *coro.MisuseError that says so", name, err)
			}
		}
		b.log.says(t, "wrong use", "goroutine")
		if a := c.LocalAddr(); strings.Contains(a.String(), b.addr.String()) {
			t.Errorf("LocalAddr from a goroutine: %v, which took a look at the socket", a)
		}
		if a := c.RemoteAddr(); a.Network() != b.addr.Network() || c.String() == "" {
			t.Errorf("RemoteAddr from a goroutine: %v (%s)", a, c)
		}
		send(t, client, "b") // unharmed
		want(t, client, "b")

		conns <- c
		other := b.dial() // on the other loop
		send(t, other, "x")
		// Its handler's Conn goes into conns, of which the first is asked for.
		if first := receive(t, conns, "the first"); first != c {
			t.Fatal("the order of conns")
		}
		receive(t, conns, "the second")
		want(t, other, "x")
		conns <- c
		send(t, other, "?")
		want(t, other, "?")
		receive(t, conns, "the first again")
		send(t, client, "c")
		want(t, client, "c")
	})
}

// TestAfterReturn: a coroutine of the loop that still has the Conn of a handler that has returned.
func TestAfterReturn(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		errs := make(chan map[string]error, 1)
		var last *plexor.Conn
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.HandlerFunc(func(c *plexor.Conn) {
			if last == nil {
				last = c
				return
			}
			errs <- everything(last)
		}))
		for range 2 {
			client := b.dial()
			send(t, client, "x")
			_, _ = io.Copy(io.Discard, client) // a unix socket with unread input is reset
		}
		for name, err := range receive(t, errs, "the second handler") {
			if !errors.Is(err, plexor.ErrReturned) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after the handler returned: %v, want ErrReturned", name, err)
			}
		}
		b.log.says(t, "wrong use", "has returned")
	})
}

// TestGivenAway: after Shared.
func TestGivenAway(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			sh := c.Shared()
			defer sh.Close()
			for name, err := range everything(c) {
				if !errors.Is(err, plexor.ErrGivenAway) {
					return fmt.Errorf("%s after Shared: %v, want ErrGivenAway", name, err)
				}
			}
			return nil
		})
		done()
		_, _ = io.Copy(io.Discard, client)
	})
}

// TestSendWithoutCodec: Send is for Messages, and Read is not.
func TestSendWithoutCodec(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		b, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			if err := c.Send([]byte("x")); !errors.Is(err, plexor.ErrNoCodec) {
				return fmt.Errorf("Send: %v, want ErrNoCodec", err)
			}
			return nil
		})
		done()
		_ = client
		errs := make(chan error, 1)
		a, err := b.Open(strings.Replace(p.addr, "/s", "/t", 1),
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				_, err := c.Read(msg)
				errs <- err
				return nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		send(t, dial(t, a), "x\n")
		if err := receive(t, errs, "the handler"); !errors.Is(err, plexor.ErrMessages) {
			t.Errorf("Read in a handler of Messages: %v, want ErrMessages", err)
		}
	})
}
