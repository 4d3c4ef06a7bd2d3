package coro

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// TestEnd: what waits when the loop ends, wherever it does, fails with ErrLoopClosed and runs to its end.
func TestEnd(t *testing.T) {
	var never Event
	var held Mutex
	for _, row := range []struct {
		name string
		f    func(b *bed, ctx context.Context) error
	}{
		{"Sleep", func(b *bed, ctx context.Context) error { return Sleep(ctx, time.Hour) }},
		{"group", func(b *bed, ctx context.Context) error {
			return Group(ctx, func(g *Tasks) error {
				g.Go(never.Wait)
				g.Go(func(ctx context.Context) error {
					return Group(ctx, func(g *Tasks) error { g.Go(never.Wait); return nil })
				})
				return never.Wait(ctx)
			})
		}},
		{"shield", func(b *bed, ctx context.Context) error { return Shield(ctx, time.Hour, never.Wait) }},
		{"shield, entered late", func(b *bed, ctx context.Context) error {
			_ = never.Wait(ctx)
			return Shield(ctx, time.Hour, never.Wait)
		}},
		{"group in a shield", func(b *bed, ctx context.Context) error {
			return Shield(ctx, time.Hour, func(ctx context.Context) error {
				return Group(ctx, func(g *Tasks) error { g.Go(never.Wait); return nil })
			})
		}},
		{"context of the standard library", func(b *bed, ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			return never.Wait(ctx)
		}},
		{"foreign context above", func(b *bed, ctx context.Context) error {
			above, cancel := context.WithCancel(context.Background())
			defer cancel()
			return b.s.Go(above, "", never.Wait).Wait(ctx)
		}},
		{"a condition whose lock is never given back", func(b *bed, ctx context.Context) error {
			if err := held.Lock(ctx); err != nil {
				return err
			}
			defer held.Unlock()
			c := NewCond(&held)
			b.s.Go(ctx, "", func(ctx context.Context) error { return held.Lock(ctx) })
			return c.Wait(ctx)
		}},
		{"tasks that start tasks", func(b *bed, ctx context.Context) error {
			err := never.Wait(ctx)
			tk := b.s.Go(ctx, "", func(context.Context) error { t.Error("it ran"); return nil })
			tk.OnEnd(func(err error) {
				if err != ErrLoopClosed {
					t.Errorf("a task of an ended loop: %v", err)
				}
			})
			return err
		}},
		{"partner", func(b *bed, ctx context.Context) error {
			p := Talk(ctx, func(ctx context.Context, n int, ask func(int) (int, error)) error { return never.Wait(ctx) })
			defer p.Close()
			_, err := p.Next(ctx, 1)
			return err
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			never, held = Event{}, Mutex{}
			b := newBed(t, Options{})
			var tasks []*Task
			var deferred, late int
			b.do(func() {
				for range 3 {
					tasks = append(tasks, b.s.Start(context.Background(), "", func(ctx context.Context) error {
						defer func() {
							deferred++
							if Yield(ctx) == ErrLoopClosed {
								late++
							}
						}()
						return row.f(b, ctx)
					}))
				}
			})
			b.do(func() {})
			b.close()
			for _, tk := range tasks {
				if err := tk.Err(); !errors.Is(err, ErrLoopClosed) || !errors.Is(err, net.ErrClosed) {
					t.Errorf("a task ended with %v, want %v", err, ErrLoopClosed)
				}
			}
			if deferred != 3 || late != 3 {
				t.Errorf("%d of 3 deferred functions ran; for %d of them waits failed with %v", deferred, late, ErrLoopClosed)
			}
		})
	}
}

// TestEndUnderRun: what was started, but had not begun, does not begin; and a loop that is never run ends too.
func TestEndUnderRun(t *testing.T) {
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := On(l)
	if _, err := New(l, Options{}); err == nil {
		t.Error("a second scheduler of a loop")
	}
	tk := s.Go(context.Background(), "", func(context.Context) error { t.Error("it ran"); return nil })
	l.Close()
	if <-tk.Done(); tk.Err() != ErrLoopClosed {
		t.Errorf("a task of a loop that never ran: %v, want %v", tk.Err(), ErrLoopClosed)
	}
	for range 2 {
		s = On(l)
		if tk = s.Go(context.Background(), "", func(context.Context) error { return nil }); tk.Err() != ErrLoopClosed {
			t.Errorf("a task of a loop that has ended: %v, want %v", tk.Err(), ErrLoopClosed)
		}
	}
}

// TestBeforeRun: tasks that were started before Run run on the loop's goroutine, which may be locked to its thread.
func TestBeforeRun(t *testing.T) {
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	On(l).Start(context.Background(), "", func(ctx context.Context) error {
		ended = Yield(ctx) == nil
		go l.Close() // which waits for the loop, so a coroutine can't
		return nil
	})
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- l.Run()
	}()
	if err := <-done; err != nil || !ended {
		t.Errorf("Run = %v, the task had run: %v", err, ended)
	}
}

// TestGroupShutdown: a graceful shutdown of a group of loops ends coroutines only with the loops themselves.
func TestGroupShutdown(t *testing.T) {
	g, err := loop.NewGroup(loop.GroupOptions{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	var tasks []*Task
	for _, l := range g.Loops() {
		s := On(l)
		if err := l.Do(func() {
			tasks = append(tasks, s.Go(context.Background(), "", func(ctx context.Context) error {
				return Sleep(ctx, time.Hour)
			}))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	for _, tk := range tasks {
		if tk.Err() != ErrLoopClosed {
			t.Errorf("a task ended with %v, want %v", tk.Err(), ErrLoopClosed)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Idle: -1}, {Blocking: -1}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("New with %+v succeeded", o)
		}
	}
}

// TestPoolIsBounded: coroutines beyond Options.Idle end with their tasks.
func TestPoolIsBounded(t *testing.T) {
	b := newBed(t, Options{Idle: 3})
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			for range 10 {
				g.Go(Yield)
			}
			return nil
		})
	})
	b.do(func() {
		if n := len(b.s.idle); n != 3 {
			t.Errorf("%d coroutines are kept, want 3", n)
		}
	})
}
