package plexor_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/loop"
)

// framers are the ways to handle messages: Messages, and a stream's handler that goes over to them.
func framers(codec frame.Codec, one func(*plexor.Conn, []byte) error) map[string]plexor.Handler {
	messages := plexor.Messages(codec, one)
	return map[string]plexor.Handler{"Messages": messages, "ServeConn": plexor.HandlerFunc(messages.ServeConn)}
}

// eachFramer runs f with each of them on each driver and address.
func eachFramer(t *testing.T, codec frame.Codec, one func(*plexor.Conn, []byte) error,
	f func(t *testing.T, p place, h plexor.Handler)) {
	for name, h := range framers(codec, one) {
		t.Run(name, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) { f(t, p, h) })
		})
	}
}

func echoMessage(c *plexor.Conn, msg []byte) error { return c.Send(msg) }

// shake makes the handshake of a connection that speaks TLS.
func shake(t *testing.T, c net.Conn) {
	t.Helper()
	if tc, ok := c.(*tls.Conn); ok {
		if err := tc.Handshake(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFrameTime: by the loops' clock, a message that does not become complete ends its connection, though bytes come
// all the while, and is counted. Messages in pieces that do become complete, one after the other, do not, and neither
// does a connection that is idle between two, or whose handler takes its time.
func TestFrameTime(t *testing.T) {
	wait := func(c *plexor.Conn, msg []byte) error {
		if string(msg) == "wait" {
			if err := coro.Sleep(c.Context(), 15*time.Second); err != nil {
				return err
			}
		}
		return c.Send(msg)
	}
	eachFramer(t, frame.Line{}, wait, func(t *testing.T, p place, h plexor.Handler) {
		clock := loop.NewManualClock(time.Now())
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{FrameTime: 8 * time.Second}}, h)
		stalled, slow, pieces := b.dialMessages(), b.dialMessages(), b.dialMessages()
		idle, waits, busy := b.dialMessages(), b.dialMessages(), b.dialMessages()
		for _, c := range []net.Conn{stalled, slow, pieces, idle, waits, busy} {
			send(t, c, "x\n")
			want(t, c, "x\n")
		}
		send(t, stalled, "h")
		send(t, slow, "s")
		send(t, pieces, "p")
		send(t, waits, "wa")
		send(t, waits, "it\n")
		step := func(seconds int) {
			for range seconds {
				send(t, busy, "b\n") // behind what others sent before
				want(t, busy, "b\n")
				clock.Advance(time.Second)
			}
			send(t, busy, "b\n")
			want(t, busy, "b\n")
		}
		step(4)
		send(t, slow, "l")
		send(t, pieces, "q\np") // one ends and the next begins
		want(t, pieces, "pq\n")
		step(3)
		if s := b.Stats(); s.SlowFrames != 0 || s.Conns != 6 {
			t.Errorf("after 7 s of 8: %+v", s)
		}
		send(t, slow, "o")
		step(3)
		wantEnd(t, stalled)
		wantEnd(t, slow)
		stalled.Close()
		slow.Close()
		b.await("their ends", func(s plexor.Stats) bool { return s.SlowFrames == 2 && s.Conns == 4 })
		send(t, pieces, "q\n")
		want(t, pieces, "pq\n")
		step(6)
		want(t, waits, "wait\n")
		step(20)
		for _, c := range []net.Conn{pieces, idle, waits} {
			send(t, c, "still\n")
			want(t, c, "still\n")
		}
		if s := b.Stats(); s.SlowFrames != 2 || s.Conns != 4 {
			t.Errorf("in the end: %+v, want 2 that were slow", s)
		}
	})
}

// TestFrameTimeRecord: a record of TLS of which part has come is a message that has begun.
func TestFrameTimeRecord(t *testing.T) {
	for name, h := range framers(frame.Line{}, echoMessage) {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				clock := loop.NewManualClock(time.Now())
				srv := &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{FrameTime: 8 * time.Second}}
				b := place{driver, tlsAddr}.serve(t, srv, h)
				c, busy := b.dialMessages(), b.dialMessages()
				send(t, c, "x\n")
				want(t, c, "x\n")
				send(t, c.(*tls.Conn).NetConn(), "\x17\x03\x03\x40\x00...")
				for range 10 {
					send(t, busy, "b\n")
					want(t, busy, "b\n")
					clock.Advance(time.Second)
				}
				b.await("the end", func(s plexor.Stats) bool { return s.SlowFrames == 1 })
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Errorf("the client read %v, want the end of the stream", err)
				}
			})
		})
	}
}

// TestFrameTimeOutput: while nothing is read, since the peer does not take its answers, the time of a message does not
// run.
func TestFrameTimeOutput(t *testing.T) {
	var full *plexor.Conn
	one := func(c *plexor.Conn, msg []byte) error {
		switch string(msg) {
		case "me":
			full = c
		case "fill": // until the loop takes no more
			for !plexor.Full(full) {
				if _, err := full.Write(make([]byte, 16<<10)); err != nil {
					return err
				}
			}
		}
		return c.Send(msg)
	}
	eachFramer(t, frame.Line{}, one, func(t *testing.T, p place, h plexor.Handler) {
		clock := loop.NewManualClock(time.Now())
		limits := plexor.Limits{FrameTime: 8 * time.Second, HighWater: 32 << 10}
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: limits}, h)
		c, busy := b.dialMessages(), b.dialMessages()
		send(t, c, "me\nh")
		want(t, c, "me\n")
		b.awaitHeld(1) // of the message's beginning: the handler has returned
		for range 30 {
			send(t, busy, "fill\n") // again, for the system may have made more room
			want(t, busy, "fill\n")
			clock.Advance(time.Second)
		}
		if s := b.Stats(); s.SlowFrames != 0 {
			t.Errorf("%+v, want none that was slow", s)
		}
		go io.WriteString(c, "alf\n")
		if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasSuffix(got, "\x00half\n") {
			t.Errorf("the peer read %d bytes, %v; want all that was written, and then half", len(got), err)
		}
	})
}

// TestFrameTimeDefault: the limit is there unless it is taken back.
func TestFrameTimeDefault(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits plexor.Limits
		slow   int64
	}{
		{"default", plexor.Limits{}, 1},
		{"none", plexor.Limits{FrameTime: -1}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := loop.NewManualClock(time.Now())
			srv := &plexor.Server{Loops: 1, Clock: clock, Limits: row.limits}
			b := place{"", "tcp://127.0.0.1:0"}.serve(t, srv, plexor.Messages(frame.Line{}, echoMessage))
			c, busy := b.dial(), b.dial()
			send(t, c, "h")
			for range 80 {
				send(t, busy, "b\n")
				want(t, busy, "b\n")
				clock.Advance(time.Second)
			}
			if row.slow > 0 {
				wantEnd(t, c)
			}
			if s := b.Stats(); s.SlowFrames != row.slow {
				t.Errorf("after 80 s: %+v, want %d slow", s, row.slow)
			}
		})
	}
}

// part is the beginning of a message of total bytes, with so many of them.
func part(total, have int) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(total))) + strings.Repeat("x", have)
}

// bounded checks what the loops hold of unfinished input.
func (b *bench) bounded(most int) {
	b.t.Helper()
	counted, real := plexor.HeldInput(b.Server)
	if real > most || counted > most || counted < real {
		b.t.Errorf("unfinished input takes %d bytes, of which %d are counted; want at most %d, all counted", real, counted,
			most)
	}
}

// TestPartialInput: what connections hold of messages that have come in part is bounded for all together: those with
// most have to go, are counted, and the others go on.
func TestPartialInput(t *testing.T) {
	const bound, conns, have = 1 << 20, 24, 100 << 10
	eachFramer(t, frame.Length{Bytes: 4}, echoMessage, func(t *testing.T, p place, h plexor.Handler) {
		clock := loop.NewManualClock(time.Now()) // which stands still, so that the largest go
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{PartialInput: bound}}, h)
		small, busy := b.dialMessages(), b.dialMessages()
		send(t, small, part(1000, 10))
		gone := func() int { return int(b.Stats().EvictedInputs) }
		for range conns {
			c := b.dialMessages()
			shake(t, c)
			_, _ = io.WriteString(c, part(128<<10, have)) // it may have to go meanwhile
			send(t, busy, part(1, 1))
			want(t, busy, part(1, 1))
			b.bounded(bound)
		}
		b.await("those that had to go", func(plexor.Stats) bool { return gone() >= conns-bound/have })
		b.bounded(bound)
		send(t, small, strings.Repeat("x", 990))
		want(t, small, part(1000, 1000))
		if n := gone(); n >= conns {
			t.Errorf("%d of %d had to go; want no more than necessary", n, conns)
		}
	})
}

// TestPartialInputRecord: what crypto/tls keeps of a record counts as soon as its length is known.
func TestPartialInputRecord(t *testing.T) {
	for name, h := range framers(frame.Line{}, echoMessage) {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := place{driver, tlsAddr}.serve(t, &plexor.Server{Loops: 1}, h)
				c := b.dialMessages()
				send(t, c, "x\n")
				want(t, c, "x\n")
				send(t, below(c), "\x17\x03\x03")
				b.awaitHeld(3)
				send(t, below(c), "\x40\x00.")
				b.awaitHeld(16 << 10)
				reset(t, below(c))
				b.awaitNoInput()
			})
		})
	}
}

// TestPartialInputLongest: one that holds much for a short time stays, those that hold less for long have to go.
func TestPartialInputLongest(t *testing.T) {
	const bound = 1 << 20
	eachFramer(t, frame.Length{Bytes: 4}, echoMessage, func(t *testing.T, p place, h plexor.Handler) {
		clock := loop.NewManualClock(time.Now())
		b := p.serve(t, &plexor.Server{Loops: 1, Clock: clock, Limits: plexor.Limits{PartialInput: bound}}, h)
		busy := b.dialMessages()
		for range 6 {
			c := b.dialMessages()
			shake(t, c)
			send(t, c, part(128<<10, 100<<10))
		}
		b.awaitHeld(6 * 100 << 10)
		send(t, busy, part(1, 1))
		want(t, busy, part(1, 1))
		clock.Advance(20 * time.Second)
		fresh, size := b.dialMessages(), 500<<10
		shake(t, fresh)
		send(t, fresh, part(size, size-1))
		b.await("one that had to go", func(s plexor.Stats) bool { return s.EvictedInputs > 0 })
		go io.WriteString(fresh, "x")
		want(t, fresh, part(size, size))
		b.bounded(bound)
	})
}

// awaitHeld waits until the loops hold so much.
func (b *bench) awaitHeld(least int) {
	b.t.Helper()
	b.await("the input", func(plexor.Stats) bool {
		counted, _ := plexor.HeldInput(b.Server)
		return counted >= least
	})
}

// TestPartialInputAlone: one message longer than the bound, on a loop where none else is, arrives.
func TestPartialInputAlone(t *testing.T) {
	const size = 300 << 10
	eachFramer(t, frame.Length{Bytes: 4}, echoMessage, func(t *testing.T, p place, h plexor.Handler) {
		b := p.serve(t, &plexor.Server{Loops: 1, Limits: plexor.Limits{PartialInput: 32 << 10}}, h)
		c := b.dialMessages()
		go io.WriteString(c, part(size, size))
		got := make([]byte, size+4)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(part(size, size))) {
			t.Errorf("a message of %d bytes: %v", size, err)
		}
	})
}

// TestPartialInputUnread: what came for handlers that do not read is bounded for all together too, and what was read is
// no longer counted. There are more connections than buffers of the smallest size within the bound, and each takes one.
func TestPartialInputUnread(t *testing.T) {
	beside(t)
	const bound = 16 << 10
	const conns = bound/plexor.SmallestBuffer + 8
	eachPlace(t, func(t *testing.T, p place) {
		goOn := new(coro.Event)
		srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{PartialInput: bound}}
		b := p.serve(t, srv, plexor.HandlerFunc(func(c *plexor.Conn) {
			kind := make([]byte, 1)
			if _, err := c.Read(kind); err != nil {
				return
			}
			if kind[0] == '+' {
				goOn.Set()
			}
			if err := goOn.Wait(c.Context()); err != nil {
				return
			}
			io.Copy(io.Discard, c)
		}))
		var all []net.Conn
		for i := range conns {
			c := b.dial()
			all = append(all, c)
			send(t, c, "!")
			b.await("the handler", func(s plexor.Stats) bool {
				return s.Accepted == int64(i+1) && int64(s.Handlers) == s.Accepted-s.EvictedInputs
			})
			_, _ = io.WriteString(c, strings.Repeat("x", 3<<10)) // it may have to go meanwhile
			b.bounded(bound)
		}
		b.await("those that had to go", func(s plexor.Stats) bool { return s.EvictedInputs > 0 && s.EvictedInputs < conns })
		b.bounded(bound)
		send(t, b.dial(), "+")
		b.awaitNoInput()
		for _, c := range all {
			c.Close()
		}
	})
}

// idlers serves handlers that do not read until somebody sends a +.
func idlers(t *testing.T, p place, bound int) *bench {
	goOn := new(coro.Event)
	srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{PartialInput: bound}}
	return p.serve(t, srv, plexor.HandlerFunc(func(c *plexor.Conn) {
		kind := make([]byte, 1)
		if _, err := c.Read(kind); err != nil {
			return
		}
		switch kind[0] {
		case '+':
			goOn.Set()
		case '?':
			io.Copy(c, c)
		case '!':
			_ = goOn.Wait(context.WithoutCancel(c.Context())) // whatever becomes of the connection
		}
		io.Copy(io.Discard, c)
	}))
}

// TestPartialInputCrowded: from half of the bound on, a handler that does not read gets no more than it has, so that
// nobody has to go.
func TestPartialInputCrowded(t *testing.T) {
	const bound = 1 << 20
	eachPlace(t, func(t *testing.T, p place) {
		b := idlers(t, p, bound)
		busy := b.dial()
		send(t, busy, "?")
		for held := 0; held < bound/2; held, _ = plexor.HeldInput(b.Server) {
			send(t, b.dial(), "!"+strings.Repeat("x", 20<<10))
			send(t, busy, "x") // behind it
			want(t, busy, "x")
		}
		late := b.dial()
		send(t, late, "!x")
		before, _ := plexor.HeldInput(b.Server)
		for range 40 {
			send(t, late, strings.Repeat("x", 1<<10))
			send(t, busy, "x")
			want(t, busy, "x")
		}
		if after, _ := plexor.HeldInput(b.Server); after > before+4<<10 || b.Stats().EvictedInputs != 0 {
			t.Errorf("%d bytes are held, and were %d before one more sent 40 KiB; %+v", after, before, b.Stats())
		}
		send(t, b.dial(), "+")
		b.awaitNoInput()
	})
}

// TestPartialInputBroken: what came on a connection that has broken counts as long as its handler could read it.
func TestPartialInputBroken(t *testing.T) {
	beside(t)
	eachPlace(t, func(t *testing.T, p place) {
		beside(t)
		b := idlers(t, p, 0)
		c := b.dial()
		send(t, c, "!"+strings.Repeat("x", 20<<10))
		b.awaitHeld(20 << 10)
		closeWrite(t, below(c)) // before, for a unix socket that is closed at once is a half that was
		busy := b.dial()
		send(t, busy, "?x")
		want(t, busy, "x")
		reset(t, below(c))
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 1 && s.Handlers == 2 })
		b.awaitHeld(20 << 10)
		send(t, b.dial(), "+")
		b.awaitNoInput()
	})
}

// awaitNoInput waits until nothing is held.
func (b *bench) awaitNoInput() {
	b.t.Helper()
	b.await("what is left to be read", func(plexor.Stats) bool {
		counted, real := plexor.HeldInput(b.Server)
		return counted == 0 && real == 0
	})
}
