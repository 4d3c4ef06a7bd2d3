package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// TestCloseDelivers: Close returns nil when the peer's system has all that was written.
func TestCloseDelivers(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const size = 8 << 20
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			if _, err := c.Write(make([]byte, size)); err != nil {
				return err
			}
			if err := c.Close(); err != nil {
				return fmt.Errorf("Close: %w", err)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("Read after Close: %v", err)
			}
			if _, err := c.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("Write after Close: %v", err)
			}
			if err := c.Close(); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("Close again: %v", err)
			}
			if err := c.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("SetDeadline after Close: %v", err)
			}
			return nil
		})
		if n, err := io.Copy(io.Discard, client); n != size || err != nil {
			t.Errorf("got %d bytes, %v; want %d", n, err, size)
		}
		done()
	})
}

// TestCloseInGroup: Close waits for the delivery in a group of the connection's context too, which it then cancels.
func TestCloseInGroup(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const size = 8 << 20
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			var closed, slept error
			_ = coro.Group(c.Context(), func(g *coro.Tasks) error { // nothing in it fails
				g.Go(func(ctx context.Context) error {
					slept = coro.Sleep(ctx, patience)
					return nil
				})
				if _, err := c.Write(make([]byte, size)); err != nil {
					return err
				}
				closed = c.Close()
				return nil
			})
			if closed != nil || !errors.Is(slept, net.ErrClosed) {
				return fmt.Errorf("Close: %v; what else was in the group: %v", closed, slept)
			}
			return nil
		})
		if n, err := io.Copy(io.Discard, client); n != size || err != nil {
			t.Errorf("got %d bytes, %v; want %d", n, err, size)
		}
		done()
	})
}

// TestCloseUndelivered: Close says so when the peer does not take what was written, and after no more than the limit.
// So it does in a timeout of the connection's own context, which ends along with it.
func TestCloseUndelivered(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		b, _, done := checked(t, p, &plexor.Server{Limits: plexor.Limits{Linger: 20 * time.Millisecond}},
			func(c *plexor.Conn) error {
				c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
				for {
					if _, err := c.Write(make([]byte, 1<<20)); err != nil {
						break
					}
				}
				ctx := c.Context()
				err := coro.Timeout(ctx, time.Hour, func(context.Context) error { return c.Close() })
				if cause := context.Cause(ctx); !errors.Is(err, loop.ErrUndelivered) || !errors.Is(cause, loop.ErrUndelivered) {
					return fmt.Errorf("Close: %v, the context's cause: %v, want loop.ErrUndelivered for both", err, cause)
				}
				return nil
			})
		done()
		b.await("the count", func(s plexor.Stats) bool { return s.Undelivered == 1 })
	})
}

// TestCloseWakes: Close by one coroutine ends what the others wait for.
func TestCloseWakes(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		_, client, done := checked(t, p, &plexor.Server{Limits: plexor.Limits{Linger: time.Millisecond}},
			func(c *plexor.Conn) error {
				if err := first(c); err != nil {
					return err
				}
				return coro.Group(c.Context(), func(g *coro.Tasks) error {
					for range 3 {
						g.Go(func(context.Context) error {
							if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
								return fmt.Errorf("Read: %v", err)
							}
							return nil
						})
						g.Go(func(context.Context) error {
							for {
								if _, err := c.Write(make([]byte, 1<<20)); err != nil {
									if !errors.Is(err, net.ErrClosed) {
										return fmt.Errorf("Write: %v", err)
									}
									return nil
								}
							}
						})
					}
					if err := coro.Sleep(context.WithoutCancel(g.Context()), 20*time.Millisecond); err != nil {
						return err
					}
					_ = c.Close() // it may well be undelivered
					return nil
				})
			})
		done()
		_ = client
	})
}

// TestReset: a connection that breaks fails what waits, with the system's error, and cancels the context.
func TestReset(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		if strings.HasPrefix(p.addr, "unix") {
			t.Skip("unix sockets are closed, not reset")
		}
		parked := make(chan struct{})
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			if err := first(c); err != nil {
				return err
			}
			ctx := c.Context()
			close(parked)
			_, err := c.Read(make([]byte, 1))
			if err == nil || err == io.EOF {
				return fmt.Errorf("Read: %v", err)
			}
			if _, werr := c.Write([]byte("x")); werr == nil {
				return errors.New("Write succeeded")
			}
			if ctx.Err() == nil || !errors.Is(err, context.Cause(ctx)) {
				return fmt.Errorf("the context has %v, Read had %v", context.Cause(ctx), err)
			}
			return nil
		})
		receive(t, parked, "the handler")
		reset(t, client)
		done()
	})
}

// TestResetWhileWriting: who waits for room learns that the connection is broken, though it does not read.
func TestResetWhileWriting(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					return nil
				}
			}
		})
		// Enough that the loop has stopped reading.
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			_, _ = client.Write(make([]byte, 16<<20)) // it can't be all
		}()
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		reset(t, client)
		receive(t, wrote, "the client")
		done()
	})
}

// TestPanics: a handler that panics, or calls Goexit, loses its connection by a reset; the log has the stack, and the
// server goes on.
func TestPanics(t *testing.T) {
	for _, row := range []struct {
		name, says string
		f          func(c *plexor.Conn)
	}{
		{"panic", "a handler panicked", func(c *plexor.Conn) { panic("oh no") }},
		{"panic after a wait", "a handler panicked", func(c *plexor.Conn) {
			c.Read(make([]byte, 1))
			coro.Sleep(c.Context(), time.Millisecond)
			panic("oh no")
		}},
		{"Goexit", "a handler called runtime.Goexit", func(c *plexor.Conn) { runtime.Goexit() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p place) {
				b := p.serve(t, &plexor.Server{Loops: 1}, plexor.HandlerFunc(func(c *plexor.Conn) {
					fmt.Fprint(c, "partial")
					row.f(c)
				}))
				for range 3 {
					client := b.dial()
					send(t, client, "!")
					if strings.HasPrefix(p.addr, "tcp") {
						if _, err := io.Copy(io.Discard, client); err == nil {
							t.Error("the peer sees a good end, want a reset")
						}
					}
				}
				b.log.says(t, row.says, "peer=", "end_test.go")
				b.await("the count", func(s plexor.Stats) bool { return s.Panics == 3 && s.Handlers == 0 && s.Conns == 0 })
			})
		})
	}
}
