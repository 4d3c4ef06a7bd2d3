package http1

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A textConn is a connection on which text comes in pieces, and that takes whatever is written.
type textConn struct {
	net.Conn // nil: nothing else is called
	text     []byte
	piece    int
}

func (c *textConn) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(len(c.text), c.piece)])
	c.text = c.text[n:]
	return n, nil
}

func (*textConn) Write(p []byte) (int, error)      { return len(p), nil }
func (*textConn) Close() error                     { return nil }
func (*textConn) SetReadDeadline(time.Time) error  { return nil }
func (*textConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzClientResponse: whatever this client takes for an answer, net/http takes for the same one, whichever pieces it
// comes in.
func FuzzClientResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.0 200\r\n\r\nabc", "HTTP/1.1 304 No\r\n\r\n",
		chunks("3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\nA:b\r\nA: c\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1\r\na\r\n0\r\nA: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcd",
	} {
		f.Add([]byte(s), uint8(0), false)
		f.Add([]byte(s), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint8, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		req, err := http.NewRequest(method, "http://a/", nil)
		if err != nil {
			t.Fatal(err)
		}
		c := new(Client).NewConn(&textConn{text: bytes.Clone(text), piece: int(piece) + 1})
		ours, err := c.RoundTrip(req)
		if err != nil {
			return
		}
		body, bodyErr := io.ReadAll(ours.Body)
		r := bufio.NewReader(bytes.NewReader(text))
		var theirs *http.Response
		for theirs == nil || theirs.StatusCode < 200 {
			if theirs, err = http.ReadResponse(r, req); err != nil {
				t.Fatalf("net/http refuses it: %v", err)
			}
		}
		if bodyErr != nil {
			return
		}
		theirBody, err := io.ReadAll(theirs.Body)
		if err != nil || !bytes.Equal(body, theirBody) {
			t.Fatalf("%q, theirs is %q, %v", body, theirBody, err)
		}
		if ours.StatusCode != theirs.StatusCode || ours.Status != theirs.Status || ours.Proto != theirs.Proto ||
			ours.ContentLength != theirs.ContentLength || !slices.Equal(ours.TransferEncoding, theirs.TransferEncoding) {
			t.Fatalf("%+v\ntheirs %+v", ours, theirs)
		}
		delete(ours.Header, "Cache-Control") // they make one of a Pragma
		delete(theirs.Header, "Cache-Control")
		if ours.Close { // they take the field away
			delete(ours.Header, "Connection")
			delete(theirs.Header, "Connection")
		}
		if !maps.EqualFunc(ours.Header, theirs.Header, slices.Equal) ||
			!maps.EqualFunc(ours.Trailer, theirs.Trailer, slices.Equal) {
			t.Fatalf("%v %v\ntheirs %v %v", ours.Header, ours.Trailer, theirs.Header, theirs.Trailer)
		}
		if c.Usable() && (r.Buffered() > 0 && len(text) <= int(piece)+1 || ours.Close || theirs.Close) {
			t.Fatalf("usable, with %d bytes behind, close %v %v", r.Buffered(), ours.Close, theirs.Close)
		}
	})
}

// FuzzClientRequest: whatever a caller puts into a request, what is sent is one request for net/http's server, with no
// field but those that were put in, or nothing.
func FuzzClientRequest(f *testing.F) {
	f.Add("GET", "a", "/", "A", "b", "body", int64(4))
	f.Add("POST", "a:1", "/x?y", "Content-Length", "7", "body", int64(-1))
	f.Add("GET", "a", "/", "A", "b\r\n\r\nGET / HTTP/1.1", "", int64(0))
	f.Fuzz(func(t *testing.T, method, host, path, name, value, body string, length int64) {
		req, err := http.NewRequest("GET", "http://h/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Method, req.Host, req.ContentLength, req.GetBody = method, host, length, nil
		req.URL.Opaque = path
		req.Header = http.Header{name: {value}}
		nc := &sink{textConn: textConn{text: []byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), piece: 100}}
		c := (&Client{Go: func(f func()) { f() }, ContinueTime: -1}).NewConn(nc)
		if _, err := c.RoundTrip(req); err != nil || nc.b.Len() == 0 || method == "CONNECT" {
			return
		}
		r := bufio.NewReader(&nc.b)
		got, err := http.ReadRequest(r)
		if err != nil {
			if strings.HasPrefix(path, "/") { // else it may be no URL to them
				t.Fatalf("net/http refuses it: %v", err)
			}
			return
		}
		text, err := io.ReadAll(got.Body)
		if err != nil || string(text) != body && length != 0 || r.Buffered() > 0 {
			t.Fatalf("%q, %v, %d bytes behind it", text, err, r.Buffered())
		}
		if len(got.Header) > 3 { // that of the caller, Content-Length, User-Agent
			t.Fatalf("%v", got.Header)
		}
	})
}

// A sink keeps what is written.
type sink struct {
	textConn
	b bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) { return s.b.Write(p) }
