package http1

import (
	"io"
	"net/http"
	"testing"
)

// A tape is a script without end: the same request comes again and again, and answers are dropped.
type tape struct {
	script
	request []byte
}

func (c *tape) Read(p []byte) (int, error)  { return copy(p, c.request), nil }
func (c *tape) Write(p []byte) (int, error) { return len(p), nil }
func (c *tape) OnEnd(func())                {}

// BenchmarkServer is a plain GET, from its bytes to the answer's.
func BenchmarkServer(b *testing.B) {
	for _, row := range []struct{ name, request string }{
		{"plain", "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n"},
		{"browser", "GET /a/page?q=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
			"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip, deflate, br\r\n" +
			"Connection: keep-alive\r\nCookie: a=b; c=d\r\nCache-Control: max-age=0\r\n\r\n"},
	} {
		b.Run(row.name, func(b *testing.B) {
			nc := &tape{request: []byte(row.request)}
			s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "Hello, World!")
			})}
			c := s.NewConn(nc)
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Turn(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
