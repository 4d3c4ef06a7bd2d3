package main

import (
	"net"
	"net/url"

	"github.com/plexor-go/plexor/load"
)

// http is the request for an http or https address, and the address to connect to; the address as it is, and nil, for
// others.
func (b *benchCmd) http() (address string, h *load.HTTP, err error) {
	u, err := url.Parse(b.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		for _, f := range []struct {
			name  string
			given bool
		}{{"method", b.Method != ""}, {"header", len(b.Header) > 0}, {"body", b.Body != ""}, {"status", b.Status != 0}} {
			if f.given {
				return "", nil, usagef("--%s: it is for http:// and https:// addresses", f.name)
			}
		}
		if err == nil && (u.Scheme == "ws" || u.Scheme == "wss") {
			return "", nil, usagef("%q: bench does not speak WebSocket: want tcp, tls, udp, unix, http or https", b.Address)
		}
		return b.Address, nil, nil
	}
	if u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return "", nil, usagef("%q: want http://host[:port]/path", b.Address)
	}
	scheme, port := "tcp", "80"
	if u.Scheme == "https" {
		scheme, port = "tls", "443"
	}
	if u.Port() != "" {
		port = u.Port()
	}
	h = &load.HTTP{Method: b.Method, Target: u.RequestURI(), Host: u.Host, Header: b.Header, Body: []byte(b.Body),
		Status: b.Status}
	if h.Method == "" && len(h.Body) > 0 {
		h.Method = "POST"
	}
	return scheme + "://" + net.JoinHostPort(u.Hostname(), port), h, nil
}
