package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plexor-go/plexor/web"
)

// A testProxy is an HTTP and a SOCKS proxy, of package net, which brings everybody to one server, whatever it is asked
// for, and notes what that was.
type testProxy struct {
	ln    net.Listener
	to    string
	socks bool
	tls   atomic.Pointer[tls.Config] // nil: it is spoken to in plain text
	mu    sync.Mutex
	asked []string
}

func newTestProxy(t *testing.T, to string, socks bool) *testProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &testProxy{ln: ln, to: to, socks: socks}
	var conns sync.WaitGroup
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer nc.Close()
				if cfg := p.tls.Load(); cfg != nil {
					nc = tls.Server(nc, cfg)
				}
				if p.socks {
					p.serveSocks(nc)
				} else {
					p.serveHTTP(nc)
				}
			})
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
		conns.Wait()
	})
	return p
}

func (p *testProxy) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, s)
}

func (p *testProxy) serveHTTP(nc net.Conn) {
	r := bufio.NewReader(nc)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	p.note(req.Method + " " + req.RequestURI + " " + req.Header.Get("Proxy-Authorization"))
	switch {
	case strings.HasPrefix(req.Host, "forbidden"):
		_, _ = io.WriteString(nc, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
	case strings.HasPrefix(req.Host, "ahead"):
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\nahead")
		_, _ = io.Copy(io.Discard, r)
	case req.Method == "CONNECT":
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n") // which is to be ignored
		p.tunnel(nc, r)
	default:
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied")
	}
}

func (p *testProxy) tunnel(nc net.Conn, r io.Reader) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() {
		_, _ = io.Copy(up, r)
		_ = up.Close()
	}()
	_, _ = io.Copy(nc, up)
}

func (p *testProxy) serveSocks(nc net.Conn) {
	b := make([]byte, 256)
	read := func(n int) []byte { _, _ = io.ReadFull(nc, b[:n]); return b[:n] }
	methods := read(int(read(2)[1]))
	if slices.Contains(methods, 2) {
		_, _ = nc.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		p.note(user + ":" + password)
		if password != "secret" {
			_, _ = nc.Write([]byte{1, 1})
			return
		}
		_, _ = nc.Write([]byte{1, 0})
	} else {
		_, _ = nc.Write([]byte{5, 0})
	}
	host := ""
	switch read(4)[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	read(2)
	p.note(host)
	if strings.HasPrefix(host, "forbidden") {
		_, _ = nc.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	_, _ = nc.Write([]byte{5, 0, 0, 3, 4, 'n', 'a', 'm', 'e', 0, 1})
	p.tunnel(nc, nc)
}

// TestClientProxies: HTTP's proxies, with whole URLs and with CONNECT, and SOCKS's, with passwords; those that refuse,
// and one that sends bytes into a tunnel before TLS, which are never taken for what the server says.
func TestClientProxies(t *testing.T) {
	plain := httptest.NewServer(echoHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(echoHandler())
	defer secure.Close()
	for _, row := range []struct {
		name, scheme, user, url string
		want, err               string
		asked                   []string
	}{
		{"whole URL", "http", "u:p@", "http://example.com/a", "proxied", "",
			[]string{"POST http://example.com/a Basic dTpw"}},
		{"CONNECT", "http", "u:p@", "https://example.com/a", "x", "", []string{"CONNECT example.com:443 Basic dTpw"}},
		{"CONNECT, refused", "http", "", "https://forbidden/", "", "403", []string{"CONNECT forbidden:443 "}},
		{"CONNECT, and bytes behind it", "http", "", "https://ahead/", "", "behind its answer",
			[]string{"CONNECT ahead:443 "}},
		{"SOCKS", "socks5", "", "http://example.com/a", "x", "", []string{"example.com"}},
		{"SOCKS, an address", "socks5", "", "http://[::1]:8/a", "x", "", []string{"::1"}},
		{"SOCKS, IPv4", "socks5", "", "http://127.0.0.2:8/a", "x", "", []string{"127.0.0.2"}},
		{"SOCKS and TLS", "socks5h", "u:secret@", "https://example.com/a", "x", "", []string{"u:secret", "example.com"}},
		{"SOCKS, a wrong password", "socks5", "u:p@", "http://example.com/a", "", "password", []string{"u:p"}},
		{"SOCKS, refused", "socks5", "", "http://forbidden/a", "", "not allowed", []string{"forbidden"}},
		{"https, whole URL", "https", "u:p@", "http://example.com/a", "proxied", "",
			[]string{"POST http://example.com/a Basic dTpw"}},
		{"https, CONNECT: TLS in TLS", "https", "u:p@", "https://example.com/a", "x", "",
			[]string{"CONNECT example.com:443 Basic dTpw"}},
		{"https, refused", "https", "", "https://forbidden/", "", "403", []string{"CONNECT forbidden:443 "}},
		{"another scheme", "ftp", "", "http://example.com/", "", "scheme", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			to := plain.Listener.Addr().String()
			if strings.HasPrefix(row.url, "https") {
				to = secure.Listener.Addr().String()
			}
			p := newTestProxy(t, to, strings.HasPrefix(row.scheme, "socks"))
			if row.scheme == "https" {
				p.tls.Store(secure.TLS)
			}
			u, err := url.Parse(row.scheme + "://" + row.user + p.ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			o := web.ClientOptions{Proxy: http.ProxyURL(u), TLS: secure.Client().Transport.(*http.Transport).TLSClientConfig}
			withClient(t, o, func(ctx context.Context, c *web.Client) error {
				got, _, err := fetch(ctx, &http.Client{Transport: c}, "POST", row.url, strings.NewReader("x"))
				if got != row.want || (err != nil) != (row.err != "") || err != nil && !strings.Contains(err.Error(), row.err) {
					t.Errorf("%q, %v", got, err)
				}
				if s := c.Stats(); err != nil && s.Conns != 0 {
					t.Errorf("%+v", s)
				}
				return nil
			})
			if p.mu.Lock(); !slices.Equal(p.asked, row.asked) {
				t.Errorf("asked for %q, want %q", p.asked, row.asked)
			}
			p.mu.Unlock()
		})
	}
}

// TestClientTraces: the hooks are called in their order, on the first request of a connection and on the next.
func TestClientTraces(t *testing.T) {
	srv := httptest.NewTLSServer(echoHandler())
	defer srv.Close()
	var calls []string
	add := func(format string, args ...any) { calls = append(calls, fmt.Sprintf(format, args...)) }
	trace := &httptrace.ClientTrace{
		GetConn:           func(string) { add("get") },
		GotConn:           func(i httptrace.GotConnInfo) { add("got %v %v", i.Reused, i.WasIdle) },
		PutIdleConn:       func(err error) { add("put %v", err) },
		DNSStart:          func(i httptrace.DNSStartInfo) { add("name %s", i.Host) },
		DNSDone:           func(i httptrace.DNSDoneInfo) { add("named %v %v", len(i.Addrs) > 0, i.Err) },
		ConnectStart:      func(_, _ string) { add("connect") },
		ConnectDone:       func(_, _ string, err error) { add("connected %v", err) },
		TLSHandshakeStart: func() { add("TLS") },
		TLSHandshakeDone:  func(s tls.ConnectionState, err error) { add("TLS %v %v", s.HandshakeComplete, err) },
		WroteHeaders:      func() { add("head") },
		WroteRequest:      func(i httptrace.WroteRequestInfo) { add("request %v", i.Err) },

		GotFirstResponseByte: func() { add("first byte") },
	}
	o := web.ClientOptions{TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig}
	o.TLS.ServerName = "example.com"
	o.Dialer.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	withClient(t, o, func(ctx context.Context, c *web.Client) error {
		for range 2 {
			ctx := httptrace.WithClientTrace(ctx, trace)
			_, _, err := fetch(ctx, &http.Client{Transport: c}, "GET", "https://a.test:"+port, nil)
			if err != nil {
				return err
			}
		}
		return nil
	})
	want := "get, name a.test, named true <nil>, connect, connected <nil>, TLS, TLS true <nil>, got false false, head, " +
		"request <nil>, first byte, put <nil>, get, got true true, head, request <nil>, first byte, put <nil>"
	if got := strings.Join(calls, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
