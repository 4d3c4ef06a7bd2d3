package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// A server is one that echoes, at host:port: a Sockets on the engine by a driver, a Sockets under net/http, or a Conn
// under net/http. At /windows it compresses with windows that are kept, at /deflate without, else not at all.
type server struct{ name, addr string }

func (s server) dial(t *testing.T, path string, o *websocket.Options) *websocket.Conn {
	t.Helper()
	c, err := websocket.Dial(s.raw(t), "ws://"+s.addr+path, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s server) raw(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(time.Minute))
	return nc
}

// open is a client that has done the handshake by hand, and what reads behind it.
func (s server) open(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc := s.raw(t)
	res, r := ask(t, nc, websocket.Hello)
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res.Status)
	}
	return nc, r
}

// ask sends a request without its end, and reads the head of the answer.
func ask(t *testing.T, nc net.Conn, request string) (*http.Response, *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res, r
}

// handlers are those of a server.
func handlers(handler func(o websocket.Options) http.Handler) http.Handler {
	mux := http.NewServeMux()
	for path, d := range map[string]*websocket.Deflate{"/": nil, "/deflate": {Threshold: 1},
		"/windows": {Threshold: 1, SendWindow: true, ReceiveWindow: true}} {
		o := websocket.Options{Deflate: d, Protocols: []string{"chat", "echo"}, CloseWait: time.Minute,
			MessageWait: 10 * time.Minute}
		mux.Handle(path, handler(o))
	}
	return mux
}

func sockets(o websocket.Options) http.Handler {
	return &websocket.Sockets[struct{}]{Options: o, Log: slog.New(slog.DiscardHandler),
		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
			if string(m.Data) != "close" {
				return s.Send(m)
			}
			err := s.Close(4001, "asked for")
			if errors.Is(s.Send(m), net.ErrClosed) && errors.Is(s.Post(m), net.ErrClosed) {
				return err
			}
			panic("one can send behind Close")
		}}
}

func conns(o websocket.Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Upgrade(w, r, &o)
		for err == nil {
			var op websocket.Opcode
			var msg []byte
			if op, msg, err = c.ReadMessage(); err != nil {
				return
			}
			if string(msg) != "close" {
				err = c.WriteMessage(op, msg)
				continue
			}
			err = c.Close(4001, "asked for")
			if !errors.Is(c.WriteMessage(op, msg), net.ErrClosed) {
				panic("one can send behind Close")
			}
		}
	})
}

// servers run until the test ends.
func servers(t *testing.T) (all []server) {
	t.Helper()
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		srv := &plexor.Server{Driver: d.Name, Loops: 1}
		addr, err := srv.Open("tcp://127.0.0.1:0", web.Handler(handlers(sockets), web.Options{}))
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
		all = append(all, server{d.Name, addr.String()})
	}
	for name, h := range map[string]func(websocket.Options) http.Handler{"net/http": sockets, "net/http, Conn": conns} {
		srv := httptest.NewServer(handlers(h))
		t.Cleanup(srv.Close)
		all = append(all, server{name, srv.Listener.Addr().String()})
	}
	return all
}

// TestServersFraming has the cases of framing, which follow Autobahn's categories 1 to 7, 9 and 10, answered by each
// server: messages by the same, pings by pongs, a close by a close and the end of the connection, what is wrong by its
// code.
func TestServersFraming(t *testing.T) {
	t.Parallel()
	all := servers(t)
	for at, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for i, c := range websocket.FramingCases() {
				if i%len(all) != at && !portion.All() {
					continue
				}
				nc, r := s.open(t)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for in, piece := c.In, 1+len(c.In)/(1+i%20); len(in) > 0; in = in[min(len(in), piece):] {
						if _, err := io.WriteString(nc, in[:min(len(in), piece)]); err != nil {
							return // a server that refuses does not read all
						}
					}
				}()
				out, err := io.ReadAll(r)
				nc.Close()
				<-sent
				if got := websocket.Told(string(out)); err != nil || got != c.Want {
					t.Errorf("%s: the server sent %v\n%swant\n%s", c.Name, err, got, c.Want)
				}
			}
		})
	}
}

// TestServersCompressed are Autobahn's categories 12 and 13: messages of each length, whole and in fragments, over what
// either side may agree on.
func TestServersCompressed(t *testing.T) {
	t.Parallel()
	offers := map[string]*websocket.Deflate{"keeps none": {}, "keeps its own": {SendWindow: true},
		"keeps the server's": {ReceiveWindow: true}, "keeps both": {SendWindow: true, ReceiveWindow: true},
		"narrow": {ReceiveBits: 9}, "narrow, keeps both": {SendWindow: true, ReceiveWindow: true, ReceiveBits: 10}}
	rounds := 2
	if portion.All() {
		rounds = 20
	}
	for _, s := range servers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for name, d := range offers {
				for _, path := range []string{"/deflate", "/windows"} {
					c := s.dial(t, path, &websocket.Options{Deflate: d, CloseWait: time.Minute})
					if c.Compression() == nil {
						t.Fatalf("%s at %s: no compression", name, path)
					}
					if err := exchange(c, rounds); err != nil {
						t.Errorf("%s at %s: %v", name, path, err)
					}
					if err := c.Close(websocket.Normal, ""); err != nil {
						t.Errorf("%s at %s: Close: %v", name, path, err)
					}
				}
			}
		})
	}
}

// exchange sends messages of each length, some of them in fragments, and reads them again.
func exchange(c *websocket.Conn, rounds int) error {
	sizes := []int{0, 1, 16, 64, 256, 1024, 4096, 16384}
	if portion.All() {
		sizes = append(sizes, 32768, 131072)
	}
	message := func(size int) []byte {
		var b strings.Builder
		for n := 0; b.Len() < size; n++ {
			fmt.Fprintf(&b, `{"number": %d, "square": %d}, `, n, n*n)
		}
		return []byte(b.String()[:size])
	}
	sent := make(chan error, 1)
	go func() {
		for _, size := range sizes {
			for round := range rounds {
				err := sendPieces(c, message(size), round%2 == 1)
				if err != nil {
					sent <- err
					return
				}
			}
		}
		sent <- nil
	}()
	for _, size := range sizes {
		want := string(message(size))
		for round := range rounds {
			if _, got, err := c.ReadMessage(); err != nil || string(got) != want {
				return fmt.Errorf("message %d of %d bytes: %d came, and %w", round, size, len(got), err)
			}
		}
	}
	return <-sent
}

func sendPieces(c *websocket.Conn, msg []byte, pieces bool) error {
	if !pieces {
		return c.WriteMessage(websocket.Text, msg)
	}
	w, err := c.NextWriter(websocket.Text)
	if err != nil {
		return err
	}
	if _, err := w.Write(msg); err != nil {
		return err
	}
	return w.Close()
}
