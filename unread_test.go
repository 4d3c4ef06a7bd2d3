package plexor_test

import (
	"errors"
	"io"
	"testing"

	"github.com/plexor-go/plexor"
)

// TestUnread: Await waits for bytes and takes none, Unread tells how many there are and waits for nothing, and both
// tell of the end of the stream, over TLS too.
func TestUnread(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		beside(t)
		ended := make(chan bool, 1)
		b := p.serve(t, &plexor.Server{Loops: 1}, plexor.HandlerFunc(func(c *plexor.Conn) {
			defer func() { ended <- true }()
			buf := make([]byte, 8)
			if _, err := io.ReadFull(c, buf[:2]); err != nil {
				t.Error(err)
			}
			if n, err := c.Unread(); n != 0 || err != nil {
				t.Errorf("nothing has come: %d, %v", n, err)
			}
			_, _ = c.Write([]byte("more"))
			if err := c.Await(); err != nil {
				t.Error(err)
			}
			if n, err := c.Unread(); n < 1 || err != nil {
				t.Errorf("something has come: %d, %v", n, err)
			}
			if _, err := io.ReadFull(c, buf[:3]); err != nil || string(buf[:3]) != "abc" {
				t.Errorf("%q, %v", buf[:3], err)
			}
			_, _ = c.Write([]byte("end"))
			if err := c.Await(); !errors.Is(err, io.EOF) {
				t.Errorf("Await at the end: %v", err)
			}
			if n, err := c.Unread(); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("Unread at the end: %d, %v", n, err)
			}
		}))
		client := b.dialMessages()
		send(t, client, "go")
		want(t, client, "more")
		send(t, client, "abc")
		want(t, client, "end")
		closeWrite(t, client)
		receive(t, ended, "the handler")
	})
}
