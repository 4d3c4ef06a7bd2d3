package lab_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// hearers are ways to wait with a connection's context.
var hearers = []struct {
	name string
	wait func(c *plexor.Conn) error
}{
	{"itself", func(c *plexor.Conn) error { return long(c.Context()) }},
	{"a Timeout around it", func(c *plexor.Conn) error {
		return coro.Timeout(coro.On(c.Loop()).Context(), time.Hour, func(context.Context) error {
			return long(c.Context())
		})
	}},
	{"a Timeout of it", func(c *plexor.Conn) error { return coro.Timeout(c.Context(), time.Hour, long) }},
	{"coro.WithTimeout", func(c *plexor.Conn) error {
		ctx, cancel := coro.WithTimeout(c.Context(), time.Hour)
		defer cancel()
		return long(ctx)
	}},
	{"context.WithCancel", func(c *plexor.Conn) error {
		ctx, cancel := context.WithCancel(c.Context())
		defer cancel()
		return long(context.WithValue(ctx, new(int), 1))
	}},
	{"a group of context.WithCancel", func(c *plexor.Conn) error {
		ctx, cancel := context.WithCancel(c.Context())
		defer cancel()
		return coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(long)
			return nil
		})
	}},
	{"another task", func(c *plexor.Conn) error {
		s, ctx := coro.On(c.Loop()), c.Context()
		other := s.Go(context.Background(), "other", func(context.Context) error { return long(ctx) })
		return other.Wait(s.Context())
	}},
	{"a task of context.WithCancel", func(c *plexor.Conn) error {
		s := coro.On(c.Loop())
		ctx, cancel := context.WithCancel(c.Context())
		defer cancel()
		return s.Go(ctx, "other", long).Wait(s.Context())
	}},
}

func long(ctx context.Context) error { return coro.Sleep(ctx, 10*time.Minute) }

// TestHearOfDeath: who waits with a connection's context, or with one derived from it, hears of the peer's death when
// its last packet comes, in each run. It was some time later, another one in each run.
func TestHearOfDeath(t *testing.T) {
	for _, row := range hearers {
		t.Run(row.name, func(t *testing.T) {
			for i := range 4 {
				if took := hearOfDeath(t, row.wait, i%2 == 0); took != oneWay {
					t.Errorf("run %d: the handler heard of it after %v; want %v", i, took, oneWay)
				}
			}
		})
	}
}

const oneWay = 5 * time.Millisecond

// hearOfDeath is how long after its client's abort a handler hears of it, that of a stream or of messages.
func hearOfDeath(t *testing.T, wait func(*plexor.Conn) error, messages bool) time.Duration {
	t.Helper()
	w := lab.New(lab.Options{Seed: 1})
	defer w.Close()
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: oneWay})
	var died, heard time.Time
	work := func(c *plexor.Conn) {
		if err := wait(c); err == nil || errors.Is(err, coro.ErrLoopClosed) {
			t.Errorf("the wait ended with %v; want what the peer died of", err)
		}
		heard = w.Now()
	}
	var h plexor.Handler = plexor.HandlerFunc(func(c *plexor.Conn) {
		_, _ = io.Copy(io.Discard, c)
		work(c)
	})
	if messages {
		h = plexor.Messages(frame.Line{}, func(c *plexor.Conn, _ []byte) error { work(c); return nil })
	}
	srv := &plexor.Server{Network: server}
	defer srv.Close()
	if _, err := srv.Open("tcp://:9000", h); err != nil {
		t.Fatal(err)
	}
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:9000")
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c, "hello\n"); err != nil {
			return err
		}
		if err := c.CloseWrite(); err != nil {
			return err
		}
		if err := coro.Sleep(ctx, 2*time.Second); err != nil {
			return err
		}
		died = w.Now()
		return errors.Join(c.Abort(), coro.Sleep(ctx, 20*time.Second))
	})
	if err := w.Run(); err != nil {
		t.Error(err)
	}
	if heard.IsZero() {
		t.Fatal("the handler did not hear of it in the run")
	}
	return heard.Sub(died)
}
