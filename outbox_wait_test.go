package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// TestOutboxWait: who waits for room gets it when the client reads, as a goroutine, as a coroutine of the
// connection's own loop and of another one; his context ends the wait, and so does the connection's end.
func TestOutboxWait(t *testing.T) {
	beside(t)
	for _, who := range []string{"goroutine", "own loop", "other loop"} {
		t.Run(who, func(t *testing.T) {
			eachMessagePlace(t, func(t *testing.T, p place) {
				beside(t)
				// The first connection's coroutine calls what it is given; the others are idle.
				calls := make(chan func(ctx context.Context))
				caller := plexor.HandlerFunc(func(c *plexor.Conn) {
					for {
						f, err := coro.Await(c.Context(), func() (func(context.Context), error) { return <-calls, nil })
						if err != nil || f == nil {
							return
						}
						f(c.Context())
					}
				})
				loops := 1
				if who == "other loop" {
					loops = 2
				}
				boxes := make(chan *plexor.Outbox, 1)
				limits := plexor.Limits{HighWater: 64 << 10, Outbox: plexor.OutboxLimits{Entries: 2}}
				b := p.serve(t, &plexor.Server{Loops: loops, Limits: limits},
					plexor.HandlerFunc(func(c *plexor.Conn) {
						var first [1]byte
						if _, err := io.ReadFull(c, first[:]); err != nil {
							return
						}
						if first[0] == 'c' {
							caller(c)
							return
						}
						boxes <- c.Outbox()
						io.Copy(io.Discard, c)
					}))
				bb := &boxBench{bench: b, boxes: boxes}
				do := func(f func(ctx context.Context)) { go f(t.Context()) }
				if who != "goroutine" {
					c := b.dialMessages()
					send(t, c, "c")
					do = func(f func(ctx context.Context)) { calls <- f }
					defer close(calls)
				}
				client, o := bb.dialBox() // its four bytes of length are as good as any
				fillBox(b, o)
				for range 2 {
					if err := put(o, "x"); err != nil {
						t.Fatal(err)
					}
				}
				errs := make(chan error, 1)
				do(func(ctx context.Context) {
					ctx, cancel := context.WithCancelCause(ctx)
					cancel(errLeave)
					errs <- o.PutWait(ctx, plexor.PrepareBytes([]byte("x")))
				})
				if err := receive(t, errs, "a wait whose context has ended"); !errors.Is(err, errLeave) {
					t.Errorf("a wait whose context has ended: %v", err)
				}
				do(func(ctx context.Context) { errs <- o.PutWait(ctx, plexor.PrepareBytes([]byte{0, 0, 0, 1, 'w'})) })
				b.until("it waits", func() bool { return plexor.Waiters(o) == 1 })
				for _, want := range []string{"x", "x", "w"} {
					if msg := nextFrame(t, client); msg != want {
						t.Errorf("%.20q came, want %q", msg, want)
					}
				}
				if err := receive(t, errs, "the wait for room"); err != nil {
					t.Error(err)
				}
				for try, ended := 0, false; !ended; try++ {
					if try == 5 {
						t.Fatal("the connection's end ends no wait")
					}
					client, o = bb.dialBox()
					fillBox(b, o)
					for range 2 {
						if err := put(o, "x"); err != nil {
							t.Fatal(err)
						}
					}
					do(func(ctx context.Context) { errs <- o.PutWait(ctx, plexor.PrepareBytes([]byte("y"))) })
					// On a busy machine a probe of the window, which makes room, may come before the reset.
					b.until("it waits", func() bool { return plexor.Waiters(o) == 1 || len(errs) > 0 })
					reset(t, client)
					err := receive(t, errs, "a wait that the connection's end ends")
					if ended = err != nil; ended && !errors.Is(err, net.ErrClosed) {
						t.Errorf("a wait that the connection's end ends: %v", err)
					}
				}
			})
		})
	}
}

// TestOutboxWaitOnLoop: what would wait for its own loop is refused.
func TestOutboxWaitOnLoop(t *testing.T) {
	beside(t)
	errs := make(chan error, 1)
	limits := plexor.Limits{Outbox: plexor.OutboxLimits{Entries: 1}}
	b := boxed(t, place{"auto", "tcp://127.0.0.1:0"}, false, &plexor.Server{Loops: 1, Limits: limits})
	_, o := b.dialBox()
	fillBox(b.bench, o)
	if err := put(o, "x"); err != nil {
		t.Fatal(err)
	}
	plexor.OnLoop(o, func() { errs <- o.PutWait(context.Background(), plexor.PrepareBytes([]byte("x"))) })
	if _, ok := errors.AsType[*coro.MisuseError](<-errs); !ok {
		t.Error("a wait on the loop itself was not refused")
	}
}

// TestOutboxBubble: a box, and a wait for room in it, in a bubble whose loops are outside.
func TestOutboxBubble(t *testing.T) {
	eachMessagePlace(t, func(t *testing.T, p place) {
		b := boxed(t, p, false, &plexor.Server{Limits: plexor.Limits{Outbox: plexor.OutboxLimits{Entries: 2}}})
		client, o := b.dialBox()
		const n = 500
		got := make(chan error, 1)
		go func() {
			for i := range n {
				if msg := nextFrame(t, client); msg != fmt.Sprint(i) {
					got <- fmt.Errorf("%.20q came, want %d", msg, i)
					return
				}
			}
			got <- nil
		}()
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour) // it takes no time, and its clock is another one
			var a plexor.Audience
			if err := a.Add(o); err != nil {
				t.Error(err)
			}
			for i := range n {
				if err := o.SendWait(t.Context(), fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
		})
		if err := receive(t, got, "what the bubble sent"); err != nil {
			t.Error(err)
		}
	})
}

// fillBox fills the output of a box's connection with frames that nextFrame passes over.
func fillBox(b *bench, o *plexor.Outbox) {
	b.t.Helper()
	piece := append([]byte{0, 0, 3, 232}, make([]byte, 1000)...)
	for i := range 1000 {
		piece[4+i] = 'f'
	}
	// What comes late, and makes room: an acknowledgment (40 ms), a probe of the window (200 ms).
	rest := 300 * time.Millisecond
	if b.addr.Network() == "unix" {
		rest = 5 * time.Millisecond // there is none
	}
	full := time.Now()
	for end := full.Add(patience); ; time.Sleep(5 * time.Millisecond) {
		looked := time.Now()
		if plexor.FillBox(o, piece) > 0 {
			full = time.Now()
		} else if looked.Sub(full) >= rest {
			return
		}
		if looked.After(end) {
			b.t.Fatal("the output does not stay full, whatever the system makes of its buffers")
		}
	}
}
