// Package transport stands in the place of net/http's Transport and of net/http/httptest when Go's own tests of clients
// are run (package gohttp): requests are sent by web.Client, on one loop of the process, for goroutines.
package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

// Transport has the fields of http.Transport that package web has an option for. When a test sets one after the first
// request, the next has another web.Client.
type Transport struct {
	Proxy                  func(*http.Request) (*url.URL, error)
	DialContext            func(ctx context.Context, network, addr string) (net.Conn, error)
	Dial                   func(network, addr string) (net.Conn, error)
	TLSClientConfig        *tls.Config
	TLSHandshakeTimeout    time.Duration
	DisableKeepAlives      bool
	DisableCompression     bool
	MaxIdleConns           int
	MaxIdleConnsPerHost    int
	MaxConnsPerHost        int
	IdleConnTimeout        time.Duration
	ResponseHeaderTimeout  time.Duration
	ExpectContinueTimeout  time.Duration
	ProxyConnectHeader     http.Header
	MaxResponseHeaderBytes int64
	ForceAttemptHTTP2      bool
	Protocols              *http.Protocols

	redirect map[string]string // of addresses
	lookup   lookup

	mu     sync.Mutex
	client *web.Client
	made   string   // the fields of which it was made
	keys   []string // scheme and address of what was asked
}

type lookup = func(ctx context.Context, network, host string) ([]net.IPAddr, error)

// DefaultTransport is in the place of http.DefaultTransport.
var DefaultTransport http.RoundTripper = &Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}

// sched is that of the loop on which all is done.
var sched = func() *coro.Scheduler {
	at := make(chan *coro.Scheduler)
	go func() {
		err := plexor.RunOn(context.Background(), loop.Options{Stall: -1}, func(ctx context.Context) error {
			t, err := coro.Self(ctx, "transport")
			if err != nil {
				return err
			}
			at <- t.Scheduler()
			return coro.Sleep(ctx, time.Duration(math.MaxInt64)) // the process ends it
		})
		log.Panic("the loop has ended: ", err)
	}()
	return <-at
}()

// onLoop runs f as a coroutine.
func onLoop[T any](f func(ctx context.Context) (T, error)) (T, error) {
	return coro.Call(context.Background(), sched, "transport", f)
}

func (t *Transport) options(redirects bool) web.ClientOptions {
	o := web.ClientOptions{
		Proxy: t.Proxy, TLS: t.TLSClientConfig, TLSTime: t.TLSHandshakeTimeout, NoKeepAlive: t.DisableKeepAlives,
		NoGzip: t.DisableCompression, Idle: t.MaxIdleConns, IdlePerHost: t.MaxIdleConnsPerHost,
		ConnsPerHost: t.MaxConnsPerHost, IdleTime: t.IdleConnTimeout, HeadTime: t.ResponseHeaderTimeout,
		ContinueTime: t.ExpectContinueTimeout, ProxyHeader: t.ProxyConnectHeader,
		Limits: http1.Limits{Head: int(t.MaxResponseHeaderBytes)}, UserAgent: "Go-http-client/1.1",
		HTTP2: t.ForceAttemptHTTP2,
	}
	if o.IdlePerHost == 0 {
		o.IdlePerHost = http.DefaultMaxIdleConnsPerHost
	}
	if t.Protocols != nil && t.Protocols.UnencryptedHTTP2() && !t.Protocols.HTTP1() {
		o.H2C = true
	}
	if t.ExpectContinueTimeout == 0 {
		o.ContinueTime = -1
	}
	if o.TLS != nil && slices.Contains(o.TLS.NextProtos, "h2") {
		o.HTTP2 = true
	}
	o.Dialer.Lookup = t.lookUp
	switch {
	case t.Dial != nil || t.DialContext != nil:
		dial := t.DialContext
		if dial == nil {
			dial = func(_ context.Context, network, addr string) (net.Conn, error) { return t.Dial(network, addr) }
		}
		o.Dial = func(ctx context.Context, addr string) (*plexor.Conn, error) { return relayed(ctx, addr, dial) }
	case redirects && t.redirect != nil:
		o.Dial = func(ctx context.Context, addr string) (*plexor.Conn, error) {
			for name, to := range t.redirect {
				if addr == name || strings.HasSuffix(addr, "."+name) {
					addr = to
				}
			}
			return plexor.Dial(ctx, "tcp://"+addr)
		}
	}
	return o
}

func (t *Transport) lookUp(ctx context.Context, name string) (ips []netip.Addr, err error) {
	t.mu.Lock()
	find := t.lookup
	t.mu.Unlock()
	if find == nil {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	}
	found, err := find(ctx, "ip", name)
	for _, one := range found {
		ip, _ := netip.AddrFromSlice(one.IP)
		ips = append(ips, ip.Unmap())
	}
	return ips, err
}

func (t *Transport) now(host string) *web.Client {
	redirects := strings.HasSuffix(host, "example.com")
	t.mu.Lock()
	defer t.mu.Unlock()
	fields := fmt.Sprint(t.Proxy != nil, t.DialContext != nil, t.Dial != nil, t.TLSHandshakeTimeout, t.DisableKeepAlives,
		t.DisableCompression, t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost, t.IdleConnTimeout,
		t.ResponseHeaderTimeout, t.ExpectContinueTimeout, t.MaxResponseHeaderBytes, t.ForceAttemptHTTP2, redirects)
	if fields += fmt.Sprintf("%p", t.TLSClientConfig); t.client == nil || t.made != fields {
		t.made = fields
		c, err := onLoop(func(ctx context.Context) (*web.Client, error) { return web.NewClient(ctx, t.options(redirects)) })
		if err != nil {
			log.Panic(err)
		}
		t.client = c
	}
	return t.client
}

// RoundTrip is of http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	host := ""
	if req.URL != nil {
		host = req.URL.Host
	}
	c := t.now(host)
	if req.URL != nil {
		t.mu.Lock()
		find, _ := req.Context().Value(LookupIPAltResolverKey{}).(lookup)
		t.lookup = find
		t.keys = append(t.keys, "|"+req.URL.Scheme+"|"+req.URL.Host)
		t.mu.Unlock()
	}
	sent := *req
	if req.Body != nil && req.Body != http.NoBody {
		sent.Body = &awayBody{body: req.Body}
		if req.GetBody != nil {
			sent.GetBody = again(req)
		}
	}
	resp, err := onLoop(func(context.Context) (*http.Response, error) { return c.RoundTrip(&sent) })
	if err != nil {
		return nil, err
	}
	resp.Request = req
	resp.Body = home(resp.Body)
	return resp, nil
}

// last is the web.Client of the last request.
func (t *Transport) last() *web.Client {
	t.mu.Lock()
	c := t.client
	t.mu.Unlock()
	if c == nil {
		return t.now("")
	}
	return c
}

// CloseIdleConnections is as http.Transport's.
func (t *Transport) CloseIdleConnections() {
	c := t.last()
	_, _ = onLoop(func(context.Context) (int, error) {
		c.CloseIdleConnections()
		return 0, nil
	})
}

func (t *Transport) stats() web.ClientStats {
	c := t.last()
	s, _ := onLoop(func(context.Context) (web.ClientStats, error) { return c.Stats(), nil })
	return s
}

// IdleConnKeysForTesting, and those that follow, are as in the tests of package net/http: how many connections rest is
// known, and of which hosts only when there was one.
func (t *Transport) IdleConnKeysForTesting() []string {
	if t.stats().Idle == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.keys)
	return slices.Compact(slices.Clone(t.keys))
}

// IdleConnKeyCountForTesting is how many hosts have connections that rest.
func (t *Transport) IdleConnKeyCountForTesting() int { return len(t.IdleConnKeysForTesting()) }

// NumPendingRequestsForTesting is how many connections are not at rest.
func (t *Transport) NumPendingRequestsForTesting() int {
	s := t.stats()
	return s.Conns - s.Idle + s.Waiting
}

// IdleConnWaitMapSizeForTesting is how many requests wait for a connection.
func (t *Transport) IdleConnWaitMapSizeForTesting() int { return t.stats().Waiting }

// IdleConnCountForTesting is how many connections rest.
func (t *Transport) IdleConnCountForTesting(string, string) int { return t.stats().Idle }
