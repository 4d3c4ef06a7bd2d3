package websocket

import (
	"net"
	"testing"
	"time"
)

// A looped net.Conn gives the same bytes for ever and forgets what is written.
type looped struct {
	net.Conn
	b  []byte
	at int
}

func (l *looped) Read(p []byte) (int, error) {
	n := copy(p, l.b[l.at:])
	l.at = (l.at + n) % len(l.b)
	return n, nil
}

func (*looped) Write(p []byte) (int, error)      { return len(p), nil }
func (*looped) SetReadDeadline(time.Time) error  { return nil }
func (*looped) SetWriteDeadline(time.Time) error { return nil }

// TestEchoAllocatesNothing holds it for small messages, also where they come in pieces.
func TestEchoAllocatesNothing(t *testing.T) {
	in := frame(Server, 0x82, "0123456789") + frame(Server, 0x81, "hello") + frame(Server, 0x89, "p")
	c := NewConn(&looped{b: []byte(in)}, Server, new(Agreement), nil, &Options{PingEvery: time.Hour})
	got := testing.AllocsPerRun(1000, func() {
		op, msg, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.WriteMessage(op, msg); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%v allocations a message", got)
	}
}
