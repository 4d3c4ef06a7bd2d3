package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestTryWrite: pieces are taken whole, until the peer takes nothing more; then none is, nor while an Outbox has
// entries, and all that was taken arrives. Behind the end it fails, and that is no wrong use.
func TestTryWrite(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		beside(t)
		piece := bytes.Repeat([]byte("x"), 16<<10)
		sent := make(chan int, 1)
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.Turns(func(c *plexor.Conn) error {
			var one [1]byte
			if _, err := c.Read(one[:]); err != nil {
				return err
			}
			n, refused := 0, 0
			for refused < 3 && n < 4096 {
				taken, err := c.TryWrite(piece)
				switch {
				case err != nil:
					t.Error(err)
					return err
				case taken:
					n++
				default:
					refused++
				}
			}
			if taken, err := c.TryWrite(make([]byte, 1<<20)); taken || err != nil {
				t.Errorf("a MiB: %v, %v", taken, err)
			}
			box := c.Outbox()
			if err := box.Put(plexor.PrepareBytes(piece[:100])); err != nil {
				t.Error(err)
			}
			if taken, err := c.TryWrite(piece); taken || err != nil {
				t.Errorf("while an entry waits: %v, %v", taken, err)
			}
			sent <- n*len(piece) + 100
			coro.On(c.Loop()).Go(c.Context(), "closes", func(context.Context) error {
				_ = c.Close() // it waits until all is delivered
				if taken, err := c.TryWrite(piece); taken || !errors.Is(err, net.ErrClosed) {
					t.Errorf("behind the end: %v, %v", taken, err)
				}
				return nil
			})
			return nil
		}))
		client := b.dialMessages()
		send(t, client, "x")
		want := receive(t, sent, "the handler")
		if n, err := io.Copy(io.Discard, client); err != nil || int(n) != want {
			t.Errorf("%d bytes came, and %v; want %d", n, err, want)
		}
	})
}
