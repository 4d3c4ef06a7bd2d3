package web_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/web"
)

// TestClientHTTP2Conns: the connection that agrees on HTTP/2 serves the request that it was opened for, and all others;
// with NoKeepAlive each has its own. Over TLS, and in plain text by prior knowledge.
func TestClientHTTP2Conns(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for _, once := range []bool{false, true} {
			t.Run(fmt.Sprintf("plain %v, once %v", plain, once), func(t *testing.T) {
				var conns atomic.Int32
				srv := httptest.NewUnstartedServer(echoHandler())
				srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateNew {
						conns.Add(1)
					}
				}
				o := web.ClientOptions{HTTP2: true, H2C: plain, NoKeepAlive: once}
				if plain {
					srv.Config.Protocols = new(http.Protocols)
					srv.Config.Protocols.SetUnencryptedHTTP2(true)
					srv.Start()
				} else {
					srv.EnableHTTP2 = true
					srv.StartTLS()
					o.TLS = srv.Client().Transport.(*http.Transport).TLSClientConfig
				}
				defer srv.Close()
				const requests = 5
				withClient(t, o, func(ctx context.Context, c *web.Client) error {
					client := &http.Client{Transport: c}
					for range requests {
						got, resp, err := fetch(ctx, client, "POST", srv.URL, strings.NewReader("abc"))
						if err != nil || got != "abc" || resp.ProtoMajor != 2 || (resp.TLS == nil) != plain {
							return fmt.Errorf("%q, %v, %w", got, resp, err)
						}
					}
					for c.Stats().Conns != map[bool]int{true: 0, false: 1}[once] {
						if err := coro.Yield(ctx); err != nil {
							return err
						}
					}
					c.CloseIdleConnections()
					if s := c.Stats(); s.Conns != 0 {
						t.Errorf("%+v behind CloseIdleConnections", s)
					}
					return nil
				})
				if want := map[bool]int32{true: requests, false: 1}[once]; conns.Load() != want {
					t.Errorf("%d connections, want %d", conns.Load(), want)
				}
			})
		}
	}
}

// TestClientHTTP2Bounds: connections of HTTP/2 count, and one that rests makes room for another host's.
func TestClientHTTP2Bounds(t *testing.T) {
	servers := make([]*httptest.Server, 3)
	for i := range servers {
		servers[i] = httptest.NewUnstartedServer(echoHandler())
		servers[i].EnableHTTP2 = true
		servers[i].StartTLS()
		defer servers[i].Close()
	}
	o := web.ClientOptions{HTTP2: true, Conns: 1, TLS: servers[0].Client().Transport.(*http.Transport).TLSClientConfig}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		return coro.Group(ctx, func(g *coro.Tasks) error {
			for i := range 12 {
				g.Go(func(ctx context.Context) error {
					_, resp, err := fetch(ctx, &http.Client{Transport: c}, "GET", servers[i%len(servers)].URL, nil)
					if err == nil && resp.ProtoMajor != 2 {
						t.Error(resp.Proto)
					}
					if s := c.Stats(); s.Conns > 1 {
						t.Errorf("%+v", s)
					}
					return err
				})
			}
			return nil
		})
	})
}

// TestClientHTTP2Upgrade: a request for another protocol has a connection of HTTP/1.1, whatever the host speaks.
func TestClientHTTP2Upgrade(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Proto", r.Proto)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	o := web.ClientOptions{HTTP2: true, TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		for _, upgrade := range []bool{false, true, false} {
			req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			if err != nil {
				return err
			}
			if upgrade {
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", "websocket")
			}
			resp, err := c.RoundTrip(req)
			if err != nil {
				return err
			}
			if got := resp.Header.Get("X-Proto"); (got == "HTTP/1.1") != upgrade {
				t.Errorf("upgrade %v: %s", upgrade, got)
			}
			_ = resp.Body.Close()
		}
		return nil
	})
}

// Frames of HTTP/2 (RFC 9113, section 6).
const (
	h2Headers  = 1
	h2Reset    = 3
	h2Settings = 4
	h2GoAway   = 7
)

// An h2Peer is a server of HTTP/2 that answers each request, the first in one way, and later ones with 200.
type h2Peer struct {
	first func(nc net.Conn, stream uint32)
	asked atomic.Int32
}

func h2Frame(nc net.Conn, kind, flags byte, stream uint32, payload ...byte) {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = binary.BigEndian.AppendUint32(append(b, flags), stream)
	_, _ = nc.Write(append(b, payload...))
}

func (p *h2Peer) serve(nc net.Conn) {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	h2Frame(nc, h2Settings, 0, 0)
	for {
		var head [9]byte
		if _, err := io.ReadFull(nc, head[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(head[:])>>8)); err != nil {
			return
		}
		stream := binary.BigEndian.Uint32(head[5:])
		switch {
		case head[3] != h2Headers:
		case p.asked.Add(1) == 1:
			p.first(nc, stream)
		default:
			h2Frame(nc, h2Headers, 1|4, stream, 0x88) // :status 200, and the end
		}
	}
}

// TestClientHTTP2Untouched: what the server says that it has not begun is sent again, a POST too, unless that is off;
// what it may have begun is not.
func TestClientHTTP2Untouched(t *testing.T) {
	reset := func(code byte) func(net.Conn, uint32) {
		return func(nc net.Conn, stream uint32) { h2Frame(nc, h2Reset, 0, stream, 0, 0, 0, code) }
	}
	goAway := func(nc net.Conn, _ uint32) { h2Frame(nc, h2GoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) }
	for _, row := range []struct {
		name  string
		first func(net.Conn, uint32)
		no    bool
		again bool
	}{
		{"refused", reset(7), false, true}, {"refused, and no retry", reset(7), true, false},
		{"cancelled", reset(8), false, false}, {"gone away", goAway, false, true},
		{"gone away, and no retry", goAway, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			p := &h2Peer{first: row.first}
			var conns sync.WaitGroup
			conns.Go(func() {
				for {
					nc, err := ln.Accept()
					if err != nil {
						return
					}
					conns.Go(func() { p.serve(nc) })
				}
			})
			withClient(t, web.ClientOptions{H2C: true, NoRetry: row.no}, func(ctx context.Context, c *web.Client) error {
				_, resp, err := fetch(ctx, &http.Client{Transport: c}, "POST", "http://"+ln.Addr().String(), nil)
				if row.again != (err == nil) || err == nil && resp.StatusCode != http.StatusOK || errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
				return nil
			})
			_ = ln.Close()
			conns.Wait()
			if want := map[bool]int32{true: 2, false: 1}[row.again]; p.asked.Load() != want {
				t.Errorf("%d requests, want %d", p.asked.Load(), want)
			}
		})
	}
}
