package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// answering reads requests with net/http, and answers by the path.
func answering(s *server, c net.Conn) {
	for r := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		answer := ""
		switch req.URL.Path {
		case "/length":
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
		case "/chunks":
			answer = "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" +
				"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: y\r\n\r\n"
		case "/none":
			answer = "HTTP/1.1 204 No Content\r\n\r\n"
		case "/missing":
			answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
		case "/body":
			answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		case "/endless":
			answer = "HTTP/1.0 200 OK\r\n\r\nhello"
		case "/bad":
			answer = "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"
		case "/more":
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!"
		}
		for i := range len(answer) { // each byte by itself
			if _, err := c.Write([]byte{answer[i]}); err != nil {
				return
			}
		}
		if req.Close {
			return
		}
	}
}

// TestHTTP: requests are answered, in whatever pieces and framing, pipelined, with a connection each, and wrong answers
// are counted.
func TestHTTP(t *testing.T) {
	for _, row := range []struct {
		name  string
		o     Options
		wrong string // "": all is right
	}{
		{"length", Options{Conns: 3, Requests: 50, HTTP: &HTTP{Target: "/length"}}, ""},
		{"chunks", Options{Conns: 3, Requests: 50, HTTP: &HTTP{Target: "/chunks"}}, ""},
		{"pipelined", Options{Conns: 2, Depth: 8, Requests: 100, HTTP: &HTTP{Target: "/chunks"}}, ""},
		{"none", Options{Requests: 20, HTTP: &HTTP{Target: "/none", Status: 204}}, ""},
		{"head", Options{Requests: 1, HTTP: &HTTP{Target: "/none", Method: "HEAD"}}, ""},
		{"body", Options{Requests: 20, HTTP: &HTTP{Method: "POST", Target: "/body", Body: []byte("abc"),
			Header: []string{"Content-Type: text/plain"}}}, ""},
		{"reconnect", Options{Conns: 2, Reconnect: true, Requests: 20, HTTP: &HTTP{Target: "/length"}}, ""},
		{"missing", Options{Requests: 5, HTTP: &HTTP{Target: "/missing"}}, "status 404"},
		{"missing is right", Options{Requests: 5, HTTP: &HTTP{Target: "/missing", Status: 404}}, ""},
		{"endless", Options{Requests: 5, HTTP: &HTTP{Target: "/endless"}}, errUnframed.Error()},
		{"bad", Options{Requests: 5, HTTP: &HTTP{Target: "/bad"}}, "Content-Length"},
		{"more", Options{Requests: 5, HTTP: &HTTP{Target: "/more"}}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, "tcp", answering)
			row.o.Address = s.address
			res, err := Run(t.Context(), row.o)
			if err != nil {
				t.Fatal(err)
			}
			switch err := res.Err(); {
			case row.name == "more":
				if err == nil {
					t.Error("a byte too many was taken for right")
				}
			case row.wrong == "" && (err != nil || res.Messages != row.o.Requests):
				t.Errorf("%d answers of %d, %v, %+v", res.Messages, row.o.Requests, err, res)
			case row.wrong != "" && (err == nil || !strings.Contains(fmt.Sprintf("%+v %v", res, err), row.wrong)):
				t.Errorf("%v, %+v; want %q", err, res, row.wrong)
			}
		})
	}
}
