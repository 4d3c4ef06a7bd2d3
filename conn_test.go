package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
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
func checked(t *testing.T, p place, srv *plexor.Server, f func(c *plexor.Conn) error) (b *bench, client net.Conn, done func()) {
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
				sent := random(3<<20, 1)
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

// TestWriteWaits: a Write to a peer that does not read waits, with a bound on what is kept; so a loop's other connections
// go on, and when the peer reads, all arrives.
func TestWriteWaits(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const total, highWater = 32 << 20, 64 << 10
		var c1 *plexor.Conn
		errs := make(chan error, 1)
		b := p.serve(t, &plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: highWater}}, onConn(errs, func(c *plexor.Conn) error {
			kind := make([]byte, 1)
			if _, err := c.Read(kind); err != nil {
				return err
			}
			for kind[0] == '?' { // how much waits on the other?
				fmt.Fprintf(c, "%08d", plexor.Pending(c1))
				if _, err := c.Read(kind); err != nil {
					return nil
				}
			}
			c1 = c
			n, err := c.Write(make([]byte, total))
			if n != total || err != nil {
				return fmt.Errorf("Write: %d, %v", n, err)
			}
			return nil
		}))
		slow := b.dial()
		send(t, slow, "!")
		b.await("the handler", func(s plexor.Stats) bool { return s.Handlers == 1 })
		other := b.dial()
		pending, same := -1, 0
		for same < 20 { // until the kernel takes no more
			n := ask(t, other)
			if n > 2*highWater {
				t.Fatalf("%d bytes wait for a peer that does not read; want %d, and one piece of as much at most", n, highWater)
			}
			if n == pending && n > highWater/2 {
				same++
			} else {
				pending, same = n, 0
			}
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		if err := receive(t, errs, "the other handler"); err != nil {
			t.Error(err)
		}
		if n, err := io.Copy(io.Discard, slow); n != total || err != nil {
			t.Errorf("the peer read %d bytes, %v; want %d", n, err, total)
		}
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// ask sends a question, whose answer is a number of eight digits.
func ask(t *testing.T, c net.Conn) int {
	t.Helper()
	send(t, c, "?")
	return number(t, c)
}

// number reads such an answer.
func number(t *testing.T, c net.Conn) int {
	t.Helper()
	got := make([]byte, 8)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(got))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBothDirections: a handler that waits to write goes on reading in another coroutine, so that a peer which sends all
// before it reads anything, as the handler does, is no deadlock.
func TestBothDirections(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const total = 16 << 20
		_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
			if err := first(c); err != nil {
				return err
			}
			return coro.Group(c.Context(), func(g *coro.Tasks) error {
				g.Go(func(context.Context) error {
					if _, err := c.Write(make([]byte, total)); err != nil {
						return err
					}
					return c.CloseWrite()
				})
				if n, err := io.Copy(io.Discard, c); n != total || err != nil {
					return fmt.Errorf("read %d bytes, %w", n, err)
				}
				return nil
			})
		})
		send(t, client, string(make([]byte, total)))
		closeWrite(t, client)
		if n, err := io.Copy(io.Discard, client); n != total || err != nil {
			t.Errorf("the peer read %d bytes, %v", n, err)
		}
		done()
	})
}

// TestReadingPauses: what a peer sends to a handler that does not read is kept up to a bound; then the loop stops reading,
// and goes on when the handler does.
func TestReadingPauses(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const total = 16 << 20
		goOn := new(coro.Event)
		var c1 *plexor.Conn
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.HandlerFunc(func(c *plexor.Conn) {
			kind := make([]byte, 1)
			if _, err := c.Read(kind); err != nil {
				return
			}
			switch kind[0] {
			case '!':
				c1 = c
				if err := goOn.Wait(c.Context()); err != nil {
					return
				}
				n, err := io.Copy(io.Discard, c)
				fmt.Fprintf(c, "%d %v", n, err)
			case '?':
				for {
					fmt.Fprintf(c, "%08d", plexor.Unread(c1))
					if _, err := c.Read(kind); err != nil {
						return
					}
				}
			case '+':
				goOn.Set()
			}
		}))
		busy := b.dial()
		send(t, busy, "!")
		wrote := make(chan error, 1)
		go func() {
			_, err := busy.Write(make([]byte, total))
			if err == nil {
				err = busy.(interface{ CloseWrite() error }).CloseWrite()
			}
			wrote <- err
		}()
		other := b.dial()
		unread := 0
		for unread < 64<<10 {
			unread = ask(t, other)
		}
		if unread < 64<<10 || unread > 128<<10 {
			t.Errorf("%d bytes are kept for a handler that does not read; want 64 KiB, and one piece of as much at most", unread)
		}
		send(t, b.dial(), "+")
		want(t, busy, fmt.Sprint(total, nil))
		if err := receive(t, wrote, "the client"); err != nil {
			t.Error(err)
		}
	})
}

// TestDeadlines: those of net.Conn. They fail what waits and what comes after, and leave the connection usable.
func TestDeadlines(t *testing.T) {
	timedOut := func(what string, err error) error {
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			return fmt.Errorf("%s: %v, want a timeout", what, err)
		}
		return nil
	}
	soon := func() time.Time { return time.Now().Add(5 * time.Millisecond) }
	for _, row := range []struct {
		name string
		f    func(c *plexor.Conn) error
	}{
		{"a Read that waits", func(c *plexor.Conn) error {
			c.SetReadDeadline(soon())
			_, err := c.Read(make([]byte, 1))
			if err := timedOut("Read", err); err != nil {
				return err
			}
			_, err = c.Read(make([]byte, 1))
			return timedOut("Read again", err)
		}},
		{"a Read after it has passed", func(c *plexor.Conn) error {
			c.SetReadDeadline(time.Now().Add(-time.Second))
			_, err := c.Read(make([]byte, 1))
			return timedOut("Read", err)
		}},
		{"set while a Read waits", func(c *plexor.Conn) error {
			return coro.Group(c.Context(), func(g *coro.Tasks) error {
				g.Go(func(context.Context) error {
					return c.SetReadDeadline(time.Unix(1, 0))
				})
				_, err := c.Read(make([]byte, 1))
				return timedOut("Read", err)
			})
		}},
		{"pushed back while a Read waits", func(c *plexor.Conn) error {
			start := time.Now()
			c.SetReadDeadline(soon())
			return coro.Group(c.Context(), func(g *coro.Tasks) error {
				g.Go(func(context.Context) error {
					return c.SetReadDeadline(start.Add(100 * time.Millisecond))
				})
				_, err := c.Read(make([]byte, 1))
				if d := time.Since(start); d < 100*time.Millisecond {
					return fmt.Errorf("Read failed after %v, want 100ms", d)
				}
				return timedOut("Read", err)
			})
		}},
		{"a Write that waits", func(c *plexor.Conn) error {
			c.SetWriteDeadline(soon())
			var all int
			for {
				n, err := c.Write(make([]byte, 1<<20))
				if all += n; err == nil {
					continue
				}
				if err := timedOut("Write", err); err != nil {
					return err
				}
				break
			}
			if _, err := c.Write([]byte("x")); timedOut("Write again", err) != nil {
				return timedOut("Write again", err)
			}
			c.SetWriteDeadline(time.Time{})
			fmt.Fprintf(c, "%020d", all)
			return nil
		}},
		{"a Write after it has passed", func(c *plexor.Conn) error {
			c.SetDeadline(time.Now().Add(-time.Second))
			n, err := c.Write([]byte("lost"))
			if n != 0 {
				return fmt.Errorf("Write took %d bytes", n)
			}
			return timedOut("Write", err)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachPlace(t, func(t *testing.T, p place) {
				_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
					if err := first(c); err != nil {
						return err
					}
					if err := row.f(c); err != nil {
						return err
					}
					if err := c.SetDeadline(time.Time{}); err != nil {
						return err
					}
					if _, err := io.WriteString(c, "still here"); err != nil {
						return err
					}
					if err := first(c); err != nil {
						return err
					}
					return nil
				})
				if strings.HasPrefix(row.name, "a Write that waits") {
					skipped := 0
					tail := make([]byte, 0, 64)
					buf := make([]byte, 64<<10)
					for !bytes.HasSuffix(tail, []byte("still here")) {
						n, err := client.Read(buf)
						if err != nil {
							t.Fatal(err)
						}
						skipped += n
						tail = append(tail, buf[:n]...)
						tail = append(tail[:0], tail[max(0, len(tail)-30):]...)
					}
					if all, err := strconv.Atoi(string(tail[:20])); err != nil || all != skipped-30 {
						t.Errorf("Writes said that they took %d bytes (%v), the peer got %d", all, err, skipped-30)
					}
				} else {
					want(t, client, "still here")
				}
				send(t, client, "!")
				done()
			})
		})
	}
}

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

// TestCloseUndelivered: Close says so when the peer does not take what was written, and after no more than the limit.
func TestCloseUndelivered(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b, _, done := checked(t, p, &plexor.Server{Limits: plexor.Limits{Linger: 20 * time.Millisecond}}, func(c *plexor.Conn) error {
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					break
				}
			}
			if err := c.Close(); !errors.Is(err, loop.ErrUndelivered) {
				return fmt.Errorf("Close: %v, want loop.ErrUndelivered", err)
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
		_, client, done := checked(t, p, &plexor.Server{Limits: plexor.Limits{Linger: time.Millisecond}}, func(c *plexor.Conn) error {
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

// TestWritesDoNotMix: each Write of several coroutines arrives in one piece, though each has to wait.
func TestWritesDoNotMix(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		const writers, size, times = 5, 300_000, 6
		_, client, done := checked(t, p, &plexor.Server{Limits: plexor.Limits{HighWater: 16 << 10}}, func(c *plexor.Conn) error {
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

// TestPanics: a handler that panics, or calls Goexit, loses its connection by a reset; the log has the stack, and the server
// goes on.
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
				b.log.says(t, row.says, "peer=", "conn_test.go")
				b.await("the count", func(s plexor.Stats) bool { return s.Panics == 3 && s.Handlers == 0 && s.Conns == 0 })
			})
		})
	}
}
