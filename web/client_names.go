package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/plexor-go/plexor/coro"
)

// Names of hosts that are not ASCII are written in ASCII for DNS, TLS and HTTP (IDNA, RFC 5891). The tables for that
// are in net/http, and not to be had from there; but a Transport hands what it makes of a name to who dials for it.

// errNamed ends a request that was made for its name alone.
var errNamed = errors.New("web: this is not a request")

// asciiHost is host:port with a name in ASCII. It blocks for a moment.
func asciiHost(host string) (string, error) {
	found := make(chan string, 1)
	t := &http.Transport{DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		found <- addr
		return nil, errNamed
	}}
	u := &url.URL{Scheme: "http", Host: host}
	if _, err := t.RoundTrip(&http.Request{URL: u, Header: http.Header{}}); !errors.Is(err, errNamed) {
		return "", err
	}
	addr := <-found
	if !isASCII(addr) {
		return "", fmt.Errorf("web: the host %q is no name that can be written in ASCII (RFC 5891)", host)
	}
	if u.Port() == "" {
		addr, _, _ = net.SplitHostPort(addr)
	}
	return addr, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// named is the request with names in ASCII, most often itself.
func (x *clientExchange) named(req *http.Request) (*http.Request, error) {
	if isASCII(req.URL.Host) && isASCII(req.Host) {
		return req, nil
	}
	return coro.AwaitIn(x.ctx, x.c.moments, func() (*http.Request, error) {
		named, u := *req, *req.URL
		named.URL = &u
		var err error
		if u.Host, err = asciiHost(u.Host); err != nil {
			return nil, err
		}
		if named.Host != "" {
			named.Host, err = asciiHost(named.Host)
		}
		return &named, err
	})
}
