package coro

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestGroup(t *testing.T) {
	other := errors.New("other")
	for _, row := range []struct {
		name string
		body func(ctx context.Context, g *Tasks) error
		want func(err error) bool
	}{
		{"nothing", func(ctx context.Context, g *Tasks) error { return nil }, func(err error) bool { return err == nil }},
		{"body's error", func(ctx context.Context, g *Tasks) error { return errBoom },
			func(err error) bool { return err == errBoom }},
		{"body's error cancels the rest", func(ctx context.Context, g *Tasks) error {
			g.Go(func(ctx context.Context) error { return Sleep(ctx, time.Hour) })
			return errBoom
		}, func(err error) bool { return err == errBoom }},
		{"a task's error cancels the rest and the body", func(ctx context.Context, g *Tasks) error {
			g.Go(func(ctx context.Context) error { return Sleep(ctx, time.Hour) })
			g.Go(func(ctx context.Context) error { return errBoom })
			if err := Sleep(ctx, time.Hour); err != errBoom {
				return errors.Join(other, err)
			}
			return nil
		}, func(err error) bool { return err == errBoom }},
		{"two errors", func(ctx context.Context, g *Tasks) error {
			g.Go(func(ctx context.Context) error { return errBoom })
			g.Go(func(ctx context.Context) error { _ = Sleep(ctx, time.Hour); return other })
			return nil
		}, func(err error) bool { return errors.Is(err, errBoom) && errors.Is(err, other) }},
		{"a panic", func(ctx context.Context, g *Tasks) error {
			g.Go(func(ctx context.Context) error { panicHere(errBoom); return nil })
			return Sleep(ctx, time.Hour)
		}, isPanic},
		{"the body's panic", func(ctx context.Context, g *Tasks) error {
			g.Go(func(ctx context.Context) error { return Sleep(ctx, time.Hour) })
			panicHere(errBoom)
			return nil
		}, isPanic},
		{"a nested group's panic", func(ctx context.Context, g *Tasks) error {
			return Group(ctx, func(g *Tasks) error {
				g.Go(func(ctx context.Context) error { panicHere(errBoom); return nil })
				return nil
			})
		}, isPanic},
		{"a task's task", func(ctx context.Context, g *Tasks) error {
			g.Go(func(ctx context.Context) error {
				g.Go(func(ctx context.Context) error { _ = Yield(ctx); return errBoom })
				return nil
			})
			return nil
		}, func(err error) bool { return err == errBoom }},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBed(t, Options{})
			b.must(func(ctx context.Context) error {
				before := b.s.live
				err := Group(ctx, func(g *Tasks) error { return row.body(ctx, g) })
				if !row.want(err) {
					t.Errorf("Group = %v", err)
				}
				if b.s.live != before {
					t.Errorf("%d tasks live after the group, and %d before it", b.s.live, before)
				}
				return Yield(ctx) // it cancelled its own, and nothing else
			})
		})
	}
}

func isPanic(err error) bool {
	p, ok := errors.AsType[*PanicError](err)
	return ok && errors.Is(err, errBoom) && strings.Contains(string(p.Stack), "panicHere")
}

func TestGroupResults(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			double := func(n int) *Result[int] {
				return Go(g, func(ctx context.Context) (int, error) { return 2 * n, Yield(ctx) })
			}
			one, two := double(1), double(2)
			for r, want := range map[*Result[int]]int{one: 2, two: 4} {
				if got, err := r.Get(ctx); got != want || err != nil {
					t.Errorf("Get = %d, %v, want %d", got, err, want)
				}
			}
			return nil
		})
	})
}

func TestRace(t *testing.T) {
	b := newBed(t, Options{})
	after := func(turns, v int, err error) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			for range turns {
				if err := Yield(ctx); err != nil {
					return 0, err
				}
			}
			return v, err
		}
	}
	stubborn := func(ctx context.Context) (int, error) { _ = Sleep(ctx, time.Hour); return 9, nil }
	var dropped []int
	for _, row := range []struct {
		name    string
		fs      []func(context.Context) (int, error)
		want    int
		fails   bool
		dropped int
	}{
		{"first wins", []func(context.Context) (int, error){after(5, 1, nil), after(2, 2, nil), after(9, 3, nil)}, 2, false,
			0},
		{"errors don't", []func(context.Context) (int, error){after(0, 1, errBoom), after(3, 2, nil)}, 2, false, 0},
		{"all fail", []func(context.Context) (int, error){after(1, 1, errBoom), after(2, 2, errBoom)}, 0, true, 0},
		{"a loser has a result", []func(context.Context) (int, error){stubborn, after(2, 2, nil)}, 2, false, 1},
		{"nobody", nil, 0, true, 0},
		{"a panic", []func(context.Context) (int, error){after(0, 1, nil), func(context.Context) (int, error) {
			panic(errBoom)
		}}, 0, true, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			dropped = nil
			b.must(func(ctx context.Context) error {
				got, err := Race(ctx, func(v int) { dropped = append(dropped, v) }, row.fs...)
				if got != row.want || (err != nil) != row.fails || len(dropped) != row.dropped {
					t.Errorf("Race = %d, %v, dropped %v; want %d, an error: %v, dropped %d", got, err, dropped, row.want, row.fails,
						row.dropped)
				}
				if row.name == "all fail" && !errors.Is(err, errBoom) {
					t.Errorf("Race = %v, want %v", err, errBoom)
				}
				return nil
			})
		})
	}
}
