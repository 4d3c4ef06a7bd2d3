package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/web"
)

// TestClientRefusals: a request that can't be sent leaves its connection to the next.
func TestClientRefusals(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	withClient(t, web.ClientOptions{ConnsPerHost: 1}, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		for i := range 3 {
			req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			if err != nil {
				return err
			}
			req.Header["A"] = []string{"b\r\nc: d"}
			if _, err := c.RoundTrip(req); err == nil {
				t.Error("it was sent")
			}
			if _, _, err := fetch(ctx, client, "GET", srv.URL, nil); err != nil {
				return err
			}
			if s := c.Stats(); s.Conns != 1 {
				t.Errorf("%d: %+v", i, s)
			}
		}
		return nil
	})
}

// TestClientUnsendable: nothing is opened for a request that can't be sent.
func TestClientUnsendable(t *testing.T) {
	o := web.ClientOptions{Dial: func(context.Context, string) (*plexor.Conn, error) {
		t.Error("it was dialled")
		return nil, errors.New("dialled")
	}}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		for name, spoil := range map[string]func(*http.Request){
			"field": func(r *http.Request) { r.Header["A"] = []string{"b\r\nc: d"} },
			"name":  func(r *http.Request) { r.Header["A b"] = []string{"c"} },
			"host":  func(r *http.Request) { r.Host = "a b" },
			"path":  func(r *http.Request) { r.URL.Opaque = "/a\r\nb" },
			"query": func(r *http.Request) { r.URL.RawQuery = "a b\n" },

			"method":        func(r *http.Request) { r.Method = "GET /" },
			"trailer":       func(r *http.Request) { r.Trailer = http.Header{"A": {"b\r\nc: d"}} },
			"trailer, name": func(r *http.Request) { r.Trailer = http.Header{"Content-Length": {"1"}} },
		} {
			req, err := http.NewRequestWithContext(ctx, "GET", "http://a.test/", nil)
			if err != nil {
				return err
			}
			spoil(req)
			if _, err := c.RoundTrip(req); err == nil {
				t.Errorf("%s: it was sent", name)
			}
			if s := c.Stats(); s.Conns != 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		return nil
	})
}

// TestClientIdleBounds: as many connections rest as may, in all and of a host, and it is those that were used last.
func TestClientIdleBounds(t *testing.T) {
	servers := make([]*httptest.Server, 5)
	for i := range servers {
		servers[i] = httptest.NewServer(echoHandler())
		defer servers[i].Close()
	}
	withClient(t, web.ClientOptions{Idle: 3}, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		peers := make(map[string]string)
		for i, row := range []struct {
			server int
			again  bool // on the connection of the last time
		}{
			{0, false}, {1, false}, {2, false}, {0, true}, {3, false}, {1, false}, {0, true}, {3, true}, {1, true}, {2, false},
		} {
			srv := servers[row.server].URL
			_, resp, err := fetch(ctx, client, "POST", srv, nil)
			if err != nil {
				return err
			}
			peer := resp.Header.Get("X-Peer")
			if (peer == peers[srv]) != row.again {
				t.Errorf("%d: server %d by %s, the last time by %s", i, row.server, peer, peers[srv])
			}
			if peers[srv] = peer; c.Stats().Idle > 3 {
				t.Errorf("%d: %+v", i, c.Stats())
			}
		}
		return nil
	})
}

// TestClientBounds: bodies that are too long, as they come or inflated, are errors.
func TestClientBounds(t *testing.T) {
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	o := web.ClientOptions{MostInflated: 1 << 20, MostBody: 1 << 20}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		client := &http.Client{Transport: c}
		for _, n := range []int{1 << 20, 1<<20 + 1} {
			got, _, err := fetch(ctx, client, "POST", srv.URL, bytes.NewReader(make([]byte, n)))
			if (n > 1<<20) != errors.Is(err, web.ErrBodyTooLong) || len(got) != 1<<20 {
				t.Errorf("%d: %d bytes, %v", n, len(got), err)
			}
		}
		got, resp, err := fetch(ctx, client, "GET", srv.URL+"/gzip", nil)
		if err != nil || len(got) != 1<<20 || !resp.Uncompressed {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	})
	withClient(t, web.ClientOptions{MostInflated: 1<<20 - 1}, func(ctx context.Context, c *web.Client) error {
		got, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", srv.URL+"/gzip", nil)
		if !errors.Is(err, web.ErrBodyTooLong) || len(got) != 1<<20-1 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	})
}

// TestClientBesideStuckCalls: as many calls of the user's as there can be at once are stuck on the loop, and requests
// go out, whatever has to be done for them on a goroutine.
func TestClientBesideStuckCalls(t *testing.T) {
	t.Parallel()
	const stuck = 70 // more than the bound
	plain := httptest.NewUnstartedServer(echoHandler())
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	defer plain.Close()
	secure := httptest.NewTLSServer(echoHandler())
	defer secure.Close()
	p := newTestProxy(t, secure.Listener.Addr().String(), false)
	p.tls.Store(secure.TLS)
	trust := secure.Client().Transport.(*http.Transport).TLSClientConfig
	_, port, _ := net.SplitHostPort(plain.Listener.Addr().String())
	for _, row := range []struct {
		name, url string
		o         web.ClientOptions
	}{
		{"a name that is not ASCII", "http://bücher.example:" + port, web.ClientOptions{}},
		{"HTTP/2", plain.URL, web.ClientOptions{HTTP2: true, H2C: true}},
		{"TLS in TLS", "https://example.com/", web.ClientOptions{TLS: trust,
			Proxy: http.ProxyURL(&url.URL{Scheme: "https", Host: p.ln.Addr().String()})}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.Dialer.Lookup = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			withClient(t, row.o, func(ctx context.Context, c *web.Client) error {
				return coro.Group(ctx, func(g *coro.Tasks) error {
					release := make(chan struct{})
					defer close(release)
					for range stuck {
						g.Go(func(ctx context.Context) error {
							_, err := coro.Await(ctx, func() (int, error) { <-release; return 0, nil })
							return err
						})
					}
					for range 20 { // they begin
						if err := coro.Yield(ctx); err != nil {
							return err
						}
					}
					got, _, err := fetch(ctx, &http.Client{Transport: c}, "POST", row.url, strings.NewReader("x"))
					if err == nil && got != "x" {
						err = fmt.Errorf("the answer is %q", got)
					}
					return err
				})
			})
		})
	}
}

// TestClientElsewhere: a goroutine that uses the Client, or an answer's body, is told so.
func TestClientElsewhere(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(echoHandler())
	defer srv.Close()
	withClient(t, web.ClientOptions{}, func(ctx context.Context, c *web.Client) error {
		req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/slow", nil)
		if err != nil {
			return err
		}
		resp, err := c.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = coro.Await(ctx, func() (int, error) {
			if _, err := c.RoundTrip(req); !errors.As(err, new(*coro.MisuseError)) {
				t.Errorf("RoundTrip: %v", err)
			}
			_, err := io.ReadAll(resp.Body)
			if !errors.As(err, new(*coro.MisuseError)) {
				t.Errorf("Read: %v", err)
			}
			return 0, nil
		})
		return err
	})
	if _, err := web.NewClient(t.Context(), web.ClientOptions{}); !errors.As(err, new(*coro.MisuseError)) {
		t.Errorf("NewClient: %v", err)
	}
}
