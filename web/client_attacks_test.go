package web_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/web"
)

// TestClientProxyLies: a proxy that says what no proxy says, or too much, or nothing, is an error that names it, within
// ConnectTime, and leaves no connection.
func TestClientProxyLies(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, row := range []struct {
		name, scheme string
		says         []string // one after each Read
		more         string   // without end behind it
	}{
		{"SOCKS, another version", "socks5", []string{"\x04\x00"}, ""},
		{"SOCKS, a method that was not offered", "socks5", []string{"\x05\x02"}, ""},
		{"SOCKS, no method", "socks5", []string{"\x05\xff"}, ""},
		{"SOCKS, an answer of another version", "socks5",
			[]string{"\x05\x00", "\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00"}, ""},
		{"SOCKS, an address of no kind", "socks5", []string{"\x05\x00", "\x05\x00\x00\x09\x00\x00\x00\x00\x00\x00"}, ""},
		{"SOCKS, a short answer", "socks5", []string{"\x05\x00", "\x05\x00\x00\x03\xff" + long[:100]}, ""},
		{"SOCKS, an unknown reason", "socks5", []string{"\x05\x00", "\x05\xee\x00\x01\x00\x00\x00\x00\x00\x00"}, ""},
		{"SOCKS by one that speaks HTTP", "socks5", []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, ""},
		{"CONNECT, no HTTP", "http", []string{"\x05\x00"}, ""},
		{"CONNECT, a head without end", "http", []string{"HTTP/1.1 200 OK\r\n"}, "A: " + long + "\r\n"},
		{"CONNECT, 1xx without end", "http", nil, "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"CONNECT, another protocol", "http", []string{"HTTP/1.1 101 Switching Protocols\r\n\r\n"}, ""},
		{"CONNECT, a redirect", "http", []string{"HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n"}, ""},
		{"CONNECT, a way to sign in", "http", []string{"HTTP/1.1 407 No\r\nContent-Length: 9\r\n\r\n"}, long},
		{"https, no TLS", "https", []string{"HTTP/1.1 200 OK\r\n\r\n"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var conns sync.WaitGroup
			conns.Go(func() {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				for _, s := range row.says {
					_, _ = nc.Read(make([]byte, 4096))
					_, _ = io.WriteString(nc, s)
				}
				for err := error(nil); err == nil && row.more != ""; {
					_, err = io.WriteString(nc, row.more)
				}
			})
			proxy := &url.URL{Scheme: row.scheme, Host: ln.Addr().String()}
			withClient(t, web.ClientOptions{Proxy: http.ProxyURL(proxy)}, func(ctx context.Context, c *web.Client) error {
				_, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", "https://server.test/", nil)
				if err == nil {
					t.Error("no error")
				}
				if s := c.Stats(); s.Conns != 0 {
					t.Errorf("%+v, %v", s, err)
				}
				return nil
			})
			_ = ln.Close()
			conns.Wait()
		})
	}
}

// TestClientProxySilent: ConnectTime bounds what a proxy may take.
func TestClientProxySilent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: the system does, and nothing is said
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, scheme := range []string{"http", "https", "socks5"} {
		proxy := &url.URL{Scheme: scheme, Host: ln.Addr().String()}
		o := web.ClientOptions{Proxy: http.ProxyURL(proxy), ConnectTime: 20 * time.Millisecond}
		withClient(t, o, func(ctx context.Context, c *web.Client) error {
			_, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", "https://server.test/", nil)
			if err == nil || ctx.Err() != nil || c.Stats().Conns != 0 {
				t.Errorf("%s: %v, %+v", scheme, err, c.Stats())
			}
			return nil
		})
	}
}

// TestClientSecrets: http.Client on ours sends what is for one host to no other on a redirect.
func TestClientSecrets(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			_, port, _ := net.SplitHostPort(r.Host)
			http.Redirect(w, r, "http://"+to+":"+port+"/", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+r.Header.Get("Cookie"))
	}))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	var o web.ClientOptions
	o.Dialer.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		for to, want := range map[string]string{"a.test": "secretcookie=1", "b.test": ""} {
			req, err := http.NewRequestWithContext(ctx, "GET", "http://a.test:"+port+"/?to="+to, nil)
			if err != nil {
				return err
			}
			req.Header.Set("Authorization", "secret")
			req.Header.Set("Cookie", "cookie=1")
			resp, err := (&http.Client{Transport: c}).Do(req)
			if err != nil {
				return err
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", to, got, err, want)
			}
			_ = resp.Body.Close()
		}
		return nil
	})
}
