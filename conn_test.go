package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
)

// random is n bytes that are the same each time.
func random(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, seed))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// onConn runs f as a stream's handler, and hands its error to the test.
func onConn(errs chan<- error, f func(c *plexor.Conn) error) plexor.Handler {
	return plexor.HandlerFunc(func(c *plexor.Conn) {
		err := errors.New("the handler did not return")
		defer func() { errs <- err }()
		err = f(c)
	})
}

// checked starts a server whose handler's error fails the test, and a client that has sent the first byte.
func checked(t *testing.T, p place, srv *plexor.Server, f func(c *plexor.Conn) error) (b *bench, client net.Conn,
	done func()) {
	t.Helper()
	errs := make(chan error, 1)
	b = p.serve(t, srv, onConn(errs, f))
	client = b.dial()
	send(t, client, "!")
	return b, client, func() {
		t.Helper()
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	}
}

// first takes the byte that checked has sent.
func first(c io.Reader) error {
	p := make([]byte, 1)
	if _, err := io.ReadFull(c, p); err != nil || p[0] != '!' {
		return fmt.Errorf("the first byte: %q, %w", p, err)
	}
	return nil
}

// TestEcho: every way to echo gives all bytes back, whatever the sizes of reads and writes, to a client that has closed
// its half early and reads late.
func TestEcho(t *testing.T) {
	beside(t)
	byRead := func(size int) func(c *plexor.Conn) error {
		return func(c *plexor.Conn) error {
			p := make([]byte, size)
			for {
				n, err := c.Read(p)
				if _, err := c.Write(p[:n]); err != nil {
					return err
				}
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
			}
		}
	}
	echoed := portion.Fewer(3<<20, 1<<20)
	if raceEnabled {
		echoed = 1 << 20
	}
	for _, row := range []struct {
		name string
		echo func(c *plexor.Conn) error
	}{
		{"Copy", func(c *plexor.Conn) error { _, err := io.Copy(c, c); return err }},
		{"Copy through a writer", func(c *plexor.Conn) error {
			_, err := io.Copy(struct{ io.Writer }{c}, c)
			return err
		}},
		{"Copy from a reader", func(c *plexor.Conn) error {
			_, err := io.Copy(c, struct{ io.Reader }{c})
			return err
		}},
		{"Read 1000 bytes", byRead(1000)},
		{"Read 1 MiB", byRead(1 << 20)},
		{"ReadAll", func(c *plexor.Conn) error {
			p, err := io.ReadAll(c)
			if err == nil {
				_, err = c.Write(p)
			}
			return err
		}},
		{"WriteBuffers", func(c *plexor.Conn) error {
			p, err := io.ReadAll(c)
			if err != nil {
				return err
			}
			var bufs net.Buffers
			for i := 1; len(p) > 0; i = i*2 + 1 {
				n := min(i, len(p))
				bufs, p = append(bufs, p[:n]), p[n:]
			}
			_, err = c.WriteBuffers(bufs)
			return err
		}},
		{"waits in between", func(c *plexor.Conn) error {
			p := make([]byte, 100_000)
			for {
				n, err := c.Read(p)
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
				if err := coro.Sleep(c.Context(), 100*time.Microsecond); err != nil {
					return err
				}
				if _, err := c.Write(p[:n]); err != nil {
					return err
				}
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p place) {
				errs := make(chan error, 1)
				b := p.serve(t, &plexor.Server{}, onConn(errs, row.echo))
				client := b.dial()
				sent := random(echoed, 1)
				wrote := make(chan error, 1)
				go func() {
					_, err := client.Write(sent)
					if err == nil {
						err = client.(interface{ CloseWrite() error }).CloseWrite()
					}
					wrote <- err
				}()
				var got bytes.Buffer
				if _, err := io.Copy(&got, client); err != nil || !bytes.Equal(got.Bytes(), sent) {
					t.Errorf("got %d bytes of %d back, equal=%v, %v", got.Len(), len(sent), bytes.Equal(got.Bytes(), sent), err)
				}
				if err := receive(t, wrote, "the client"); err != nil {
					t.Error(err)
				}
				if err := receive(t, errs, "the handler"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestHalves: the end of one direction leaves the other as it is.
func TestHalves(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			if err := first(c); err != nil {
				return err
			}
			if _, err := io.WriteString(c, "bye"); err != nil {
				return err
			}
			if err := c.CloseWrite(); err != nil {
				return err
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, loop.ErrWriteClosed) {
				return fmt.Errorf("Write after CloseWrite: %v", err)
			}
			rest, err := io.ReadAll(c)
			if err != nil || string(rest) != "and more" {
				return fmt.Errorf("read %q, %v", rest, err)
			}
			for range 2 { // the end stays the end
				if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					return fmt.Errorf("Read at the end: %d, %v", n, err)
				}
			}
			return nil
		})
		want(t, client, "bye")
		wantEnd(t, client)
		send(t, client, "and more")
		closeWrite(t, client)
		done()
	})
}

// TestEndFirst: a peer that closes its half without a byte gets its handler.
func TestEndFirst(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			n, err := c.Read(make([]byte, 1))
			fmt.Fprint(c, n, err)
		}))
		client := b.dial()
		closeWrite(t, client)
		want(t, client, "0 EOF")
		wantEnd(t, client)
	})
}

// TestGreeter: a GreeterFunc speaks first.
func TestGreeter(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{}, plexor.GreeterFunc(func(c *plexor.Conn) {
			fmt.Fprint(c, "hello")
			io.Copy(c, c)
		}))
		client := b.dial()
		want(t, client, "hello")
		send(t, client, "you")
		want(t, client, "you")
	})
}

// TestNoHandlerBeforeFirstByte: a HandlerFunc does not run while nothing has come.
func TestNoHandlerBeforeFirstByte(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }))
		quiet, loud := b.dial(), b.dial()
		send(t, loud, "x")
		want(t, loud, "x")
		b.await("two connections", func(s plexor.Stats) bool { return s.Conns == 2 })
		if s := b.Stats(); s.Handlers != 1 {
			t.Errorf("%d handlers run, want that of the one which has sent a byte", s.Handlers)
		}
		reset(t, quiet)
		b.await("the quiet one's end", func(s plexor.Stats) bool { return s.Conns == 1 })
	})
}

// TestWritesDoNotMix: each Write of several coroutines arrives in one piece, though each has to wait.
func TestWritesDoNotMix(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const writers, size, times = 5, 300_000, 6
		_, client, done := checked(t, p, &plexor.Server{Limits: plexor.Limits{HighWater: 16 << 10}},
			func(c *plexor.Conn) error {
				return coro.Group(c.Context(), func(g *coro.Tasks) error {
					for i := range writers {
						g.Go(func(context.Context) error {
							for n := range times {
								msg := bytes.Repeat([]byte{byte('a' + i)}, size)
								var err error
								if n%2 == 0 {
									_, err = c.Write(msg)
								} else {
									_, err = c.WriteBuffers(net.Buffers{msg[:10], msg[10:20000], nil, msg[20000:]})
								}
								if err != nil {
									return err
								}
							}
							return nil
						})
					}
					return nil
				})
			})
		got, err := io.ReadAll(client)
		if err != nil || len(got) != writers*size*times {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		for i := 0; i < len(got); i += size {
			if n := bytes.Count(got[i:i+size], got[i:i+1]); n != size {
				t.Fatalf("at byte %d: %d of %d bytes are %q", i, n, size, got[i])
			}
		}
		done()
	})
}

// TestReadersShare: what comes goes to all coroutines that read, each byte to one.
func TestReadersShare(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const readers, total = 4, 500_001
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			sum := 0
			err := coro.Group(c.Context(), func(g *coro.Tasks) error {
				for range readers {
					g.Go(func(context.Context) error {
						p := make([]byte, 1000)
						for {
							n, err := c.Read(p)
							sum += n
							if err == io.EOF {
								return nil
							}
							if err != nil {
								return err
							}
						}
					})
				}
				return nil
			})
			if sum != total {
				return fmt.Errorf("read %d bytes of %d", sum, total)
			}
			return err
		})
		send(t, client, string(make([]byte, total-1)))
		closeWrite(t, client)
		done()
	})
}

// TestContext: it carries the task, lasts through the end of the stream, and ends with the handler.
func TestContext(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		var after context.Context
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			after = c.Context()
			if c.Context() != after {
				return errors.New("two calls give two contexts")
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				return err
			}
			if err := after.Err(); err != nil {
				return fmt.Errorf("after the peer's end: %w", err)
			}
			return coro.Sleep(after, time.Millisecond)
		})
		closeWrite(t, client)
		done()
		receive(t, after.Done(), "the context's end")
	})
}

// TestContextClosed: Close cancels it.
func TestContextClosed(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			ctx := c.Context()
			if err := c.Close(); err != nil {
				return err
			}
			if err := coro.Sleep(ctx, patience); !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("Sleep with the context of a closed connection: %v", err)
			}
			return nil
		})
		done()
		_ = client
	})
}

// TestAddrs: those of package net.
func TestAddrs(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		addrs := make(chan string, 3)
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			addrs <- c.LocalAddr().String()
			addrs <- c.RemoteAddr().String()
			c.Abort()
			addrs <- c.RemoteAddr().String()
			return nil
		})
		done()
		if got, want := <-addrs, client.RemoteAddr().String(); got != want {
			t.Errorf("LocalAddr is %s, want %s", got, want)
		}
		for _, when := range []string{"", " after the end"} {
			if got, want := <-addrs, client.LocalAddr().String(); got != want && !(want == "@" && got == "") {
				t.Errorf("RemoteAddr%s is %q, want %q", when, got, want)
			}
		}
	})
}
