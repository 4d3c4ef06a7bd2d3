package coro

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

var errBoom = errors.New("boom")

func TestGoRunsLater(t *testing.T) {
	b := newBed(t, Options{})
	b.do(func() {
		ran := false
		b.s.Go(context.Background(), "", func(context.Context) error { ran = true; return nil })
		if ran {
			t.Error("Go ran its function before it returned")
		}
		b.s.Start(context.Background(), "", func(ctx context.Context) error { ran = true; return Yield(ctx) })
		if !ran {
			t.Error("Start had not run its function when it returned")
		}
	})
}

// TestWakeAtOnce: what a callback has, the coroutine that it wakes can use until it waits again.
func TestWakeAtOnce(t *testing.T) {
	b := newBed(t, Options{})
	var w Waiter
	var have, got string
	b.do(func() {
		b.s.Start(context.Background(), "", func(ctx context.Context) error {
			self, err := b.s.Self("test")
			if err != nil {
				return err
			}
			for {
				if err := w.Park(self, "text", nil); err != nil {
					return err
				}
				got = have
			}
		})
		for _, text := range []string{"one", "two"} {
			have = text
			if !w.Wake() || got != text {
				t.Errorf("after Wake got = %q, want %q", got, text)
			}
		}
	})
}

func TestResults(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		task := b.s.Go(ctx, "named", func(context.Context) error { return errBoom })
		if task.Err() != nil {
			t.Errorf("Err of a task that has not ended: %v", task.Err())
		}
		if err := task.Wait(ctx); err != errBoom {
			t.Errorf("Wait = %v, want %v", err, errBoom)
		}
		<-task.Done()
		if err := task.Err(); err != errBoom {
			t.Errorf("Err = %v, want %v", err, errBoom)
		}
		if err := context.Cause(task.Context()); err != ErrEnded {
			t.Errorf("the cause of an ended task's context is %v, want %v", err, ErrEnded)
		}
		if err := Sleep(task.Context(), 1); err != ErrEnded {
			t.Errorf("Sleep with an ended task's context = %v, want %v", err, ErrEnded)
		}
		var ended error
		task.OnEnd(func(err error) { ended = err })
		if ended != errBoom {
			t.Errorf("OnEnd after the end got %v, want %v", ended, errBoom)
		}
		if got := task.Name(); got != "named" {
			t.Errorf("Name = %q", got)
		}
		return nil
	})
}

func TestCall(t *testing.T) {
	b := newBed(t, Options{})
	n, err := Call(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, nil })
	if n != 7 || err != nil {
		t.Errorf("Call = %d, %v, want 7", n, err)
	}
	_, err = Call(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, errBoom })
	if err != errBoom {
		t.Errorf("Call = %v, want %v", err, errBoom)
	}
	_, err = Call(context.Background(), b.s, "", func(context.Context) (int, error) { panic(errBoom) })
	if !errors.Is(err, errBoom) {
		t.Errorf("Call of what panics = %v, want %v in it", err, errBoom)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	_, err = Call(ctx, b.s, "", func(ctx context.Context) (int, error) {
		cancel(errCut)
		return 0, Sleep(ctx, time.Hour)
	})
	if err != errCut {
		t.Errorf("Call, cancelled = %v, want %v", err, errCut)
	}
	b.close()
	if _, err = Call(context.Background(), b.s, "", func(context.Context) (int, error) { return 7, nil }); !errors.Is(err,
		loop.ErrClosed) {
		t.Errorf("Call on a loop that ended = %v, want %v", err, loop.ErrClosed)
	}
}

// TestPanic: a panic ends its task alone, and tells where it came from.
func TestPanic(t *testing.T) {
	for _, row := range []struct {
		name   string
		f      func()
		goexit bool
		is     error
	}{
		{"error", func() { panicHere(errBoom) }, false, errBoom},
		{"text", func() { panicHere("text") }, false, nil},
		{"index", func() { _ = []int{}[panicIndex()] }, false, nil},
		{"Goexit", exitHere, true, nil},
		{"FailNow of a test", func() { defer func() { panicIndex() }(); new(testing.T).FailNow() }, true, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBed(t, Options{Idle: 1})
			for range 3 { // the coroutine after it is as good as new
				err := b.run(func(ctx context.Context) error {
					defer func() {
						if err := Yield(ctx); err != nil {
							t.Errorf("a deferred function's Yield: %v", err)
						}
					}()
					row.f()
					return nil
				})
				p, ok := errors.AsType[*PanicError](err)
				if !ok {
					t.Fatalf("the task ended with %v, want a *PanicError", err)
				}
				if p.Goexit != row.goexit || row.is != nil && !errors.Is(err, row.is) {
					t.Errorf("got Goexit=%v, %v; want Goexit=%v, %v", p.Goexit, err, row.goexit, row.is)
				}
				if want := "coro.TestPanic"; !strings.Contains(string(p.Stack), want) {
					t.Errorf("%s is not in the stack:\n%s", want, p.Stack)
				}
			}
			b.must(func(ctx context.Context) error { return Yield(ctx) })
		})
	}
}

//go:noinline
func panicHere(v any) { panic(v) }

//go:noinline
func panicIndex() int { return 1 }

//go:noinline
func exitHere() { runtime.Goexit() }

// TestGoexitInGroup: the tasks of a group whose body exits are waited for all the same.
func TestGoexitInGroup(t *testing.T) {
	b := newBed(t, Options{})
	ended := false
	err := b.run(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			g.Go(func(ctx context.Context) error {
				err := Sleep(ctx, time.Hour)
				ended = true
				return err
			})
			_ = Yield(ctx)
			runtime.Goexit()
			return nil
		})
	})
	if p, ok := errors.AsType[*PanicError](err); !ok || !p.Goexit || !ended {
		t.Errorf("got %v, and the task had ended: %v", err, ended)
	}
}

// TestPanicNobodySees: it is logged.
func TestPanicNobodySees(t *testing.T) {
	var log bytes.Buffer
	b := newBed(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	b.do(func() {
		b.s.Start(context.Background(), "lonely", func(context.Context) error { panic("heard") })
		b.s.Start(context.Background(), "", func(context.Context) error { panic("asked for") }).OnEnd(func(error) {})
	})
	b.do(func() {})
	if got := log.String(); !strings.Contains(got, "heard") || !strings.Contains(got, "lonely") ||
		!strings.Contains(got, "TestPanicNobodySees") || strings.Contains(got, "asked for") {
		t.Errorf("the log has %q", got)
	}
	log.Reset()
	b.must(func(ctx context.Context) error {
		b.s.Go(ctx, "", func(context.Context) error { panic("seen") }).OnEnd(func(error) {})
		return Yield(ctx)
	})
	if log.Len() > 0 {
		t.Errorf("the log has %q, though OnEnd got it", log.String())
	}
}

// TestMisuse: what would tear the loop apart is found before it can.
func TestMisuse(t *testing.T) {
	b, other := newBed(t, Options{}), newBed(t, Options{})
	misuse := func(f func()) (got string) {
		defer func() {
			r := recover()
			if m, ok := r.(*MisuseError); ok {
				got = m.Error()
			} else if r != nil {
				panic(r)
			}
		}()
		f()
		return "nothing"
	}
	elsewhere := func(f func()) { // on another goroutine
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		<-done
	}
	here := func(f func()) { f() }
	var m Mutex
	q := NewQueue[int](1)
	var w Waiter
	for _, row := range []struct {
		name string
		from func(f func()) // called in a coroutine of b
		call func(ctx context.Context)
		want string
	}{
		{"no task", here, func(context.Context) { _ = Sleep(context.Background(), 1) }, "Sleep: its context carries no task"},
		{"no task for Group", here, func(context.Context) { _ = Group(context.Background(), nil) },
			"Group: its context carries no task"},
		{"goroutine", elsewhere, func(ctx context.Context) { _ = Sleep(ctx, 1) },
			"Sleep: it is for coroutines of its loop, and was called by goroutine"},
		{"goroutine, Lock", elsewhere, func(ctx context.Context) { _ = m.Lock(ctx) }, "Mutex.Lock: it is for"},
		{"goroutine, Unlock", elsewhere, func(context.Context) { m.Unlock() }, "Mutex.Unlock: it is for"},
		{"goroutine, TryPut", elsewhere, func(context.Context) { _ = q.TryPut(1) }, "Queue.TryPut: it is for"},
		{"goroutine, Close", elsewhere, func(context.Context) { q.Close() }, "Queue.Close: it is for"},
		{"goroutine, Wait", elsewhere, func(ctx context.Context) { _ = w.Wait(ctx, "test wait", nil) },
			"test wait: it is for"},
		{"goroutine, Wake", elsewhere, func(context.Context) { w.Wake() }, "Waiter.Wake: it is for"},
		{"goroutine, Go", elsewhere, func(ctx context.Context) { b.s.Go(ctx, "", nil) }, "Scheduler.Go: it is for"},
		{"inside of iter.Pull", func(f func()) {
			next, stop := iter.Pull(func(yield func(int) bool) { f() })
			defer stop()
			next()
		}, func(ctx context.Context) { _ = Sleep(ctx, 1) }, "iter.Pull"},
		{"another loop's coroutine", func(f func()) {
			elsewhere(func() { other.must(func(context.Context) error { f(); return nil }) })
		}, func(ctx context.Context) {
			_ = Sleep(ctx, 1)
		}, "Sleep: it is for coroutines of its loop, and was called on another loop"},
		{"another loop's handler", func(f func()) {
			elsewhere(func() { other.do(f) })
		}, func(ctx context.Context) { _ = Sleep(ctx, 1) }, "on another loop"},
		{"Call on a loop", here, func(ctx context.Context) {
			_, _ = Call(ctx, b.s, "", func(context.Context) (int, error) { return 0, nil })
		}, "Call: it would block the loop"},
		{"a second lock", here, func(ctx context.Context) { _ = m.Lock(ctx) }, "holds it already"},
		{"too many units", here, func(ctx context.Context) { NewSemaphore(1).Release(1) }, "only 0 are held"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m = Mutex{}
			q = NewQueue[int](1)
			b.must(func(ctx context.Context) error {
				if err := m.Lock(ctx); err != nil { // so that it has a home
					return err
				}
				if err := q.Put(ctx, 1); err != nil {
					return err
				}
				q.TryGet()
				waits := b.s.Start(ctx, "waits", func(ctx context.Context) error { return w.Wait(ctx, "", nil) })
				_ = Yield(ctx)
				row.from(func() {
					if got := misuse(func() { row.call(ctx) }); !strings.Contains(got, row.want) {
						t.Errorf("got %q, want %q in it", got, row.want)
					}
				})
				waits.Cancel(nil)
				_ = waits.Wait(ctx)
				m.Unlock()
				return nil
			})
		})
	}

	t.Run("handler", func(t *testing.T) {
		var ctx context.Context
		b.must(func(c context.Context) error { ctx = b.s.Context(); return nil })
		b.do(func() {
			if got := misuse(func() { _ = Sleep(ctx, 1) }); !strings.Contains(got, "by the loop itself") {
				t.Errorf("got %q", got)
			}
			if _, err := b.s.Self("Read"); err == nil || !strings.Contains(err.Error(), "coro: Read: ") {
				t.Errorf("Self = %v", err)
			}
		})
	})
	t.Run("mutex of another loop", func(t *testing.T) {
		var m Mutex
		b.must(func(ctx context.Context) error { return m.Lock(ctx) })
		other.must(func(ctx context.Context) error {
			if got := misuse(func() { _ = m.Lock(ctx) }); !strings.Contains(got, "another loop") {
				t.Errorf("got %q", got)
			}
			return nil
		})
	})
	t.Run("two at one Waiter", func(t *testing.T) {
		err := b.run(func(ctx context.Context) error {
			var w Waiter
			return Group(ctx, func(g *Tasks) error {
				for range 2 {
					g.Go(func(ctx context.Context) error { return w.Wait(ctx, "read", nil) })
				}
				return nil
			})
		})
		if m, ok := errors.AsType[*MisuseError](err); !ok || !strings.Contains(m.Error(), "waits there already") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("group that has ended", func(t *testing.T) {
		b.must(func(ctx context.Context) error {
			var g *Tasks
			_ = Group(ctx, func(open *Tasks) error { g = open; return nil })
			if got := misuse(func() { g.Go(nil) }); !strings.Contains(got, "the group has ended") {
				t.Errorf("got %q", got)
			}
			return nil
		})
	})
	t.Run("goroutine after the task", func(t *testing.T) {
		var kept context.Context
		b.must(func(ctx context.Context) error { kept = ctx; return nil })
		if got := misuse(func() { _ = Sleep(kept, 1) }); !strings.Contains(got, "it is for coroutines") {
			t.Errorf("got %q", got)
		}
	})
}

// TestGoroutineIdentity: the cheap way to tell goroutines apart agrees with the runtime's numbers.
func TestGoroutineIdentity(t *testing.T) {
	type id struct {
		g uintptr
		n int64
	}
	ids := make(chan id)
	hold := make(chan struct{})
	for range 50 {
		go func() {
			a := goroutine()
			deep(1000)
			if b := goroutine(); a != b {
				t.Errorf("a goroutine was %x, and then %x", a, b)
			}
			ids <- id{a, goroutineNumber()}
			<-hold
		}()
	}
	byG := map[uintptr]int64{goroutine(): goroutineNumber()}
	for range 50 {
		i := <-ids
		if n, twice := byG[i.g]; twice || i.g == 0 || i.n == 0 {
			t.Errorf("goroutine %d is %x, and so is %d", i.n, i.g, n)
		}
		byG[i.g] = i.n
	}
	close(hold)
}

//go:noinline
func deep(n int) int {
	var pad [128]byte // makes the stack grow, and so move
	if n == 0 {
		return len(pad)
	}
	return deep(n-1) + int(pad[n%128])
}

// TestMany: 10,000 coroutines sleep, and pass a token round.
func TestMany(t *testing.T) {
	const n, rounds = 10000, 3
	b := newBed(t, Options{Idle: 10})
	passed := 0
	go func() { // time passes
		for b.loopRuns() {
			b.clock.Advance(10 * time.Millisecond)
			runtime.Gosched()
		}
	}()
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			ring := make([]*Queue[int], n)
			for i := range ring {
				ring[i] = NewQueue[int](1)
			}
			for i := range n {
				g.Go(func(ctx context.Context) error {
					if err := Sleep(ctx, time.Duration(i%97)*time.Millisecond); err != nil {
						return err
					}
					for range rounds {
						token, err := ring[i].Get(ctx)
						if err != nil {
							return err
						}
						passed++
						if err := ring[(i+1)%n].Put(ctx, token+1); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return ring[0].Put(ctx, 0)
		})
	})
	if passed != n*rounds {
		t.Errorf("the token was passed %d times, want %d", passed, n*rounds)
	}
}

// TestYieldStarvesNobody: tasks that are always ready leave the loop its turns.
func TestYieldStarvesNobody(t *testing.T) {
	for _, seed := range []uint64{0, 1} {
		b := newBed(t, Options{Seed: seed})
		stop := false
		var tk *Task
		b.do(func() {
			tk = b.s.Go(context.Background(), "", func(ctx context.Context) error {
				for !stop {
					if err := Yield(ctx); err != nil {
						return err
					}
				}
				return nil
			})
			b.loop.AfterFunc(time.Second, func() { stop = true })
		})
		b.do(func() {})
		b.clock.Advance(time.Second)
		<-tk.Done()
	}
}

// loopRuns reports whether the loop answers.
func (b *bed) loopRuns() bool {
	l := b.s.loop
	return l.Do(func() {}) == nil
}
