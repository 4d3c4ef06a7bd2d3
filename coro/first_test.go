package coro

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestFirst(t *testing.T) {
	b := newBed(t, Options{})
	b.must(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			g.Go(func(ctx context.Context) error { return Yield(ctx) })
			n, err := Await(ctx, func() (int, error) { return 7, nil })
			if n != 7 {
				t.Error(n)
			}
			return err
		})
	})
	boom := errors.New("boom")
	err := b.run(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			g.Go(func(ctx context.Context) error { return boom })
			return Sleep(ctx, time.Hour)
		})
	})
	if err != boom {
		t.Errorf("got %v", err)
	}
	err = b.run(func(ctx context.Context) error {
		return Group(ctx, func(g *Tasks) error {
			g.Go(func(ctx context.Context) error { panic(boom) })
			return Sleep(ctx, time.Hour)
		})
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}
