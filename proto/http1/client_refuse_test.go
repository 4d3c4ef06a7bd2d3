package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestClientRefuses: what a server sends that two clients could take for different answers, or that never ends, is an
// error, and the connection is closed.
func TestClientRefuses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, row := range []struct {
		name, text string
		want       error // of RoundTrip, or of the body
	}{
		{"differing lengths", ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", ErrLength},
		{"a list of lengths", ok + "Content-Length: 3, 3\r\n\r\nabc", ErrLength},
		{"a length with a sign", ok + "Content-Length: +3\r\n\r\nabc", ErrLength},
		{"a negative length", ok + "Content-Length: -3\r\n\r\nabc", ErrLength},
		{"an empty length", ok + "Content-Length:\r\n\r\nabc", ErrLength},
		{"a hexadecimal length", ok + "Content-Length: 0x3\r\n\r\nabc", ErrLength},
		{"a length beyond int64", ok + "Content-Length: 9223372036854775808\r\n\r\n", ErrLength},
		{"CL and TE", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrBothFramed},
		{"TE and CL", ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", ErrBothFramed},
		{"chunked twice", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", ErrCoding},
		{"chunked in two fields", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			ErrCoding},
		{"gzip, chunked", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ErrUnknown},
		{"gzip", ok + "Transfer-Encoding: gzip\r\n\r\nabc", ErrUnknown},
		{"identity", ok + "Transfer-Encoding: identity\r\n\r\nabc", ErrUnknown},
		{"xchunked", ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ErrUnknown},
		{"an empty coding", ok + "Transfer-Encoding:\r\n\r\nabc", ErrCoding},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrOldCoding},
		{"a space before the colon", ok + "Content-Length : 3\r\n\r\nabc", ErrFieldName},
		{"a folded line", ok + "A: b\r\n c\r\n\r\n", ErrSpace},
		{"a folded first field", ok + " A: b\r\n\r\n", ErrSpace},
		{"no colon", ok + "A\r\n\r\n", ErrFieldName},
		{"a bare CR", ok + "A: b\rContent-Length: 3\r\n\r\n", ErrLineEnd},
		{"a bare LF", ok + "A: b\nContent-Length: 3\r\n\r\n", ErrLineEnd},
		{"NUL", ok + "A: b\x00\r\n\r\n", ErrLineEnd},
		{"LF for an end", ok + "A: b\r\n\n", ErrLineEnd},
		{"an empty line first", "\r\n" + ok + "\r\n", ErrStatusLine},
		{"white space first", " " + ok + "\r\n", ErrSpace},
		{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", ErrVersion},
		{"another protocol, at its first byte", "\x15\x03\x01\x00\x02\x02\x46", ErrStatusLine},
		{"HTTP/0.9", "hello\r\n\r\n", ErrStatusLine},
		{"lower case", "http/1.1 200 OK\r\n\r\n", ErrStatusLine},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", ErrStatusLine},
		{"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", ErrStatusLine},
		{"a sign", "HTTP/1.1 +20 OK\r\n\r\n", ErrStatusLine},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", ErrStatusLine},
		{"101 that nobody asked for", "HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", ErrUnasked},
		{"1xx without end", strings.Repeat("HTTP/1.1 103 Hints\r\n\r\n", 20), ErrInterim},
		{"a trailer of framing is announced",
			ok + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n", ErrTrailer},
		{"a long head", ok + "A: " + strings.Repeat("b", 70_000) + "\r\n\r\n", ErrHeadTooLong},
		{"many fields", ok + strings.Repeat("A: b\r\n", 300) + "\r\n", ErrTooManyFields},
		{"a chunk's size with a sign", chunks("+3\r\nabc\r\n0\r\n\r\n"), ErrChunkSize},
		{"a chunk's size with a prefix", chunks("0x3\r\nabc\r\n0\r\n\r\n"), ErrChunkSize},
		{"a chunk's size with a space", chunks("3 \r\nabc\r\n0\r\n\r\n"), ErrChunkSize},
		{"a chunk's size with LF", chunks("3\nabc\r\n0\r\n\r\n"), ErrChunkSize},
		{"a chunk's size that overflows", chunks("ffffffffffffffff0\r\nabc\r\n0\r\n\r\n"), ErrChunkSize},
		{"a chunk that is longer", chunks("2\r\nabc\r\n0\r\n\r\n"), ErrChunkEnd},
		{"a chunk that ends in LF", chunks("3\r\nabc\n0\r\n\r\n"), ErrChunkEnd},
		{"LF in an extension", chunks("3;a\nb\r\nabc\r\n0\r\n\r\n"), ErrExtension},
		{"overhead", chunks(strings.Repeat("1;"+strings.Repeat("x", 500)+"\r\na\r\n", 100)), ErrOverhead},
		{"a trailer of framing", chunks("0\r\nContent-Length: 3\r\n\r\n"), ErrTrailer},
		{"long trailers", chunks("0\r\nA: " + strings.Repeat("b", 9000) + "\r\n\r\n"), ErrTrailersLong},
		{"a body cut short", ok + "Content-Length: 5\r\n\r\nabc", io.ErrUnexpectedEOF},
		{"chunks cut short", chunks("3\r\nabc\r\n"), io.ErrUnexpectedEOF},
		{"a chunk cut short", chunks("5\r\nabc"), io.ErrUnexpectedEOF},
		{"trailers cut short", chunks("0\r\nA: b\r\n"), io.ErrUnexpectedEOF},
		{"a head cut short", "HTTP/1.1 200 OK\r\nA", io.ErrUnexpectedEOF},
		{"nothing", "", io.EOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			cl := &Client{}
			done := clientTold(cl)
			c := clientPeer(t, cl, clientSays(row.text))
			resp, err := c.RoundTrip(clientGet(t, "GET"))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
			if c.Usable() || done.Load() != 1 {
				t.Errorf("usable: %v; Done was called %d times", c.Usable(), done.Load())
			}
			if _, err := c.RoundTrip(clientGet(t, "GET")); err != ErrConnSpent {
				t.Errorf("another request: %v", err)
			}
		})
	}
}

func chunks(s string) string { return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + s }

// TestClientEnds: where answers end, and whether the connection may be used then: never with bytes behind it.
func TestClientEnds(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, row := range []struct {
		name, method, text, body string
		length                   int64
		usable                   bool
	}{
		{"length", "GET", ok + "Content-Length: 3\r\n\r\nabc", "abc", 3, true},
		{"length 0", "GET", ok + "Content-Length: 0\r\n\r\n", "", 0, true},
		{"the same length twice", "GET", ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, true},
		{"bytes behind it", "GET", ok + "Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n", "abc", 3, false},
		{"bytes behind none", "GET", ok + "Content-Length: 0\r\n\r\nx", "", 0, false},
		{"an empty line behind it", "GET", ok + "Content-Length: 3\r\n\r\nabc\r\n", "abc", 3, false},
		{"chunks", "GET", chunks("3\r\nabc\r\n0\r\n\r\n"), "abc", -1, true},
		{"extensions and trailers", "GET", chunks("3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nA: b\r\n\r\n"), "abcd", -1, true},
		{"bytes behind chunks", "GET", chunks("3\r\nabc\r\n0\r\n\r\nx"), "abc", -1, false},
		{"the connection", "GET", ok + "\r\nabc", "abc", -1, false},
		{"close", "GET", ok + "Content-Length: 3\r\nConnection: a, Close\r\n\r\nabc", "abc", 3, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, false},
		{"HTTP/1.0, kept", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", "abc",
			3, true},
		{"HEAD", "HEAD", ok + "Content-Length: 3\r\n\r\n", "", 3, true},
		{"HEAD without a length", "HEAD", ok + "\r\n", "", -1, true},
		{"HEAD with chunks", "HEAD", chunks(""), "", -1, true},
		{"HEAD with a body", "HEAD", ok + "Content-Length: 3\r\n\r\nabc", "", 3, false},
		{"204", "GET", "HTTP/1.1 204 No\r\n\r\n", "", 0, true},
		{"204 with a length", "GET", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", "", 0, true},
		{"304", "GET", "HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", "", 0, true},
		{"304 with chunks", "GET", "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", "", 0, true},
		{"1xx first", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na",
			"a", 1, true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", "a", 1, true},
		{"an unknown status", "GET", "HTTP/1.1 599 ?\r\nContent-Length: 1\r\n\r\na", "a", 1, true},
	} {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cut %v", row.name, cut), func(t *testing.T) {
				step := make(chan struct{})
				c := clientPeer(t, &Client{}, func(nc net.Conn, r *bufio.Reader) {
					clientReadsHead(r)
					if !cut {
						_, _ = io.WriteString(nc, row.text)
					}
					for i := 0; cut && i < len(row.text); i++ { // each byte by itself, as far as the system lets it
						_, _ = nc.Write([]byte{row.text[i]})
					}
					if row.length < 0 && !row.usable && row.name == "the connection" {
						_ = nc.(interface{ CloseWrite() error }).CloseWrite()
					}
					<-step
				})
				defer close(step)
				resp, err := c.RoundTrip(clientGet(t, row.method))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				if err != nil || string(b) != row.body || resp.ContentLength != row.length {
					t.Errorf("%q, %d, %v; want %q, %d", b, resp.ContentLength, err, row.body, row.length)
				}
				if c.Usable() != row.usable && !(cut && strings.Contains(row.name, "b") && c.Usable()) {
					t.Errorf("usable: %v", c.Usable())
				}
			})
		}
	}
}

// TestClientClose: closing a body whose rest has come leaves the connection usable, and one whose rest has not ends it.
func TestClientClose(t *testing.T) {
	for _, row := range []struct {
		text   string
		usable bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", false},
		{chunks("3\r\nabc\r\n0\r\n\r\n"), true},
		{chunks("3\r\nabc\r\n0\r\n"), false},
	} {
		cl := &Client{}
		done := clientTold(cl)
		c := clientPeer(t, cl, func(nc net.Conn, r *bufio.Reader) {
			clientReadsHead(r)
			_, _ = io.WriteString(nc, row.text)
			_, _ = io.Copy(io.Discard, r)
		})
		resp, err := c.RoundTrip(clientGet(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil { // what came with it is there
			t.Error(err)
		}
		if err := resp.Body.Close(); err != nil || c.Usable() != row.usable || done.Load() != 1 {
			t.Errorf("%q: %v, usable %v, Done %d", row.text, err, c.Usable(), done.Load())
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err != ErrBodyClosed {
			t.Error(err)
		}
	}
}

// TestClientTimes: the bounds of time.
func TestClientTimes(t *testing.T) {
	silent := func(nc net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) }
	c := clientPeer(t, &Client{HeadTime: 10 * time.Millisecond}, silent)
	var ne net.Error
	if _, err := c.RoundTrip(clientGet(t, "GET")); !errors.As(err, &ne) || !ne.Timeout() || c.Usable() {
		t.Errorf("%v, usable %v", err, c.Usable())
	}
	c = clientPeer(t, &Client{ContinueTime: time.Millisecond}, func(nc net.Conn, r *bufio.Reader) {
		clientReadsHead(r)
		_, _ = io.ReadFull(r, make([]byte, 3)) // it comes without leave
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, r)
	})
	req := clientGet(t, "POST")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("abc")), 3
	req.Header.Set("Expect", "100-continue")
	if _, err := c.RoundTrip(req); err != nil {
		t.Error(err)
	}
	c = clientPeer(t, &Client{ContinueTime: time.Hour}, func(nc net.Conn, r *bufio.Reader) {
		clientReadsHead(r)
		_, _ = io.WriteString(nc, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
		if n, _ := io.Copy(io.Discard, r); n > 0 {
			t.Errorf("%d bytes of a body that was not wanted", n)
		}
	})
	body := &closedBody{Reader: strings.NewReader("abc")}
	req = clientGet(t, "POST")
	req.Body, req.ContentLength = body, 3
	req.Header.Set("Expect", "100-continue")
	resp, err := c.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusExpectationFailed || c.Usable() || !body.closed.Load() {
		t.Errorf("%v, usable %v", err, c.Usable())
	}
}

// TestClientLast: a request that says close is the last, whatever the answer says.
func TestClientLast(t *testing.T) {
	for _, mark := range []func(r *http.Request){
		func(r *http.Request) { r.Close = true }, func(r *http.Request) { r.Header.Set("Connection", "x, Close") },
	} {
		c := clientPeer(t, &Client{}, clientSays("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		req := clientGet(t, "GET")
		mark(req)
		if _, err := c.RoundTrip(req); err != nil || c.Usable() {
			t.Errorf("%v, usable %v", err, c.Usable())
		}
	}
}

// TestClientAbsolute: what goes to a proxy has the whole URL, and the fields for it.
func TestClientAbsolute(t *testing.T) {
	got := make(chan string, 1)
	c := clientPeer(t, &Client{}, func(nc net.Conn, r *bufio.Reader) {
		got <- clientReadsHead(r)
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, r)
	})
	c.Absolute, c.Extra = true, http.Header{"Proxy-Authorization": {"Basic eA=="}}
	req := clientGet(t, "GET")
	req.Header["User-Agent"] = nil
	if _, err := c.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	want := "GET http://example.com/a?b=c HTTP/1.1\r\nHost: example.com\r\nProxy-Authorization: Basic eA==\r\n\r\n"
	if g := <-got; g != want {
		t.Errorf("%q, want %q", g, want)
	}
}
