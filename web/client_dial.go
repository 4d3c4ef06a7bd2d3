package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/sock"
)

// keyOf is where a request goes, and by which proxy; nil: none.
func (c *Client) keyOf(req *http.Request) (clientKey, *clientProxy, error) {
	key := clientKey{scheme: req.URL.Scheme, addr: hostPort(req.URL), h1: req.Header["Upgrade"] != nil}
	if c.o.Proxy == nil {
		return key, nil, nil
	}
	u, err := c.o.Proxy(req)
	if err != nil || u == nil {
		return key, nil, err
	}
	p, err := newClientProxy(u, req.URL.Scheme == "https")
	if err == nil {
		if key.proxy = u.String(); p.absolute {
			key.addr = "" // one connection serves all
		}
	}
	return key, p, err
}

// hostPort is a URL's host with the port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// dial opens a connection to h for x. ctx is the task's.
func (c *Client) dial(ctx context.Context, x *clientExchange, h *clientHost, proxy *clientProxy) (*clientConn, error) {
	addr := hostPort(x.req.URL)
	to := addr
	if proxy != nil {
		to = hostPort(proxy.url)
	}
	bounded, cancel := coro.WithTimeout(ctx, c.o.ConnectTime)
	defer cancel()
	nc, err := c.connect(valuesOf{bounded, x.req.Context()}, x.trace, to)
	if err != nil {
		return nil, fmt.Errorf("web: connect to %s: %w", to, err)
	}
	k := &clientConn{c: c, host: h, nc: nc, trace: x.trace}
	if proxy != nil {
		err = k.pass(bounded, proxy, addr)
	}
	if err == nil && h.key.scheme == "https" {
		err = k.secure(ctx, x)
	}
	if err != nil {
		if k.nc != nil {
			_ = k.nc.Abort() // it is of no use to anybody
		}
		return nil, err
	}
	if k.tls != nil && k.tls.NegotiatedProtocol == "h2" ||
		c.o.H2C && h.key.scheme == "http" && proxy == nil && !h.key.h1 {
		if err := k.speak(bounded); err != nil {
			return nil, fmt.Errorf("web: HTTP/2 with %s: %w", addr, err)
		}
		return k, nil
	}
	k.h1 = c.h1.NewConn(&clientNet{k.nc, k})
	k.h1.Absolute = !h.direct
	return k, nil
}

// A valuesOf is a context of the coroutine that dials, with the values of the request's behind its own, but for its
// hooks: those are called here, by coroutines, and package net would call them again, on goroutines.
type valuesOf struct {
	context.Context
	request context.Context
}

// Value is of context.Context.
func (v valuesOf) Value(key any) any {
	if own := v.Context.Value(key); own != nil {
		return own
	}
	switch reflect.TypeOf(key).PkgPath() {
	case "net/http/httptrace", "internal/nettrace":
		return nil
	}
	return v.request.Value(key)
}

// pass has the proxy make a tunnel to addr, if one is needed, over TLS if the proxy wants that.
func (k *clientConn) pass(ctx context.Context, proxy *clientProxy, addr string) error {
	return coro.Group(ctx, func(*coro.Tasks) (err error) {
		secure := proxy.url.Scheme == "https"
		if secure {
			cfg := k.c.tlsConfig(proxy.url.Hostname(), true)
			if err := layer.Handshake(k.nc.StartTLS(cfg)); err != nil {
				return fmt.Errorf("web: the proxy %s: %w", proxy.url.Host, err)
			}
		}
		if err := proxy.pass(k.c, k.nc, addr); err != nil || !secure || proxy.absolute {
			return err
		}
		k.nc, err = k.c.nest(ctx, k.nc)
		return err
	})
}

// connect looks the name up and connects.
func (c *Client) connect(ctx context.Context, trace *httptrace.ClientTrace, to string) (*plexor.Conn, error) {
	if c.o.Dial != nil {
		return c.o.Dial(ctx, to)
	}
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the port %q is no number from 0 to 65535", port)
	}
	a := sock.Addr{Scheme: "tcp", Host: host, Port: int(number)}
	d, first := c.o.Dialer, to
	if _, literal := a.AddrPort(); !literal {
		ips, err := c.lookUp(ctx, trace, a)
		if err != nil {
			return nil, err
		}
		d.Lookup = func(context.Context, string) ([]netip.Addr, error) { return ips, nil }
		if len(ips) > 0 {
			first = netip.AddrPortFrom(ips[0], uint16(number)).String()
		}
	}
	if trace.ConnectStart != nil {
		trace.ConnectStart("tcp", first)
	}
	nc, err := d.Dial(ctx, a.String())
	if trace.ConnectDone != nil {
		trace.ConnectDone("tcp", first, err)
	}
	return nc, err
}

// lookUp is the addresses of a name, in the order in which they are to be tried.
func (c *Client) lookUp(ctx context.Context, trace *httptrace.ClientTrace, a sock.Addr) ([]netip.Addr, error) {
	if trace.DNSStart != nil {
		trace.DNSStart(httptrace.DNSStartInfo{Host: a.Host})
	}
	ips, err := coro.AwaitIn(ctx, c.lookUps, func() (ips []netip.Addr, err error) {
		if c.o.Dialer.Lookup != nil {
			return c.o.Dialer.Lookup(ctx, a.Host)
		}
		found, err := a.Resolve(ctx)
		for _, one := range found {
			if ap, ok := one.AddrPort(); ok {
				ips = append(ips, ap.Addr())
			}
		}
		return ips, err
	})
	if trace.DNSDone != nil {
		info := httptrace.DNSDoneInfo{Err: err}
		for _, ip := range ips {
			info.Addrs = append(info.Addrs, net.IPAddr{IP: ip.AsSlice(), Zone: ip.Zone()})
		}
		trace.DNSDone(info)
	}
	return ips, err
}

// tlsConfig is for a connection to a host.
func (c *Client) tlsConfig(host string, h1 bool) *tls.Config {
	cfg := c.o.TLS.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = strings.Cut(host, "%") // the zone of an address is not its certificate's affair
	}
	if cfg.NextProtos = nil; c.o.HTTP2 && !h1 {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	return cfg
}

// secure makes the handshake of TLS.
func (k *clientConn) secure(ctx context.Context, x *clientExchange) error {
	ctx, cancel := coro.WithTimeout(ctx, k.c.o.TLSTime)
	defer cancel()
	if x.trace.TLSHandshakeStart != nil {
		x.trace.TLSHandshakeStart()
	}
	cfg := k.c.tlsConfig(x.req.URL.Hostname(), k.host.key.h1)
	err := coro.Group(ctx, func(*coro.Tasks) error { return layer.Handshake(k.nc.StartTLS(cfg)) })
	var state tls.ConnectionState
	if err == nil {
		state = k.nc.ConnectionState()
		k.tls = &state
	}
	if x.trace.TLSHandshakeDone != nil {
		x.trace.TLSHandshakeDone(state, err)
	}
	if err != nil {
		return fmt.Errorf("web: connect to %s: %w", hostPort(x.req.URL), err) // what the error names may be the proxy's
	}
	return nil
}
