package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/web"
)

// echoBody answers with the request's body, as it comes.
func echoBody(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
	}
	if _, err := io.Copy(w, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// requestWith is a POST of a body, with its length or in chunks of size, and another request behind it.
func requestWith(body string, size int) string {
	var b strings.Builder
	b.WriteString("POST /a HTTP/1.1\r\nHost: x\r\n")
	if size == 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	} else {
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; rest != ""; {
			n := min(size, len(rest))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\nX-Trailer: end\r\n\r\n")
	}
	return b.String() + plainGet
}

// wantBody reads the answers to requestWith.
func wantBody(t *testing.T, r *bufio.Reader, body, what string) {
	t.Helper()
	for _, want := range []string{body, ""} {
		res, got := read(t, r)
		if res.StatusCode != 200 || got != want {
			t.Fatalf("%s: %s and %d bytes, want %d", what, res.Status, len(got), len(want))
		}
	}
}

// TestCuts has a request with a body, and one behind it, come in two pieces: at each cut, on each driver, plain and
// over TLS, where the cut is one of records. The server may see both pieces at once: that is the system's choice. Of so
// many cuts it sees most.
func TestCuts(t *testing.T) {
	t.Parallel()
	eachWay(t, echoBody, func(t *testing.T, p *place) {
		addr := p.serve(t, web.Options{})
		for _, size := range []int{0, 5} {
			const body = "hello, world"
			text := requestWith(body, size)
			nc, r := p.open(t, addr)
			if tc, ok := nc.(*net.TCPConn); ok {
				_ = tc.SetNoDelay(true)
			}
			for cut := range len(text) + 1 {
				for _, piece := range []string{text[:cut], text[cut:]} {
					if _, err := io.WriteString(nc, piece); err != nil {
						t.Fatal(err)
					}
				}
				wantBody(t, r, body, fmt.Sprintf("chunks of %d, cut at %d", size, cut))
			}
		}
	})
}

// TestSizes has bodies of 1 byte to 1 MiB go there and back, with their length and in chunks, in pieces of all sizes.
func TestSizes(t *testing.T) {
	t.Parallel()
	eachWay(t, echoBody, func(t *testing.T, p *place) {
		addr := p.serve(t, web.Options{})
		for _, length := range []int{1, 2, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20} {
			body := strings.Repeat("0123456789abcde\n", length/16+1)[:length]
			for _, size := range []int{0, 1 + length/3} {
				nc, r := p.open(t, addr)
				sent := make(chan error, 1)
				text := requestWith(body, size)
				go func() { sent <- writeCut(nc, text) }()
				wantBody(t, r, body, fmt.Sprintf("%d bytes in chunks of %d", length, size))
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				nc.Close()
			}
		}
	})
}

// writeCut writes text in pieces of 1, 2, 3, 4, 5, 7, 8, 9, … bytes: 2^k - 1, 2^k and 2^k + 1.
func writeCut(nc net.Conn, text string) error {
	for k := 1; text != ""; k *= 2 {
		for _, n := range []int{k - 1, k, k + 1} {
			n = min(n, len(text))
			if _, err := io.WriteString(nc, text[:n]); err != nil {
				return err
			}
			text = text[n:]
		}
	}
	return nil
}
