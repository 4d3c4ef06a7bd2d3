package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/stage"
)

// serve serves h on a listener, with a goroutine for each connection, until the test ends.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	ln, err := stage.Listen(t)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	conns := make(chan net.Conn, 100)
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- nc
			go s.ServeConn(nc)
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
		close(conns)
		for nc := range conns {
			nc.Close()
		}
	})
	return ln.Addr().String()
}

// ask sends text over one connection, and returns all that comes back until the server closes.
func ask(t *testing.T, addr, text string) string {
	t.Helper()
	nc, err := stage.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	go io.WriteString(nc, text)
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Errorf("after %q: %v", b, err)
	}
	return string(b)
}

func TestServerFirst(t *testing.T) {
	addr := serve(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q %v", r.Method, r.URL, b, err)
	})})
	got := ask(t, addr, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"+
		"POST /b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"+
		"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+
		"GET /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	r := bufio.NewReader(strings.NewReader(got))
	for _, want := range []string{`GET /a "" <nil>`, `POST /b?c=d "abc" <nil>`, `POST /c "hello" <nil>`, `GET /d "" <nil>`} {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		b, err := io.ReadAll(res.Body)
		if string(b) != want || err != nil {
			t.Errorf("%q, %v, want %q", b, err, want)
		}
	}
}
