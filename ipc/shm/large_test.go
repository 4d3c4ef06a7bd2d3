//go:build linux

package shm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// atSteps has f called at each step of this process until the test ends, one at a time. It is to be called before the
// test's rings are made, so that they are closed before.
func atSteps(t *testing.T, f func(name string)) {
	var mu sync.Mutex
	atStep = func(name string) {
		mu.Lock()
		defer mu.Unlock()
		f(name)
	}
	t.Cleanup(func() { atStep = nil })
}

// A counter counts the steps that are taken under one holding of the lock.
type counter struct {
	now, most atomic.Int64
	inside    atomic.Bool
}

func (c *counter) step(name string) {
	switch {
	case name == "lock: taken":
		c.inside.Store(true)
		c.now.Store(0)
	case name == "lock: to be released":
		c.inside.Store(false)
	case c.inside.Load():
		c.most.Store(max(c.most.Load(), c.now.Add(1)))
	}
}

// TestLockBounded: what is done under one holding of the lock has a bound, however many slots an item takes, and
// however many items there are: so others wait as long as that takes, and not as the largest item does.
func TestLockBounded(t *testing.T) {
	const slots = 1 << 14
	// Of a slot there is a step as it is taken, and as it comes back; of an item some more; and what is given up may have
	// to be tidied besides.
	bound := 2*int64(mostSlots) + 10*atOnce
	for _, row := range []struct {
		name  string
		items [][]byte
	}{
		{"the longest", [][]byte{make([]byte, slots*stepSlotSize)}},
		{"two long ones", [][]byte{make([]byte, slots/2*stepSlotSize), make([]byte, slots/2*stepSlotSize)}},
		{"as many as go at once", slices.Repeat([][]byte{make([]byte, 200*stepSlotSize)}, atOnce)},
		{"small ones", slices.Repeat([][]byte{{1}}, 500)},
	} {
		t.Run(row.name, func(t *testing.T) {
			var count counter
			atSteps(t, count.step)
			r := make1(t, Options{Slots: slots, SlotSize: stepSlotSize})
			items := make([]Item, len(row.items))
			full := Stats{Free: slots, Parties: 1}
			for _, way := range []string{"done", "returned, then done", "given up", "ended"} {
				count.most.Store(0)
				switch way {
				case "given up":
					giveUpHalfway(t, r, row.items[0])
				case "ended":
					endHalfway(t, r, row.items[0])
				default:
					around(t, r, row.items, items, way != "done")
				}
				if got := count.most.Load(); got > bound || got == 0 {
					t.Errorf("%s: %d steps under one holding of the lock, %d are the bound", way, got, bound)
				}
				if s, err := r.Stats(); s != full || err != nil {
					t.Errorf("%s: %+v, %v, want all slots free", way, s, err)
				}
			}
		})
	}
}

// around puts items, takes them, and makes an end of them.
func around(t *testing.T, r *Ring, content [][]byte, items []Item, twice bool) {
	t.Helper()
	if _, err := r.TryPut(content...); err != nil {
		t.Fatal(err)
	}
	take := func() {
		if n, err := r.TryGet(items, nil); n != len(items) || err != nil {
			t.Fatalf("%d items of %d: %v", n, len(items), err)
		}
	}
	take()
	if twice {
		if err := r.Return(items...); err != nil {
			t.Fatal(err)
		}
		take()
	}
	if err := r.Done(items...); err != nil {
		t.Fatal(err)
	}
}

// giveUpHalfway reserves slots and has none of them written.
func giveUpHalfway(t *testing.T, r *Ring, item []byte) {
	var firsts [atOnce]uint32
	n, last, err := r.reserve(brief(TryLimit), [][]byte{item}, &firsts)
	if n != 1 || err != nil {
		t.Fatalf("reserve: %d, %v", n, err)
	}
	if err := r.complete(brief(TryLimit), firsts[0], last); err != nil {
		t.Fatal(err)
	}
	r.drop(firsts[:1])
	if err := r.tidyUp(); err != nil {
		t.Fatal(err)
	}
}

// endHalfway has a ring ended while an item is on its way.
func endHalfway(t *testing.T, r *Ring, item []byte) {
	var firsts [atOnce]uint32
	n, last, err := r.reserve(brief(TryLimit), [][]byte{item}, &firsts)
	if n != 1 || err != nil {
		t.Fatalf("reserve: %d, %v", n, err)
	}
	if err := r.complete(brief(TryLimit), firsts[0], last); err != nil {
		t.Fatal(err)
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	if err := r.enter(brief(TryLimit)); err != nil {
		t.Fatal(err)
	}
	r.users.Add(-1)
	if _, err := r.publishAll(firsts[:1], nil); !errors.Is(err, ErrEnded) {
		t.Errorf("publish: %v, want ErrEnded", err)
	}
	r.leave()
	if err := r.tidyUp(); err != nil {
		t.Fatal(err)
	}
}

// TestLargeBetween: between two holdings of the lock that a large item needs others go on: they put, take, and are told
// that there is no room for a second such item; a party dies and the lists are made anew; the writer's context ends.
func TestLargeBetween(t *testing.T) {
	const slots = 1 << 10
	large := content("large", slots/2*stepSlotSize)
	for _, row := range []struct {
		name    string
		between func(t *testing.T, o *Ring)
		cancel  bool
	}{
		{"puts and takes", func(t *testing.T, o *Ring) {
			put(t, o, "a")
			done(t, o, get(t, o, 1, "a")...)
		}, false},
		{"room for no other", func(t *testing.T, o *Ring) {
			if _, err := o.TryPut(make([]byte, (slots/2+1)*stepSlotSize)); !errors.Is(err, ErrFull) {
				t.Errorf("a second large item: %v, want ErrFull", err)
			}
			if _, err := o.TryPut(make([]byte, slots/2*stepSlotSize)); err != nil {
				t.Errorf("one that fits: %v", err)
			}
			items := make([]Item, 1)
			if _, err := o.TryGet(items, nil); err != nil {
				t.Fatal(err)
			}
			done(t, o, items...)
		}, false},
		{"made anew", func(t *testing.T, o *Ring) {
			if err := o.enter(brief(TryLimit)); err != nil {
				t.Fatal(err)
			}
			defer o.leave()
			if err := o.rebuild(noToken); err != nil {
				t.Error(err)
			}
		}, false},
		{"cancelled", func(*testing.T, *Ring) {}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var o *Ring
			times := 0
			atStep = func(name string) { // a party's call in the midst of another's, so the two are one goroutine's
				if name == "put: some of the slots taken" && times == 0 {
					times++
					row.between(t, o)
					if row.cancel {
						cancel()
					}
				}
			}
			t.Cleanup(func() { atStep = nil })
			r := make1(t, Options{Slots: slots, SlotSize: stepSlotSize})
			o = another(t, r)
			_, err := r.Put(ctx, large)
			if times == 0 {
				t.Fatal("a large item took its slots at once")
			}
			switch {
			case row.cancel:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Put: %v, want the context's end", err)
				}
				if err := r.tidyUp(); err != nil {
					t.Fatal(err)
				}
			case err != nil:
				t.Fatal(err)
			default:
				items := make([]Item, 1)
				if _, err := o.TryGet(items, nil); err != nil || string(items[0].Data) != string(large) {
					t.Errorf("the item came with %d bytes, %v, want %d", len(items[0].Data), err, len(large))
				}
				done(t, o, items...)
			}
			if s, err := r.Stats(); s != (Stats{Free: slots, Parties: 2}) || err != nil {
				t.Errorf("at the end: %+v, %v, want all slots free", s, err)
			}
		})
	}
}
