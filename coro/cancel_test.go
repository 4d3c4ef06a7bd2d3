package coro

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

var errCut = errors.New("cut")

// A trial is one operation that waits, set up so that it has to.
type trial struct {
	wait    func(ctx context.Context) error // what is tried, run by the subject
	satisfy func()                          // ends the wait, run by the director, which does not wait for it
	intact  func() error                    // after wait failed and satisfy was called: nothing was lost to it
}

// ops are all operations that wait. Those that are exact end at the moment of satisfy.
var ops = []struct {
	name  string
	exact bool
	setup func(b *bed, ctx context.Context, g *Tasks) trial
}{
	{"Sleep", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		return trial{
			wait:    func(ctx context.Context) error { return Sleep(ctx, time.Minute) },
			satisfy: func() { b.clock.Advance(time.Minute) },
		}
	}},
	{"Waiter.Wait", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		var w Waiter
		woke := false
		return trial{
			wait:    func(ctx context.Context) error { return w.Wait(ctx, "trial", nil) },
			satisfy: func() { woke = w.Wake() },
			intact: func() error {
				if woke {
					return errors.New("Wake reported that it had woken somebody")
				}
				return nil
			},
		}
	}},
	{"Mutex.Lock", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		var m Mutex
		_ = m.Lock(ctx)
		return trial{
			wait: func(ctx context.Context) error {
				err := m.Lock(ctx)
				if err == nil {
					m.Unlock()
				}
				return err
			},
			satisfy: m.Unlock,
			intact:  func() error { return isTrue("TryLock", m.TryLock()) },
		}
	}},
	{"Semaphore.Acquire", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		m := NewSemaphore(3)
		_ = m.Acquire(ctx, 2)
		return trial{
			wait: func(ctx context.Context) error {
				err := m.Acquire(ctx, 2)
				if err == nil {
					m.Release(2)
				}
				return err
			},
			satisfy: func() { m.Release(2) },
			intact:  func() error { return isTrue("TryAcquire", m.TryAcquire(3)) },
		}
	}},
	{"Event.Wait", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		return trial{wait: e.Wait, satisfy: e.Set, intact: func() error { return isTrue("IsSet", e.IsSet()) }}
	}},
	{"Cond.Wait", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		var m Mutex
		c := NewCond(&m)
		return trial{
			wait: func(ctx context.Context) error {
				if err := m.Lock(ctx); err != nil {
					return err
				}
				defer m.Unlock() // which panics if a cancelled Wait comes back without
				return c.Wait(ctx)
			},
			satisfy: c.Signal,
			intact:  func() error { return isTrue("TryLock", m.TryLock()) },
		}
	}},
	{"Barrier.Wait", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		bar := NewBarrier(2)
		return trial{
			wait: func(ctx context.Context) error { _, err := bar.Wait(ctx); return err },
			satisfy: func() {
				if bar.Waiting() == 1 {
					_, _ = bar.Wait(ctx) // the last one does not wait
				}
			},
			intact: func() error { return isTrue("Waiting() == 0", bar.Waiting() == 0) },
		}
	}},
	{"Queue.Get", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		q := NewQueue[int](1)
		return trial{
			wait: func(ctx context.Context) error {
				v, err := q.Get(ctx)
				if err == nil && v != 42 {
					err = fmt.Errorf("got %d, want 42", v)
				}
				return err
			},
			satisfy: func() { _ = q.TryPut(42) },
			intact:  func() error { v, _ := q.TryGet(); return isTrue("TryGet() == 42", v == 42) },
		}
	}},
	{"Queue.Put", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		q := NewQueue[int](1)
		_ = q.TryPut(1)
		return trial{
			wait: func(ctx context.Context) error {
				err := q.Put(ctx, 2)
				if v, _ := q.TryGet(); err == nil && v != 2 {
					err = fmt.Errorf("Put succeeded, and then TryGet got %d", v)
				}
				return err
			},
			satisfy: func() { q.TryGet() },
			intact:  func() error { v, ok := q.TryGet(); return isTrue(fmt.Sprint("empty, but had ", v), !ok) },
		}
	}},
	{"Queue.Put, of 0", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		q := NewQueue[int](0)
		got := false
		return trial{
			wait:    func(ctx context.Context) error { return q.Put(ctx, 2) },
			satisfy: func() { _, got = q.TryGet() },
			intact:  func() error { return isTrue("nothing got", !got) },
		}
	}},
	{"Task.Wait", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		other := g.Go(func(ctx context.Context) error { return e.Wait(ctx) })
		return trial{wait: other.Wait, satisfy: e.Set}
	}},
	{"Await", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		release := make(chan struct{})
		return trial{
			wait: func(ctx context.Context) error {
				v, err := Await(ctx, func() (int, error) { <-release; return 42, nil })
				if err == nil && v != 42 {
					err = fmt.Errorf("got %d, want 42", v)
				}
				return err
			},
			satisfy: func() { close(release) },
		}
	}},
	{"Await, for a slot", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		n := b.s.slots.free
		b.s.slots.free = 0
		b.t.Cleanup(func() {
			if b.s.slots.free != n {
				b.t.Errorf("%d of %d slots are left", b.s.slots.free, n)
			}
		})
		return trial{
			wait: func(ctx context.Context) error {
				_, err := Await(ctx, func() (int, error) { return 42, nil })
				return err
			},
			satisfy: func() { b.s.slots.release(n) },
			intact:  func() error { return isTrue("a slot", b.s.slots.free > 0) },
		}
	}},
	{"Partner.Next", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		p := Talk(ctx, func(ctx context.Context, _ int, ask func(int) (int, error)) error {
			if err := e.Wait(ctx); err != nil {
				return err
			}
			_, err := ask(42)
			return err
		})
		return trial{
			wait: func(ctx context.Context) error {
				defer p.Close()
				_, err := p.Next(ctx, 1)
				return err
			},
			satisfy: e.Set,
		}
	}},
	{"Group", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		return trial{
			wait: func(ctx context.Context) error {
				return Group(ctx, func(g *Tasks) error {
					g.Go(e.Wait)
					g.Go(e.Wait)
					return nil
				})
			},
			satisfy: e.Set,
		}
	}},
	{"Race", false, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		return trial{
			wait: func(ctx context.Context) error {
				f := func(ctx context.Context) (int, error) { return 1, e.Wait(ctx) }
				_, err := Race(ctx, nil, f, f)
				return err
			},
			satisfy: e.Set,
		}
	}},
	{"Timeout", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		return trial{
			wait:    func(ctx context.Context) error { return Timeout(ctx, time.Hour, e.Wait) },
			satisfy: e.Set,
		}
	}},
	{"a value context", true, func(b *bed, ctx context.Context, g *Tasks) trial {
		var e Event
		return trial{
			wait:    func(ctx context.Context) error { return e.Wait(context.WithValue(ctx, &e, 1)) },
			satisfy: e.Set,
		}
	}},
	{"another's context", true, func(b *bed, outer context.Context, g *Tasks) trial {
		var e Event
		return trial{
			wait:    func(context.Context) error { return e.Wait(outer) }, // the task's own counts all the same
			satisfy: e.Set,
		}
	}},
}

func isTrue(what string, ok bool) error {
	if !ok {
		return errors.New("want " + what)
	}
	return nil
}

// ways are how a cancellation comes. start runs f as a task of its own that cut cancels. Those that are exact have
// cancelled when cut returns, in the eyes of the loop.
var ways = []struct {
	name  string
	exact bool
	own   bool // it is a context that only the operation is given, so that one that takes another does not see it
	start func(ctx context.Context, g *Tasks, f func(ctx context.Context) error) (t *Task, cut func())
}{
	{"Task.Cancel", true, false, func(ctx context.Context, g *Tasks, f func(ctx context.Context) error) (*Task, func()) {
		t := g.scope.sched.Go(ctx, "subject", f)
		return t, func() { t.Cancel(errCut) }
	}},
	{"its group's", true, false, func(ctx context.Context, g *Tasks, f func(ctx context.Context) error) (*Task, func()) {
		var inner *Tasks
		t := g.scope.sched.Go(ctx, "subject", func(ctx context.Context) error {
			return Group(ctx, func(g *Tasks) error {
				inner = g
				return f(g.Context())
			})
		})
		return t, func() {
			if inner == nil {
				t.Cancel(errCut) // before it began
			} else {
				inner.Cancel(errCut)
			}
		}
	}},
	{"its group's, and not its context", true, false,
		func(ctx context.Context, g *Tasks, f func(ctx context.Context) error) (*Task, func()) {
			var inner *Tasks
			t := g.scope.sched.Go(ctx, "subject", func(ctx context.Context) error {
				return Group(ctx, func(g *Tasks) error { inner = g; return f(ctx) })
			})
			return t, func() {
				if inner == nil {
					t.Cancel(errCut)
				} else {
					inner.Cancel(errCut)
				}
			}
		}},
	{"context above the task", false, false, func(ctx context.Context, g *Tasks, f func(ctx context.Context) error) (*Task,
		func()) {
		above, cancel := context.WithCancelCause(context.Background())
		return g.scope.sched.Go(above, "subject", f), func() { cancel(errCut) }
	}},
	{"context below the task", false, true, func(ctx context.Context, g *Tasks, f func(ctx context.Context) error) (*Task,
		func()) {
		early := false
		cut := func() { early = true }
		return g.scope.sched.Go(ctx, "subject", func(ctx context.Context) error {
			below, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			if cut = func() { cancel(errCut) }; early {
				cut()
			}
			return f(below)
		}), func() { cut() }
	}},
}

// TestCancel tries each operation with each kind of cancellation, at each moment.
func TestCancel(t *testing.T) {
	for _, op := range ops {
		for _, way := range ways {
			for _, moment := range []string{"before", "during", "right after the result", "right before the result", "after"} {
				if op.name == "another's context" && way.own {
					continue
				}
				t.Run(op.name+"/"+way.name+"/"+moment, func(t *testing.T) {
					b := newBed(t, Options{})
					b.must(func(ctx context.Context) error {
						return Group(ctx, func(g *Tasks) error {
							tr := op.setup(b, ctx, g)
							var first, later error
							done := false
							subject, cut := way.start(ctx, g, func(ctx context.Context) error {
								first = tr.wait(ctx)
								done = true
								if moment != "after" {
									later = Sleep(ctx, time.Hour)
									if second := Yield(ctx); second != later {
										t.Errorf("the next wait fails with %v, and the one after it with %v", later, second)
									}
								}
								return nil
							})
							settle := func() {
								for range 20 {
									_ = Yield(ctx) // nobody cancels the director
								}
							}
							satisfied := moment != "before" && moment != "during"
							switch moment {
							case "before":
								cut()
							case "during":
								settle()
								cut()
							case "right after the result":
								settle()
								tr.satisfy()
								cut()
							case "right before the result":
								settle()
								cut()
								tr.satisfy()
							case "after":
								settle()
								tr.satisfy()
								if err := subject.Wait(ctx); err != nil {
									t.Errorf("the subject: %v", err)
								}
								cut()
							}
							if err := subject.Wait(ctx); err != nil && err != errCut {
								t.Errorf("the subject: %v", err)
							}

							exact := op.exact && way.exact
							switch {
							case moment == "before" || moment == "during" || moment == "right before the result" && exact:
								// The first is too early to have begun, when its task is ended before it runs.
								if done && first != errCut {
									t.Errorf("the wait ended with %v, want %v", first, errCut)
								}
							case moment == "after" || moment == "right after the result" && exact:
								if first != nil {
									t.Errorf("the wait ended with %v, want success", first)
								}
							default: // either, but not anything else
								if first != nil && first != errCut {
									t.Errorf("the wait ended with %v, want success or %v", first, errCut)
								}
							}
							if moment != "after" && done && later != errCut {
								t.Errorf("the next wait ended with %v, want %v", later, errCut)
							}
							if !satisfied {
								tr.satisfy()
							}
							if first != nil && tr.intact != nil {
								if err := tr.intact(); err != nil {
									t.Errorf("after the wait failed: %v", err)
								}
							}
							return nil
						})
					})
				})
			}
		}
	}
}
