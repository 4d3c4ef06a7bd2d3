package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
)

// clientPatience is how long a test waits for what should come soon.
const clientPatience = 30 * time.Second

// clientPeer makes a ClientConn whose server is script: it gets the connection, and a reader of it.
func clientPeer(t *testing.T, cl *Client, script func(nc net.Conn, r *bufio.Reader)) *ClientConn {
	t.Helper()
	ln, err := stage.Listen(t)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nc, err := ln.Accept()
		_ = ln.Close()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(clientPatience))
		script(nc, bufio.NewReader(nc))
	}()
	nc, err := stage.Dial(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := cl.NewConn(nc)
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return c
}

// clientSays is a script that reads a head, and answers with text and the end of the connection.
func clientSays(text string) func(net.Conn, *bufio.Reader) {
	return func(nc net.Conn, r *bufio.Reader) {
		clientReadsHead(r)
		_, _ = io.WriteString(nc, text)
		_ = nc.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, r)
	}
}

// clientReadsHead reads up to an empty line.
func clientReadsHead(r *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

func clientGet(t *testing.T, method string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "http://example.com/a?b=c", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// clientTold counts the calls of Client.Done.
func clientTold(cl *Client) *atomic.Int32 {
	n := new(atomic.Int32)
	cl.Done = func(*ClientConn) { n.Add(1) }
	return n
}

// TestClientExchanges: requests of each kind, one after the other on one connection of net/http's server.
func TestClientExchanges(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Got", fmt.Sprintf("%s %d %v", r.Method, r.ContentLength, r.TransferEncoding))
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(204)
		case "/stream":
			w.Header().Set("Trailer", "After")
			for part := range strings.SplitAfterSeq(string(body), "\n") {
				_, _ = io.WriteString(w, part)
				w.(http.Flusher).Flush()
			}
			w.Header().Set("After", "yes")
		default:
			_, _ = w.Write(body)
		}
	}))
	defer srv.Close()
	cl := &Client{}
	done := clientTold(cl)
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := cl.NewConn(nc)
	defer c.Close()
	big := strings.Repeat("0123456789abcde\n", 20_000)
	stream := func(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
	for i, row := range []struct {
		name, method, path string
		body               io.Reader
		expect             bool
		got, want          string
	}{
		{"GET", "GET", "/", nil, false, "GET 0 []", ""},
		{"GET with an empty body of unknown length", "GET", "/", stream(""), false, "GET -1 [chunked]", ""},
		{"GET with a body of unknown length", "GET", "/", stream("abc"), false, "GET -1 [chunked]", "abc"},
		{"POST without a body", "POST", "/", nil, false, "POST 0 []", ""},
		{"POST, short", "POST", "/", strings.NewReader("hello"), false, "POST 5 []", "hello"},
		{"POST, long", "POST", "/", strings.NewReader(big), false, "POST 320000 []", big},
		{"POST, chunked", "POST", "/stream", stream(big[:1600]), false, "POST -1 [chunked]", big[:1600]},
		{"POST, told to go on", "POST", "/", strings.NewReader(big), true, "POST 320000 []", big},
		{"HEAD", "HEAD", "/", nil, false, "HEAD 0 []", ""},
		{"204", "DELETE", "/none", nil, false, "DELETE 0 []", ""},
		{"PUT, empty and chunked", "PUT", "/", stream(""), false, "PUT -1 [chunked]", ""},
	} {
		req, err := http.NewRequest(row.method, srv.URL+row.path, row.body)
		if err != nil {
			t.Fatal(err)
		}
		if row.expect {
			req.Header.Set("Expect", "100-continue")
		}
		resp, err := c.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != row.want || resp.Header.Get("X-Got") != row.got {
			t.Errorf("%s: %d bytes, %v, %q, want %d and %q", row.name, len(body), err, resp.Header.Get("X-Got"),
				len(row.want), row.got)
		}
		if row.path == "/stream" && resp.Trailer.Get("After") != "yes" {
			t.Errorf("%s: trailers %v", row.name, resp.Trailer)
		}
		clientWaits(t, func() bool { return c.Usable() && int(done.Load()) == i+1 })
	}
}

// clientWaits looks until cond holds.
func clientWaits(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(clientPatience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// TestClientRequests: the bytes of requests.
func TestClientRequests(t *testing.T) {
	chunked := func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abc")), -1 }
	for _, row := range []struct {
		name, method string
		make         func(r *http.Request)
		want         string
	}{
		{"GET", "GET", func(*http.Request) {}, "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: plexor\r\n\r\n"},
		{"no User-Agent", "GET", func(r *http.Request) { r.Header["User-Agent"] = nil },
			"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"Host of its own", "GET", func(r *http.Request) { r.Host = "other:81"; r.Header.Set("User-Agent", "x") },
			"GET /a?b=c HTTP/1.1\r\nHost: other:81\r\nUser-Agent: x\r\n\r\n"},
		{"zone", "GET", func(r *http.Request) { r.Host = "[fe80::1%25eth0]:8"; r.Header.Set("User-Agent", "") },
			"GET /a?b=c HTTP/1.1\r\nHost: [fe80::1]:8\r\n\r\n"},
		{"framing is not the caller's", "POST", func(r *http.Request) {
			r.Header = http.Header{"content-length": {"7"}, "TRANSFER-ENCODING": {"chunked"}, "hOst": {"evil"},
				"A": {" 1 ", "2"}, "User-Agent": nil, "trailer": {"x"}}
		}, "POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\nA: 1\r\nA: 2\r\n\r\n"},
		{"close", "GET", func(r *http.Request) { r.Close = true; r.Header["User-Agent"] = nil },
			"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"},
		{"CONNECT", "CONNECT", func(r *http.Request) {
			r.URL.Path, r.URL.Host, r.Host, r.Header["User-Agent"] = "", "there:443", "there:443", nil
		},
			"CONNECT there:443 HTTP/1.1\r\nHost: there:443\r\n\r\n"},
		{"nothing to wait for", "GET", func(r *http.Request) {
			r.Header = http.Header{"Expect": {"100-continue"}, "User-Agent": nil}
		}, "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"no path", "GET", func(r *http.Request) { r.URL.Path, r.URL.RawQuery, r.Header["User-Agent"] = "", "", nil },
			"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"OPTIONS *", "OPTIONS", func(r *http.Request) { r.URL.Path, r.URL.RawQuery, r.Header["User-Agent"] = "*", "", nil },
			"OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"a name and a password", "GET", func(r *http.Request) {
			r.URL.User, r.Header["User-Agent"] = url.UserPassword("a", "b"), nil
		},
			"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"chunks and trailers", "POST", func(r *http.Request) {
			chunked(r)
			r.Trailer, r.Header["User-Agent"] = http.Header{"X-B": {"2"}, "X-A": {"1"}}, nil
		}, "POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\nTrailer: X-A,X-B\r\n\r\n" +
			"3\r\nabc\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := make(chan string, 1)
			c := clientPeer(t, &Client{}, func(nc net.Conn, r *bufio.Reader) {
				b := make([]byte, len(row.want))
				n, _ := io.ReadFull(r, b)
				_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_ = nc.(interface{ CloseWrite() error }).CloseWrite()
				rest, _ := io.ReadAll(r)
				got <- string(b[:n]) + string(rest)
			})
			req := clientGet(t, row.method)
			row.make(req)
			resp, err := c.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			_ = c.Close()
			if g := <-got; g != row.want {
				t.Errorf("got  %q\nwant %q", g, row.want)
			}
		})
	}
}

// TestClientSmuggles: nothing that a caller puts into a request becomes another field or another request. The
// connection is not touched, and the body is closed.
func TestClientSmuggles(t *testing.T) {
	for _, row := range []struct {
		name string
		make func(r *http.Request)
	}{
		{"a value with CR LF", func(r *http.Request) { r.Header.Set("A", "1\r\nB: 2") }},
		{"a value with LF", func(r *http.Request) { r.Header["A"] = []string{"1\nB: 2"} }},
		{"a value with NUL", func(r *http.Request) { r.Header["A"] = []string{"1\x00"} }},
		{"a name with CR LF", func(r *http.Request) { r.Header["A: 1\r\nB"] = []string{"2"} }},
		{"a name with a space", func(r *http.Request) { r.Header["Content-Length "] = []string{"2"} }},
		{"an empty name", func(r *http.Request) { r.Header[""] = []string{"2"} }},
		{"a method with a space", func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nA: b" }},
		{"a target with CR LF", func(r *http.Request) { r.URL.Opaque = "/ HTTP/1.1\r\nA: b" }},
		{"a target with a space", func(r *http.Request) { r.URL.Opaque = "/ HTTP/1.0" }},
		{"a query with CR LF", func(r *http.Request) { r.URL.RawQuery = "a\r\nb: c" }},
		{"a host with CR LF", func(r *http.Request) { r.Host = "a\r\nb: c" }},
		{"a host with a path", func(r *http.Request) { r.Host = "a/b" }},
		{"a user agent with CR LF", func(r *http.Request) { r.Header.Set("User-Agent", "a\r\nb: c") }},
		{"a trailer of framing", func(r *http.Request) {
			r.ContentLength, r.Trailer = -1, http.Header{"Content-Length": {"1"}}
		}},
		{"a trailer with CR LF", func(r *http.Request) { r.ContentLength = -1; r.Trailer = http.Header{"A\r\nB": {"1"}} }},
		{"a coding", func(r *http.Request) { r.TransferEncoding = []string{"gzip", "chunked"} }},
		{"a body of TRACE", func(r *http.Request) { r.Method = "TRACE" }},
		{"chunked in TE", func(r *http.Request) { r.Header.Set("TE", "trailers, chunked") }},
		{"no host", func(r *http.Request) { r.Host, r.URL.Host = "", "" }},
		{"no URL", func(r *http.Request) { r.URL = nil }},
		{"no header", func(r *http.Request) { r.Header = nil }},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := make(chan int64, 1)
			c := clientPeer(t, &Client{}, func(nc net.Conn, r *bufio.Reader) {
				n, _ := io.Copy(io.Discard, r)
				got <- n
			})
			req := clientGet(t, "POST")
			body := &closedBody{Reader: strings.NewReader("x")}
			req.Body, req.ContentLength = body, 1
			row.make(req)
			_, err := c.RoundTrip(req)
			if err == nil {
				t.Error("it was sent")
			}
			if !body.closed.Load() || !c.Usable() {
				t.Errorf("body closed: %v; usable: %v", body.closed.Load(), c.Usable())
			}
			_ = c.Close()
			if n := <-got; n != 0 {
				t.Errorf("%d bytes were sent; %v", n, err)
			}
		})
	}
}

type closedBody struct {
	io.Reader
	closed atomic.Bool
}

func (b *closedBody) Close() error {
	b.closed.Store(true)
	return nil
}

// TestClientBodyLength: a body that is not as long as the request says is an error, and the connection is closed.
func TestClientBodyLength(t *testing.T) {
	for _, row := range []struct {
		length int64
		body   string
	}{{5, "abc"}, {2, "abc"}, {9000, strings.Repeat("x", 8999)}, {9000, strings.Repeat("x", 9001)}} {
		c := clientPeer(t, &Client{}, func(nc net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
		req := clientGet(t, "POST")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(row.body)), row.length
		if _, err := c.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "ContentLength") || c.Usable() {
			t.Errorf("%d of %d bytes: %v", len(row.body), row.length, err)
		}
	}
}

// TestClientEarlyAnswer: the answer is read while the body is not sent yet, and a server that then takes no more of it
// ends the connection, and the sending.
func TestClientEarlyAnswer(t *testing.T) {
	cl := &Client{}
	done := clientTold(cl)
	c := clientPeer(t, cl, func(nc net.Conn, r *bufio.Reader) {
		clientReadsHead(r)
		_, _ = io.WriteString(nc, "HTTP/1.1 413 Too Long\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, r)
	})
	pr, pw := io.Pipe()
	req := clientGet(t, "POST")
	req.Body = pr
	resp, err := c.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if string(b) != "no" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := pw.Write([]byte("x")); err == nil { // one may be taken
		_, err = pw.Write([]byte("y"))
		if err == nil {
			t.Error("the body is still read")
		}
	}
	clientWaits(t, func() bool { return done.Load() == 1 })
	if c.Usable() {
		t.Error("a connection with half a request on it is usable")
	}
}

// TestClientLateBody: a body that begins behind the answer does not hold the head up, whatever the method.
func TestClientLateBody(t *testing.T) {
	for _, method := range []string{"GET", "POST", "DELETE"} {
		c := clientPeer(t, &Client{}, func(nc net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
			_, _ = io.Copy(nc, req.Body)
			_, _ = io.Copy(io.Discard, r)
		})
		pr, pw := io.Pipe()
		req := clientGet(t, method)
		req.Body = pr
		resp, err := c.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = pw.Write([]byte("abc"))
		_ = pw.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "abc" {
			t.Errorf("%s: %q, %v", method, b, err)
		}
	}
}

// TestClientCancel: a context that ends wakes who waits, for a head and for a body, with its cause.
func TestClientCancel(t *testing.T) {
	why := errors.New("why")
	for _, row := range []struct{ name, text string }{
		{"head", "HTTP/1.1 200"}, {"body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"}, {"nothing", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			cl := &Client{}
			done := clientTold(cl)
			begun := make(chan struct{})
			c := clientPeer(t, cl, func(nc net.Conn, r *bufio.Reader) {
				clientReadsHead(r)
				_, _ = io.WriteString(nc, row.text)
				close(begun)
				_, _ = io.Copy(io.Discard, r)
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-begun
				cancel(why)
			}()
			resp, err := c.RoundTrip(clientGet(t, "GET").WithContext(ctx))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
			}
			if !errors.Is(err, why) {
				t.Errorf("%v", err)
			}
			clientWaits(t, func() bool { return done.Load() == 1 })
			if c.Usable() {
				t.Error("usable")
			}
		})
	}
}

// TestClientUpgrade: an answer 101 gives the connection away, both ways, with what was read ahead, whatever becomes of
// the context.
func TestClientUpgrade(t *testing.T) {
	for _, method := range []string{"GET", "CONNECT"} {
		cl := &Client{}
		done := clientTold(cl)
		c := clientPeer(t, cl, func(nc net.Conn, r *bufio.Reader) {
			clientReadsHead(r)
			status := "101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade"
			if method == "CONNECT" {
				status = "200 OK"
			}
			_, _ = io.WriteString(nc, "HTTP/1.1 "+status+"\r\n\r\nahead")
			_, _ = io.Copy(nc, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		req := clientGet(t, method).WithContext(ctx)
		req.Header.Set("Upgrade", "echo")
		req.Header.Set("Connection", "Upgrade")
		resp, err := c.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		rw := resp.Body.(io.ReadWriteCloser)
		_, _ = io.WriteString(rw, "echo")
		b := make([]byte, 9)
		if _, err := io.ReadFull(rw, b); err != nil || string(b) != "aheadecho" {
			t.Errorf("%q, %v", b, err)
		}
		if c.Usable() || done.Load() != 0 {
			t.Error("the connection is somebody else's, and usable")
		}
		_ = rw.Close()
		clientWaits(t, func() bool { return done.Load() == 1 })
	}
}

// TestClientTrace: the hooks are called in their order.
func TestClientTrace(t *testing.T) {
	var calls []string
	add := func(s string) { calls = append(calls, s) }
	trace := &httptrace.ClientTrace{
		GotFirstResponseByte: func() { add("first byte") }, Got100Continue: func() { add("continue") },
		WroteHeaders: func() { add("head") }, Wait100Continue: func() { add("waits") },
		WroteRequest:   func(i httptrace.WroteRequestInfo) { add(fmt.Sprint("request ", i.Err)) },
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { add(fmt.Sprint(code)); return nil },
	}
	c := clientPeer(t, &Client{Go: func(f func()) { f() }}, func(nc net.Conn, r *bufio.Reader) {
		clientReadsHead(r)
		_, _ = io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
		_, _ = io.ReadFull(r, make([]byte, 3))
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	req := clientGet(t, "POST").WithContext(httptrace.WithClientTrace(t.Context(), trace))
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader([]byte("abc"))), 3
	req.Header.Set("Expect", "100-continue")
	if _, err := c.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(calls, ", "), "head, waits, first byte, 103, continue, 100, request <nil>"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
