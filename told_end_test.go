package plexor_test

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestOnEnd: a handler that works and does not read is told, once, when its client closes its half; one that asks
// afterwards is told at once, and what it wrote still arrives.
func TestOnEnd(t *testing.T) {
	eachWork(t, func(t *testing.T, handler func(func(*plexor.Conn)) plexor.Handler) {
		eachMessagePlace(t, func(t *testing.T, p place) {
			beside(t)
			began := make(chan bool, 1)
			b := p.serve(t, &plexor.Server{Loops: 1}, handler(func(c *plexor.Conn) {
				told, late := 0, false
				var ended coro.Event
				c.OnEnd(func() { t.Error("the function that was taken back is called") })
				c.OnEnd(nil)
				c.OnEnd(func() { told++; ended.Set() })
				began <- true
				if err := coro.Timeout(c.Context(), time.Minute, ended.Wait); err != nil {
					t.Errorf("waiting for the end: %v", err)
				}
				c.OnEnd(func() { late = true })
				if told != 1 || !late {
					t.Errorf("told %d times, and late %v; want once, and true", told, late)
				}
				_, _ = c.Write([]byte("\x04done"))
			}))
			client := b.dialMessages()
			send(t, client, "\x04work")
			receive(t, began, "the handler")
			if client != below(client) {
				closeWrite(t, client)
			}
			closeWrite(t, below(client))
			want(t, client, "\x04done")
		})
	})
}
