package plexor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/certs"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A dialling is a client's connection on its way, as Dial makes it.
type dialling struct {
	loop.Base
	c     *Conn
	ended coro.Event
}

func (d *dialling) Opened(lc *loop.Conn) {
	lc.SetHandler((*events)(d.c))
	d.c.raw.peer = peerOf(lc)
	d.ended.Set()
}

// dialled runs f on a connection to addr, on a loop of its own, and returns its error.
func dialled(t *testing.T, driver, addr string, f func(ctx context.Context, ep *endpoint, c *Conn) error) error {
	t.Helper()
	l, err := loop.New(loop.Options{Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	defer func() {
		if err := errors.Join(l.Close(), <-ended); err != nil {
			t.Error(err)
		}
	}()
	s := coro.On(l)
	_, err = coro.Call(context.Background(), s, "client", func(ctx context.Context) (struct{}, error) {
		ep, err := parseEndpoint(addr)
		if err != nil {
			return struct{}{}, err
		}
		d := &dialling{c: new(Conn)}
		lc, err := l.Dial(ep.addr, sock.Options{}, 0, d)
		if err != nil {
			return struct{}{}, err
		}
		d.c.raw = stream{lc: lc, w: workerOn(s), above: started}
		if err := d.ended.Wait(ctx); err != nil {
			return struct{}{}, err
		}
		defer d.c.raw.abort(loop.ErrAborted)
		return struct{}{}, f(ctx, ep, d.c)
	})
	return err
}

// TestTLSClient: the client's side trusts whom it is told to, and says why if not.
func TestTLSClient(t *testing.T) {
	t.Parallel()
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			srv := &Server{Driver: d.Name, Handler: HandlerFunc(func(c *Conn) {
				io.Copy(c, c)
				fmt.Fprint(c, "!")
			})}
			defer srv.Close()
			a, err := srv.Open("tls://127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := srv.Open("tcp://127.0.0.1:0", GreeterFunc(func(c *Conn) {
				fmt.Fprint(c, "220 hello\r\n")
				io.Copy(io.Discard, c)
			}))
			if err != nil {
				t.Fatal(err)
			}
			_, fp := srv.SelfSigned()
			wrong := sha256.Sum256(nil)
			for _, row := range []struct{ name, addr, says string }{
				{"pinned", "tls://" + a.String() + "?fingerprint=" + fp, ""},
				{"pinned in small letters",
					"tls://" + a.String() + "?fingerprint=" + strings.ToLower(strings.ReplaceAll(fp, ":", "")), ""},
				{"another one pinned",
					"tls://" + a.String() + "?fingerprint=" + certs.Colons(wrong[:]), "has the fingerprint " + fp},
				{"nobody vouches", "tls://" + a.String(), "the certificate of the server was refused"},
				{"no pin", "tls://" + a.String() + "?fingerprint=AB", "no SHA-256"},
				{"no TLS", "tls://" + plain.String(), "11 bytes were there before it began"},
			} {
				t.Run(row.name, func(t *testing.T) {
					err := dialled(t, d.Name, row.addr, func(ctx context.Context, ep *endpoint, c *Conn) error {
						if row.name == "no TLS" {
							c.raw.await(mustSelf(c)) // its greeting is there
						}
						if err := ep.clientTLS(ctx, c, nil); err != nil {
							return err
						}
						if !c.TLS() {
							t.Error("no TLS")
						}
						sent := strings.Repeat("hello", 100_000)
						g := coro.Group(ctx, func(g *coro.Tasks) error {
							g.Go(func(context.Context) error {
								_, err := io.WriteString(c, sent)
								return errors.Join(err, c.CloseWrite())
							})
							got, err := io.ReadAll(c)
							if err == nil && string(got) != sent+"!" {
								err = fmt.Errorf("%d bytes came back of %d", len(got), len(sent)+1)
							}
							return err
						})
						return errors.Join(g, c.Close())
					})
					if row.says == "" && err != nil || row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)) {
						t.Errorf("%v, want %q", err, row.says)
					}
				})
			}
			t.Run("cancelled", func(t *testing.T) {
				err := dialled(t, d.Name, "tls://"+plain.String(), func(ctx context.Context, ep *endpoint, c *Conn) error {
					if _, err := c.Read(make([]byte, 100)); err != nil { // then it says no more
						return err
					}
					ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
					defer cancel()
					return ep.clientTLS(ctx, c, &tls.Config{InsecureSkipVerify: true})
				})
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a handshake with nobody: %v, want os.ErrDeadlineExceeded", err)
				}
			})
		})
	}
}

func mustSelf(c *Conn) *coro.Task {
	t, err := c.raw.self("test")
	if err != nil {
		panic(err)
	}
	return t
}
