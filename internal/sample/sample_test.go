package sample_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
)

// A counter counts the lines that reach it, and those that they say were left out.
type counter struct {
	mu             sync.Mutex
	lines, omitted int64
}

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *counter) WithGroup(string) slog.Handler            { return c }

func (c *counter) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines++
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == sample.Omitted {
			c.omitted += a.Value.Int64()
		}
		return true
	})
	return nil
}

func (c *counter) check(t *testing.T, when string, lines, omitted int64) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines != lines || c.omitted != omitted {
		t.Errorf("%s: %d lines, which say that %d were left out: want %d and %d", when, c.lines, c.omitted, lines, omitted)
	}
}

// Ten lines at once and one a second are written, and lines and counts together are exact; what was left out is said
// though no line follows, within Late.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(counter)
		log, end := sample.New(slog.New(c), nil)
		defer end()
		for range 1000 {
			log.Warn("rubbish")
		}
		c.check(t, "after 1000 at once", sample.Burst, 0)
		time.Sleep(sample.Every)
		log.With("peer", "another").Warn("rubbish", "err", 1)
		c.check(t, "a second later", sample.Burst+1, 1000-sample.Burst)
		for range 99 {
			log.Warn("rubbish")
		}
		time.Sleep(sample.Late)
		synctest.Wait()
		c.check(t, "when no more came", sample.Burst+2, 1000-sample.Burst+98)
		time.Sleep(time.Hour)
		synctest.Wait()
		c.check(t, "an hour later", sample.Burst+2, 1000-sample.Burst+98)
	})
}

// A flood that lasts has a line a second, which is a real one.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(counter)
		var text bytes.Buffer
		log, end := sample.New(slog.New(slog.NewMultiHandler(c, slog.NewTextHandler(&text, nil))), nil)
		for range 60 * 100 {
			log.Error("rubbish", "peer", "somebody")
			time.Sleep(10 * time.Millisecond)
		}
		end()
		if c.lines+c.omitted != 6000 || c.lines > sample.Burst+62 {
			t.Errorf("%d lines, %d left out: want 6000 together, and at most %d lines", c.lines, c.omitted, sample.Burst+62)
		}
		if named := bytes.Count(text.Bytes(), []byte("peer=somebody")); int64(named) != c.lines-1 {
			t.Errorf("%d of %d lines name a peer: want all but the last", named, c.lines)
		}
	})
}

// Kinds and levels have bounds of their own, and Debug has none.
func TestKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(counter)
		log, end := sample.New(slog.New(c), nil)
		for range 2 * sample.Burst {
			log.Warn("rubbish")
			log.Info("rubbish")
			log.Warn("other rubbish")
			log.Debug("each")
		}
		c.check(t, "before the end", 5*sample.Burst, 0)
		end()
		c.check(t, "at the end", 5*sample.Burst+3, 3*(sample.Burst-1))
		for range 2 * sample.Burst {
			log.Warn("rubbish")
		}
		c.check(t, "after the end", 7*sample.Burst+3, 3*(sample.Burst-1))
	})
}

// A log that is bounded already has one owner, and the same bounds.
func TestTwice(t *testing.T) {
	c := new(counter)
	log, end := sample.New(slog.New(c), nil)
	again, endAgain := sample.New(log.With("part", 1), nil)
	for range 2 * sample.Burst {
		again.Warn("rubbish")
	}
	endAgain()
	c.check(t, "the other's end", sample.Burst, 0)
	end()
	c.check(t, "the owner's end", sample.Burst+1, sample.Burst-1)
}
