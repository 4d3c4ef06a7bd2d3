package plexor_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
)

// closeHigh is the high-water mark of the servers of these tests. An eighth of it is more than a TCP window of the
// small buffers that they have: so with each part that is read bytes move.
const closeHigh = 4 << 20

// fullWriters are handlers that write until nothing more finds room, close, and tell how much was taken.
func fullWriters(taken chan<- int) map[string]plexor.HandlerFunc {
	const piece = 32 << 10
	return map[string]plexor.HandlerFunc{
		"Conn": func(c *plexor.Conn) {
			n := 0
			for plexor.Pending(c) < closeHigh {
				m, err := c.Write(make([]byte, piece))
				if n += m; err != nil {
					break
				}
			}
			taken <- n
		},
		"Shared": func(c *plexor.Conn) {
			sh := c.Shared()
			go func() {
				n := 0
				for {
					if err := sh.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
						break
					}
					m, err := sh.Write(make([]byte, piece))
					if n += m; err != nil {
						break // there has been no room for that long
					}
				}
				sh.Close()
				taken <- n
			}()
		},
	}
}

// eachFullWriter runs f with a connection, over TCP and TLS, that such a handler has closed while its output is full,
// and whose peer has read nothing. step has the loop's clock go on, and the loop see it.
func eachFullWriter(t *testing.T, f func(t *testing.T, b *bench, c net.Conn, taken int, step func(time.Duration))) {
	for name := range fullWriters(nil) {
		for _, scheme := range []string{"tcp", "tls"} {
			t.Run(name+" over "+scheme, func(t *testing.T) {
				eachDriver(t, func(t *testing.T, driver string) {
					beside(t)
					taken := make(chan int, 1)
					clock := loop.NewManualClock(time.Now())
					b := place{driver, scheme + "://127.0.0.1:0?sndbuf=64k"}.serve(t,
						&plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{HighWater: closeHigh, Linger: 3 * time.Second}},
						fullWriters(taken)[name])
					raw := b.dial()
					if err := raw.(interface{ SetReadBuffer(int) error }).SetReadBuffer(64 << 10); err != nil {
						t.Fatal(err)
					}
					c := raw
					if scheme == "tls" {
						c = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
						t.Cleanup(func() { c.Close() })
					}
					send(t, c, "x") // HandlerFuncs start with it
					n := receive(t, taken, "what was taken")
					f(t, b, c, n, func(d time.Duration) {
						clock.Advance(d)
						if err := plexor.Turn(b.Server); err != nil {
							t.Error(err)
						}
					})
				})
			})
		}
	}
}

// TestCloseWhileReading: a peer that takes longer than Linger in all, and never so long without taking anything, gets
// everything, and the end, though the output was full when the connection was closed.
func TestCloseWhileReading(t *testing.T) {
	beside(t)
	eachFullWriter(t, func(t *testing.T, b *bench, c net.Conn, taken int, step func(time.Duration)) {
		// The peer's system opens its window, and so acknowledges more, only when much was read: where the system alone keeps
		// what was written, there are fewer parts of that size.
		parts := 8
		if taken < closeHigh {
			parts = 3
		}
		for n := range parts {
			part := taken / parts
			if _, err := io.ReadFull(c, make([]byte, part)); err != nil {
				t.Fatalf("part %d of %d: %v", n+1, parts, err)
			}
			if n < parts-1 { // longer than Linger in all
				step(2 * time.Second)
			}
		}
		if rest, err := io.ReadAll(c); err != nil || len(rest) != taken%parts {
			t.Errorf("behind %d bytes: %d more, %v; want %d, and the end", taken/parts*parts, len(rest), err, taken%parts)
		}
		c.Close()
		if s := b.Stats(); s.Undelivered != 0 {
			t.Errorf("%+v, want nothing undelivered", s)
		}
	})
}

// TestCloseStandsStill: a peer that takes nothing more, and one that has never taken
// anything, is cut when Linger has passed, and not before.
func TestCloseStandsStill(t *testing.T) {
	beside(t)
	for name, share := range map[string]int{"after half": 2, "from the beginning": 0} {
		t.Run(name, func(t *testing.T) {
			eachFullWriter(t, func(t *testing.T, b *bench, c net.Conn, taken int, step func(time.Duration)) {
				if share > 0 {
					if _, err := io.ReadFull(c, make([]byte, taken/share)); err != nil {
						t.Fatal(err)
					}
				}
				step(2 * time.Second)
				if s := b.Stats(); s.Conns != 1 || s.Undelivered != 0 {
					t.Fatalf("after 2 s of 3: %+v", s)
				}
				b.await("the end", func(s plexor.Stats) bool { // however late the last byte's way was noticed
					step(time.Second)
					return s.Conns == 0 && s.Undelivered == 1
				})
				if _, err := io.Copy(io.Discard, c); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("the peer reads the end with %v, want an error", err)
				}
			})
		})
	}
}
