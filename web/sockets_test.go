package web_test

import (
	"bytes"
	"crypto/tls"
	"errors"
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
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// socketServers are where a handler of sockets may run: on the engine, by each driver, plain and over TLS, and under
// net/http. serve returns an address of ws or wss.
func eachSocketServer(t *testing.T, f func(t *testing.T, serve func(h http.Handler) string)) {
	for i, driver := range drivers(t) {
		for _, scheme := range []string{"tcp", "tls"} {
			if scheme == "tls" && i > 0 && !portion.Everywhere() {
				continue // as in eachScheme
			}
			t.Run(driver+"/"+scheme, func(t *testing.T) {
				f(t, func(h http.Handler) string {
					addr := serve(t, &plexor.Server{Driver: driver, Loops: 2}, scheme+"://127.0.0.1:0", h, web.Options{})
					return map[string]string{"tcp": "ws", "tls": "wss"}[scheme] + "://" + addr + "/"
				})
			})
		}
	}
	t.Run("net/http", func(t *testing.T) {
		f(t, func(h http.Handler) string {
			srv := httptest.NewServer(h)
			t.Cleanup(srv.Close)
			return strings.Replace(srv.URL, "http", "ws", 1) + "/"
		})
	})
}

// dialSocket is a client of one.
func dialSocket(t *testing.T, addr string, o *websocket.Options) *websocket.Conn {
	t.Helper()
	c, err := websocket.Dial(dialRaw(t, addr), addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c
}

func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	scheme, host, _ := strings.Cut(strings.TrimSuffix(addr, "/"), "://")
	nc, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if scheme == "wss" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	return nc
}

func wantMessage(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	if _, got, err := c.ReadMessage(); err != nil || string(got) != want {
		t.Fatalf("%.40q came, of %d bytes, and %v; want %.40q, of %d", got, len(got), err, want, len(want))
	}
}

// wantClose reads to the end.
func wantClose(t *testing.T, c *websocket.Conn, code websocket.Code, reason string) {
	t.Helper()
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*websocket.CloseError](err)
		if !ok || e.Code != code || e.Reason != reason {
			t.Fatalf("the end is %v, want a close with %d %q", err, code, reason)
		}
		return
	}
}

var quiet = slog.New(slog.DiscardHandler)

var echo = func(s *websocket.Socket, m websocket.Message) error { return s.Send(m) }

// TestSocketEcho holds that messages of each length come back, compressed or not, with windows or without, on each
// driver and under net/http.
func TestSocketEcho(t *testing.T) {
	t.Parallel()
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		for name, d := range map[string]*websocket.Deflate{"plain": nil, "deflate": {},
			"windows": {SendWindow: true, ReceiveWindow: true}} {
			h := &websocket.Sockets[struct{}]{Options: websocket.Options{Deflate: d, Protocols: []string{"echo"}},
				Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error { return s.Send(m) }}
			addr := serve(h)
			c := dialSocket(t, addr, &websocket.Options{Deflate: d, Protocols: []string{"x", "echo"}})
			if c.Protocol() != "echo" || (c.Compression() != nil) != (d != nil) {
				t.Errorf("%s: %q and %v were agreed on", name, c.Protocol(), c.Compression())
			}
			for _, n := range []int{0, 1, 125, 126, 300, 4096, 65535, 65536, 1 << 20} {
				msg := bytes.Repeat([]byte("plexor "), n/7+1)[:n]
				go c.WriteMessage(websocket.Binary, msg)
				wantMessage(t, c, string(msg))
			}
			if err := c.Close(websocket.Normal, "bye"); err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
		}
	})
}

// TestSocketCuts holds that it does not matter how a handshake and frames are cut.
func TestSocketCuts(t *testing.T) {
	t.Parallel()
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			srv := &plexor.Server{Driver: driver, Loops: 1}
			addr := serve(t, srv, "tcp://127.0.0.1:0", websocket.Handler(echo), web.Options{})
			request, err := websocket.NewRequest("ws://"+addr+"/", new(websocket.Options))
			if err != nil {
				t.Fatal(err)
			}
			key := [4]byte{1, 2, 3, 4}
			b := request.Append(nil)
			frame := func(h websocket.Header, p string) {
				h.Masked, h.Key = true, key
				b = websocket.AppendFrame(b, h, []byte(p))
			}
			frame(websocket.Header{Op: websocket.Text}, "one ")
			b = websocket.AppendControl(b, websocket.PingFrame, []byte("?"), &key)
			frame(websocket.Header{Op: websocket.Continuation, Final: true}, "piece")
			frame(websocket.Header{Op: websocket.Binary, Final: true}, "\x00\xff")
			b = websocket.AppendClose(b, websocket.Normal, "", &key)
			var want []byte
			want = websocket.AppendControl(want, websocket.PongFrame, []byte("?"), nil)
			want = websocket.AppendFrame(want, websocket.Header{Op: websocket.Text, Final: true}, []byte("one piece"))
			want = websocket.AppendFrame(want, websocket.Header{Op: websocket.Binary, Final: true}, []byte("\x00\xff"))
			want = websocket.AppendClose(want, websocket.Normal, "", nil)
			for cut := 1; cut < len(b); cut++ {
				nc := dialRaw(t, "ws://"+addr)
				nc.Write(b[:cut])
				nc.Write(b[cut:])
				got, err := io.ReadAll(nc)
				nc.Close()
				if _, frames, _ := bytes.Cut(got, []byte("\r\n\r\n")); err != nil || !bytes.Equal(frames, want) {
					t.Fatalf("cut at %d: %q and %v, want %q", cut, frames, err, want)
				}
			}
		})
	}
}

// TestSocketEnds holds how a connection ends, and what both sides are told.
func TestSocketEnds(t *testing.T) {
	own := errors.New("own")
	send := func(text string) func(c *websocket.Conn) {
		return func(c *websocket.Conn) { c.WriteMessage(websocket.Text, []byte(text)) }
	}
	rows := map[string]struct {
		do     func(c *websocket.Conn)
		code   websocket.Code // that the client is told; 0: nothing
		reason string
		told   func(err error) bool // what Closed is told
	}{
		"the client closes": {func(c *websocket.Conn) { go c.Close(4001, "x") }, 4001, "",
			func(err error) bool { e, ok := errors.AsType[*websocket.CloseError](err); return ok && e.Code == 4001 }},
		"the client goes": {func(c *websocket.Conn) { c.CloseNow() }, 0, "",
			func(err error) bool { return err == websocket.ErrEnded || errors.Is(err, io.ErrUnexpectedEOF) }},
		"an error":      {send("error"), 1011, "", func(err error) bool { return err == own }},
		"a close error": {send("policy"), 1008, "no", func(err error) bool { return err != nil }},
		"a panic":       {send("panic"), 1011, "", func(err error) bool { return err != nil }},
		"Close":         {send("close"), 4002, "done", func(err error) bool { return err != nil }},
		"too long": {func(c *websocket.Conn) { c.WriteMessage(websocket.Binary, make([]byte, 2000)) }, 1009,
			websocket.ErrTooBig.What, func(err error) bool { return err == websocket.ErrTooBig }},
	}
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		closed := make(chan error, 1)
		addr := serve(&websocket.Sockets[string]{Log: quiet,
			Options: websocket.Options{Limits: websocket.Limits{Message: 1000}},
			Open:    func(s *websocket.Socket, r *http.Request) (string, error) { return r.URL.Path, s.SendText("hello") },
			Message: func(s *websocket.Socket, path string, m websocket.Message) error {
				switch string(m.Data) {
				case "error":
					return own
				case "policy":
					return &websocket.CloseError{Code: websocket.Policy, Reason: "no"}
				case "panic":
					panic("of the test")
				case "close":
					return s.Close(4002, "done")
				}
				return nil
			},
			Closed: func(s *websocket.Socket, path string, err error) {
				if path != "/" || s.Post(websocket.Message{Op: websocket.Text}) == nil {
					t.Errorf("the state is %q, or one can post behind the end", path)
				}
				closed <- err
			}})
		for name, row := range rows {
			c := dialSocket(t, addr, nil)
			wantMessage(t, c, "hello")
			row.do(c)
			if row.code != 0 && name != "the client closes" {
				wantClose(t, c, row.code, row.reason)
			}
			select {
			case err := <-closed:
				if !row.told(err) {
					t.Errorf("%s: Closed was told %v", name, err)
				}
			case <-time.After(patience):
				t.Fatalf("%s: Closed was not called", name)
			}
		}
	})
}

// TestSocketPost holds that any goroutine can post, in order, from before the first post was taken up, and that all
// that goes out before the close frame.
func TestSocketPost(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		sockets := make(chan *websocket.Socket, 1)
		addr := serve(&websocket.Sockets[struct{}]{Log: quiet,
			Options: websocket.Options{Deflate: &websocket.Deflate{Threshold: 1}},
			Open:    func(s *websocket.Socket, _ *http.Request) (struct{}, error) { sockets <- s; return struct{}{}, nil },
			Message: func(*websocket.Socket, struct{}, websocket.Message) error { return nil }})
		for _, d := range []*websocket.Deflate{nil, {}} {
			c := dialSocket(t, addr, &websocket.Options{Deflate: d})
			s := <-sockets
			for i := range 100 {
				m := websocket.Message{Op: websocket.Text, Data: []byte{'a', byte('0' + i%10)}}
				if err := s.Post(m); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 100 {
				wantMessage(t, c, string([]byte{'a', byte('0' + i%10)}))
			}
			if err := s.Post(websocket.Message{Op: websocket.Text, Data: []byte{0xff}}); err != websocket.ErrText {
				t.Errorf("text that is not UTF-8: %v", err)
			}
			s.Close(websocket.Normal, "")
			if err := s.Post(websocket.Message{Op: websocket.Text}); err != websocket.ErrClosed {
				t.Errorf("a post behind Close: %v", err)
			}
			wantClose(t, c, websocket.Normal, "")
		}
	})
}

// TestSocketShutdown holds that clients are told when the server goes, and that the engine waits for their answer.
func TestSocketShutdown(t *testing.T) {
	h := websocket.Handler(echo)
	gone := func(t *testing.T, addr string, shutdown func() error) {
		c := dialSocket(t, addr, nil)
		c.WriteMessage(websocket.Text, []byte("x"))
		wantMessage(t, c, "x")
		done := make(chan error, 1)
		go func() { done <- shutdown() }()
		wantClose(t, c, websocket.GoingAway, "")
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	for _, driver := range drivers(t) {
		t.Run(driver, func(t *testing.T) {
			srv := &plexor.Server{Driver: driver, Loops: 1}
			a, err := srv.Open("tcp://127.0.0.1:0", web.Handler(h, web.Options{}))
			if err != nil {
				t.Fatal(err)
			}
			gone(t, "ws://"+a.String()+"/", func() error { return srv.Shutdown(t.Context()) })
		})
	}
	t.Run("net/http", func(t *testing.T) {
		srv := httptest.NewServer(h)
		defer srv.Close()
		gone(t, strings.Replace(srv.URL, "http", "ws", 1)+"/", func() error { return srv.Config.Shutdown(t.Context()) })
	})
}

// TestSocketPings holds that who answers pings stays, and who does not is given up.
func TestSocketPings(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		t.Parallel()
		pongs, closed := make(chan struct{}, 100), make(chan error, 1)
		handler := func(wait time.Duration) http.Handler {
			return &websocket.Sockets[struct{}]{Log: quiet,
				Options: websocket.Options{PingEvery: 16 * time.Millisecond, PongWait: wait,
					OnPong: func([]byte) {
						select {
						case pongs <- struct{}{}:
						default:
						}
					}},
				Message: func(*websocket.Socket, struct{}, websocket.Message) error { return nil },
				Closed:  func(_ *websocket.Socket, _ struct{}, err error) { closed <- err }}
		}
		c := dialSocket(t, serve(handler(time.Minute)), nil)
		reads := make(chan struct{})
		go func() {
			defer close(reads)
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					return
				}
			}
		}()
		<-pongs
		c.CloseNow()
		<-reads
		<-closed
		dialSocket(t, serve(handler(32*time.Millisecond)), nil) // which reads nothing
		if err := <-closed; err != websocket.ErrNoPong {
			t.Errorf("the end of a client that does not answer is %v", err)
		}
	})
}

// TestSocketRefused holds that requests which are no handshake, or come from another page, are answered, and that the
// connection goes on.
func TestSocketRefused(t *testing.T) {
	srv := &plexor.Server{Loops: 1}
	addr := serve(t, srv, "tcp://127.0.0.1:0", websocket.Handler(echo), web.Options{})
	for name, row := range map[string]struct {
		set    http.Header
		status int
	}{
		"no upgrade":     {nil, http.StatusUpgradeRequired},
		"another origin": {http.Header{"Origin": {"http://evil.example"}}, http.StatusForbidden},
		"its own origin": {http.Header{"Origin": {"http://" + addr}}, http.StatusSwitchingProtocols},
		"old version":    {http.Header{"Sec-Websocket-Version": {"8"}}, http.StatusUpgradeRequired},
		"bad key":        {http.Header{"Sec-Websocket-Key": {"x"}}, http.StatusBadRequest},
	} {
		req, _ := http.NewRequest("GET", "http://"+addr+"/", nil)
		if row.set != nil {
			req.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"},
				"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
			for k, v := range row.set {
				req.Header[k] = v
			}
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != row.status {
			t.Errorf("%s: %s, want %d", name, res.Status, row.status)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
