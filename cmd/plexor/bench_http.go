package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/plexor-go/plexor/load"
	"github.com/plexor-go/plexor/proto/websocket"
)

// web sets what is asked of an http, https, ws or wss address, and returns the address to connect to; others as they
// are.
func (b *benchCmd) web(o *load.Options) (address string, err error) {
	u, err := url.Parse(b.Address)
	scheme := ""
	if err == nil {
		scheme = u.Scheme
	}
	requests, sockets := scheme == "http" || scheme == "https", scheme == "ws" || scheme == "wss"
	for _, f := range []struct {
		name  string
		given bool
		taken bool
		by    string
	}{
		{"method", b.Method != "", requests, "http:// and https://"},
		{"body", b.Body != "", requests, "http:// and https://"},
		{"status", b.Status != 0, requests, "http:// and https://"},
		{"header", len(b.Header) > 0, requests || sockets, "http://, https://, ws:// and wss://"},
		{"protocol", len(b.Protocol) > 0, sockets, "ws:// and wss://"},
		{"deflate", b.Deflate, sockets, "ws:// and wss://"},
		{"text", b.Text, sockets, "ws:// and wss://"},
	} {
		if f.given && !f.taken {
			return "", usagef("--%s: it is for %s addresses", f.name, f.by)
		}
	}
	if !requests && !sockets {
		return b.Address, nil
	}
	plain := map[bool]string{true: "http", false: "ws"}[requests]
	if u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return "", usagef("%q: want %s://host[:port]/path", b.Address, plain)
	}
	if requests {
		o.HTTP = b.requests(u)
	} else if o.WebSocket, err = b.sockets(u); err != nil {
		return "", err
	}
	connect, port := "tcp", "80"
	if scheme != plain {
		connect, port = "tls", "443"
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return connect + "://" + net.JoinHostPort(u.Hostname(), port), nil
}

// requests are those for an http address.
func (b *benchCmd) requests(u *url.URL) *load.HTTP {
	h := &load.HTTP{Method: b.Method, Target: u.RequestURI(), Host: u.Host, Header: b.Header, Body: []byte(b.Body),
		Status: b.Status}
	if h.Method == "" && len(h.Body) > 0 {
		h.Method = "POST"
	}
	return h
}

// sockets are the WebSockets to a ws address.
func (b *benchCmd) sockets(u *url.URL) (*load.WebSocket, error) {
	h := &load.WebSocket{Target: u.RequestURI(), Host: u.Host, Protocols: b.Protocol, Text: b.Text,
		Header: make(http.Header)}
	for _, line := range b.Header {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usagef("--header=%s: want NAME: VALUE", line)
		}
		h.Header.Add(name, strings.TrimSpace(value))
	}
	if b.Deflate {
		h.Deflate = &websocket.Deflate{Threshold: 1}
	}
	return h, nil
}
