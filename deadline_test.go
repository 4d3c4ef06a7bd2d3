package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestDeadlines: those of net.Conn. They fail what waits and what comes after, and leave the connection usable.
func TestDeadlines(t *testing.T) {
	beside(t)
	timedOut := func(what string, err error) error {
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			return fmt.Errorf("%s: %v, want a timeout", what, err)
		}
		return nil
	}
	soon := func() time.Time { return time.Now().Add(5 * time.Millisecond) }
	late := make(chan struct{}, 1) // a Write was: the client may read
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
			c.SetReadDeadline(time.Unix(1, 0)) // the loop's clock may be behind, by a second on a loaded machine
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
			late <- struct{}{}
			c.SetWriteDeadline(time.Time{})
			fmt.Fprintf(c, "%020d", all)
			return nil
		}},
		{"a Write after it has passed", func(c *plexor.Conn) error {
			c.SetDeadline(time.Unix(1, 0)) // likewise
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
				if row.name == "a Write that waits" {
					receive(t, late, "a Write that is late")
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
