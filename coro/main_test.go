package coro

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A bed is a loop that runs for a test, on a clock that the test moves, and its scheduler.
type bed struct {
	t     testing.TB
	s     *Scheduler
	loop  *loop.Loop
	clock *loop.ManualClock
	ended chan error
}

// newBed also checks, when the test is over, that no coroutine is left when the loop has ended.
func newBed(t testing.TB, o Options) *bed {
	t.Helper()
	b := &bed{t: t, clock: loop.NewManualClock(epoch), ended: make(chan error, 1)}
	var err error
	if b.loop, err = loop.New(loop.Options{Clock: b.clock, Stall: -1}); err != nil {
		t.Fatal(err)
	}
	if b.s, err = New(b.loop, o); err != nil {
		t.Fatal(err)
	}
	go func() {
		runtime.LockOSThread() // as some drivers do, for which the rules are stricter
		b.ended <- b.loop.Run()
	}()
	t.Cleanup(b.close)
	return b
}

func (b *bed) close() {
	if b.loop == nil {
		return
	}
	b.loop.Close()
	if err := <-b.ended; err != nil {
		b.t.Errorf("Run: %v", err)
	}
	b.loop = nil
	if b.s.live != 0 || b.s.tasks != nil || len(b.s.idle) != 0 {
		b.t.Errorf("the loop has ended, and there are %d tasks and %d idle coroutines", b.s.live, len(b.s.idle))
	}
}

// run runs f as a task and returns its error.
func (b *bed) run(f func(ctx context.Context) error) error {
	b.t.Helper()
	_, err := Call(context.Background(), b.s, b.t.Name(), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	return err
}

// must runs f as a task, whose error fails the test.
func (b *bed) must(f func(ctx context.Context) error) {
	b.t.Helper()
	if err := b.run(f); err != nil {
		b.t.Fatal(err)
	}
}

// do runs f on the loop.
func (b *bed) do(f func()) {
	b.t.Helper()
	if err := b.loop.Do(f); err != nil {
		b.t.Fatal(err)
	}
}

// pass moves the clock and waits until what was due has run.
func (b *bed) pass(d time.Duration) {
	b.t.Helper()
	b.clock.Advance(d)
	b.do(func() {})
	b.do(func() {})
}
