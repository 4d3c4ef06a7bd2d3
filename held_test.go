package plexor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// holdUntil is what the error must name: it blocks its goroutine, and so its loop.
func holdUntil(released <-chan struct{}) { <-released }

// TestShutdownOfAHeldLoop: a handler that blocks its loop keeps neither Shutdown nor Close, nor Wait; all of the loop's
// connections are broken off, and the errors name the line that holds it.
func TestShutdownOfAHeldLoop(t *testing.T) {
	beside(t)
	stream := func(turn func(c *plexor.Conn) error) plexor.Handler {
		return plexor.HandlerFunc(func(c *plexor.Conn) {
			for turn(c) == nil {
			}
		})
	}
	sessions := func(turn func(c *plexor.Conn) error) plexor.Handler {
		return plexor.Sessions[int]{Turn: func(c *plexor.Conn, _ int) error { return turn(c) }}
	}
	for name, handler := range map[string]func(func(*plexor.Conn) error) plexor.Handler{
		"stream": stream, "turns": plexor.Turns, "sessions": sessions,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for a second
			eachMessagePlace(t, func(t *testing.T, p place) {
				t.Parallel()
				endHeld(t, p, handler)
			})
		})
	}
}

func endHeld(t *testing.T, p place, handler func(turn func(c *plexor.Conn) error) plexor.Handler) {
	released, holds := make(chan struct{}), make(chan struct{})
	srv := &plexor.Server{Driver: p.driver, Network: p.network(t), Loops: 1, Stall: -1}
	addr, err := srv.Open(p.addr, handler(func(c *plexor.Conn) error {
		buf := make([]byte, 1)
		if _, err := c.Read(buf); err != nil {
			return err
		}
		if buf[0] == '!' {
			close(holds)
			holdUntil(released)
		}
		_, _ = c.Write(buf)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, Server: srv, addr: addr, tls: strings.HasPrefix(p.addr, "tls:")}
	other, holder := b.dialMessages(), b.dialMessages()
	for _, c := range []net.Conn{other, holder} {
		send(t, c, "x")
		want(t, c, "x")
	}
	send(t, holder, "!")
	<-holds
	ends := map[string]func() error{
		"Shutdown": func() error {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errCut)
			return srv.Shutdown(ctx)
		},
		"Close": srv.Close,
		"Wait":  srv.Wait,
	}
	errs := make(map[string]chan error)
	for name, end := range ends {
		errs[name] = make(chan error, 1)
		to := errs[name]
		go func() { to <- end() }()
	}
	for _, c := range []net.Conn{other, holder} {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(c); isTimeout(err) {
			t.Errorf("a connection of the loop is still there: %v", err)
		}
	}
	for name := range ends {
		err := recvError(t, errs[name])
		held, ok := errors.AsType[*loop.HeldError](err)
		if !ok || !strings.Contains(held.At, "holdUntil") || !strings.Contains(held.At, "held_test.go:") {
			t.Errorf("%s: %v, want a *loop.HeldError that names holdUntil and its line", name, err)
		}
		if name == "Shutdown" && !errors.Is(err, errCut) {
			t.Errorf("Shutdown: %v, want the context's cause too", err)
		}
	}
	close(released) // the loop then ends by itself
	for deadline := time.Now().Add(patience); srv.Stats().Conns+srv.Stats().Handlers > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after the handler has returned: %+v", srv.Stats())
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func recvError(t *testing.T, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(patience):
		t.Fatal("it does not return")
		return nil
	}
}

// TestRunOfAHeldLoop: RunOn comes back, and says why, though a coroutine that f has left behind holds its loop.
func TestRunOfAHeldLoop(t *testing.T) {
	beside(t)
	for _, d := range allDrivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel() // it waits for a second
			released, holds, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			defer close(released)
			go func() {
				ended <- plexor.RunOn(context.Background(), loop.Options{Driver: d.Name, Stall: -1},
					func(ctx context.Context) error {
						t, err := coro.Self(ctx, "the test")
						if err != nil {
							return err
						}
						return t.Scheduler().Loop().Post(func() {
							close(holds)
							holdUntil(released)
						})
					})
			}()
			select {
			case <-holds:
			case <-time.After(patience):
				t.Fatal("nothing holds the loop")
			}
			err := recvError(t, ended)
			if held, ok := errors.AsType[*loop.HeldError](err); !ok || !strings.Contains(held.At, "holdUntil") {
				t.Errorf("RunOn: %v, want a *loop.HeldError that names holdUntil", err)
			}
		})
	}
}

// TestHeldLoopRefuses: when a held loop was given up, nobody waits for it any more: not who connected, was accepted by
// another loop or by none, and has not been taken in; and who connects then is refused.
func TestHeldLoopRefuses(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		t.Parallel() // each waits for a second
		released, holds := make(chan struct{}), make(chan struct{})
		srv := &plexor.Server{Driver: p.driver, Network: p.network(t), Loops: 2, Stall: -1}
		addr, err := srv.Open(p.addr, plexor.HandlerFunc(func(c *plexor.Conn) {
			buf := make([]byte, 1)
			if _, err := c.Read(buf); err == nil && buf[0] == '!' {
				close(holds)
				holdUntil(released)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer close(released)
		b := &bench{t: t, Server: srv, addr: addr}
		send(t, b.dial(), "!")
		<-holds
		var waiting []net.Conn
		for range 7 {
			waiting = append(waiting, b.dial())
		}
		if _, ok := errors.AsType[*loop.HeldError](srv.Close()); !ok {
			t.Error("Close tells of no held loop")
		}
		for i, c := range waiting {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadAll(c); isTimeout(err) {
				t.Errorf("connection %d waits for a loop that was given up: %v", i, err)
			}
		}
		if c, err := dialPeer(addr); err == nil {
			c.Close()
			t.Error("who connects to a loop that was given up is not refused")
		}
	})
}
