package http1

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// responses are the rules for who reads a response.
var responses = []struct {
	rule   string
	method string
	in     string
	err    error
	body   Body
	length int64
	close  bool
}{
	{"4: a reason", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", nil, ByLength, 5, false},
	{"4: none", "GET", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", nil, ByLength, 5, false},
	{"4: none, and no space", "GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", nil, ByLength, 5, false},
	{"4: three digits", "GET", "HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine, 0, 0, false},
	{"4: not four", "GET", "HTTP/1.1 2000 OK\r\n\r\n", ErrStatusLine, 0, 0, false},
	{"4: at least 100", "GET", "HTTP/1.1 099 OK\r\n\r\n", ErrStatusLine, 0, 0, false},
	{"4: two spaces", "GET", "HTTP/1.1  200 OK\r\n\r\n", ErrStatusLine, 0, 0, false},
	{"4: a control character", "GET", "HTTP/1.1 200 O\x01K\r\n\r\n", ErrStatusLine, 0, 0, false},
	{"4: another protocol", "GET", "SSH-2.0-OpenSSH_9.2\r\n\r\n", ErrStatusLine, 0, 0, false},
	{"4: another version", "GET", "HTTP/2.0 200 OK\r\n\r\n", ErrVersion, 0, 0, false},
	{"6.3 1: HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", nil, NoBody, 5, false},
	{"6.3 1: HEAD, chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", nil, NoBody, 0, false},
	{"6.3 1: 1xx", "GET", "HTTP/1.1 103 Early Hints\r\n\r\n", nil, NoBody, 0, false},
	{"6.3 1: 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", nil, NoBody, 0, false},
	{"6.3 1: 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", nil, NoBody, 5, false},
	{"6.3 2: a tunnel", "CONNECT", "HTTP/1.1 200 OK\r\n\r\n", nil, NoBody, 0, false},
	{"6.3 2: none", "CONNECT", "HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n", nil, ByLength, 5, false},
	{"6.3 3: both framings", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		ErrBothFramed, 0, 0, false},
	{"6.3 4: chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", nil, ByChunks, 0, false},
	{"6.3 4: another coding, to the end", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		nil, ByClose, 0, true},
	{"6.3 4: chunked twice", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
		ErrCoding, 0, 0, false},
	{"6.3 5: lengths that differ", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		ErrLength, 0, 0, false},
	{"6.3 8: neither", "GET", "HTTP/1.1 200 OK\r\n\r\n", nil, ByClose, 0, true},
	{"6.3: a length of 0", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", nil, NoBody, 0, false},
	{"9.3: close", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", nil, ByLength, 5, true},
	{"9.3: HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", nil, ByLength, 5, true},
	{"2.2: a line end", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", ErrLineEnd, 0, 0, false},
	{"5.2: obs-fold", "GET", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", ErrSpace, 0, 0, false},
}

func TestResponses(t *testing.T) {
	for _, row := range responses {
		s := Scanner{Limits: limits}
		var h Head
		n, err := s.Scan([]byte(row.in))
		if err == nil {
			if n != len(row.in) {
				t.Errorf("%s: the head has %d bytes of %d", row.rule, n, len(row.in))
			}
			err = h.ParseResponse([]byte(row.in), row.method, limits)
		}
		if err != row.err {
			t.Errorf("%s: %v, want %v", row.rule, err, row.err)
		}
		if err != nil {
			continue
		}
		if h.Body != row.body || h.Length != row.length || h.Close != row.close {
			t.Errorf("%s: %s", row.rule, text(&h))
		}
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(row.in)), &http.Request{Method: row.method})
		if h.Body == ByClose && h.Get("transfer-encoding") != nil {
			continue // which net/http does not take
		}
		if err != nil || r.StatusCode != h.Status {
			t.Errorf("%s: net/http says %v", row.rule, err)
		}
	}
}
