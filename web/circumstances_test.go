package web_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// A lockedLog is where lines of several goroutines go.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) lines(with string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), with)
}

// TestSocketsSetNoRateOfLines: clients whose messages make a handler panic, or fail, cause a few lines.
func TestSocketsSetNoRateOfLines(t *testing.T) {
	t.Parallel()
	log := new(lockedLog)
	h := websocket.Sockets[int]{
		Log: slog.New(slog.NewTextHandler(log, nil)),
		Message: func(_ *websocket.Socket, _ int, m websocket.Message) error {
			if string(m.Data) == "panic" {
				panic("on purpose")
			}
			return io.ErrNoProgress
		},
	}
	addr := serve(t, &plexor.Server{Loops: 1}, "tcp://127.0.0.1:0", &h, web.Options{})
	start := time.Now()
	const clients = 60
	for i := range 2 * clients {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := websocket.Dial(nc, "ws://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.WriteMessage(websocket.Text, []byte([]string{"panic", "fail"}[i%2]))
		if _, _, err := c.ReadMessage(); err == nil {
			t.Error("the connection goes on")
		}
	}
	most := sample.Burst + int(time.Since(start)/sample.Every) + 2
	for _, line := range []string{"a handler panicked", "a handler failed"} {
		if n := log.lines(line); n == 0 || n > most {
			t.Errorf("%q: %d lines of %d; want some, and at most %d", line, n, clients, most)
		}
	}
}

// TestServeConn: a HandlerFunc that has looked at the first byte of a connection hands it to a Handler of this package.
func TestServeConn(t *testing.T) {
	t.Parallel()
	eachWay(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the body: %v", err)
		}
		_, _ = io.WriteString(w, r.URL.Path+string(b))
	}, func(t *testing.T, p *place) {
		inner := web.Handler(p.h, web.Options{})
		addr, err := p.srv.Open(p.scheme+"://127.0.0.1:0", plexor.HandlerFunc(func(c *plexor.Conn) {
			one := make([]byte, 1)
			if _, err := c.Read(one); err == nil && one[0] == '!' {
				inner.ServeConn(c)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.srv.Close() })
		nc, r := p.open(t, addr.String())
		_, _ = io.WriteString(nc, "!POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"+
			"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
		if _, got := read(t, r); got != "/aabc" {
			t.Errorf("the first answer: %q", got)
		}
		_, _ = io.WriteString(nc, "def")
		if _, got := read(t, r); got != "/bdef" {
			t.Errorf("the second answer: %q", got)
		}
		if n, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("behind the last answer: %d, %v", n, err)
		}
	})
}
