package plexor_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// restingKinds are handlers of lines whose connections rest. Each is answered with
// itself, and sessions tell their outbox and their end.
func restingKinds(boxes chan<- *plexor.Outbox, ends chan<- error) map[string]plexor.Handler {
	open := func(c *plexor.Conn) (int, error) { boxes <- c.Outbox(); return 7, nil }
	closed := func(_ int, reason error) { ends <- reason }
	return map[string]plexor.Handler{
		"turns": plexor.Turns(answerTurn),
		"sessions": plexor.Sessions[int]{Codec: frame.Line{}, Open: open, Closed: closed,
			Message: func(c *plexor.Conn, _ int, msg []byte) error { return answerLine(c, msg) }},
		"sessions of turns": plexor.Sessions[int]{Codec: frame.Line{}, Open: open, Closed: closed,
			Turn: func(c *plexor.Conn, _ int) error { return answerTurn(c) }},
	}
}

// TestBubbleRest: turns and sessions of a server that runs outside a bubble are used from inside, and of one that runs
// inside too: what came, what another goroutine sends, the end with its reason, and a graceful Shutdown. A mistake ends
// the process.
func TestBubbleRest(t *testing.T) {
	beside(t)
	for name, inside := range map[string]bool{"outside": false, "inside": true} {
		for _, kind := range []string{"turns", "sessions", "sessions of turns"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				eachMessagePlace(t, func(t *testing.T, p place) {
					if inside {
						synctest.Test(t, func(t *testing.T) { restInBubble(t, p, kind)(t) })
						return
					}
					visit := restInBubble(t, p, kind)
					synctest.Test(t, visit)
				})
			})
		}
	}
}

// restInBubble starts a server where it is called, and returns what uses it.
func restInBubble(t *testing.T, p place, kind string) func(t *testing.T) {
	boxes, ends := make(chan *plexor.Outbox, 1), make(chan error, 1)
	b := p.serve(t, &plexor.Server{}, restingKinds(boxes, ends)[kind])
	return func(t *testing.T) {
		b := &bench{t: t, Server: b.Server, addr: b.addr, tls: b.tls, log: b.log} // whose clients are of the bubble
		for _, end := range []func(c net.Conn){
			func(c net.Conn) { closeWrite(t, c); wantEnd(t, c) },
			func(c net.Conn) {
				go func() {
					io.Copy(io.Discard, c)
					c.Close()
				}()
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour) // of the bubble, where time stands
				defer cancel()
				if err := b.Shutdown(ctx); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			},
		} {
			c := b.dialMessages()
			send(t, c, "hello\n")
			want(t, c, "hello\n")
			if kind != "turns" {
				if err := (<-boxes).SendWait(t.Context(), []byte("news")); err != nil {
					t.Errorf("SendWait: %v", err)
				}
				want(t, c, "news\n")
			}
			end(c)
			if kind != "turns" {
				if err := <-ends; err != io.EOF && err != plexor.ErrServerClosed {
					t.Errorf("the session's end: %v", err)
				}
			}
			c.Close()
		}
	}
}
