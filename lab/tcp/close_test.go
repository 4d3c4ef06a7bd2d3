package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

func TestClose(t *testing.T) {
	t.Run("nothing unread", func(t *testing.T) {
		x := newScript(t, Options{}).accept()
		x.write("bye")
		if err := x.c.Close(x.now); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.want("P. 1:4 ack 1 bye", "F. 4:5 ack 1")
		x.in(wire.ACK|wire.FIN, 1, 5, "")
		x.state(TimeWait, nil)
	})
	t.Run("text unread", func(t *testing.T) {
		x := newScript(t, Options{}).accept()
		x.in(wire.ACK, 1, 1, "hello")
		if err := x.c.Close(x.now); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.want("R 1:1")
		x.state(Closed, ErrClosed)
	})
	t.Run("text that comes later", func(t *testing.T) {
		x := newScript(t, Options{}).accept()
		if err := x.c.Close(x.now); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.want("F. 1:2 ack 1")
		x.in(wire.ACK, 1, 2, "")
		x.in(wire.ACK, 1, 2, "late")
		x.want("R 2:2")
		x.state(Closed, ErrClosed)
	})
	t.Run("after CloseWrite", func(t *testing.T) {
		x := newScript(t, Options{}).accept()
		if err := errors.Join(x.c.CloseWrite(x.now), x.c.Close(x.now)); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.want("F. 1:2 ack 1")
	})
}

// TestResetAtTheEnd has the acknowledgment of our FIN be lost for longer than the peer waits: its reset says nothing
// new then (RFC 9293, section 3.10.7.4), but where text was not acknowledged it does.
func TestResetAtTheEnd(t *testing.T) {
	for _, text := range []string{"", "text"} {
		x := newScript(t, Options{}).accept()
		x.in(wire.ACK|wire.FIN, 1, 1, "")
		if text != "" {
			x.write(text)
		}
		if err := x.c.CloseWrite(x.now); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.state(LastAck, nil)
		x.in(wire.RST, 2, 0, "")
		if text == "" {
			x.state(Closed, nil)
		} else {
			x.state(Closed, ErrReset)
		}
	}
}

// TestDeserted closes a connection whose writing half has ended already, to a peer that never ends its own.
func TestDeserted(t *testing.T) {
	x := newScript(t, Options{}).accept()
	if err := x.c.CloseWrite(x.now); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.in(wire.ACK, 1, 2, "")
	x.wait(time.Hour)
	x.state(FinWait2, nil) // the program may read for as long as it likes
	if err := x.c.Close(x.now); err != nil {
		t.Fatal(err)
	}
	x.wait(time.Minute - 1)
	x.state(FinWait2, nil)
	x.wait(1)
	x.state(Closed, nil)
}

// TestOrphan closes to peers that answer and take nothing: one keeps its window shut, one opens it and takes it back
// over what was sent. Both are given up after Limits.Orphan; one that takes a segment now and then is not.
func TestOrphan(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer func(x *script, n, end int) // after n seconds, in which text was sent up to there
		kept   bool
	}{
		{"shut", func(x *script, _, _ int) { x.in(wire.ACK, 1, 1, "", window(0)) }, false},
		{"taken back", func(x *script, n, _ int) {
			x.in(wire.ACK, 1, 1, "", window(uint16(1000*(n&1))))
			x.in(wire.ACK, 1, 1, "", window(0))
		}, false},
		{"some text", func(x *script, _, end int) {
			x.in(wire.ACK, 1, end, "", window(1000))
			x.in(wire.ACK, 1, end, "", window(0))
		}, true},
	} {
		x := newScript(t, Options{}).accept()
		x.in(wire.ACK, 1, 1, "", window(0))
		x.write(times(250_000))
		if err := x.c.Close(x.now); err != nil {
			t.Fatal(err)
		}
		for n := 1; x.now < 4*time.Minute; n++ {
			x.wait(time.Second)
			if len(x.out) > 0 {
				h := x.out[len(x.out)-1]
				row.answer(x, n, max(1, x.iss.To(Seq(h.Seq+h.Len()))))
			}
			x.out = nil
		}
		if kept := x.c.State() != Closed; kept != row.kept {
			t.Errorf("%s: after four minutes it is %v", row.name, x.c.State())
		}
		if !row.kept && (x.s.pool.used != 0 || len(x.s.conns) != 0) {
			t.Errorf("%s: %d pages and %d connections are left", row.name, x.s.pool.used, len(x.s.conns))
		}
	}
}
