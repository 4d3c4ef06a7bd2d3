package plexor_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// TestTurnsFlood: a peer that sends and never reads is held up; what is kept for it has a bound; and when it reads, all
// answers are there.
func TestTurnsFlood(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		const n, size = 1000, 5000
		var c1 *plexor.Conn
		srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{HighWater: 64 << 10}}
		b := p.serve(t, srv, plexor.Turns(func(c *plexor.Conn) error {
			piece := make([]byte, 8<<10)
			m, err := c.Read(piece)
			switch {
			case err != nil:
				return err
			case string(piece[:m]) == "?":
				kept := 0
				if c1 != nil {
					kept = plexor.Unread(c1) + plexor.Pending(c1)
				}
				_, err := fmt.Fprintf(c, "%08d", kept)
				return err
			}
			c1 = c
			_, err = c.Write(piece[:m])
			return err
		}))
		client, other := b.dialMessages(), b.dialMessages()
		line := strings.Repeat("x", size) + "\n"
		wrote := make(chan error, 1)
		go func() {
			w := bufio.NewWriter(client)
			for range n {
				w.WriteString(line)
			}
			wrote <- w.Flush()
		}()
		for same, last := 0, -1; same < 20 || last <= 0; { // it is held up when what is kept stands still
			send(t, other, "?")
			kept := number(t, other)
			if kept > 3*64<<10+2*size {
				t.Fatalf("%d bytes are kept for a peer that does not read", kept)
			}
			if kept == last {
				same++
			} else {
				same, last = 0, kept
			}
		}
		r := bufio.NewReader(client)
		for i := range n {
			if got, err := r.ReadString('\n'); got != line {
				t.Fatalf("answer %d: %d bytes, %v", i, len(got), err)
			}
		}
		if err := receive(t, wrote, "the client"); err != nil {
			t.Error(err)
		}
	})
}

// TestTurnsRecordTime: a record of TLS that comes in part holds no turn, and has
// Limits.FrameTime; a turn that waits has only the idle timeout.
func TestTurnsRecordTime(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		clock := loop.NewManualClock(time.Now())
		limits := plexor.Limits{FrameTime: 8 * time.Second, IdleTimeout: -1}
		b := serveTLS(t, driver, &plexor.Server{Loops: 1, Clock: clock, Limits: limits}, nil, upperTurns)
		part, waits := b.connect(nil), b.connect(nil)
		send(t, part, "a\n")
		want(t, part, "A\n")
		b.await("a rest", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 2 })
		send(t, waits, "wai")
		b.await("the turn", func(s plexor.Stats) bool { return s.Handlers == 1 })
		send(t, part.NetConn(), "\x17\x03\x03\x00\x20half")
		end := time.Now().Add(patience)
		for ; b.Stats().SlowFrames == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			clock.Advance(time.Second)
		}
		wantEnd(t, part)
		part.Close()
		b.await("its end", func(s plexor.Stats) bool { return s.SlowFrames == 1 && s.Conns == 1 && s.Handlers == 1 })
		send(t, waits, "t\n")
		want(t, waits, "WAIT\n")
	})
}

// TestTurnsPartialInput: what comes for a turn that does not read counts, and the connection that holds most of it for
// longest is reset when there is too much. Of each connection some is read, however crowded the loop is, and takes a
// buffer of the smallest size at least: so all together must come to more than the bound.
func TestTurnsPartialInput(t *testing.T) {
	const bound = 4 << 10
	const conns = 2 * bound / plexor.SmallestBuffer
	eachMessagePlace(t, func(t *testing.T, p place) {
		srv := &plexor.Server{Loops: 1, Limits: plexor.Limits{PartialInput: bound}}
		b := p.serve(t, srv, plexor.Turns(func(c *plexor.Conn) error {
			line, err := lineOf(c)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(c, line+"\n"); err != nil || line != "wait" {
				return err
			}
			return coro.Sleep(c.Context(), time.Hour)
		}))
		for range conns {
			c := b.dialMessages()
			send(t, c, "wait\n")
			want(t, c, "wait\n")
			_, _ = io.WriteString(c, strings.Repeat("x", 1000)) // it may have to go meanwhile
		}
		b.await("evictions", func(s plexor.Stats) bool {
			return s.EvictedInputs > 0 && int64(s.Conns) == conns-s.EvictedInputs
		})
		b.bounded(bound)
		if err := b.Server.Close(); err != nil {
			t.Error(err)
		}
	})
}
