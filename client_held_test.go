package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// TestClientDialHeld: a callback of TLS that holds a Client's loop keeps no dial longer than its context lasts: neither
// the one that called it nor later ones, and once the callback returns nothing is left of them.
func TestClientDialHeld(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		p := place{driver: driver, addr: "tls://127.0.0.1:0"}
		b := p.serve(t, new(plexor.Server), plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) }))
		released, holds := make(chan struct{}), make(chan struct{})
		release := sync.OnceFunc(func() { close(released) })
		first := sync.OnceFunc(func() {
			close(holds)
			holdUntil(released)
		})
		config := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
			first()
			return nil
		}}
		c := &plexor.Client{Driver: driver, Network: p.network(t), Loops: 1, Log: slog.New(slog.DiscardHandler),
			Dialer: plexor.Dialer{TLS: config}}
		t.Cleanup(func() { c.Close() })
		t.Cleanup(release)
		address := "tls://" + b.addr.String()
		ctx, cancel := context.WithCancelCause(t.Context())
		holding := make(chan error, 1)
		go func() { _, err := c.Dial(ctx, address); holding <- err }()
		receive(t, holds, "the callback")

		short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer stop()
		for name, dial := range map[string]func() error{
			"Dial":        func() error { _, err := c.Dial(short, address); return err },
			"DialContext": func() error { _, err := c.DialContext(short, "tls", b.addr.String()); return err },
		} {
			err := within(t, dial)
			if !errors.Is(err, context.DeadlineExceeded) || !isTimeout(err) || !errors.As(err, new(*plexor.DialError)) ||
				!namesHolder(err) {
				t.Errorf("%s: %v, want a *plexor.DialError of the deadline that names holdUntil", name, err)
			}
		}
		cancel(errCut)
		if err := recvError(t, holding); !errors.Is(err, errCut) || !namesHolder(err) {
			t.Errorf("the dial that holds the loop: %v, want the context's cause, and holdUntil", err)
		}
		release()
		conn, err := c.Dial(t.Context(), address) // the loop has come to what was given up before
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		send(t, conn, "x")
		want(t, conn, "x")
		b.await("what was given up to be closed", func(s plexor.Stats) bool { return s.Conns == 1 })
	})
}

// TestClientOnLoop: what blocks fails on a loop, whoever's, with a *coro.MisuseError: a panic there would end the
// process.
func TestClientOnLoop(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		p := place{driver: driver, addr: "tcp://127.0.0.1:0"}
		log := &logBook{more: make(chan struct{})}
		client := &plexor.Client{Driver: driver, Network: p.network(t), Loops: 1,
			Log: slog.New(slog.NewTextHandler(log, nil))}
		t.Cleanup(func() { client.Close() })
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		found := make(chan map[string]error, 1)
		addrs := make(chan net.Addr, 1)
		tell := func() {
			addr := <-addrs
			errs := make(map[string]error)
			_, errs["Client.Dial"] = client.Dial(context.Background(), "tcp://"+addr.String())
			_, errs["Client.DialContext"] = client.DialContext(context.Background(), "tcp", addr.String())
			errs["Run"] = plexor.Run(context.Background(), func(context.Context) error { return nil })
			found <- errs
		}
		end := func(*plexor.Conn, int, []byte) error { return io.EOF }
		for name, h := range map[string]plexor.Handler{
			"HandlerFunc": plexor.HandlerFunc(func(*plexor.Conn) { tell() }),
			"OnEnd":       plexor.HandlerFunc(func(c *plexor.Conn) { c.OnEnd(tell) }),
			"Post": plexor.HandlerFunc(func(c *plexor.Conn) {
				if err := c.Loop().Post(tell); err != nil {
					t.Error(err)
				}
			}),
			"a task": plexor.HandlerFunc(func(c *plexor.Conn) {
				_ = coro.Group(c.Context(), func(g *coro.Tasks) error {
					g.Go(func(context.Context) error { tell(); return nil })
					return nil
				})
			}),
			"Sessions.Closed": plexor.Sessions[int]{Codec: frame.Line{}, Message: end, Closed: func(int, error) { tell() }},
		} {
			b := p.serve(t, new(plexor.Server), h)
			addrs <- b.addr
			c := b.dial()
			send(t, c, "x\n")
			for method, err := range receive(t, found, name) {
				if _, ok := errors.AsType[*coro.MisuseError](err); !ok {
					t.Errorf("%s in %s: %v, want a *coro.MisuseError", method, name, err)
				}
			}
			c.Close()
			b.shutdown()
		}
		log.says(t, "wrong use of a plexor.Client", "op=Client.Dial", "client_held_test.go:")
	})
}

// TestClientCloseFromCallback: it begins, and does not wait for the loop that it is called on.
func TestClientCloseFromCallback(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		p := place{driver: driver, addr: "tls://127.0.0.1:0"}
		b := p.serve(t, new(plexor.Server), plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) }))
		c := &plexor.Client{Driver: driver, Network: p.network(t), Loops: 1, Log: slog.New(slog.DiscardHandler)}
		closed := make(chan error, 1)
		c.Dialer.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
			closed <- c.Close()
			return nil
		}}
		err := within(t, func() error {
			conn, err := c.Dial(t.Context(), "tls://"+b.addr.String())
			if err == nil { // the handshake was done before the loop came to its end
				_, err = conn.Read(make([]byte, 1))
			}
			return err
		})
		if !errors.Is(err, plexor.ErrClientClosed) {
			t.Errorf("the dial: %v, want ErrClientClosed", err)
		}
		if err := recvError(t, closed); err != nil {
			t.Errorf("Close from the callback: %v", err)
		}
		if err := within(t, c.Close); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
