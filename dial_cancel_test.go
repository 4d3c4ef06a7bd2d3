package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestDialCancelled: Dial whose task is cancelled before it begins, while the name is looked up, and so many turns of
// the loop later: while it connects, shakes hands, is done. It fails with the cause and leaves nothing open, or the
// connection is as good as any.
func TestDialCancelled(t *testing.T) {
	cert := newAuthority(t, "nobody").issue("nobody")
	for _, scheme := range []string{"tcp", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					if scheme == "tls" {
						c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
					}
					go func() {
						defer c.Close()
						_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // the client looks at what it gets
					}()
				}
			}()
			_, port, err := net.SplitHostPort(ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			address := fmt.Sprintf("%s://name.test:%s", scheme, port)
			eachLoop(t, func(t *testing.T, ctx context.Context) {
				const before, lookingUp = -2, -1
				failed, made := 0, 0
				for turns := before; turns < 40; turns++ {
					looks := make(chan struct{}, 1)
					d := &plexor.Dialer{
						TLS: &tls.Config{InsecureSkipVerify: true},
						Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
							looks <- struct{}{}
							if turns == lookingUp {
								<-ctx.Done()
								return nil, ctx.Err()
							}
							return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
						},
					}
					var c *plexor.Conn
					err := coro.Group(ctx, func(g *coro.Tasks) error {
						var err error
						subject := g.Go(func(ctx context.Context) error {
							c, err = d.Dial(ctx, address)
							return nil
						})
						if turns != before {
							if _, err := coro.Await(ctx, func() (struct{}, error) { return <-looks, nil }); err != nil {
								return err
							}
							for range turns {
								if err := coro.Sleep(ctx, 1); err != nil {
									return err
								}
							}
						}
						subject.Cancel(errCut)
						if ended := subject.Wait(ctx); ended != nil { // it did not begin
							return ended
						}
						return err
					})
					switch {
					case err == nil && c == nil:
						t.Errorf("cancelled after %d turns: neither a connection nor an error", turns)
					case err == nil && turns < 0:
						t.Errorf("cancelled after %d turns: a connection", turns)
					case err == nil:
						made++
						sayHello(t, c)
					case !errors.Is(err, errCut):
						t.Errorf("cancelled after %d turns: %v, want %v", turns, err, errCut)
					default:
						failed++
					}
				}
				t.Logf("%d failed, %d were made", failed, made)
			})
		})
	}
}
