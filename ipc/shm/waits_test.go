//go:build linux

package shm

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// waiters are the calls that wait, each on a ring on which it has to.
var waiters = []struct {
	name string
	full bool
	call func(ctx context.Context, r *Ring) error
}{
	{"Get", false, func(ctx context.Context, r *Ring) error {
		_, err := r.Get(ctx, make([]Item, 1), nil)
		return err
	}},
	{"Put", true, func(ctx context.Context, r *Ring) error {
		_, err := r.Put(ctx, []byte("more"))
		return err
	}},
	{"Join", true, func(ctx context.Context, r *Ring) error { return r.Join(ctx) }},
}

// asleep waits until the ring has a party that waits.
func asleep(t *testing.T, r *Ring) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		for kind := range waits {
			for i := range uint32(MaxParties) {
				if r.isWaiting(kind, i) {
					return
				}
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
}

func TestWaits(t *testing.T) {
	cause := errors.New("a cause")
	for _, row := range waiters {
		t.Run(row.name, func(t *testing.T) {
			const many = 8
			fresh := func() (r, o *Ring) {
				r = make1(t, Options{Slots: many})
				o = another(t, r)
				for range many {
					if row.full {
						put(t, r, "a")
					}
				}
				return r, o
			}
			t.Run("is cancelled", func(t *testing.T) {
				r, _ := fresh()
				ctx, cancel := context.WithCancelCause(background)
				ended := make(chan error)
				for range 3 { // one of them sleeps, the others wait for their turn
					go func() { ended <- row.call(ctx, r) }()
				}
				asleep(t, r)
				cancel(cause)
				for range 3 {
					wantErr(t, "cancelled", <-ended, cause)
				}
				wantErr(t, "cancelled before", row.call(ctx, r), cause)
			})
			t.Run("has a deadline", func(t *testing.T) {
				r, _ := fresh()
				ctx, cancel := context.WithTimeout(background, time.Millisecond)
				defer cancel()
				wantErr(t, "late", row.call(ctx, r), context.DeadlineExceeded)
			})
			t.Run("its ring is closed", func(t *testing.T) {
				r, _ := fresh()
				ended := make(chan error)
				for range 3 {
					go func() { ended <- row.call(background, r) }()
				}
				asleep(t, r)
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					wantErr(t, "closed", <-ended, ErrClosed)
				}
			})
			t.Run("is served", func(t *testing.T) {
				r, o := fresh()
				ended := make(chan error)
				go func() { ended <- row.call(background, r) }()
				asleep(t, r)
				if row.full {
					items := make([]Item, many)
					if n, err := o.TryGet(items, nil); n != many {
						t.Fatalf("got %d items, %v", n, err)
					}
					done(t, o, items...)
				} else {
					put(t, o, "a")
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
			t.Run("is served, with many", func(t *testing.T) {
				r, o := fresh()
				ended := make(chan error)
				for i := range many {
					go func() { ended <- row.call(background, []*Ring{r, o}[i%2]) }()
				}
				asleep(t, r)
				if !row.full {
					for range many {
						put(t, o, "a")
					}
				}
				for served := 0; served < many; {
					if items := make([]Item, 1); row.full {
						if n, _ := o.TryGet(items, nil); n > 0 {
							done(t, o, items...)
						}
					}
					select {
					case err := <-ended:
						if err != nil {
							t.Error(err)
						}
						served++
					default:
					}
				}
			})
		})
	}
}

func TestEnd(t *testing.T) {
	r := make1(t, Options{Slots: 4})
	o := another(t, r)
	put(t, r, "a")
	items := get(t, o, 1, "a")
	ended := make(chan error)
	go func() {
		_, err := r.Get(background, make([]Item, 1), nil)
		ended <- err
	}()
	asleep(t, r)
	if err := o.End(); err != nil {
		t.Fatal(err)
	}
	_, err := r.Put(background, []byte("b"))
	wantErr(t, "put after the end", err, ErrEnded)
	select {
	case err := <-ended:
		t.Fatalf("Get returned %v while an item is taken, and may come again", err)
	case <-time.After(2 * CheckInterval):
	}
	done(t, o, items...)
	if err := <-ended; err != io.EOF {
		t.Errorf("Get at the end: %v, want EOF", err)
	}
	if _, err := o.TryGet(items, nil); err != io.EOF {
		t.Errorf("TryGet at the end: %v, want EOF", err)
	}
}

func TestEndWakesPut(t *testing.T) {
	r := make1(t, Options{Slots: 1})
	put(t, r, "a")
	ended := make(chan error)
	go func() {
		_, err := r.Put(background, []byte("b"))
		ended <- err
	}()
	asleep(t, r)
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "put", <-ended, ErrEnded)
}

// TestLargeIsServed has a Put wait for several slots while others need one.
func TestLargeIsServed(t *testing.T) {
	r := make1(t, Options{Slots: 4, SlotSize: 64})
	o := another(t, r)
	put(t, o, "a", "b", "c", "d")
	ended := make(chan error)
	go func() {
		_, err := r.Put(background, make([]byte, 3*64))
		ended <- err
	}()
	asleep(t, r)
	for _, item := range get(t, o, 3, "a", "b", "c") {
		select {
		case err := <-ended:
			t.Fatalf("put with two slots free: %v", err)
		default:
		}
		done(t, o, item)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
