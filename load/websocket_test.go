package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// echoes serves messages back, at an address of a scheme, until the test ends. What it was asked is told to asked.
func echoes(t *testing.T, scheme string, asked func(*http.Request)) string {
	t.Helper()
	h := &websocket.Sockets[struct{}]{Log: slog.New(slog.DiscardHandler),
		Options: websocket.Options{Deflate: &websocket.Deflate{Threshold: 1, SendWindow: true, ReceiveWindow: true},
			Protocols: []string{"echo"}},
		Open: func(_ *websocket.Socket, r *http.Request) (struct{}, error) {
			if asked != nil {
				asked(r)
			}
			return struct{}{}, nil
		},
		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error { return s.Send(m) }}
	listen := scheme + "://127.0.0.1:0"
	if scheme == "unix" {
		listen = "unix://" + filepath.Join(t.TempDir(), "s")
	}
	srv := &plexor.Server{Loops: 1}
	a, err := srv.Open(listen, web.Handler(h, web.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	if scheme == "unix" {
		return listen
	}
	return scheme + "://" + a.String()
}

// TestWebSocket: messages come back over what carries them, compressed or not, one or many under way, in a closed loop
// and at a rate.
func TestWebSocket(t *testing.T) {
	deflate := &websocket.Deflate{Threshold: 1, SendWindow: true, ReceiveWindow: true}
	for _, row := range []struct {
		name, scheme string
		o            Options
		packed       bool
	}{
		{"one", "tcp", Options{Requests: 50, WebSocket: &WebSocket{}}, false},
		{"many", "tcp", Options{Conns: 5, Depth: 8, Requests: 500, Loops: 2, WebSocket: &WebSocket{Text: true}}, false},
		{"long", "tcp", Options{Conns: 2, Depth: 2, Size: 100_000, Requests: 20, WebSocket: &WebSocket{}}, false},
		{"compressed", "tcp", Options{Conns: 2, Depth: 4, Size: 5000, Requests: 100,
			WebSocket: &WebSocket{Deflate: deflate}}, true},
		{"compressed text", "tls", Options{Conns: 2, Size: 5000, Requests: 20, Insecure: true,
			WebSocket: &WebSocket{Deflate: new(websocket.Deflate), Text: true}}, true},
		{"TLS", "tls", Options{Conns: 2, Depth: 3, Requests: 50, Insecure: true, WebSocket: &WebSocket{}}, false},
		{"unix", "unix", Options{Conns: 2, Requests: 50, WebSocket: &WebSocket{}}, false},
		{"rate", "tcp", Options{Conns: 2, Requests: 20, Rate: 2000, WebSocket: &WebSocket{}}, false},
		{"reconnect", "tcp", Options{Conns: 2, Requests: 10, Reconnect: true, WebSocket: &WebSocket{}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.o.Address, row.o.Timeout = echoes(t, row.scheme, nil), time.Minute
			res, err := Run(t.Context(), row.o)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Err(); err != nil || res.Messages != row.o.Requests {
				t.Errorf("%d answers of %d, %v, %+v", res.Messages, row.o.Requests, err, res)
			}
			if sent := int64(row.o.Size) * row.o.Requests; row.packed && res.BytesSent > sent/2 {
				t.Errorf("%d bytes were sent for messages of %d: that is not compressed", res.BytesSent, sent)
			}
		})
	}
}

// TestWebSocketAsks: the request says what the options say.
func TestWebSocketAsks(t *testing.T) {
	asked := make(chan *http.Request, 1)
	address := echoes(t, "tcp", func(r *http.Request) { asked <- r })
	res, err := Run(t.Context(), Options{Address: address, Requests: 1, Timeout: time.Minute, WebSocket: &WebSocket{
		Target: "/a?b=c", Host: "x.example", Protocols: []string{"other", "echo"}, Header: http.Header{"Cookie": {"d=e"}}}})
	if err != nil || res.Err() != nil {
		t.Fatal(err, res.Err())
	}
	r := <-asked
	if r.URL.String() != "/a?b=c" || r.Host != "x.example" || r.Header.Get("Cookie") != "d=e" ||
		r.Header.Get("Sec-Websocket-Protocol") != "other, echo" {
		t.Errorf("%+v", r)
	}
}

// upgrading does a server's handshake, and then what does.
func upgrading(do func(c *websocket.Conn)) func(s *server, c net.Conn) {
	return func(_ *server, nc net.Conn) {
		c, _, err := websocket.Accept(nc, &websocket.Options{CloseWait: time.Minute})
		if err == nil {
			do(c)
		}
	}
}

// TestWebSocketWrong: what a server does wrong is counted, with the reason, and what does not answer is given up.
func TestWebSocketWrong(t *testing.T) {
	each := func(answer func(c *websocket.Conn, m []byte)) func(c *websocket.Conn) {
		return func(c *websocket.Conn) {
			for {
				_, m, err := c.ReadMessage()
				if err != nil {
					return
				}
				answer(c, m)
			}
		}
	}
	status := func(head string) func(s *server, c net.Conn) {
		return func(_ *server, c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, head)
		}
	}
	for _, row := range []struct {
		name   string
		server func(s *server, c net.Conn)
		h      WebSocket
		want   string
	}{
		{"another message", upgrading(each(func(c *websocket.Conn, m []byte) {
			c.WriteMessage(websocket.Binary, append(m[1:], 0))
		})), WebSocket{}, errWrong.Error()},
		{"text for bytes", upgrading(each(func(c *websocket.Conn, m []byte) {
			c.WriteMessage(websocket.Text, bytes.Repeat([]byte("x"), len(m)))
		})), WebSocket{}, errWrong.Error()},
		{"one too many", upgrading(func(c *websocket.Conn) {
			c.WriteMessage(websocket.Binary, []byte("welcome"))
			c.WriteMessage(websocket.Binary, []byte("welcome"))
			c.ReadMessage()
		}), WebSocket{}, ""},
		{"a close", upgrading(each(func(c *websocket.Conn, _ []byte) { c.Close(4001, "no") })), WebSocket{}, "4001"},
		{"a masked frame", func(_ *server, nc net.Conn) {
			c, _, err := websocket.Accept(nc, nil)
			if err == nil {
				c.ReadMessage()
				nc.Write([]byte("\x82\x81\x00\x00\x00\x00x"))
			}
		}, WebSocket{}, websocket.ErrMasked.What},
		{"no WebSocket", status("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), WebSocket{}, "status 404"},
		{"no HTTP", status("hello\r\n\r\n"), WebSocket{}, "the first line"},
		{"no compression", upgrading(func(c *websocket.Conn) { c.ReadMessage() }),
			WebSocket{Deflate: new(websocket.Deflate)}, errNotPacked.Error()},
		{"a subprotocol that was not asked for", status("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" +
			"Sec-WebSocket-Accept: x\r\n\r\n"), WebSocket{}, websocket.ErrAccept.Error()},
		{"an end in the handshake", func(_ *server, c net.Conn) { http.ReadRequest(bufio.NewReader(c)) }, WebSocket{},
			errClosed.Error()},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "tcp", row.server)
			res, err := Run(t.Context(), Options{Address: s.address, Requests: 3, Timeout: time.Minute, WebSocket: &row.h})
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Err(); err == nil || !strings.Contains(errorsOf(res), row.want) {
				t.Errorf("%v, %+v; want %q", err, res.Errors, row.want)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "tcp", func(_ *server, c net.Conn) { io.Copy(io.Discard, c) })
		res, err := Run(t.Context(), Options{Address: s.address, Requests: 1, Timeout: 50 * time.Millisecond,
			WebSocket: &WebSocket{}})
		if err != nil || res.NotConnected != 1 || !strings.Contains(errorsOf(res), errTimeout.Error()) {
			t.Errorf("%v, %+v", err, res)
		}
	})
}

func errorsOf(r *Result) string {
	var all []string
	for _, e := range r.Errors {
		all = append(all, e.Error)
	}
	return strings.Join(all, ", ")
}

// TestWebSocketPings: a server that wants pongs has them, each message in the midst of them too.
func TestWebSocketPings(t *testing.T) {
	s := serve(t, "tcp", func(_ *server, nc net.Conn) {
		pongs := 0
		c, _, err := websocket.Accept(nc, &websocket.Options{OnPong: func(p []byte) {
			if string(p) == "are you there?" {
				pongs++
			}
		}})
		for n := 1; err == nil; n++ {
			op, m, e := c.ReadMessage()
			if err = e; err == nil && pongs == n-1 {
				err = errors.Join(c.Ping([]byte("are you there?")), c.WriteMessage(op, m))
			}
		}
	})
	res, err := Run(t.Context(), Options{Address: s.address, Requests: 20, Timeout: time.Minute, WebSocket: &WebSocket{}})
	if err != nil || res.Err() != nil || res.Messages != 20 {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestWebSocketPeer loads a server that nobody here wrote.
func TestWebSocketPeer(t *testing.T) {
	const script = `
import asyncio, websockets
async def echo(ws):
    async for m in ws:
        await ws.send(m)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, close_timeout=60) as s:
        print(s.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`
	python := ""
	for _, path := range []string{"python3", "/usr/bin/python3"} { // the system's is the one that apt installs modules for
		if exec.Command(path, "-c", "import websockets").Run() == nil {
			python = path
		}
	}
	if python == "" {
		t.Skip("there is no python3 with the module websockets")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*websocket.Deflate{nil, {}, {SendWindow: true, ReceiveWindow: true}} {
		res, err := Run(t.Context(), Options{Address: "tcp://127.0.0.1:" + strings.TrimSpace(port), Conns: 3, Depth: 2,
			Size: 1000, Requests: 60, Timeout: time.Minute, WebSocket: &WebSocket{Deflate: d, Text: d != nil}})
		if err != nil || res.Err() != nil || res.Messages != 60 {
			t.Errorf("with %+v: %v, %+v", d, err, res)
		}
	}
}
