package plexor_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/stage"
)

// TestWriteWaits: a Write to a peer that does not read waits, with a bound on what is kept; so a loop's other
// connections go on, and when the peer reads, all arrives.
func TestWriteWaits(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		const highWater = 64 << 10
		total := 32 << 20 // more than the kernel takes
		if p.driver == stage.Driver {
			total = 8 << 20
		}
		var c1 *plexor.Conn
		errs := make(chan error, 1)
		b := p.serve(t, &plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: highWater}},
			onConn(errs, func(c *plexor.Conn) error {
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
		if n, err := io.Copy(io.Discard, slow); n != int64(total) || err != nil {
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

// TestBothDirections: a handler that waits to write goes on reading in another coroutine, so that a peer which sends
// all before it reads anything, as the handler does, is no deadlock.
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

// TestReadingPauses: what a peer sends to a handler that does not read is kept up to a bound; then the loop stops
// reading, and goes on when the handler does.
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
