package plexor_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// lingerer is what can be told to reset.
type lingerer interface {
	Write([]byte) (int, error)
	SetLinger(int) error
	Close() error
}

// TestSetLinger: after SetLinger(0) what Close finds unsent is discarded and the peer has a reset; after SetLinger(-1)
// it has all and the end; and a time, for which close(2) would hold its thread, is refused.
func TestSetLinger(t *testing.T) {
	eachBorrower(t, func(t *testing.T) {
		eachMessagePlace(t, func(t *testing.T, p place) {
			if p.addr != "tcp://127.0.0.1:0" && p.addr != tlsAddr {
				return // a unix socket has no reset: TestConnOptions
			}
			for name, end := range map[string]func(t *testing.T, c *plexor.Conn, end func(lingerer)){
				"Conn":   func(_ *testing.T, c *plexor.Conn, end func(lingerer)) { end(c) },
				"return": func(_ *testing.T, c *plexor.Conn, end func(lingerer)) { end(returns{c}) },
				"Shared": func(_ *testing.T, c *plexor.Conn, end func(lingerer)) {
					sh := c.Shared()
					go end(sh.(lingerer))
				},
				"before Shared": func(t *testing.T, c *plexor.Conn, end func(lingerer)) {
					if err := c.SetLinger(0); err != nil {
						t.Errorf("SetLinger: %v", err)
					}
					sh := c.Shared()
					go end(sh.(lingerer))
				},
			} {
				t.Run(name, func(t *testing.T) {
					for _, sec := range []int{0, -1} {
						b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
							_, _ = c.Read(make([]byte, 1))
							end(t, c, func(l lingerer) {
								if err := l.SetLinger(3); !errors.Is(err, errors.ErrUnsupported) {
									t.Errorf("SetLinger(3): %v, want one that is ErrUnsupported", err)
								}
								if err := l.SetLinger(sec); err != nil {
									t.Errorf("SetLinger: %v", err)
								}
								if _, err := l.Write([]byte("all")); err != nil {
									t.Errorf("Write: %v", err)
								}
								if err := l.Close(); err != nil {
									t.Errorf("Close: %v", err)
								}
							})
						}))
						client := b.dialMessages()
						send(t, client, "!")
						got, err := io.ReadAll(client)
						cut := b.tls && err == nil // its close_notify was there before the reset
						if sec == 0 && !cut && !errors.Is(err, syscall.ECONNRESET) {
							t.Errorf("after SetLinger(0): %q, %v, want a reset", got, err)
						}
						if sec < 0 && (string(got) != "all" || err != nil) {
							t.Errorf("after SetLinger(-1): %q, %v, want all and the end", got, err)
						}
						client.Close()
						b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 })
					}
				})
			}
		})
	})
}

// returns is a connection whose handler returns in place of Close.
type returns struct{ *plexor.Conn }

func (returns) Close() error { return nil }

// TestAcceptedLinger: the same for what Accept returns, with the deadline that libraries set before.
func TestAcceptedLinger(t *testing.T) {
	eachBorrower(t, func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			if p.addr != "tcp://127.0.0.1:0" {
				return
			}
			b, server, client := accepted(t, p, &plexor.Server{})
			if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			send(t, server, "some")
			if err := server.(interface{ SetLinger(int) error }).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client: %v, want a reset", err)
			}
			b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 })
			if _, err := server.Write(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after Close: %v", err)
			}
		})
	})
}
