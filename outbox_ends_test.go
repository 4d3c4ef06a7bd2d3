package plexor_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestOutboxEnds: what was accepted before a connection ends orderly arrives, though its output was full; afterwards
// the box fails with net.ErrClosed and holds nothing.
func TestOutboxEnds(t *testing.T) {
	beside(t)
	for _, end := range []string{"close", "end", "leave", "share"} {
		t.Run(end, func(t *testing.T) {
			eachBoxed(t, func(t *testing.T, p place, stream bool) {
				beside(t)
				b, client, o := fullBox(t, p, stream, plexor.OutboxLimits{})
				for i := range 10 {
					if err := put(o, fmt.Sprint(i)); err != nil {
						t.Fatal(err)
					}
				}
				if s := o.Stats(); s.Entries != 10 {
					t.Fatalf("%+v, want 10 to wait", s)
				}
				if !stream { // whose input pauses while its output is full, so the client has to begin
					want(t, client, "\x00\x00\x03\xe8"+strings.Repeat("f", 1000))
				}
				command(t, client, end)
				if end == "share" && !stream {
					go func() { (<-b.gone).Close() }()
				}
				for i := range 10 {
					if msg := nextFrame(t, client); msg != fmt.Sprint(i) {
						t.Fatalf("%.20q came, want %d", msg, i)
					}
				}
				if end == "share" && stream {
					receive(t, b.gone, "the shared connection").Close()
				}
				wantEnd(t, client)
				if end == "close" {
					client.Close()
					if err := receive(t, b.done, "Close"); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
				if err := put(o, "late"); !errors.Is(err, net.ErrClosed) || errors.Is(err, plexor.ErrOutboxFull) || o.Err() == nil {
					t.Errorf("an entry behind the end: %v; Err: %v", err, o.Err())
				}
				if s := o.Stats(); s != (plexor.OutboxStats{Sent: 10}) {
					t.Errorf("%+v, want all to be sent", s)
				}
			})
		})
	}
}

// TestOutboxBroken: what waits when a connection breaks or is aborted goes nowhere, and the box holds nothing.
func TestOutboxBroken(t *testing.T) {
	beside(t)
	eachBoxed(t, func(t *testing.T, p place, stream bool) {
		beside(t)
		b, client, o := fullBox(t, p, stream, plexor.OutboxLimits{})
		for range 10 {
			if err := put(o, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if stream { // whose handler reads though its output is full
			command(t, client, "abort")
		} else {
			reset(t, client)
		}
		b.await("the end", func(s plexor.Stats) bool { return s.Conns == 0 })
		b.until("nothing waits", func() bool {
			s := o.Stats()
			return s.Entries == 0 && s.Sent+s.Dropped == 10 && (!stream || s.Dropped == 10)
		})
		if err := put(o, "late"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("an entry behind the end: %v", err)
		}
	})
}

// TestOutboxShutdown: a connection whose box has entries is not quiet, and what is accepted meanwhile arrives too.
func TestOutboxShutdown(t *testing.T) {
	beside(t)
	eachMessagePlace(t, func(t *testing.T, p place) {
		beside(t)
		b, client, o := fullBox(t, p, false, plexor.OutboxLimits{})
		if err := put(o, "first"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); b.shutdown() }()
		if err := put(o, "second"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"first", "second"} {
			if msg := nextFrame(t, client); msg != want {
				t.Errorf("%.20q came, want %q", msg, want)
			}
		}
		wantEnd(t, client)
		client.Close()
		receive(t, ended, "Shutdown")
		if err := put(o, "late"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("an entry behind the end: %v", err)
		}
	})
}

// TestOutboxDeadline: a write deadline that has passed holds entries up until it is set anew, and none is lost.
func TestOutboxDeadline(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		boxes, goOn := make(chan *plexor.Outbox, 1), make(chan struct{})
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			c.SetWriteDeadline(time.Unix(1, 0))
			boxes <- c.Outbox()
			coro.Await(c.Context(), func() (struct{}, error) { <-goOn; return struct{}{}, nil })
			c.SetWriteDeadline(time.Time{})
			io.Copy(io.Discard, c)
		}))
		client := b.dialMessages()
		send(t, client, "!")
		o := receive(t, boxes, "the outbox")
		if _, err := o.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		close(goOn)
		want(t, client, "hello")
	})
}

// TestOutboxStartTLS: entries wait while a handshake is under way, and none goes in plain text.
func TestOutboxStartTLS(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		testBoxStartTLS(t, driver)
	})
}
