package coro

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
)

func TestTalk(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		sum := Talk(ctx, func(ctx context.Context, n int, ask func(int) (int, error)) (err error) {
			for total := n; n >= 0; total += n {
				if n%2 == 0 { // it may wait for other things in between
					if err := Yield(ctx); err != nil {
						return err
					}
				}
				if n, err = ask(total); err != nil {
					return err
				}
			}
			return nil
		})
		total := 0
		for n := range 10 {
			total += n
			if got, err := sum.Next(ctx, n); got != total || err != nil {
				t.Errorf("Next(%d) = %d, %v, want %d", n, got, err, total)
			}
		}
		for range 2 {
			if got, err := sum.Next(ctx, -1); got != 0 || err != io.EOF {
				t.Errorf("Next(-1) = %d, %v, want %v", got, err, io.EOF)
			}
		}
		if err := sum.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}

		silent := Talk(ctx, func(ctx context.Context, n int,
			ask func(int) (int, error)) error {
			t.Error("it ran")
			return nil
		})
		if err := silent.Close(); err != nil {
			t.Errorf("Close of one that was never asked = %v", err)
		}
		failing := Talk(ctx, func(ctx context.Context, n int, ask func(int) (int, error)) error { return errBoom })
		if _, err := failing.Next(ctx, 1); err != errBoom {
			t.Errorf("Next = %v, want %v", err, errBoom)
		}
		panicking := Talk(ctx, func(ctx context.Context, n int,
			ask func(int) (int, error)) error {
			panicHere(errBoom)
			return nil
		})
		if _, err := panicking.Next(ctx, 1); !isPanic(err) {
			t.Errorf("Next = %v, want a panic", err)
		}
		left := b.s.live
		if left != 1 {
			t.Errorf("%d tasks are left, want 1", left)
		}
		return nil
	})
}

func TestGenerate(t *testing.T) {
	b := newBed(t, Options{})
	numbers := func(ctx context.Context, n int, end error) (seq func(func(int, error) bool), ended *bool) {
		ended = new(bool)
		return Generate(ctx, func(ctx context.Context, yield func(int) error) error {
			defer func() { *ended = true }()
			for i := range n {
				if err := yield(i); err != nil {
					return err
				}
				_ = Yield(ctx)
			}
			if end == errBoom {
				panicHere(end)
			}
			return end
		}), ended
	}
	b.must(func(ctx context.Context) error {
		for _, row := range []struct {
			name  string
			n     int
			end   error
			leave int // after so many
			want  []int
			err   func(error) bool
		}{
			{"all", 3, nil, 9, []int{0, 1, 2}, func(err error) bool { return err == nil }},
			{"none", 0, nil, 9, nil, func(err error) bool { return err == nil }},
			{"left early", 9, nil, 2, []int{0, 1}, func(err error) bool { return err == nil }},
			{"an error", 1, errCut, 9, []int{0}, func(err error) bool { return err == errCut }},
			{"a panic", 1, errBoom, 9, []int{0}, isPanic},
		} {
			seq, ended := numbers(ctx, row.n, row.end)
			for range 2 { // each range is a new one
				*ended = false
				var got []int
				var last error
				for v, err := range seq {
					if last = err; err != nil {
						continue
					}
					if got = append(got, v); len(got) == row.leave {
						break
					}
				}
				if !slices.Equal(got, row.want) || !row.err(last) || !*ended {
					t.Errorf("%s: got %v, %v, ended: %v; want %v", row.name, got, last, *ended, row.want)
				}
			}
		}
		if b.s.live != 1 {
			t.Errorf("%d tasks are left, want 1", b.s.live)
		}
		return nil
	})
	err := b.run(func(ctx context.Context) error {
		return Timeout(ctx, time.Hour, func(ctx context.Context) error {
			seq := Generate(ctx, func(ctx context.Context, yield func(int) error) error { return Sleep(ctx, 2*time.Hour) })
			b.clock.Advance(time.Hour)
			for _, err := range seq {
				return err
			}
			return errors.New("no error")
		})
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a generator in a Timeout: %v", err)
	}
}
