package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// limits are those of the tests.
var limits = Limits{}.WithDefaults()

// read scans and parses a request as a server does, with the bytes coming in pieces of a size; what is behind the head
// is the rest.
func read(in string, piece int) (h Head, rest string, err error) {
	s := Scanner{Limits: limits}
	for end := 0; ; {
		end = min(end+piece, len(in))
		n, err := s.Scan([]byte(in[:end]))
		if err != nil {
			return h, "", err
		}
		if n > 0 {
			return h, in[n:], h.ParseRequest([]byte(in[:n]), limits)
		}
		if end == len(in) {
			return h, "", io.ErrUnexpectedEOF
		}
	}
}

// text is what a head says, for comparing.
func text(h *Head) string {
	b := fmt.Appendf(nil, "%s %s 1.%d %d %q body=%d,%d close=%v upgrade=%v continue=%v", h.Method, h.Target, h.Minor,
		h.Status, h.Host, h.Body, h.Length, h.Close, h.Upgrade, h.Continue)
	for _, f := range h.Fields {
		b = fmt.Appendf(b, "\n%s: %s", f.Name, f.Value)
	}
	return string(b)
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n"

// requests are RFC 9112's and 9110's rules for who reads a request, with the section, and an input each.
var requests = []struct {
	rule string
	in   string
	err  error
	want string // of text, if it is not refused; "": whatever
}{
	{"2.2: a request", get + "\r\n", nil, "GET / 1.1 0 \"a\" body=0,0 close=false upgrade=false continue=false\nHost: a"},
	{"2.2 SHOULD: one empty line before is skipped", "\r\n" + get + "\r\n", nil, ""},
	{"2.2: not two", "\r\n\r\n" + get + "\r\n", ErrStartLine, ""},
	{"2.2: a line ends in CR LF", "GET / HTTP/1.1\nHost: a\n\n", ErrLineEnd, ""},
	{"2.2: so does a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", ErrLineEnd, ""},
	{"2.2: so does the last one", "GET / HTTP/1.1\r\nHost: a\r\n\n", ErrLineEnd, ""},
	{"2.2 MUST: a bare CR", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", ErrLineEnd, ""},
	{"2.2 MUST: a bare CR in the first line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", ErrLineEnd, ""},
	{"2.2 MUST: white space between the first line and the fields", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", ErrSpace, ""},
	{"2.2: white space before the first line", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", ErrSpace, ""},
	{"2.3: HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", nil, "GET / 1.0 0 \"\" body=0,0 close=true upgrade=false continue=false"},
	{"2.3: later minor versions are 1.1", "GET / HTTP/1.7\r\nHost: a\r\n\r\n", nil, ""},
	{"2.3: another major version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", ErrVersion, ""},
	{"2.3: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", ErrVersion, ""},
	{"2.3: case counts", "GET / http/1.1\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"2.3: one digit", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3: another protocol, at its first byte", "\x16\x03\x01", ErrStartLine, ""},
	{"3: two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3: no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3: a tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3: a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3: a space behind", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3: no version", "GET /\r\nHost: a\r\n\r\n", ErrStartLine, ""},
	{"3.1: a method is a token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", ErrMethod, ""},
	{"3.1: methods nobody knows are the handler's", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", nil, ""},
	{"3.2: a path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2: no fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2.2: a URL", "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", nil, ""},
	{"3.2.2: a URL without a host", "GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2.3: host and port", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", nil, ""},
	{"3.2.3: for CONNECT alone", "GET a:1 HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2.3: both", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2.3: no path", "CONNECT /a:1 HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2.4: *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", nil, ""},
	{"3.2.4: for OPTIONS alone", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", ErrTarget, ""},
	{"3.2 MUST: no Host", "GET / HTTP/1.1\r\n\r\n", ErrNoHost, ""},
	{"3.2 MUST: two Hosts", get + "host: a\r\n\r\n", ErrHost, ""},
	{"3.2 MUST: a Host that is none", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ErrHost, ""},
	{"3.2 MUST: a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", ErrHost, ""},
	{"3.2: an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", nil, ""},
	{"5.1 MUST: white space before the colon", get + "X : y\r\n\r\n", ErrFieldName, ""},
	{"5.1: a name is a token", get + "X(: y\r\n\r\n", ErrFieldName, ""},
	{"5.1: and not empty", get + ": y\r\n\r\n", ErrFieldName, ""},
	{"5.1: a colon", get + "X\r\n\r\n", ErrFieldName, ""},
	{"5.1: blanks round a value are none of it", get + "X: \t y \t\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=0,0 close=false upgrade=false continue=false\nHost: a\nX: y"},
	{"5.2 MUST: a line that goes on (obs-fold)", get + "X: y\r\n z\r\n\r\n", ErrSpace, ""},
	{"5.2 MUST: with a tab", get + "X: y\r\n\tz\r\n\r\n", ErrSpace, ""},
	{"9110 5.5: NUL in a value", get + "X: y\x00z\r\n\r\n", ErrLineEnd, ""},
	{"9110 5.5: a control character in a value", get + "X: y\x01z\r\n\r\n", ErrFieldValue, ""},
	{"9110 5.5: DEL", get + "X: y\x7f\r\n\r\n", ErrFieldValue, ""},
	{"9110 5.5: above ASCII is opaque", get + "X: y\xff\r\n\r\n", nil, ""},
	{"6.1 MUST: both framings", get + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrBothFramed, ""},
	{"6.1 MUST: the other way round", get + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", ErrBothFramed, ""},
	{"6.1: chunked", get + "Transfer-Encoding: CHUNKED\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=2,0 close=false upgrade=false continue=false\nHost: a\nTransfer-Encoding: CHUNKED"},
	{"6.1: chunked twice", get + "Transfer-Encoding: chunked, chunked\r\n\r\n", ErrCoding, ""},
	{"6.1: chunked on two lines", get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCoding, ""},
	{"6.1: chunked, and an empty element", get + "Transfer-Encoding: chunked,\r\n\r\n", ErrCoding, ""},
	{"6.1: an empty list", get + "Transfer-Encoding:\r\n\r\n", ErrCoding, ""},
	{"6.1: in quotes", get + "Transfer-Encoding: \"chunked\"\r\n\r\n", ErrCoding, ""},
	{"6.1: a vertical tab before it", get + "Transfer-Encoding: \x0bchunked\r\n\r\n", ErrFieldValue, ""},
	{"6.1: with a parameter", get + "Transfer-Encoding: chunked;a=b\r\n\r\n", ErrCoding, ""},
	{"6.1 SHOULD: an unknown coding is 501", get + "Transfer-Encoding: gzip, chunked\r\n\r\n", ErrUnknown, ""},
	{"6.1 MUST: chunked is the last", get + "Transfer-Encoding: chunked, gzip\r\n\r\n", ErrCoding, ""},
	{"6.3 MUST: chunked is there", get + "Transfer-Encoding: gzip\r\n\r\n", ErrCoding, ""},
	{"6.3: identity is none", get + "Transfer-Encoding: identity\r\n\r\n", ErrCoding, ""},
	{"6.1 MUST: HTTP/1.0 has none", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrOldCoding, ""},
	{"6.2: a length", get + "Content-Length: 5\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=1,5 close=false upgrade=false continue=false\nHost: a\nContent-Length: 5"},
	{"6.2: the longest", get + "Content-Length: 9223372036854775807\r\n\r\n", nil, ""},
	{"6.2: longer", get + "Content-Length: 9223372036854775808\r\n\r\n", ErrLength, ""},
	{"6.2: 2^64", get + "Content-Length: 18446744073709551616\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: a sign", get + "Content-Length: +5\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: negative", get + "Content-Length: -1\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: hexadecimal", get + "Content-Length: 0x5\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: a list", get + "Content-Length: 5, 5\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: a blank inside", get + "Content-Length: 5 5\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: empty", get + "Content-Length:\r\n\r\n", ErrLength, ""},
	{"6.3 MUST: two that differ", get + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", ErrLength, ""},
	{"6.3 MAY: two that do not", get + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", nil, ""},
	{"6.3 MUST: nothing, no body", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", nil,
		"POST / 1.1 0 \"a\" body=0,0 close=false upgrade=false continue=false\nHost: a"},
	{"9.3: close", get + "Connection: x , Close\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=0,0 close=true upgrade=false continue=false\nHost: a\nConnection: x , Close"},
	{"9.3: close goes before keep-alive", "GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", nil,
		"GET / 1.0 0 \"\" body=0,0 close=true upgrade=false continue=false\nConnection: close, keep-alive"},
	{"9.3: HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", nil,
		"GET / 1.0 0 \"\" body=0,0 close=false upgrade=false continue=false\nConnection: Keep-Alive"},
	{"9110 7.8: an upgrade", get + "Connection: upgrade\r\nUpgrade: x\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=0,0 close=false upgrade=true continue=false\nHost: a\nConnection: upgrade\nUpgrade: x"},
	{"9110 7.8 MUST: not with HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", nil,
		"GET / 1.0 0 \"\" body=0,0 close=true upgrade=false continue=false\nConnection: upgrade\nUpgrade: x"},
	{"9110 10.1.1: 100-continue", get + "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=1,5 close=false upgrade=false continue=true\n" +
			"Host: a\nExpect: 100-Continue\nContent-Length: 5"},
	{"9110 10.1.1 MUST: not with HTTP/1.0", "GET / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", nil,
		"GET / 1.0 0 \"\" body=1,5 close=true upgrade=false continue=false\nExpect: 100-continue\nContent-Length: 5"},
	{"9110 10.1.1 MUST: not without a body", get + "Expect: 100-continue\r\n\r\n", nil,
		"GET / 1.1 0 \"a\" body=0,0 close=false upgrade=false continue=false\nHost: a\nExpect: 100-continue"},
	{"a head too long", get + "X: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", ErrHeadTooLong, ""},
	{"a first line without end", strings.Repeat("G", 17<<10), ErrTargetTooLong, ""},
	{"a target too long", "GET /" + strings.Repeat("x", 8<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", ErrTargetTooLong, ""},
	{"fields too many", get + strings.Repeat("X: y\r\n", 100) + "\r\n", ErrTooManyFields, ""},
	{"as many as may be", get + strings.Repeat("X: y\r\n", 99) + "\r\n", nil, ""},
}

func TestRequests(t *testing.T) {
	for _, row := range requests {
		for _, piece := range []int{1 << 20, 1, 2, 7} {
			h, rest, err := read(row.in+"rest", piece)
			if row.err != nil {
				if err != row.err {
					t.Errorf("%s, in pieces of %d: %v, want %v", row.rule, piece, err, row.err)
				}
				continue
			}
			if err != nil || rest != "rest" {
				t.Errorf("%s, in pieces of %d: %v, %q is left", row.rule, piece, err, rest)
			}
			if got := text(&h); row.want != "" && got != row.want {
				t.Errorf("%s:\n got %s\nwant %s", row.rule, got, row.want)
			}
		}
	}
}

// TestCuts: whatever is left of a request that is taken is unfinished, and no error.
func TestCuts(t *testing.T) {
	for _, row := range requests {
		if row.err != nil {
			continue
		}
		for i := range len(row.in) {
			if i > 300 { // those that are long because of a limit
				break
			}
			if _, _, err := read(row.in[:i], 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %q: %v", row.rule, row.in[:i], err)
			}
		}
	}
}

// TestAsNetHTTP: what is taken here, net/http takes for the same request.
func TestAsNetHTTP(t *testing.T) {
	for _, row := range requests {
		if row.err == nil {
			asNetHTTP(t, row.in)
		}
	}
}

// asNetHTTP compares a head that is taken here with what net/http makes of it.
func asNetHTTP(t *testing.T, in string) {
	t.Helper()
	h, rest, err := read(in, 1<<20)
	if err != nil {
		return
	}
	in = strings.TrimPrefix(in, "\r\n") // net/http takes no empty line before
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(in)))
	if err != nil {
		if !strings.Contains(err.Error(), "invalid URL escape") && !strings.Contains(err.Error(), "parse ") {
			t.Errorf("%q is taken, and net/http says %v", in, err)
		}
		return // it reads the target's text, which is the handler's here
	}
	defer r.Body.Close()
	length := h.Length
	if h.Body == ByChunks {
		length = -1
	}
	if r.Method != string(h.Method) || r.RequestURI != string(h.Target) || r.ContentLength != length ||
		r.Close != h.Close && h.Minor == 1 {
		t.Errorf("%q: here %s; net/http has %s %s, length %d, close %v",
			in, text(&h), r.Method, r.RequestURI, r.ContentLength, r.Close)
	}
	for _, f := range h.Fields {
		found := equal(f.Name, "host") || equal(f.Name, "transfer-encoding")
		for _, v := range r.Header.Values(string(f.Name)) {
			found = found || v == string(f.Value)
		}
		if !found {
			t.Errorf("%q: net/http has no %s: %q", in, f.Name, f.Value)
		}
	}
	_ = rest
}

func FuzzRequest(f *testing.F) {
	for _, row := range requests {
		f.Add([]byte(row.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, rest, err := read(string(in), 1<<20)
		piece, rest2, err2 := read(string(in), 3)
		if err != err2 || rest != rest2 || err == nil && text(&whole) != text(&piece) {
			t.Fatalf("in one piece %v, %s; in pieces %v, %s", err, text(&whole), err2, text(&piece))
		}
		if err == nil {
			asNetHTTP(t, string(in))
		}
	})
}

// BenchmarkGet reads a GET with the fields of a browser's: an op is one.
func BenchmarkGet(b *testing.B) {
	in := []byte("GET /search?q=plexor HTTP/1.1\r\nHost: www.example.org\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n")
	s := Scanner{Limits: limits}
	var h Head
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		n, err := s.Scan(in)
		if err == nil {
			err = h.ParseRequest(in[:n], limits)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// TestNoAllocation: a plain GET costs none.
func TestNoAllocation(t *testing.T) {
	in := []byte(get + "Connection: keep-alive\r\n\r\n")
	s := Scanner{Limits: limits}
	var h Head
	h.Fields = make([]Field, 0, 8)
	n := testing.AllocsPerRun(100, func() {
		if n, err := s.Scan(in); n != len(in) || err != nil || h.ParseRequest(in, limits) != nil {
			t.Fatal(n, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestAppend: what is written is what is read, and what would be something else to its reader is refused.
func TestAppend(t *testing.T) {
	b, err := AppendRequest(nil, "GET", "/a?b")
	for _, f := range [][2]string{{"Host", "a"}, {"X-Empty", ""}, {"X-Tab", "a\tb"}} {
		if err == nil {
			b, err = AppendField(b, f[0], f[1])
		}
	}
	b = append(b, "\r\n"...)
	h, rest, err2 := read(string(b), 1<<20)
	if err != nil || err2 != nil || rest != "" || len(h.Fields) != 3 || string(h.Target) != "/a?b" {
		t.Errorf("%q: %v, %v, %s", b, err, err2, text(&h))
	}
	for _, bad := range []func() ([]byte, error){
		func() ([]byte, error) { return AppendRequest(nil, "GET x", "/") },
		func() ([]byte, error) { return AppendRequest(nil, "", "/") },
		func() ([]byte, error) { return AppendRequest(nil, "GET", "/ HTTP/1.1\r\nX: y\r\n\r\n") },
		func() ([]byte, error) { return AppendField(nil, "X", "y\r\nZ: z") },
		func() ([]byte, error) { return AppendField(nil, "X", "y\nZ: z") },
		func() ([]byte, error) { return AppendField(nil, "X\r\nY", "z") },
		func() ([]byte, error) { return AppendField(nil, "X", "\x00") },
		func() ([]byte, error) { return AppendStatus(nil, 200, "OK\r\nX: y") },
		func() ([]byte, error) { return AppendStatus(nil, 20, "") },
	} {
		if b, err := bad(); err == nil || len(b) > 0 {
			t.Errorf("%q was written", b)
		}
	}
	if !bytes.Equal(AppendChunk(nil, nil), nil) {
		t.Error("no data is a chunk")
	}
}
