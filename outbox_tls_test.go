package plexor_test

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/plexor-go/plexor"
)

// testBoxStartTLS puts an entry in before the handshake begins, one while it is under way, and one behind it.
func testBoxStartTLS(t *testing.T, driver string) {
	cert, _, err := plexor.NewSelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	boxes, shaking := make(chan *plexor.Outbox, 1), make(chan struct{})
	hello := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		close(shaking)
		return nil, nil
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, GetConfigForClient: hello}
	b := (place{driver, "tcp://127.0.0.1:0"}).serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		boxes <- c.Outbox()
		if err := c.StartTLS(cfg); err != nil {
			t.Error(err)
		}
		io.Copy(io.Discard, c)
	}))
	client := b.dial()
	send(t, client, "!")
	o := receive(t, boxes, "the outbox")
	b.await("StartTLS", func(s plexor.Stats) bool { return s.Handshaking == 1 })
	if _, err := o.Write([]byte("one ")); err != nil {
		t.Error(err)
	}
	tc := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err) // what is in plain text breaks it
	}
	receive(t, shaking, "the handshake")
	if _, err := o.Write([]byte("two")); err != nil {
		t.Error(err)
	}
	want(t, tc, "one two")
	tc.Close()
}
