package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A script is a net.Conn whose peer says what is written down, in pieces, and closes its half.
type script struct {
	net.Conn
	pieces [][]byte
	out    bytes.Buffer
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Close() error                     { return nil }

// cut cuts b at the places that cuts says: each byte is how long a piece is, less one.
func cutUp(b, cuts []byte) (pieces [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

// served is what a server answers to b, and how many requests it has had handled. Each handler is of another kind, by
// the path.
func served(b, cuts []byte) (answers string, handled int) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	s := &Server{
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handled++
			switch r.URL.Path {
			case "/unread":
			case "/full":
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.WriteHeader(200)
				_ = http.NewResponseController(w).Flush()
				_, _ = io.Copy(w, r.Body)
			default:
				got, err := io.ReadAll(r.Body)
				if err != nil {
					w.WriteHeader(499)
				}
				fmt.Fprintf(w, "%d %s %q %v %v %q", handled, r.Method, r.RequestURI, r.Header, r.Trailer, got)
			}
		}),
	}
	nc := &script{pieces: cutUp(b, cuts)}
	_ = s.ServeConn(nc)
	return nc.out.String(), handled
}

// FuzzServeConn sends anything, in any pieces: what comes back does not depend on those, and each request is answered
// once. (With /full the chunks of the answer are those of the pieces.)
func FuzzServeConn(f *testing.F) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /unread HTTP/1.0\r\n\r\n",
		"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: a\r\n\r\n" +
			"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /full HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
		"POST /full HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
	} {
		f.Add([]byte(text), []byte{0})
		f.Add([]byte(text), []byte{6, 1, 30})
	}
	f.Fuzz(func(t *testing.T, b, cuts []byte) {
		want, n := served(b, nil)
		got, m := served(b, cuts)
		if n != m {
			t.Errorf("%q: %d requests in one piece, %d in pieces %v", b, n, m, cuts)
		}
		if got != want && !bytes.Contains(b, []byte("/full")) {
			t.Errorf("%q in pieces %v:\n%q, in one:\n%q", b, cuts, got, want)
		}
		if finals := strings.Count(want, "\r\nDate: "); finals > n+1 && !bytes.Contains(b, []byte("*")) &&
			!bytes.Contains(b, []byte("Date")) {
			t.Errorf("%q: %d answers to %d requests: %q", b, finals, n, want)
		}
	})
}

// FuzzBesideNetHTTP holds that whole requests that are taken here are taken by net/http too, with the same method,
// target, host and body.
func FuzzBesideNetHTTP(f *testing.F) {
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: a\r\n\r\n",
		"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "GET http://y/ HTTP/1.0\r\n\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		type seen struct{ method, target, host, body string }
		var ours []seen
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got, err := io.ReadAll(r.Body); err == nil {
				ours = append(ours, seen{r.Method, r.RequestURI, r.Host, string(got)})
			}
		})
		s := &Server{Log: slog.New(slog.DiscardHandler), Handler: h}
		_ = s.ServeConn(&script{pieces: [][]byte{b}})
		theirs := requestsOf(b)
		for i, our := range ours {
			if i >= len(theirs) {
				t.Fatalf("%q: taken as %q, and not by net/http", b, our)
			}
			if their := seen(theirs[i]); their != our {
				t.Fatalf("%q: taken as %q, and by net/http as %q", b, our, their)
			}
		}
	})
}

// requestsOf are those that net/http reads in b, up to the first that it does not.
func requestsOf(b []byte) (all []struct{ method, target, host, body string }) {
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		if p, _ := r.Peek(2); string(p) == "\r\n" { // as net/http's server skips it
			_, _ = r.Discard(2)
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return all
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return all
		}
		if req.RequestURI != "*" || req.Method != "OPTIONS" { // which no handler sees
			all = append(all, struct{ method, target, host, body string }{req.Method, req.RequestURI, req.Host, string(body)})
		}
	}
}
