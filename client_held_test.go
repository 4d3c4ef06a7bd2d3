package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
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
