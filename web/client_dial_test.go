package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

// TestClientDial: ClientOptions.Dial connects where it likes, and has the values of the request's context.
func TestClientDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Skip("no Unix sockets here: ", err)
	}
	srv := httptest.NewUnstartedServer(echoHandler())
	_ = srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	defer srv.Close()
	type key struct{}
	o := web.ClientOptions{Dial: func(ctx context.Context, addr string) (*plexor.Conn, error) {
		if ctx.Value(key{}) != "value" || addr != "docker:80" {
			t.Errorf("%v, %s", ctx.Value(key{}), addr)
		}
		return plexor.Dial(ctx, (&url.URL{Scheme: "unix", Path: path}).String())
	}}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		ctx = context.WithValue(ctx, key{}, "value")
		_, resp, err := fetch(ctx, &http.Client{Transport: c}, "GET", "http://docker/", nil)
		if err == nil && resp.StatusCode != http.StatusOK {
			t.Error(resp.Status)
		}
		return err
	})
}

// TestClientLookup: names are looked up with the values of the request's context, and its hooks are called once.
func TestClientLookup(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	type key struct{}
	var o web.ClientOptions
	o.Dialer.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
		if ctx.Value(key{}) != "value" || name != "a.test" || httptrace.ContextClientTrace(ctx) != nil {
			t.Errorf("%v, %s, hooks %v", ctx.Value(key{}), name, httptrace.ContextClientTrace(ctx) != nil)
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		ctx = httptrace.WithClientTrace(context.WithValue(ctx, key{}, "value"), &httptrace.ClientTrace{
			ConnectStart: func(_, addr string) {
				if addr != srv.Listener.Addr().String() {
					t.Error(addr)
				}
			},
		})
		_, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", "http://a.test:"+port, nil)
		return err
	})
}

// TestClientLateConn: a request for which a connection is being opened takes one that comes free before.
func TestClientLateConn(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	var dials int
	gate, begun := new(coro.Event), new(coro.Event)
	o := web.ClientOptions{Dial: func(ctx context.Context, addr string) (*plexor.Conn, error) {
		if dials++; dials > 1 {
			begun.Set()
			if err := gate.Wait(ctx); err != nil {
				return nil, err
			}
		}
		return plexor.Dial(ctx, "tcp://"+addr)
	}}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		req, err := http.NewRequestWithContext(ctx, "POST", srv.URL, strings.NewReader("x"))
		if err != nil {
			return err
		}
		first, err := client.Do(req)
		if err != nil {
			return err
		}
		err = coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(func(ctx context.Context) error {
				if err := begun.Wait(ctx); err != nil {
					return err
				}
				_, err := io.Copy(io.Discard, first.Body)
				return err
			})
			g.Go(func(ctx context.Context) error {
				_, resp, err := fetch(ctx, client, "GET", srv.URL, nil)
				if err == nil && resp.Header.Get("X-Peer") != first.Header.Get("X-Peer") {
					t.Error("it waited for the other connection")
				}
				return err
			})
			return nil
		})
		gate.Set()
		return err
	})
}

// TestClientCancelInDial: a request that ends while its connection is being opened leaves nothing behind.
func TestClientCancelInDial(t *testing.T) {
	why := errors.New("why")
	for _, how := range []string{"context", "Cancel"} {
		t.Run(how, func(t *testing.T) {
			begun := new(coro.Event)
			o := web.ClientOptions{Dial: func(ctx context.Context, _ string) (*plexor.Conn, error) {
				begun.Set()
				return nil, new(coro.Event).Wait(ctx)
			}}
			withClient(t, o, func(ctx context.Context, c *web.Client) error {
				ended, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				canceled := make(chan struct{})
				req, err := http.NewRequestWithContext(ended, "GET", "http://a.test/", nil)
				if err != nil {
					return err
				}
				want, end := why, func() { cancel(why) }
				if how == "Cancel" {
					want, end = http1.ErrCanceled, func() { close(canceled) }
					//lint:ignore SA1019 it has to work all the same
					req.Cancel = canceled
				}
				err = coro.Group(ctx, func(g *coro.Tasks) error {
					g.Go(func(ctx context.Context) error {
						err := begun.Wait(ctx)
						end()
						return err
					})
					g.Go(func(context.Context) error {
						if _, err := c.RoundTrip(req); !errors.Is(err, want) {
							t.Errorf("%v, want %v", err, want)
						}
						return nil
					})
					return nil
				})
				for c.Stats().Conns > 0 {
					if err := coro.Yield(ctx); err != nil {
						return err
					}
				}
				return err
			})
		})
	}
}

// TestClientNames: names that are not ASCII are for people; DNS, the server and a proxy see them in ASCII.
func TestClientNames(t *testing.T) {
	var host atomic.Pointer[string]
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host.Store(&r.Host) }))
	defer srv.Close()
	var o web.ClientOptions
	o.Dialer.Lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		if name != "xn--bcher-kva.example" {
			t.Error(name)
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		for _, name := range []string{"bücher.example", "BÜCHER.example", "xn--bcher-kva.example"} {
			req, err := http.NewRequestWithContext(ctx, "GET", "http://"+name+":"+port, nil)
			if err != nil {
				return err
			}
			resp, err := c.RoundTrip(req)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if want := "xn--bcher-kva.example:" + port; *host.Load() != want || resp.Request != req {
				t.Errorf("%s: Host %s, want %s", name, *host.Load(), want)
			}
			_ = resp.Body.Close()
		}
		for _, name := range []string{"http://bücher-\u2028/", "http://a\u00ad\u2488b/"} {
			if _, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", name, nil); err == nil {
				t.Errorf("%q: no error", name)
			}
		}
		return nil
	})
}
