package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/proto/websocket"
	"github.com/plexor-go/plexor/web"
)

// hubRig is a room whose members say what everybody gets.
func hubRig(room *web.Hub, joined chan *websocket.Socket) http.Handler {
	return &websocket.Sockets[struct{}]{Log: quiet,
		Options: websocket.Options{Deflate: &websocket.Deflate{SendWindow: true}},
		Open: func(s *websocket.Socket, _ *http.Request) (struct{}, error) {
			err := room.Join(s)
			joined <- s
			return struct{}{}, err
		},
		Message: func(s *websocket.Socket, _ struct{}, m websocket.Message) error {
			if string(m.Data) == "except" {
				return room.SendExcept(s, m)
			}
			return room.Send(m)
		}}
}

// TestHub holds that all get the same messages in the same order, whatever was agreed on with them, that one can be
// left out, and that who has gone is no member any more.
func TestHub(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		var room web.Hub
		joined := make(chan *websocket.Socket, 1)
		addr := serve(hubRig(&room, joined))
		var clients []*websocket.Conn
		for _, d := range []*websocket.Deflate{nil, {}, {ReceiveWindow: true}, {ReceiveBits: 9}} {
			clients = append(clients, dialSocket(t, addr, &websocket.Options{Deflate: d}))
			<-joined
		}
		if n := room.Len(); n != len(clients) {
			t.Fatalf("%d members, want %d", n, len(clients))
		}
		long := strings.Repeat("to everybody ", 100)
		clients[0].WriteMessage(websocket.Text, []byte(long))
		clients[0].WriteMessage(websocket.Text, []byte("except"))
		for i, c := range clients {
			wantMessage(t, c, long)
			if i > 0 {
				wantMessage(t, c, "except")
			}
		}
		const each = 50
		var senders sync.WaitGroup
		for g := range 4 {
			senders.Go(func() {
				for i := range each {
					if err := room.SendText(fmt.Sprint(g, " ", i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		senders.Wait()
		var first []string
		for i, c := range clients {
			for n := range 4 * each {
				_, msg, err := c.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = append(first, string(msg))
				} else if string(msg) != first[n] {
					t.Fatalf("message %d of client %d is %q, and of the first %q", n, i, msg, first[n])
				}
			}
		}
		if err := room.SendText("\xff"); err != websocket.ErrText {
			t.Errorf("text that is not UTF-8: %v", err)
		}
		clients[0].CloseNow()
		clients[1].Close(websocket.Normal, "")
		for by := time.Now().Add(patience); room.Len() != 2; time.Sleep(time.Millisecond) {
			if time.Now().After(by) {
				t.Fatalf("%d members, want 2", room.Len())
			}
		}
		for _, c := range clients[2:] {
			c.Close(websocket.Normal, "")
		}
	})
}

// TestHubStalled holds that a member that does not read keeps nobody from getting what is sent, and ends as its
// limits say.
func TestHubStalled(t *testing.T) {
	eachSocketServer(t, func(t *testing.T, serve func(h http.Handler) string) {
		room := web.Hub{Limits: plexor.OutboxLimits{Bytes: 64 << 10, WhenFull: plexor.CloseWhenFull}}
		joined := make(chan *websocket.Socket, 1)
		addr := serve(hubRig(&room, joined))
		dialSocket(t, addr, nil)
		stalled := <-joined
		c := dialSocket(t, addr, nil)
		healthy := <-joined
		msg := strings.Repeat("x", 16<<10)
		sent := 0
		for room.Len() == 2 {
			if err := room.SendText(msg); err != nil {
				t.Fatal(err)
			}
			wantMessage(t, c, msg)
			if sent++; sent > 10_000 {
				t.Fatal("160 MiB fit into the queue of who does not read")
			}
		}
		empty := websocket.Message{Op: websocket.Text}
		if stalled.Post(empty) == nil || healthy.Post(empty) != nil {
			t.Error("the wrong one was closed")
		}
	})
}
