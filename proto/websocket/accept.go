package websocket

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/proto/http1"
)

// An Agreement is what the opening handshake came to.
type Agreement struct {
	Protocol    string       // the subprotocol; "": none
	Compression *Compression // nil: messages are not compressed

	answer *Extension // a server's
}

// Accept decides on what a client offers. An error is a [*Refusal].
func (o *Options) Accept(f *Offer) (*Agreement, error) {
	allowed := SameHost
	if o.Origin != nil {
		allowed = o.Origin
	}
	if !allowed(f) {
		return nil, ErrOrigin
	}
	a := new(Agreement)
	for _, p := range o.Protocols {
		if slices.Contains(f.Protocols, p) {
			a.Protocol = p
			break
		}
	}
	if o.Deflate != nil {
		a.Compression, a.answer = o.Deflate.accept(f.Extensions)
	}
	return a, nil
}

// AppendAccept writes a server's answer behind dst (RFC 6455, section 4.2.2): 101, with what was agreed on and the
// fields of o.Header.
func (o *Options) AppendAccept(dst []byte, f *Offer, a *Agreement) []byte {
	dst = fmt.Appendf(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n", acceptKey(f.Key))
	if a.Protocol != "" {
		dst = fmt.Appendf(dst, "Sec-WebSocket-Protocol: %s\r\n", a.Protocol)
	}
	if a.answer != nil {
		dst = append(dst, "Sec-WebSocket-Extensions: "...)
		dst = append(a.answer.append(dst), "\r\n"...)
	}
	return append(appendFields(dst, o.Header), "\r\n"...)
}

func appendFields(dst []byte, h http.Header) []byte {
	for name, values := range h {
		for _, v := range values {
			dst = fmt.Appendf(dst, "%s: %s\r\n", name, v)
		}
	}
	return dst
}

// checkFields refuses what would break a head, or say twice what the handshake says.
func checkFields(h http.Header) error {
	for name, values := range h {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "sec-websocket-"), lower == "upgrade", lower == "connection", lower == "host",
			lower == "content-length", lower == "transfer-encoding":
			return fmt.Errorf("websocket: Options.Header: %s is of the handshake itself", name)
		}
		for _, v := range values {
			if _, err := http1.ParseField([]byte(name + ": " + v)); err != nil {
				return fmt.Errorf("websocket: Options.Header: %s: %w", name, err)
			}
		}
	}
	return nil
}
