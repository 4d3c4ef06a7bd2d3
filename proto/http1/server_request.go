package http1

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"unsafe"
)

// noRequest is what requests are made from: WithContext is the one way to give a Request a context.
var noRequest = new(http.Request)

// parse makes the Request of the head h, which lies in raw.
func (x *response) parse(h *Head, raw []byte) error {
	text := string(raw) // all strings of the request are pieces of it
	piece := func(b []byte) string {
		if len(b) == 0 {
			return ""
		}
		at := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(raw)))
		return text[at : at+uintptr(len(b))]
	}
	c := x.c
	x.ctx.x, x.ctx.base = x, c.baseContext()
	r := noRequest.WithContext(&x.ctx)
	x.req = r
	r.Method = method(h.Method)
	r.RequestURI = piece(h.Target)
	r.ProtoMajor, r.ProtoMinor, r.Proto = 1, h.Minor, "HTTP/1.1"
	if h.Minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	r.Host = piece(h.Host)
	if err := x.parseURL(r); err != nil {
		return ErrTarget
	}
	var values []string
	if len(h.Fields) == 1 && h.Host != nil {
		r.Header = make(http.Header)
	} else {
		r.Header = make(http.Header, len(h.Fields))
		values = make([]string, len(h.Fields))
	}
	expects := false
	for i, f := range h.Fields {
		name := canonical(piece(f.Name))
		switch {
		case name == "Host":
			continue
		case name == "Expect":
			expects = expects || len(f.Value) > 0 && !equal(f.Value, "100-continue")
		}
		values[i] = piece(f.Value)
		if name == "Content-Length" && r.Header[name] != nil {
			continue // the same again
		}
		if old, ok := r.Header[name]; ok {
			r.Header[name] = append(old, values[i])
		} else {
			r.Header[name] = values[i : i+1 : i+1]
		}
	}
	if expects {
		return &Error{http.StatusExpectationFailed, "the expectation is not 100-continue"}
	}
	if p := r.Header["Pragma"]; len(p) > 0 && p[0] == "no-cache" && r.Header["Cache-Control"] == nil {
		r.Header["Cache-Control"] = []string{"no-cache"}
	}
	r.Close, x.closes, x.keep = h.Close, h.Close, h.Minor == 0 && !h.Close
	if !c.asked {
		c.asked = true
		x.secure()
	}
	r.RemoteAddr = c.in.remote(c.nc)
	if c.more != nil && c.more.request != nil {
		r.TLS = c.more.request.tls
	}
	return x.parseBody(h, r)
}

// remote is the client's address, as http.Request has it. It is made anew in each turn: a connection that rests keeps
// none.
func (in *input) remote(nc net.Conn) string {
	if in.peer == "" {
		if a, ok := nc.(interface{ RemoteAddrPort() netip.AddrPort }); ok && a.RemoteAddrPort().IsValid() {
			in.peer = a.RemoteAddrPort().String()
		} else {
			in.peer = nc.RemoteAddr().String()
		}
	}
	return in.peer
}

// secure notes what TLS has agreed on.
func (x *response) secure() {
	t, ok := x.c.nc.(interface{ ConnectionState() tls.ConnectionState })
	if m, may := x.c.nc.(interface{ TLS() bool }); !ok || may && !m.TLS() {
		return
	}
	s := t.ConnectionState()
	x.c.getMore().tls = &s
}

// method is the method as a string, which is none of its own for the usual ones.
func method(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	}
	return string(b)
}

// canonical is a field's name as http.Header has it.
func canonical(name string) string {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			return textproto.CanonicalMIMEHeaderKey(name)
		}
		upper = c == '-'
	}
	return name
}

// isPlain are the bytes of a path that stand for themselves, in every URL that has no other.
var isPlain = func() (t [256]bool) {
	for c := range 128 {
		t[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~/$&+,=:@", rune(c))
	}
	return t
}()

func (x *response) parseURL(r *http.Request) error {
	target := r.RequestURI
	if target[0] == '/' {
		end := len(target)
		for i := range end {
			if !isPlain[target[i]] {
				end = i
				break
			}
		}
		if end == len(target) || target[end] == '?' {
			x.url.Path = target[:end]
			if end < len(target) {
				x.url.RawQuery = target[end+1:]
				x.url.ForceQuery = x.url.RawQuery == ""
			}
			r.URL = &x.url
			return nil
		}
	}
	var err error
	if r.Method == http.MethodConnect && target[0] != '/' {
		r.URL, err = url.ParseRequestURI("http://" + target)
		if err == nil {
			r.URL.Scheme = ""
		}
	} else {
		r.URL, err = url.ParseRequestURI(target)
	}
	if err != nil {
		return err
	}
	if r.URL.Host != "" { // an absolute target has the say (RFC 9112, section 3.2.2)
		r.Host = r.URL.Host
	}
	return nil
}

// parseBody sets what says how the body ends.
func (x *response) parseBody(h *Head, r *http.Request) error {
	b := &x.body
	b.x, b.kind, b.left, b.awaited = x, h.Body, h.Length, h.Continue
	b.expects = h.Continue
	if h.Body == NoBody {
		r.Body = http.NoBody
		b.kind = NoBody
		return nil
	}
	r.Body = b
	r.ContentLength = h.Length
	if h.Body != ByChunks {
		return nil
	}
	r.ContentLength = -1
	r.TransferEncoding = []string{"chunked"}
	delete(r.Header, "Transfer-Encoding")
	b.chunks = &Chunked{Limits: x.c.srv.limits}
	for _, v := range r.Header["Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			switch {
			case name == "Transfer-Encoding" || name == "Content-Length" || name == "Trailer":
				return ErrTrailer
			case name == "" || !allOf(name, isToken) || !trails([]byte(name)):
				continue
			}
			if r.Trailer == nil {
				r.Trailer = make(http.Header)
			}
			r.Trailer[name] = nil
		}
	}
	delete(r.Header, "Trailer")
	return nil
}
