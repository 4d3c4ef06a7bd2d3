package plexor_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/loop"
)

// A peer sets no rate of lines: of a thousand of a kind ten are written while the time stands still, and with the
// counts of those left out the sum is exact, as the metrics are.
func TestPeerSetsNoRateOfLines(t *testing.T) {
	beside(t)
	for _, row := range []struct {
		name, says, addr string
		n                int
		rubbish          string
		handler          plexor.Handler
		counted          func(plexor.Stats) int64
	}{
		{"handshakes", "TLS handshake failed", tlsAddr, portion.Fewer(1000, 200), "rubbish, and no ClientHello",
			plexor.HandlerFunc(func(*plexor.Conn) {}),
			func(s plexor.Stats) int64 { return s.HandshakeErrors }},
		{"frames", "bad frame", "tcp://127.0.0.1:0", 100, "\xff\xff\xff\xff",
			plexor.Messages(frame.Length{Bytes: 4, Max: 8}, func(*plexor.Conn, []byte) error { return nil }),
			func(s plexor.Stats) int64 { return s.BadFrames }},
		{"errors of handlers", "a handler failed", "tcp://127.0.0.1:0", 100, "x\n",
			plexor.Messages(frame.Line{Max: 8}, func(*plexor.Conn, []byte) error { return errors.New("no") }),
			func(s plexor.Stats) int64 { return s.Failed }},
		{"panics", "a handler panicked", "tcp://127.0.0.1:0", 100, "x",
			plexor.HandlerFunc(func(*plexor.Conn) { panic("no") }), func(s plexor.Stats) int64 { return s.Panics }},
		{"panics of tasks", "a task panicked that nobody waits for", "tcp://127.0.0.1:0", 100, "x",
			plexor.HandlerFunc(func(c *plexor.Conn) {
				if t, err := coro.Self(c.Context(), "the test"); err == nil {
					t.Scheduler().Go(context.Background(), "", func(context.Context) error { panic("no") })
				}
			}), func(s plexor.Stats) int64 { return 100 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				clock := loop.NewManualClock(time.Now())
				b := (place{driver, row.addr}).serve(t, &plexor.Server{Clock: clock, Stall: -1}, row.handler)
				for range row.n {
					c := b.dial()
					send(t, c, row.rubbish)
					_, _ = io.Copy(io.Discard, c) // until the server has closed it
					c.Close()
				}
				b.await("all to be counted", func(s plexor.Stats) bool { return s.Conns == 0 && row.counted(s) == int64(row.n) })
				if lines, omitted := count(t, b.log.text(), row.says); lines != sample.Burst || omitted != 0 {
					t.Errorf("%d lines, and %d are said to be left out: want %d and 0 yet", lines, omitted, sample.Burst)
				}
				clock.Advance(sample.Late)
				lines, omitted := count(t, b.log.text(), row.says)
				if lines != sample.Burst+1 || lines+omitted != row.n {
					t.Errorf("%d lines, and %d left out, after %v: want %d, and %d together", lines, omitted, sample.Late,
						sample.Burst+1, row.n)
				}
			})
		})
	}
}

var omittedAttr = regexp.MustCompile(sample.Omitted + `=(\d+)`)

// count counts the lines that say something, and how many they say were left out.
func count(t *testing.T, log, says string) (lines, omitted int) {
	t.Helper()
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `msg="`+says) {
			continue
		}
		lines++
		if m := omittedAttr.FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			omitted += n
		}
	}
	return lines, omitted
}

// What was left out is said at the latest when the server has ended.
func TestOmittedLinesAreSaidAtTheEnd(t *testing.T) {
	b := (place{"auto", tlsAddr}).serve(t, new(plexor.Server), plexor.HandlerFunc(func(*plexor.Conn) {}))
	const n = 50
	for range n {
		c := b.dial()
		send(t, c, "rubbish, and no ClientHello")
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if lines, omitted := count(t, b.log.text(), "TLS handshake failed"); lines+omitted != n || omitted == 0 {
		t.Errorf("%d lines, and %d left out: want %d together", lines, omitted, n)
	}
}
