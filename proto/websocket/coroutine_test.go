package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/websocket"
)

// A parking is a lock that parks the coroutines of a connection.
type parking struct {
	coro.Mutex
	ctx context.Context
}

func (p *parking) Lock() error { return p.Mutex.Lock(p.ctx) }

// coroutines serves f on coroutines, and is a client of it.
func coroutines(t *testing.T, f func(c *plexor.Conn, ws *websocket.Conn) error) *websocket.Conn {
	t.Helper()
	ended := make(chan error, 1)
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) {
		o := &websocket.Options{CloseWait: time.Minute, HandshakeWait: time.Minute}
		o.NewLock = func() websocket.Lock { return &parking{ctx: c.Context()} }
		ws, _, err := websocket.Accept(c, o)
		if err == nil {
			err = f(c, ws)
		}
		ended <- err
	})}
	addr, err := srv.Open("tcp://127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.Dial(nc, fmt.Sprintf("ws://%s/", addr), &websocket.Options{CloseWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ws.Close(websocket.Normal, "bye"); err != nil {
			t.Errorf("Close: %v", err)
		}
		if e := new(websocket.CloseError); !errors.As(<-ended, &e) || e.Reason != "bye" {
			t.Errorf("the handler ended with %+v", e)
		}
		srv.Close()
	})
	return ws
}

// TestOnCoroutines echoes on a plexor.Conn, messages that fit into no buffer too.
func TestOnCoroutines(t *testing.T) {
	ws := coroutines(t, func(_ *plexor.Conn, ws *websocket.Conn) error {
		for {
			op, msg, err := ws.ReadMessage()
			if err != nil {
				return err
			}
			if err := ws.WriteMessage(op, msg); err != nil {
				return err
			}
		}
	})
	for _, size := range []int{0, 5, 5000, 1 << 20} {
		msg := []byte(strings.Repeat("x", size))
		sent := make(chan error, 1)
		go func() { sent <- ws.WriteMessage(websocket.Text, msg) }()
		if _, got, err := ws.ReadMessage(); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes: %d, %v", size, len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// TestCoroutinesWrite has several coroutines of one loop that write to one Conn while its peer does not read: they
// park, and the loop goes on.
func TestCoroutinesWrite(t *testing.T) {
	const writers, each, size = 5, 4, 100_000
	ws := coroutines(t, func(c *plexor.Conn, ws *websocket.Conn) error {
		return coro.Group(c.Context(), func(g *coro.Tasks) error {
			for i := range writers {
				g.Go(func(context.Context) error {
					for range each {
						msg := bytes.Repeat([]byte{byte('a' + i)}, size)
						if err := ws.WriteMessage(websocket.Binary, msg); err != nil {
							return err
						}
					}
					return nil
				})
			}
			for {
				if _, _, err := ws.ReadMessage(); err != nil {
					return err
				}
			}
		})
	})
	// A ping is answered when the frame that is being written has ended.
	if err := ws.Ping([]byte("x")); err != nil {
		t.Fatal(err)
	}
	count := map[byte]int{}
	for range writers * each {
		_, msg, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if len(msg) != size || bytes.Count(msg, msg[:1]) != size {
			t.Fatalf("a message of %d bytes is mixed", len(msg))
		}
		count[msg[0]]++
	}
	for who, n := range count {
		if n != each {
			t.Errorf("%d messages of %c", n, who)
		}
	}
}
