package http1

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A tape is a connection on which the same request comes again and again.
type tape struct {
	net.Conn
	request []byte
	written int
}

func (c *tape) Read(p []byte) (int, error)       { return copy(p, c.request), nil }
func (c *tape) Write(p []byte) (int, error)      { c.written += len(p); return len(p), nil }
func (c *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }
func (c *tape) OnEnd(func())                     {}

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
