package web_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// slowLimits make a queue that is full soon.
var slowLimits = plexor.OutboxLimits{Bytes: 16 << 10}

const (
	slowPiece = 4 << 10 // bytes of a message
	slowCount = 60      // of each name: more than the queue, the output and the system take
)

// eachNarrowServer runs f with servers of which little fits on its way to a client: each driver, one over TLS,
// net/http.
func eachNarrowServer(t *testing.T, f func(t *testing.T, serve func(h http.Handler) string)) {
	for i, driver := range drivers(t) {
		schemes := map[string]string{"tcp": "ws"}
		if i == 0 {
			schemes["tls"] = "wss"
		}
		for scheme, ws := range schemes {
			t.Run(driver+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				f(t, func(h http.Handler) string {
					srv := &plexor.Server{Driver: driver, Loops: 2, Limits: plexor.Limits{HighWater: 32 << 10}}
					return ws + "://" + serve(t, srv, scheme+"://127.0.0.1:0?sndbuf=32k", h, web.Options{}) + "/"
				})
			})
		}
	}
	t.Run("net/http", func(t *testing.T) {
		t.Parallel()
		f(t, func(h http.Handler) string {
			srv := httptest.NewUnstartedServer(h)
			srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
				c.(*net.TCPConn).SetWriteBuffer(32 << 10)
				return ctx
			}
			srv.Start()
			t.Cleanup(srv.Close)
			return strings.Replace(srv.URL, "http", "ws", 1) + "/"
		})
	})
}

// dialNarrow is dialSocket for a client whose system takes little that it does not read.
func dialNarrow(t *testing.T, addr string) *websocket.Conn {
	t.Helper()
	c := dialSocket(t, addr, nil)
	nc := c.NetConn()
	if s, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = s.NetConn()
	}
	nc.(*net.TCPConn).SetReadBuffer(32 << 10)
	return c
}

// numbered is a message with a number that is long.
func numbered(name string, n int) string {
	s := fmt.Sprintf("%s %d ", name, n)
	return s + strings.Repeat(".", slowPiece-len(s))
}

// readNumbers reads messages until one is the end, which is sent until it comes, and returns the numbers by name.
func readNumbers(t *testing.T, room *web.Hub, c *websocket.Conn) map[string][]int {
	t.Helper()
	numbers := make(map[string][]int)
	done := make(chan error, 1)
	go func() {
		for {
			_, msg, err := c.ReadMessage()
			if err != nil || string(msg) == "end" {
				done <- err
				return
			}
			var name string
			var n int
			if _, err := fmt.Sscanf(string(msg), "%s %d", &name, &n); err != nil {
				done <- err
				return
			}
			numbers[name] = append(numbers[name], n)
		}
	}()
	for by := time.Now().Add(patience); ; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return numbers
		case <-time.After(time.Millisecond):
			if time.Now().After(by) {
				t.Fatal("the end does not come")
			}
			if err := room.SendLatest("end", websocket.Message{Op: websocket.Text, Data: []byte("end")}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHubSlow holds what each choice for the slow does, and that one who does not read keeps none of the others
// waiting: each of those has each message before the next is sent.
func TestHubSlow(t *testing.T) {
	t.Parallel()
	last := slowCount - 1
	for name, row := range map[string]struct {
		whenFull plexor.WhenFull
		send     func(room *web.Hub, name string, m websocket.Message) error
		right    func(got map[string][]int) bool // that the slow one gets
	}{
		"RefuseNewest": {plexor.RefuseNewest, each,
			func(got map[string][]int) bool { // the first ones (what else has come found room that the system made late)
				a := got["a"]
				return len(a) > 2 && len(a) < slowCount && a[2] == 2
			}},
		"DropOldest": {plexor.DropOldest, each,
			func(got map[string][]int) bool { // the last ones, and what had left
				a, b := got["a"], got["b"]
				return len(a) > 1 && len(b) > 2 && len(b) < slowCount &&
					a[len(a)-1] == last && b[len(b)-1] == last && b[len(b)-2] == last-1
			}},
		"SendLatest":                {plexor.RefuseNewest, latest, latestCame},
		"SendLatest and DropOldest": {plexor.DropOldest, latest, latestCame},
	} {
		t.Run(name, func(t *testing.T) {
			eachNarrowServer(t, func(t *testing.T, serve func(h http.Handler) string) {
				room := web.Hub{Limits: slowLimits}
				room.Limits.WhenFull = row.whenFull
				joined := make(chan *websocket.Socket, 1)
				addr := serve(hubRig(&room, joined))
				slow := dialNarrow(t, addr)
				<-joined
				var others []*websocket.Conn
				for range 2 {
					others = append(others, dialSocket(t, addr, nil))
					<-joined
				}
				for i := range slowCount {
					for _, name := range []string{"a", "b"} {
						msg := numbered(name, i)
						if err := row.send(&room, name, websocket.Message{Op: websocket.Text, Data: []byte(msg)}); err != nil {
							t.Fatal(err)
						}
						for _, c := range others {
							wantMessage(t, c, msg)
						}
					}
				}
				got := readNumbers(t, &room, slow)
				if !increases(got["a"]) || !increases(got["b"]) || !row.right(got) {
					t.Errorf("who was slow got %v", got)
				}
			})
		})
	}
}

func each(room *web.Hub, _ string, m websocket.Message) error { return room.Send(m) }

func latest(room *web.Hub, name string, m websocket.Message) error { return room.SendLatest(name, m) }

// latestCame reports whether the latest of each name came, and took the place of others.
func latestCame(got map[string][]int) bool {
	for _, n := range got {
		if len(n) == slowCount || n[len(n)-1] != slowCount-1 {
			return false
		}
	}
	return len(got) == 2
}

func increases(numbers []int) bool {
	for i := 1; i < len(numbers); i++ {
		if numbers[i] <= numbers[i-1] {
			return false
		}
	}
	return true
}
