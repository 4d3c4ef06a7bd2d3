package plexor_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// TestTLSStartsWithFirstByte: over TLS too a HandlerFunc starts with the first byte, and however it reads, it gets all
// of them.
func TestTLSStartsWithFirstByte(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcde\n"), 1<<10)
	for _, row := range []struct {
		name string
		h    plexor.HandlerFunc
	}{
		{"WriteTo", func(c *plexor.Conn) { io.Copy(c, c) }},
		{"Read", func(c *plexor.Conn) { io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }},
		{"Messages", func(c *plexor.Conn) {
			plexor.Messages(frame.Line{Max: 100}, func(c *plexor.Conn, msg []byte) error { return c.Send(msg) }).ServeConn(c)
		}},
		{"Shared", func(c *plexor.Conn) {
			sh := c.Shared()
			go func() {
				defer sh.Close()
				io.Copy(sh, sh)
			}()
		}},
		{"Shared later", func(c *plexor.Conn) {
			p := make([]byte, 3)
			io.ReadFull(c, p)
			c.Write(p)
			sh := c.Shared()
			go func() {
				defer sh.Close()
				io.Copy(sh, sh)
			}()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil, row.h)
				c := b.connect(nil)
				b.await("the handshake", func(s plexor.Stats) bool { return s.Handshakes == 1 && s.Handlers == 0 })
				for range 3 {
					go c.Write(sent)
					got := make([]byte, len(sent))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
						t.Fatalf("equal=%v, %v", bytes.Equal(got, sent), err)
					}
				}
				c.CloseWrite()
				if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
					t.Errorf("at the end: %d bytes, %v", len(rest), err)
				}
			})
		})
	}
}

// TestTLSStartsWithTheEnd: the end of the stream starts a HandlerFunc too, and it reads which it is.
func TestTLSStartsWithTheEnd(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		errs := make(chan error, 1)
		b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil, plexor.HandlerFunc(func(c *plexor.Conn) {
			_, err := c.Read(make([]byte, 1))
			errs <- err
			io.WriteString(c, "bye")
		}))
		c := b.connect(nil)
		b.await("the handshake", func(s plexor.Stats) bool { return s.Handshakes == 1 && s.Handlers == 0 })
		c.CloseWrite()
		if err := receive(t, errs, "the handler's error"); err != io.EOF {
			t.Errorf("after close_notify: %v, want EOF", err)
		}
		want(t, c, "bye")
		c.Close()

		c = b.connect(nil)
		b.await("the handshake", func(s plexor.Stats) bool { return s.Handshakes == 2 && s.Handlers == 0 })
		closeWrite(t, c.NetConn())
		if err := receive(t, errs, "the handler's error"); err == nil || err == io.EOF {
			t.Errorf("after a FIN alone: %v, want an error that is not EOF", err)
		}
	})
}

// TestTLSGreets: a GreeterFunc starts at the handshake's end.
func TestTLSGreets(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil, plexor.GreeterFunc(func(c *plexor.Conn) {
			io.WriteString(c, "hello")
			io.Copy(c, c)
		}))
		c := b.connect(nil)
		want(t, c, "hello")
		send(t, c, "x")
		want(t, c, "x")
	})
}

// TestTLSResetWhileSilent: a connection that breaks behind the handshake starts no handler, and leaves nothing.
func TestTLSResetWhileSilent(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{Loops: 1}, nil, plexor.HandlerFunc(func(c *plexor.Conn) {
			t.Error("the handler was started")
		}))
		c := b.connect(nil)
		b.await("the handshake", func(s plexor.Stats) bool { return s.Handshakes == 1 && s.Handlers == 0 })
		c.NetConn().(interface{ SetLinger(int) error }).SetLinger(0)
		c.NetConn().Close()
		b.await("its end", func(s plexor.Stats) bool { return s.Conns == 0 })
	})
}

// A halver sends the first part of what is written next, and keeps the rest.
type halver struct {
	net.Conn
	mu   sync.Mutex
	on   bool
	rest []byte
}

func (h *halver) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.on {
		return h.Conn.Write(p)
	}
	h.on, h.rest = false, bytes.Clone(p[len(p)/2:])
	_, err := h.Conn.Write(p[:len(p)/2])
	return len(p), err
}

// TestFirstByteHalfRecord: half of a record is no byte of the peer's yet. It does not take time from Limits.FirstByte,
// nor gives any: the sweeps for silent connections count by a clock of their own.
func TestFirstByteHalfRecord(t *testing.T) {
	for name, h := range map[string]plexor.Handler{"HandlerFunc": echoTLS, "Messages": upper} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				clock := loop.NewManualClock(time.Now())
				// Idle sweeps are an hour apart: so the count of these stays behind that of the sweeps for silent ones.
				b := serveTLS(t, driver, &plexor.Server{Loops: 1, Clock: clock,
					Limits: plexor.Limits{FirstByte: 8 * time.Second, IdleTimeout: 8 * time.Hour}}, nil, h)
				shaken := int64(0)
				connect := func() (*tls.Conn, *halver) {
					hv := &halver{Conn: b.dial()}
					c := tls.Client(hv, b.client())
					t.Cleanup(func() { c.Close() })
					if err := c.Handshake(); err != nil {
						t.Fatal(err)
					}
					shaken++
					b.await("the handshake", func(s plexor.Stats) bool { return s.Handshakes == shaken })
					return c, hv
				}
				busy, _ := connect()
				step := func(seconds int) {
					for range seconds {
						clock.Advance(time.Second)
						send(t, busy, "X\n")
						want(t, busy, "X\n")
					}
				}
				first, _ := connect() // keeps the sweeps going, so that their count grows
				step(20)
				wantEnd(t, first)
				second, hv := connect()
				step(3)
				hv.mu.Lock()
				hv.on = true
				hv.mu.Unlock()
				send(t, second, "HALF\n")
				step(3)
				if s := b.Stats(); s.Silent != 1 || s.Conns != 2 {
					t.Fatalf("6 s after the handshake: %+v, want one silent, the first", s)
				}
				if _, err := hv.Conn.Write(hv.rest); err != nil {
					t.Fatal(err)
				}
				want(t, second, "HALF\n")
				third, hv := connect()
				step(3)
				hv.mu.Lock()
				hv.on = true
				hv.mu.Unlock()
				send(t, third, "HALF\n")
				step(7)
				wantEnd(t, third)
				if s := b.Stats(); s.Silent != 2 || s.Idle != 0 {
					t.Errorf("in the end: %s, want 2 silent", fmt.Sprintf("%+v", s))
				}
			})
		})
	}
}
