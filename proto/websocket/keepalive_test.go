package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipe are two ends in a bubble, whose time costs nothing.
func pipe(server, client *Options) (s, c *Conn, raw net.Conn) {
	a, b := net.Pipe()
	return NewConn(a, Server, new(Agreement), nil, server), NewConn(b, Client, new(Agreement), nil, client), b
}

// TestPings holds that a silent peer is asked, that its pongs keep the connection, and what is told of them.
func TestPings(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Hour} { // the next ping does not wait for as long as a pong may take
		testPings(t, wait)
	}
}

func testPings(t *testing.T, wait time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		var pongs atomic.Int32
		s, c, _ := pipe(&Options{PingEvery: time.Minute, PongWait: wait, OnPong: func([]byte) { pongs.Add(1) }}, nil)
		clientEnd, serverEnd := make(chan error, 1), make(chan error, 1)
		go func() { _, _, err := c.ReadMessage(); clientEnd <- err }()
		go func() { _, _, err := s.ReadMessage(); serverEnd <- err }()
		time.Sleep(10*time.Minute + time.Second)
		if n := pongs.Load(); n < 9 || n > 10 {
			t.Errorf("PongWait %v: %d pongs in ten minutes", wait, n)
		}
		s.CloseNow()
		<-serverEnd
		if err := <-clientEnd; err != ErrEnded {
			t.Errorf("the client was told %v", err)
		}
	})
}

// TestNoPong holds that a peer that is gone is given up in time.
func TestNoPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reads := range []bool{false, true} {
			s, _, raw := pipe(&Options{PingEvery: time.Minute, PongWait: 5 * time.Second}, nil)
			if reads {
				go io.Copy(io.Discard, raw)
			}
			begun := time.Now()
			_, _, err := s.ReadMessage()
			// A writer that is stuck takes its own time: the ping itself waits for PongWait.
			if took := time.Since(begun); err != ErrNoPong || took < 65*time.Second || took > 71*time.Second {
				t.Errorf("the peer reads: %v: %v after %v", reads, err, took)
			}
			if _, _, again := s.ReadMessage(); again != ErrNoPong {
				t.Errorf("then %v", again)
			}
			raw.Close()
		}
	})
}

// TestDeadlineBesidePings holds that the user's deadline is the user's.
func TestDeadlineBesidePings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, _ := pipe(&Options{PingEvery: time.Minute}, nil)
		go c.ReadMessage()
		begun := time.Now()
		s.SetReadDeadline(begun.Add(150 * time.Second))
		if _, _, err := s.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 150*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		s.SetReadDeadline(time.Time{})
		go c.WriteMessage(Text, []byte("still there"))
		if _, msg, err := s.ReadMessage(); err != nil || string(msg) != "still there" {
			t.Errorf("%q, %v", msg, err)
		}
		s.CloseNow()
		c.CloseNow()
	})
}

// TestCloseWaits holds what a close waits for, and how long.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Options{CloseWait: 3 * time.Second}
		s, _, raw := pipe(o, nil) // a peer that neither reads nor writes
		begun := time.Now()
		if err := s.Close(Normal, ""); err == nil || time.Since(begun) > 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		raw.Close()

		s, _, raw = pipe(o, nil) // one that reads, and does not answer
		go io.Copy(io.Discard, raw)
		begun = time.Now()
		if err := s.Close(Normal, ""); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		raw.Close()

		s, c, _ := pipe(o, nil) // one that answers, and another that reads meanwhile
		ends := make(chan error, 2)
		go func() { _, _, err := s.ReadMessage(); ends <- err }()
		go func() { _, _, err := c.ReadMessage(); ends <- err }()
		synctest.Wait()
		if err := s.Close(GoingAway, "bye"); err != nil {
			t.Errorf("Close: %v", err)
		}
		for range 2 {
			if e := new(CloseError); !errors.As(<-ends, &e) || e.Code != GoingAway {
				t.Errorf("told %+v", e)
			}
		}
		if err := s.WriteMessage(Text, nil); err != ErrClosed {
			t.Errorf("a message behind the close: %v", err)
		}
		if _, err := s.NextWriter(Text); err != ErrClosed {
			t.Errorf("a writer behind the close: %v", err)
		}
		if err := s.Ping(nil); err != ErrClosed {
			t.Errorf("a ping behind the close: %v", err)
		}
	})
}

// TestPingFlood holds that pings, however many, cost a peer that reads no answers one pong: the latest, which is
// sent by the writer that was stuck.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, raw := pipe(nil, nil)
		written := make(chan error, 1)
		go func() { written <- s.WriteMessage(Binary, []byte("stuck")) }()
		synctest.Wait() // in the net.Pipe, which nobody reads
		ended := make(chan error, 1)
		go func() { _, _, err := s.ReadMessage(); ended <- err }()
		for i := range 10_000 {
			if _, err := raw.Write([]byte(frame(Server, 0x89, string(rune('0'+i%10))))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		raw.SetReadDeadline(time.Now().Add(time.Second))
		out, _ := io.ReadAll(raw) // until the deadline
		if want := "\x82\x05stuck\x8a\x019"; string(out) != want {
			t.Errorf("%q, want %q", out, want)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		raw.Close()
		if err := <-ended; err != ErrEnded {
			t.Error(err)
		}
	})
}

// TestOneReader holds that a second one is refused, and that Close takes the place of one.
func TestOneReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, raw := pipe(nil, nil)
		ended := make(chan error, 1)
		go func() { _, _, err := s.ReadMessage(); ended <- err }()
		synctest.Wait()
		if _, _, err := s.ReadMessage(); err != ErrReader {
			t.Errorf("ReadMessage: %v", err)
		}
		if _, _, err := s.NextReader(); err != ErrReader {
			t.Errorf("NextReader: %v", err)
		}
		raw.Close()
		if err := <-ended; err != ErrEnded {
			t.Errorf("the first was told %v", err)
		}
	})
}

// TestWriteDeadline holds that a frame that was not begun may follow later, and that behind a part of one nothing
// does.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, raw := pipe(nil, nil)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if err := s.WriteMessage(Text, []byte("a")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("nobody reads: %v", err)
		}
		s.SetWriteDeadline(time.Time{})
		go s.WriteMessage(Text, []byte("b"))
		b := make([]byte, 3)
		if _, err := io.ReadFull(raw, b); err != nil || string(b) != "\x81\x01b" {
			t.Errorf("%q, %v", b, err)
		}
		s.SetWriteDeadline(time.Now().Add(time.Second))
		go raw.Read(b[:1])
		if err := s.WriteMessage(Text, []byte("c")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one byte was read: %v", err)
		}
		s.SetWriteDeadline(time.Time{})
		if err := s.WriteMessage(Text, []byte("d")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("behind a part of a frame: %v", err)
		}
		raw.Close()
		s.CloseNow()
	})
}

// TestPongWhileNobodyReads holds that the time in which nobody reads is none of a peer's silence.
func TestPongWhileNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, raw := pipe(&Options{PingEvery: time.Minute, PongWait: 5 * time.Second}, nil)
		go func() { // reads the ping, and its pong waits in the net.Pipe
			io.ReadFull(raw, make([]byte, 2))
			time.Sleep(time.Second)
			io.WriteString(raw, frame(Server, 0x8a, ""))
		}()
		s.SetReadDeadline(time.Now().Add(60*time.Second + 1))
		if _, _, err := s.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		s.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, _, err := s.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the pong was there all the time: %v", err)
		}
		s.CloseNow()
		raw.Close()
	})
}
