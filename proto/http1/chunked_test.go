package http1

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// dechunk reads a chunked body that comes in pieces; what is behind it is the rest.
func dechunk(in string, piece int) (body string, trailers []string, rest string, err error) {
	c := Chunked{Limits: limits}
	b := []byte(in)
	for from, end := 0, 0; ; {
		data, n, err := c.Next(b[from:end])
		body += string(data)
		from += n
		switch {
		case err != nil:
			return body, nil, "", err
		case c.Done():
			for _, f := range c.Trailers() {
				trailers = append(trailers, fmt.Sprintf("%s: %s", f.Name, f.Value))
			}
			return body, trailers, in[from:], nil
		case n == 0 && end == len(b):
			return body, nil, "", io.ErrUnexpectedEOF
		case n == 0:
			end = min(end+piece, len(b))
		}
	}
}

var bodies = []struct {
	rule string
	in   string
	err  error
	body string
	tail string // the trailers
}{
	{"7.1: chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", nil, "hello!", ""},
	{"7.1: none", "0\r\n\r\n", nil, "", ""},
	{"7.1: hexadecimal, both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", nil, "01234567890123456789", ""},
	{"7.1: zeros before", "0005\r\nhello\r\n000\r\n\r\n", nil, "hello", ""},
	{"7.1: no size", "\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: a sign", "+5\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: negative", "-5\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: a prefix", "0x5\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: an underscore", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: a space before", " 5\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: a space behind", "5 \r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1 MUST: no overflow", "10000000000000005\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: a size that ends in LF", "5\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: a size that ends in CR", "5\rhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1: data that end in LF", "5\r\nhello\n0\r\n\r\n", ErrChunkEnd, "hello", ""},
	{"7.1: data that are longer", "5\r\nhello!\r\n0\r\n\r\n", ErrChunkEnd, "hello", ""},
	{"7.1: the last chunk ends in LF", "0\n\r\n", ErrChunkSize, "", ""},
	{"7.1.1 MUST: extensions are skipped", "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n", nil, "hello", ""},
	{"7.1.1: LF in one", "5;a\nb\r\nhello\r\n0\r\n\r\n", ErrExtension, "", ""},
	{"7.1.1: CR in one", "5;a\rb\r\nhello\r\n0\r\n\r\n", ErrChunkSize, "", ""},
	{"7.1.1: NUL in one", "5;a\x00b\r\nhello\r\n0\r\n\r\n", ErrExtension, "", ""},
	{"7.1.2: trailers", "0\r\nX: y\r\nZ:\r\n\r\n", nil, "", "X: y Z: "},
	{"7.1.2: one of framing", "0\r\nContent-Length: 5\r\n\r\n", ErrTrailer, "", ""},
	{"7.1.2: one of routing", "0\r\nhost: b\r\n\r\n", ErrTrailer, "", ""},
	{"7.1.2: one of authentication", "0\r\nAuthorization: b\r\n\r\n", ErrTrailer, "", ""},
	{"7.1.2: no field", "0\r\nGET / HTTP/1.1\r\n\r\n", ErrFieldName, "", ""},
	{"7.1.2: LF", "0\r\nX: y\n\r\n", ErrLineEnd, "", ""},
	{"7.1.2: obs-fold", "0\r\nX: y\r\n z\r\n\r\n", ErrSpace, "", ""},
	{"trailers too long", "0\r\nX: " + strings.Repeat("y", 5000) + "\r\n\r\n", ErrTrailersLong, "", ""},
	{"trailers without end", "0\r\nX: " + strings.Repeat("y", 5000), ErrTrailersLong, "", ""},
	{"trailers too many", "0\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n", ErrTooManyFields, "", ""},
	{"CVE-2023-39326: extensions", "1;" + strings.Repeat("x", 17<<10) + "\r\nx\r\n0\r\n\r\n", ErrOverhead, "", ""},
	{"many small ones", strings.Repeat("1;"+strings.Repeat("x", 40)+"\r\nx\r\n", 1000) + "0\r\n\r\n",
		ErrOverhead, "-", ""},
	{"many small ones, as small as can be", strings.Repeat("1\r\nx\r\n", 5000) + "0\r\n\r\n",
		nil, strings.Repeat("x", 5000), ""},
}

func TestBodies(t *testing.T) {
	for _, row := range bodies {
		for _, piece := range []int{1 << 20, 1, 3} {
			body, trailers, rest, err := dechunk(row.in+"rest", piece)
			if err != row.err || row.body != "-" && body != row.body || strings.Join(trailers, " ") != row.tail ||
				err == nil && rest != "rest" {
				t.Errorf("%s, in pieces of %d: %q, %q, %q, %v", row.rule, piece, body, trailers, rest, err)
			}
		}
	}
}

// FuzzChunked: the cuts change nothing, and net/http's reader takes the same bytes for the same body.
func FuzzChunked(f *testing.F) {
	for _, row := range bodies {
		f.Add([]byte(row.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		body, trailers, rest, err := dechunk(string(in), 1<<20)
		body2, trailers2, rest2, err2 := dechunk(string(in), 3)
		if body != body2 || fmt.Sprint(trailers) != fmt.Sprint(trailers2) || rest != rest2 || err != err2 {
			t.Fatalf("in one piece %q %q %q %v, in pieces %q %q %q %v", body, trailers, rest, err, body2, trailers2, rest2, err2)
		}
		if err != nil {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil || string(theirs) != body {
			t.Errorf("%q: here %q; net/http has %q, %v", in, body, theirs, err)
		}
	})
}

func BenchmarkChunked(b *testing.B) {
	var in []byte
	for range 64 {
		in = AppendChunk(in, make([]byte, 1000))
	}
	in = AppendLastChunk(in, nil)
	c := Chunked{Limits: limits}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset()
		for rest := in; !c.Done(); {
			_, n, err := c.Next(rest)
			if err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}
