package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A clientFraming is how a request's body goes out.
type clientFraming struct {
	kind   Body  // NoBody, ByLength, ByChunks; ByClose is the stream behind a CONNECT
	length int64 // of ByLength
	waits  bool  // for 100 Continue
}

// Sizes of a client's buffers, in bytes.
const (
	clientPiece    = 8 << 10 // of a body that is sent
	mostInlineBody = 4 << 10 // of a body that leaves with the head
)

// The errors of requests that can't be sent.
var (
	errNoURL        = errors.New("http: the request has no URL")
	errNoHost       = errors.New("http: the request's URL has no host")
	errNilHeader    = errors.New("http: the request's Header is nil")
	errNotToken     = errors.New("http: the request's method is not a token")
	errTraceBody    = errors.New("http: a TRACE request has no body (RFC 9110, section 9.3.8)")
	errTEChunked    = errors.New("http: the field TE must not name chunked (RFC 9112, section 7.4)")
	errClientCoding = errors.New("http: a request's TransferEncoding may be chunked alone")
)

// Check reports why a request can't be sent, if it can't, as RoundTrip would: whoever dials for one may ask first.
// Nothing is read of its body.
func (cl *Client) Check(req *http.Request) error {
	t := clientTrip{c: &ClientConn{cl: cl}, req: req}
	_, err := t.prepare()
	return err
}

// prepare writes the head. Nothing of the connection is touched.
func (t *clientTrip) prepare() (head []byte, err error) {
	req := t.req
	switch {
	case req.URL == nil:
		return nil, errNoURL
	case req.Header == nil:
		return nil, errNilHeader
	}
	host, err := clientHost(req)
	if err != nil {
		return nil, err
	}
	if t.frame, err = clientFrame(req); err != nil {
		return nil, err
	}
	if err := clientTrailer(req.Trailer); err != nil {
		return nil, err
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	target := clientTarget(req, host, t.c.Absolute)
	b := make([]byte, 0, 512)
	if b, err = AppendRequest(b, method, target); err != nil {
		if err == ErrMethod {
			err = errNotToken
		}
		return nil, err
	}
	w := clientFields{b: b, trace: t.trace}
	w.add("Host", host)
	if ua, own := req.Header["User-Agent"]; !own {
		w.add("User-Agent", cmpOr(t.c.cl.UserAgent, defaultUserAgent))
	} else if len(ua) > 0 && ua[0] != "" {
		w.add("User-Agent", ua[0])
	}
	t.putFraming(&w, method)
	closes := req.Close || slices.ContainsFunc(req.Header["Connection"], clientCloses)
	if req.Close && !slices.ContainsFunc(req.Header["Connection"], clientCloses) {
		w.add("Connection", "close")
	}
	w.noExpect = t.frame.kind == NoBody
	w.addAll(req.Header)
	w.addAll(t.c.Extra)
	if w.err != nil {
		return nil, w.err
	}
	if closes {
		t.keep = false
	}
	return append(w.b, "\r\n"...), nil
}

// clientTrailer is what is wrong with a Trailer, whether or not there is a body that it comes behind.
func clientTrailer(trailer http.Header) error {
	for name, values := range trailer {
		if !trails([]byte(name)) {
			return fmt.Errorf("http: trailer %q: %w", name, ErrTrailer)
		}
		for _, v := range values {
			if _, err := AppendField(nil, name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func cmpOr(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// putFraming writes how the body ends.
func (t *clientTrip) putFraming(w *clientFields, method string) {
	switch t.frame.kind {
	case NoBody:
		if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
			w.add("Content-Length", "0")
		}
	case ByLength:
		w.add("Content-Length", strconv.FormatInt(t.frame.length, 10))
	case ByChunks:
		w.add("Transfer-Encoding", "chunked")
		if len(t.req.Trailer) == 0 {
			return
		}
		names := make([]string, 0, len(t.req.Trailer))
		for name := range t.req.Trailer {
			names = append(names, http.CanonicalHeaderKey(name))
		}
		slices.Sort(names)
		w.add("Trailer", strings.Join(names, ","))
	}
}

// clientHost is the value of Host: without the zone of an address, which is of no use to others (RFC 6874).
func clientHost(req *http.Request) (string, error) {
	host := cmpOr(req.Host, req.URL.Host)
	if host == "" {
		return "", errNoHost
	}
	if i := strings.IndexByte(host, '%'); host[0] == '[' && i > 0 {
		if j := strings.LastIndexByte(host, ']'); j > i {
			host = host[:i] + host[j:]
		}
	}
	if !allOf(host, isHost) {
		return "", fmt.Errorf("http: host %q: %w", host, ErrHost)
	}
	return host, nil
}

// clientTarget is RFC 9112, section 3.2.
func clientTarget(req *http.Request, host string, absolute bool) string {
	switch {
	case req.Method == http.MethodConnect && req.URL.Path == "":
		return cmpOr(req.URL.Opaque, host)
	case absolute && req.URL.Scheme != "" && req.URL.Opaque == "":
		return req.URL.Scheme + "://" + host + req.URL.RequestURI()
	}
	return req.URL.RequestURI()
}

// clientFrame says how the body goes out.
func clientFrame(req *http.Request) (f clientFraming, err error) {
	coded := len(req.TransferEncoding) > 0
	if coded && (len(req.TransferEncoding) > 1 || !strings.EqualFold(req.TransferEncoding[0], "chunked")) {
		return f, errClientCoding
	}
	if slices.ContainsFunc(req.Header["Te"], func(list string) bool { return clientListed(list, "chunked") }) {
		return f, errTEChunked
	}
	has := req.Body != nil && req.Body != http.NoBody
	switch {
	case !has && req.ContentLength > 0:
		return f, fmt.Errorf("http: the request's ContentLength is %d, and its Body is nil", req.ContentLength)
	case !has:
		return f, nil
	case req.Method == http.MethodTrace:
		return f, errTraceBody
	case req.Method == http.MethodConnect:
		f.kind = ByClose
	case req.ContentLength > 0 && !coded:
		f.kind, f.length = ByLength, req.ContentLength
	default: // it may be empty; to look would wait for a body that begins behind the answer
		f.kind = ByChunks
	}
	if f.kind == ByLength || f.kind == ByChunks {
		for _, v := range req.Header["Expect"] {
			f.waits = f.waits || strings.EqualFold(v, "100-continue")
		}
	}
	return f, err
}

// clientProbe reports whether there is a byte more.
func clientProbe(r io.Reader) (more bool, err error) {
	var one [1]byte
	for range 100 { // as package bufio has it for readers that return nothing
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return true, nil
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, &clientBodyError{err}
		}
	}
	return false, &clientBodyError{io.ErrNoProgress}
}

// clientFields writes fields, and keeps the first error.
type clientFields struct {
	b     []byte
	trace *clientTrace
	err   error

	noExpect bool // there is no body to wait for leave to send (RFC 9110, section 10.1.1)
}

func (w *clientFields) add(name, value string) {
	if w.err == nil {
		w.b, w.err = AppendField(w.b, name, value)
		w.trace.wroteField(name, value)
	}
}

// addAll writes those of a header that are the user's to choose, in order of their names.
func (w *clientFields) addAll(header http.Header) {
	if len(header) == 0 {
		return
	}
	var room [16]string
	names := room[:0]
	for name := range header {
		if !clientFixed(name) && !(w.noExpect && strings.EqualFold(name, "Expect")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			if w.err == nil {
				w.b, w.err = AppendField(w.b, name, strings.Trim(value, " \t"))
			}
		}
		w.trace.wroteField(name, header[name]...)
	}
}

// clientFixed reports whether the client alone says what a field is, however its name is spelt: two that say where the
// message ends would be two messages.
func clientFixed(name string) bool {
	switch len(name) {
	case 4:
		return strings.EqualFold(name, "Host")
	case 7:
		return strings.EqualFold(name, "Trailer")
	case 10:
		return strings.EqualFold(name, "User-Agent")
	case 14:
		return strings.EqualFold(name, "Content-Length")
	case 17:
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// clientCloses reports whether a value of Connection says so.
func clientCloses(list string) bool { return clientListed(list, "close") }

func clientListed(list, token string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(one, " \t"), token) {
			return true
		}
	}
	return false
}
