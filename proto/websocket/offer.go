package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/plexor-go/plexor/proto/http1"
)

// version is the one of RFC 6455, and the only one.
const version = "13"

// An Offer is what the opening handshake of a client says (RFC 6455, section 4.2.1).
type Offer struct {
	Host, Target string
	Origin       string // of the page that a browser shows; "" where none was sent, by programs
	Key          string
	Protocols    []string // subprotocols, the first is the client's choice
	Extensions   []Extension
}

// A Refusal is why a handshake fails at a server, and the status to answer with.
type Refusal struct {
	Status int
	What   string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("websocket: handshake: %s (%d)", r.What, r.Status)
}

// The refusals of a request.
var (
	ErrMethod     = &Refusal{http.StatusMethodNotAllowed, "the method is not GET"}
	ErrHTTP       = &Refusal{http.StatusHTTPVersionNotSupported, "the version of HTTP is not 1.1"}
	ErrNoUpgrade  = &Refusal{http.StatusUpgradeRequired, "the request does not ask for an upgrade to websocket"}
	ErrVersion    = &Refusal{http.StatusUpgradeRequired, "the Sec-WebSocket-Version is not 13"}
	ErrKey        = &Refusal{http.StatusBadRequest, "the Sec-WebSocket-Key is not 16 bytes in base64, or not there once"}
	ErrBody       = &Refusal{http.StatusBadRequest, "the request has a body"}
	ErrProtocols  = &Refusal{http.StatusBadRequest, "the Sec-WebSocket-Protocol is no list of different tokens"}
	ErrExtensions = &Refusal{http.StatusBadRequest, "the Sec-WebSocket-Extensions are not by their grammar, or too many"}
	ErrOrigin     = &Refusal{http.StatusForbidden, "the Origin is not allowed"}
)

// Append writes the whole answer behind dst: the connection is to be closed behind it (RFC 6455, section 4.4, and
// RFC 9110, section 15.5.22: an Upgrade says what would do).
func (r *Refusal) Append(dst []byte) []byte {
	text := r.What + "\n"
	dst = fmt.Appendf(dst, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	for _, f := range r.fields() {
		dst = fmt.Appendf(dst, "%s: %s\r\n", f[0], f[1])
	}
	return fmt.Appendf(dst, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		len(text), text)
}

// fields are those of the answer that say what would do.
func (r *Refusal) fields() [][2]string {
	switch r.Status {
	case http.StatusUpgradeRequired:
		return [][2]string{{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", version}}
	case http.StatusMethodNotAllowed:
		return [][2]string{{"Allow", "GET"}}
	}
	return nil
}

// ParseOffer reads the head of a request. An error is a [*Refusal].
func ParseOffer(h *http1.Head) (*Offer, error) {
	r := request{method: string(h.Method), target: string(h.Target), host: string(h.Host), old: h.Minor < 1,
		body: h.Body != http1.NoBody}
	return r.offer(headValues(h))
}

// OfferOf is ParseOffer for a request of net/http.
func OfferOf(req *http.Request) (*Offer, error) {
	r := request{method: req.Method, target: req.RequestURI, host: req.Host,
		old: req.ProtoMajor != 1 || req.ProtoMinor < 1, body: req.ContentLength != 0}
	return r.offer(func(name string) []string { return req.Header.Values(name) })
}

// headValues are the values of a head's fields of a name.
func headValues(h *http1.Head) func(string) []string {
	return func(name string) (values []string) {
		for _, f := range h.Fields {
			if strings.EqualFold(string(f.Name), name) {
				values = append(values, string(f.Value))
			}
		}
		return values
	}
}

// A request is what a handshake needs of one beside its fields.
type request struct {
	method, target, host string
	old, body            bool
}

func (r request) offer(values func(string) []string) (*Offer, error) {
	switch {
	case r.old:
		return nil, ErrHTTP
	case r.method != http.MethodGet:
		return nil, ErrMethod
	case !listed(values("Upgrade"), "websocket") || !listed(values("Connection"), "upgrade"):
		return nil, ErrNoUpgrade
	}
	if v := values("Sec-WebSocket-Version"); len(v) != 1 || v[0] != version {
		return nil, ErrVersion
	}
	o := &Offer{Host: r.host, Target: r.target}
	if v := values("Sec-WebSocket-Key"); len(v) != 1 || !isKey(v[0]) {
		return nil, ErrKey
	} else {
		o.Key = v[0]
	}
	if r.body {
		return nil, ErrBody
	}
	if v := values("Origin"); len(v) == 1 {
		o.Origin = v[0]
	} else if len(v) > 1 {
		return nil, ErrOrigin
	}
	if v := values("Sec-WebSocket-Protocol"); len(v) > 0 {
		o.Protocols = elements(v)
		if !differentTokens(o.Protocols) {
			return nil, ErrProtocols
		}
	}
	var ok bool
	if o.Extensions, ok = ParseExtensions(values("Sec-WebSocket-Extensions")); !ok {
		return nil, ErrExtensions
	}
	return o, nil
}

// isKey reports whether s is 16 bytes in base64, written in the only way that they can be.
func isKey(s string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 16 && len(s) == 24
}

func differentTokens(all []string) bool {
	if len(all) > mostProtocols {
		return false
	}
	seen := make(map[string]bool, len(all))
	for _, p := range all {
		if !isToken(p) || seen[p] {
			return false
		}
		seen[p] = true
	}
	return true
}

// acceptKey is the Sec-WebSocket-Accept for a key (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// SameHost reports whether the page that asks is of the host that it asks, or the client is no browser and has sent
// no Origin. Another port is another host, and so is "null". It is what [Options] allow if nothing else is said
// (RFC 6455, section 10.2): any page that a user looks at can open a WebSocket to any server, with the user's cookies.
func SameHost(o *Offer) bool {
	if o.Origin == "" {
		return true
	}
	u, err := url.Parse(o.Origin)
	if err != nil || u.Host == "" || o.Host == "" {
		return false
	}
	port := ":80"
	if u.Scheme == "https" {
		port = ":443"
	}
	return strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(o.Host, port))
}
