package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// upgrade is a server that speaks plain text until it is asked for TLS, then upper case.
func upgrade(cfg *tls.Config, errs chan<- error) plexor.Handler {
	return plexor.HandlerFunc(func(c *plexor.Conn) {
		errs <- func() error {
			p := make([]byte, len("STARTTLS\n"))
			if _, err := io.ReadFull(c, p); err != nil {
				return err
			}
			if c.TLS() || c.ConnectionState().HandshakeComplete {
				return errors.New("TLS before StartTLS")
			}
			fmt.Fprint(c, "go on\n")
			if err := c.StartTLS(cfg); err != nil {
				if _, werr := c.Write([]byte("secret")); werr == nil {
					return errors.New("after a failed upgrade plain text goes out")
				}
				if n, rerr := c.Read(p); rerr == nil {
					return fmt.Errorf("after a failed upgrade plain text came in: %q", p[:n])
				}
				return err
			}
			if !c.TLS() || c.ConnectionState().ServerName != "plexor.test" {
				return fmt.Errorf("after StartTLS: %v", c.ConnectionState())
			}
			plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
				return c.Send([]byte(strings.ToUpper(string(msg))))
			}).ServeConn(c)
			return nil
		}()
	})
}

// TestStartTLS: a connection goes on in TLS, and loses nothing of what the client sent with its last word of the
// handshake.
func TestStartTLS(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		ca := newAuthority(t, "theirs")
		errs := make(chan error, 1)
		b := place{driver, "tcp://127.0.0.1:0"}.serve(t, &plexor.Server{},
			upgrade(&tls.Config{Certificates: []tls.Certificate{ca.issue("plexor.test")}}, errs))
		raw := b.dial()
		send(t, raw, "STARTTLS\n")
		want(t, raw, "go on\n")
		c := tls.Client(raw, &tls.Config{RootCAs: ca.pool, ServerName: "plexor.test"})
		send(t, c, "hello\n")
		want(t, c, "HELLO\n")
		closeWrite(t, c)
		wantEnd(t, c)
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
	})
}

// TestStartTLSInjected: what came in plain text behind the command is refused, and is not taken for what the client
// says in TLS (CVE-2011-0411). Nothing goes in plain text any more.
func TestStartTLSInjected(t *testing.T) {
	for _, row := range []struct {
		name, behind string
		is           error
	}{
		{"a command", "MAIL FROM:<mallory>\r\n", plexor.ErrPlaintext},
		{"a byte", "\n", plexor.ErrPlaintext},
		{"what looks like TLS", "\x16\x03\x01\x00\x05hello", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				ca := newAuthority(t, "theirs")
				errs := make(chan error, 1)
				b := place{driver, "tcp://127.0.0.1:0"}.serve(t, &plexor.Server{},
					upgrade(&tls.Config{Certificates: []tls.Certificate{ca.issue("plexor.test")}}, errs))
				raw := b.dial()
				send(t, raw, "STARTTLS\n"+row.behind)
				want(t, raw, "go on\n")
				c := tls.Client(raw, &tls.Config{RootCAs: ca.pool, ServerName: "plexor.test"})
				if err := c.Handshake(); err == nil {
					t.Error("the client's handshake went well")
				}
				err := receive(t, errs, "the handler")
				if h, ok := errors.AsType[*plexor.HandshakeError](err); !ok || row.is != nil && !errors.Is(err, row.is) {
					t.Errorf("StartTLS: %v (%v), want a HandshakeError that is %v", err, h, row.is)
				}
			})
		})
	}
}

// TestStartTLSWrongUse: an upgrade while others use the connection is refused and changes nothing; others are refused
// while it is under way.
func TestStartTLSWrongUse(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		ca := newAuthority(t, "theirs")
		cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue("plexor.test")}}
		errs := make(chan error, 1)
		b := place{driver, "tcp://127.0.0.1:0"}.serve(t,
			&plexor.Server{Limits: plexor.Limits{HandshakeTimeout: 100 * time.Millisecond}},
			plexor.GreeterFunc(func(c *plexor.Conn) {
				errs <- func() error {
					if err := c.StartTLS(nil); err == nil {
						return errors.New("StartTLS(nil) went well")
					}
					err := coro.Group(c.Context(), func(g *coro.Tasks) error {
						ctx := c.Context()
						reader := g.Go(func(context.Context) error {
							_, err := io.ReadFull(c, make([]byte, 1))
							return err
						})
						if err := coro.Yield(ctx); err != nil {
							return err
						}
						if err := c.StartTLS(cfg); err == nil || !strings.Contains(err.Error(), "another coroutine") {
							return fmt.Errorf("StartTLS while another reads: %v", err)
						}
						fmt.Fprint(c, "1")
						return reader.Wait(ctx)
					})
					if err != nil {
						return err
					}
					return coro.Group(c.Context(), func(g *coro.Tasks) error {
						g.Go(func(context.Context) error {
							_, rerr := c.Read(make([]byte, 1))
							_, werr := c.Write([]byte("x"))
							_, serr := c.Shared().Read(nil)
							for _, err := range []error{rerr, werr, serr, c.CloseWrite()} {
								if !errors.Is(err, plexor.ErrHandshaking) {
									return fmt.Errorf("during the handshake: %v", err)
								}
							}
							return nil
						})
						if err := c.StartTLS(cfg); !errors.Is(err, os.ErrDeadlineExceeded) {
							return fmt.Errorf("StartTLS with a client that is silent: %v", err)
						}
						return nil
					})
				}()
			}))
		c := b.dial()
		want(t, c, "1")
		send(t, c, "2")
		if err := receive(t, errs, "the handler"); err != nil {
			t.Error(err)
		}
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d bytes in plain text", n)
		}
	})
}
