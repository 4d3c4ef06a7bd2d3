package plexor_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// TestFirstByte: by the loops' clock, a connection of which no byte has come for so long is
// closed and counted, with a handler of a stream and with Messages, over TLS behind the
// handshake. One that has said something is not, and neither is one whose handler speaks first.
func TestFirstByte(t *testing.T) {
	upperVisits := newVisits(func(v *visit, line string) error { return v.c.Send([]byte(strings.ToUpper(line))) })
	for name, h := range map[string]plexor.Handler{
		"HandlerFunc": plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) }),
		"Messages":    upper,
		"Turns":       upperTurns,
		"Sessions":    upperVisits.handlers()["Message"],
	} {
		t.Run(name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				endSilent(t, p, h)
			})
		})
	}
}

func endSilent(t *testing.T, p place, h plexor.Handler) {
	clock := loop.NewManualClock(time.Now())
	b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{FirstByte: 8 * time.Second}}, h)
	silent, half, late, busy := b.dialMessages(), b.dialMessages(), b.dialMessages(), b.dialMessages()
	all := []net.Conn{silent, half, late, busy}
	if b.tls {
		for _, c := range all {
			if err := c.(*tls.Conn).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		b.await("the handshakes", func(s plexor.Stats) bool { return s.Handshakes == 4 && s.Handlers == 0 })
	}
	send(t, half, "H") // of a message
	send(t, busy, "X\n")
	want(t, busy, "X\n")
	b.await("four connections", func(s plexor.Stats) bool { return s.Conns == 4 })
	step := func(seconds int) {
		for range seconds {
			clock.Advance(time.Second)
			send(t, busy, "X\n")
			want(t, busy, "X\n")
		}
	}
	step(7)
	if s := b.Stats(); s.Silent != 0 || s.Conns != 4 {
		t.Errorf("after 7 s of 8: %+v", s)
	}
	send(t, late, "Y\n")
	want(t, late, "Y\n")
	step(3)
	wantEnd(t, silent)
	silent.Close()
	b.await("its end", func(s plexor.Stats) bool { return s.Silent == 1 && s.Conns == 3 })
	step(20)
	send(t, half, "ALF\n")
	readLine(t, half)
	for _, c := range []net.Conn{late, busy} {
		send(t, c, "STILL\n")
		want(t, c, "STILL\n")
	}
	again := b.dialMessages() // when none was awaited for a while
	b.await("one more", func(s plexor.Stats) bool { return s.Conns == 4 })
	if b.tls {
		if err := again.(*tls.Conn).Handshake(); err != nil {
			t.Fatal(err)
		}
		b.await("its handshake", func(s plexor.Stats) bool { return s.Handshakes == 5 })
	}
	step(10)
	wantEnd(t, again)
	again.Close()
	if s := b.Stats(); s.Silent != 2 || s.Idle != 0 {
		t.Errorf("in the end: %+v, want 2 that were silent", s)
	}
}

// readLine reads up to a line's end.
func readLine(t *testing.T, c io.Reader) {
	t.Helper()
	for p := make([]byte, 1); p[0] != '\n'; {
		if _, err := c.Read(p); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFirstByteDefault: the limit is there unless it is taken back, and a shorter one for idle connections comes first.
func TestFirstByteDefault(t *testing.T) {
	for _, row := range []struct {
		name         string
		limits       plexor.Limits
		silent, idle int64
	}{
		{"default", plexor.Limits{}, 1, 0},
		{"none", plexor.Limits{FirstByte: -1}, 0, 0},
		{"idle comes first", plexor.Limits{IdleTimeout: 20 * time.Second}, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				clock := loop.NewManualClock(time.Now())
				b := place{driver, "tcp://127.0.0.1:0"}.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: row.limits},
					plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error { return c.Send(msg) }))
				silent := b.dial()
				b.await("the connection", func(s plexor.Stats) bool { return s.Conns == 1 })
				other := b.dial()
				for range 40 { // each turn of the loop sees a second more
					clock.Advance(time.Second)
					send(t, other, "x\n")
					want(t, other, "x\n")
				}
				if row.silent+row.idle > 0 {
					wantEnd(t, silent)
				}
				if s := b.Stats(); s.Silent != row.silent || s.Idle != row.idle {
					t.Errorf("after 40 s: %+v, want %d silent and %d idle", s, row.silent, row.idle)
				}
			})
		})
	}
}

// TestFirstByteGreeter: who speaks first sets deadlines of its own.
func TestFirstByteGreeter(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		clock := loop.NewManualClock(time.Now())
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{FirstByte: 8 * time.Second}},
			plexor.GreeterFunc(func(c *plexor.Conn) {
				io.WriteString(c, "hello\n")
				io.Copy(c, c)
			}))
		quiet, busy := b.dial(), b.dial()
		for _, c := range []net.Conn{quiet, busy} {
			want(t, c, "hello\n")
		}
		for range 20 {
			clock.Advance(time.Second)
			send(t, busy, "x")
			want(t, busy, "x")
		}
		send(t, quiet, "x")
		want(t, quiet, "x")
		if s := b.Stats(); s.Silent != 0 {
			t.Errorf("after 20 s: %+v, want none that was silent", s)
		}
	})
}
