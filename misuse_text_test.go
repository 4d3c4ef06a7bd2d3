package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// Wrong use names the line that does it and the method that was called, and recommends what a Conn has.
func TestWrongUseNamesTheLine(t *testing.T) {
	conns, done := make(chan *plexor.Conn), make(chan struct{})
	b := (place{"auto", "tcp://127.0.0.1:0"}).serve(t, new(plexor.Server), plexor.HandlerFunc(func(c *plexor.Conn) {
		_, _ = coro.Await(c.Context(), func() (int, error) { conns <- c; <-done; return 0, nil }) // or the server's end
	}))
	send(t, b.dial(), "x")
	c := <-conns
	err := c.Abort() // this line
	close(done)
	if err == nil || !strings.Contains(err.Error(), "misuse_text_test.go:") ||
		!strings.Contains(err.Error(), "Conn.Shared") ||
		strings.Contains(err.Error(), "use Call") || strings.Contains(err.Error(), "coro:") {
		t.Errorf("Abort from another goroutine: %v", err)
	}
	line := b.log.says(t, "wrong use of a plexor.Conn")
	for _, want := range []string{"op=abort", `at="github.com/plexor-go/plexor_test.TestWrongUseNamesTheLine (`,
		"misuse_text_test.go:"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}

// A context or a function that is nil is an error that says so, or a *coro.MisuseError, and no nil dereference.
func TestNil(t *testing.T) {
	var none context.Context
	client := new(plexor.Client)
	defer client.Close()
	for name, f := range map[string]func() error{
		"Dial":           func() error { _, err := plexor.Dial(none, "tcp://127.0.0.1:1"); return err },
		"Run":            func() error { return plexor.Run(none, func(context.Context) error { return nil }) },
		"Run of nothing": func() error { return plexor.Run(t.Context(), nil) },
		"Client.Dial":    func() error { _, err := client.Dial(none, "tcp://127.0.0.1:1"); return err },
		"Client.DialContext": func() error {
			_, err := client.DialContext(none, "tcp", "127.0.0.1:1")
			return err
		},
		"Shutdown": func() error { return new(plexor.Server).Shutdown(none) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "nil") && !errors.As(err, new(*coro.MisuseError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a user of this package reads names no layer below it, and nothing twice.
func TestErrorsNameNoLayers(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := "tcp://" + ln.Addr().String()
		ln.Close()
		err = plexor.RunOn(t.Context(), loop.Options{Driver: driver}, func(ctx context.Context) error {
			_, err := plexor.Dial(ctx, address)
			return err
		})
		if err == nil || strings.Contains(err.Error(), "loop:") || strings.Count(err.Error(), "connect ")+
			strings.Count(err.Error(), "connect:") != 1 {
			t.Errorf("nobody listens: %v", err)
		}

		p := place{driver, "tcp://127.0.0.1:0"}
		broken := make(chan error, 1)
		b := p.serve(t, new(plexor.Server), plexor.HandlerFunc(func(c *plexor.Conn) {
			var err error
			for err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			broken <- errors.Join(err, context.Cause(c.Context()))
		}))
		c := b.dial()
		send(t, c, "x")
		reset(t, c)
		if err := <-broken; strings.Contains(err.Error(), "loop:") || !strings.Contains(err.Error(), "\n") {
			t.Errorf("a reset: %v; want what Read says and the cause of the context", err)
		}
	})
	for name, err := range map[string]error{
		"an unknown driver": (&plexor.Server{Driver: "devpoll"}).ListenAndServe("tcp://127.0.0.1:0"),
		"loops":             (&plexor.Server{Loops: -1}).ListenAndServe("tcp://127.0.0.1:0"),
		"a Client's driver": (&plexor.Client{Driver: "devpoll"}).Start(),
		"a Client's loops":  (&plexor.Client{Loops: -1}).Start(),
		"a handshake": &net.OpError{Op: "handshake", Err: &plexor.HandshakeError{Reason: "it broke",
			Err: fmt.Errorf("loop: receive: %w", io.ErrUnexpectedEOF)}},
	} {
		if err == nil || strings.Contains(err.Error(), "loop:") || strings.Contains(err.Error(), "Group") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
