package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestServerTimes: how long a client may take for each thing, in a bubble, where time costs nothing.
func TestServerTimes(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
	drip := func(c net.Conn, text string, piece int, every time.Duration) { // in the bubble's time
		for ; len(text) > 0; time.Sleep(every) {
			n := min(piece, len(text))
			if _, err := io.WriteString(c, text[:n]); err != nil {
				return
			}
			text = text[n:]
		}
	}
	body := strings.Repeat("x", 60000)
	for _, row := range []struct {
		name   string
		server *Server
		client func(c net.Conn)
		ends   time.Duration // when ServeConn returns
		read   error         // of the handler's
		wrote  error
	}{
		{"no byte", &Server{}, func(net.Conn) {}, defaultHeadTime, nil, nil},
		{"half a head", &Server{}, func(c net.Conn) { _, _ = io.WriteString(c, head[:20]) }, defaultHeadTime, nil, nil},
		{"a head that drips", &Server{HeadTime: time.Minute}, func(c net.Conn) {
			drip(c, head, 1, 10*time.Second)
		}, time.Minute, nil, nil},
		{"no body", &Server{}, func(c net.Conn) { _, _ = io.WriteString(c, head); _, _ = io.Copy(io.Discard, c) },
			defaultBodyTime, os.ErrDeadlineExceeded, nil},
		{"a body below the rate", &Server{}, func(c net.Conn) { // 100 a second: a fifth more time than passes
			_, _ = io.WriteString(c, head)
			go io.Copy(io.Discard, c)
			drip(c, body, 100, time.Second)
		}, 37 * time.Second, os.ErrDeadlineExceeded, nil},
		{"a body above the rate", &Server{IdleTime: time.Second}, func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			go io.Copy(io.Discard, c)
			drip(c, body, 600, time.Second)
		}, 100 * time.Second, nil, nil},
		{"any body", &Server{BodyTime: -1, IdleTime: time.Second}, func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			go io.Copy(io.Discard, c)
			drip(c, body, 100, time.Second)
		}, 600 * time.Second, nil, nil},
		{"no next request", &Server{IdleTime: time.Hour}, func(c net.Conn) {
			go io.Copy(io.Discard, c)
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}, time.Hour, nil, nil},
		{"an answer that nobody takes", &Server{WriteTime: 20 * time.Second}, func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
		}, 20 * time.Second, nil, os.ErrDeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var read, wrote error
				row.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, read = io.Copy(io.Discard, r.Body); r.URL.Path == "/long" {
						_, wrote = w.Write(make([]byte, 1<<20))
					}
				})
				server, client := net.Pipe()
				start := time.Now()
				said := make(chan struct{})
				go func() { defer close(said); row.client(client) }()
				_ = row.server.ServeConn(server) // why it ended is not of interest, but when
				took := time.Since(start)
				client.Close()
				<-said
				if took < row.ends-time.Second || took > row.ends+2*time.Second {
					t.Errorf("it ended after %v; want %v", took, row.ends)
				}
				if !errors.Is(read, row.read) || !errors.Is(wrote, row.wrote) {
					t.Errorf("the handler's Read: %v, Write: %v; want %v, %v", read, wrote, row.read, row.wrote)
				}
			})
		})
	}
}
