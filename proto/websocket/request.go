package websocket

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/proto/http1"
)

// A Request is a client's opening handshake.
type Request struct {
	Host, Target, Key string
	options           *Options
}

// The errors of a server's answer. Nothing is sent behind them: the connection is closed.
var (
	ErrNoSwitch     = errors.New("websocket: handshake: the answer is not 101")
	ErrAnswer       = errors.New("websocket: handshake: the answer has no upgrade to websocket")
	ErrAccept       = errors.New("websocket: handshake: the Sec-WebSocket-Accept is not the one for the key")
	ErrNotAsked     = errors.New("websocket: handshake: a subprotocol or an extension was not asked for")
	ErrBadExtension = errors.New("websocket: handshake: the answer's permessage-deflate is not as it has to be")
)

// NewRequest is a handshake for an address, ws://host:port/path?query or wss://…, with a new key. Fragments, user
// information and host names that are not ASCII are refused (RFC 6455, section 3).
func NewRequest(address string, o *Options) (*Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	port := map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	switch {
	case port == "":
		return nil, fmt.Errorf("websocket: %s: the scheme is not ws or wss", address)
	case u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("websocket: %s: there is no host", address)
	case u.Fragment != "" || strings.Contains(address, "#"):
		return nil, fmt.Errorf("websocket: %s: there is a fragment", address)
	case u.User != nil:
		return nil, fmt.Errorf("websocket: %s: there is user information", u.Redacted())
	case strings.ContainsFunc(u.Host+u.RequestURI(), func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("websocket: %q: there are characters that a URL has not", address)
	}
	if err := checkFields(o.Header); err != nil {
		return nil, err
	}
	if len(o.Protocols) > 0 && !differentTokens(o.Protocols) {
		return nil, errors.New("websocket: Options.Protocols are not different tokens")
	}
	host := u.Host
	if u.Port() == port {
		host = strings.TrimSuffix(host, ":"+port)
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	return &Request{Host: host, Target: u.RequestURI(), Key: base64.StdEncoding.EncodeToString(nonce[:]), options: o}, nil
}

// Append writes the request behind dst (RFC 6455, section 4.1).
func (r *Request) Append(dst []byte) []byte {
	o := r.options
	dst = fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: %s\r\n", r.Target, r.Host, r.Key, version)
	if len(o.Protocols) > 0 {
		dst = fmt.Appendf(dst, "Sec-WebSocket-Protocol: %s\r\n", strings.Join(o.Protocols, ", "))
	}
	if o.Deflate != nil {
		dst = append(dst, "Sec-WebSocket-Extensions: "...)
		dst = append(o.Deflate.offer().append(dst), "\r\n"...)
	}
	return append(appendFields(dst, o.Header), "\r\n"...)
}

// Check decides on a server's answer (RFC 6455, section 4.1).
func (r *Request) Check(h *http1.Head) (*Agreement, error) {
	values := headValues(h)
	if h.Status != 101 {
		return nil, fmt.Errorf("%w: %d %q", ErrNoSwitch, h.Status, h.Reason)
	}
	upgrade := values("Upgrade")
	if len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket") || !listed(values("Connection"), "upgrade") {
		return nil, ErrAnswer
	}
	if v := values("Sec-WebSocket-Accept"); len(v) != 1 || v[0] != acceptKey(r.Key) {
		return nil, ErrAccept
	}
	a := new(Agreement)
	if v := values("Sec-WebSocket-Protocol"); len(v) > 0 {
		if len(v) > 1 || !slices.Contains(r.options.Protocols, v[0]) {
			return nil, ErrNotAsked
		}
		a.Protocol = v[0]
	}
	extensions, ok := ParseExtensions(values("Sec-WebSocket-Extensions"))
	if !ok {
		return nil, ErrBadExtension
	}
	for _, e := range extensions {
		if e.Name != deflateName || r.options.Deflate == nil || a.Compression != nil {
			return nil, ErrNotAsked
		}
		if a.Compression, ok = r.options.Deflate.check(e); !ok {
			return nil, ErrBadExtension
		}
	}
	return a, nil
}
