//go:build linux

package shm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
	"unsafe"
)

var background = context.Background()

func put(t testing.TB, r *Ring, items ...string) {
	t.Helper()
	for _, item := range items {
		if _, err := r.TryPut([]byte(item)); err != nil {
			t.Fatalf("put %q: %v", item, err)
		}
	}
}

// get takes up to n items, and wants these.
func get(t testing.TB, r *Ring, n int, want ...string) []Item {
	t.Helper()
	items := make([]Item, n)
	n, err := r.TryGet(items, nil)
	if err != nil && (len(want) > 0 || !errors.Is(err, ErrEmpty)) {
		t.Fatalf("get: %v, want %q", err, want)
	}
	var got []string
	for _, item := range items[:n] {
		got = append(got, string(item.Data))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	return items[:n]
}

func done(t testing.TB, r *Ring, items ...Item) {
	t.Helper()
	if err := r.Done(items...); err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err error, wants ...error) {
	t.Helper()
	for _, w := range wants {
		if !errors.Is(err, w) {
			t.Errorf("%s: got %v, want %v", what, err, w)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, row := range []struct {
		name      string
		got, want uintptr
	}{
		{"slots", unsafe.Offsetof(header{}.slots), 12},
		{"maxItem", unsafe.Offsetof(header{}.maxItem), 20},
		{"lock", unsafe.Offsetof(header{}.lock), 64},
		{"swept", unsafe.Offsetof(header{}.swept), 72},
		{"ready", unsafe.Offsetof(header{}.ready), 128},
		{"seq", unsafe.Offsetof(header{}.seq), 144},
		{"waiting", unsafe.Offsetof(header{}.waiting), 192},
		{"a party", unsafe.Sizeof(party{}), partySize},
		{"a slot", unsafe.Sizeof(slot{}), slotHead},
	} {
		if row.got != row.want {
			t.Errorf("%s is %d, want %d: processes of another architecture would read something else", row.name, row.got,
				row.want)
		}
	}
	if n := unsafe.Sizeof(header{}); n > partiesAt {
		t.Errorf("the header has %d bytes, and there is room for %d", n, partiesAt)
	}
}

func TestOrder(t *testing.T) {
	r := make1(t, Options{Slots: 4, SlotSize: 64})
	o := another(t, r)
	for range 3 { // around
		put(t, r, "a", "b", "c")
		put(t, o, "")
		some := get(t, o, 2, "a", "b")
		rest := get(t, r, 9, "c", "")
		get(t, r, 1)
		done(t, r, rest...)
		if err := o.Return(some...); err != nil {
			t.Fatal(err)
		}
		again := get(t, r, 9, "a", "b")
		if again[0].Deliveries != 2 {
			t.Errorf("the second delivery says %d", again[0].Deliveries)
		}
		done(t, r, again...)
	}
}

func TestReturnOfMany(t *testing.T) {
	r := make1(t, Options{Slots: 3 * atOnce})
	var all []string
	for i := range 3 * atOnce {
		all = append(all, fmt.Sprint(i))
	}
	put(t, r, all...)
	if err := r.Return(get(t, r, 3*atOnce, all...)...); err != nil {
		t.Fatal(err)
	}
	done(t, r, get(t, r, 3*atOnce, all...)...)
}

func TestSizes(t *testing.T) {
	for _, slotSize := range []int{1, 64, 65, 4096, 16<<10 + 64} {
		t.Run(fmt.Sprint(slotSize), func(t *testing.T) {
			r := make1(t, Options{Slots: 5, SlotSize: slotSize})
			o := another(t, r)
			size := int(r.shape.slotSize)
			buf := make([]byte, 2*size)
			for _, n := range []int{0, 1, size - 1, size, size + 1, 3 * size, 5*size - 1, 5 * size} {
				item := content("x", n)
				if n < len(item) {
					item = item[:n]
				}
				if _, err := r.TryPut(item); err != nil {
					t.Fatalf("put %d bytes: %v", n, err)
				}
				items := make([]Item, 2)
				k, err := o.TryGet(items, buf)
				if err != nil || k != 1 || !bytes.Equal(items[0].Data, item) {
					t.Fatalf("got %d items, %v, %d bytes %.20q, want %d bytes %.20q", k, err, len(items[0].Data), items[0].Data, n,
						item)
				}
				if inBuf := n > 0 && &items[0].Data[0] == &buf[0]; inBuf != (n > 0 && n <= len(buf)) {
					t.Errorf("an item of %d bytes in a buffer of %d: %v", n, len(buf), inBuf)
				}
				done(t, o, items[0])
				if s, _ := r.Stats(); s.Free != 5 {
					t.Fatalf("after an item of %d bytes %d slots are free, want 5", n, s.Free)
				}
			}
			n, err := r.TryPut([]byte("fits"), make([]byte, r.MaxItem()+1), []byte("after"))
			if n != 1 {
				t.Errorf("put %d, want the one that comes before what is too long", n)
			}
			wantErr(t, "too long", err, ErrTooLong)
			wantErr(t, "WaitRoom for what is too long", r.WaitRoom(background, r.MaxItem()+1), ErrTooLong)
		})
	}
}

func TestFull(t *testing.T) {
	r := make1(t, Options{Slots: 2, SlotSize: 64})
	n, err := r.TryPut([]byte("a"), []byte("b"), []byte("c"))
	if n != 2 {
		t.Errorf("put %d, want 2", n)
	}
	wantErr(t, "full", err, ErrFull)
	items := get(t, r, 1, "a")
	n, err = r.TryPut([]byte("c")) // what is taken still has its place
	wantErr(t, "full", err, ErrFull)
	if n != 0 {
		t.Errorf("put %d, want 0", n)
	}
	done(t, r, items...)
	put(t, r, "c")
	done(t, r, get(t, r, 5, "b", "c")...)
}

func TestDoneTwice(t *testing.T) {
	r := make1(t, Options{Slots: 2})
	o := another(t, r)
	put(t, r, "a", "b")
	items := get(t, r, 1, "a")
	wantErr(t, "done by another", o.Done(items...), ErrNotTaken)
	wantErr(t, "none", r.Done(Item{}), ErrNotTaken)
	done(t, r, items...)
	wantErr(t, "done twice", r.Done(items...), ErrNotTaken)
	wantErr(t, "returned when done", r.Return(items...), ErrNotTaken)
	put(t, r, "c") // in the slot that a had
	all := get(t, r, 2, "b", "c")
	wantErr(t, "done, and the slot is another's", r.Done(append(items, all...)...), ErrNotTaken)
	if s, err := r.Stats(); s.Free != 2 || err != nil {
		t.Errorf("%+v, %v: the others were not done", s, err)
	}
}

func TestClose(t *testing.T) {
	r := make1(t, Options{Slots: 4})
	o := another(t, r)
	put(t, r, "a", "b")
	get(t, r, 1, "a")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, putErr := r.TryPut(nil)
	_, getErr := r.TryGet(make([]Item, 1), nil)
	_, fileErr := r.File()
	_, statsErr := r.Stats()
	for what, err := range map[string]error{"put": putErr, "get": getErr, "file": fileErr, "stats": statsErr,
		"done":   r.Done(Item{}),
		"return": r.Return(), "end": r.End(), "join": r.Join(background), "wait": r.WaitItem(background)} {
		wantErr(t, what, err, ErrClosed, net.ErrClosed, fs.ErrClosed)
	}
	if err := r.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	items := get(t, o, 2, "a", "b")
	if items[0].Deliveries != 2 || items[1].Deliveries != 1 {
		t.Errorf("deliveries %d and %d, want 2 and 1", items[0].Deliveries, items[1].Deliveries)
	}
}

func TestParties(t *testing.T) {
	r := make1(t, Options{})
	var all []*Ring
	for range MaxParties - 1 {
		all = append(all, another(t, r))
	}
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only to open it
	_, err = OpenFile(f)
	wantErr(t, "one too many", err, ErrTooMany)
	put(t, all[MaxParties-2], "a") // the last one's token is a token
	get(t, all[MaxParties-2], 1, "a")
	if err := all[MaxParties-2].Close(); err != nil {
		t.Fatal(err)
	}
	get(t, another(t, r), 1, "a")
}

// TestGenerations has a place taken so often that the generations begin anew.
func TestGenerations(t *testing.T) {
	r := make1(t, Options{Slots: 1})
	r.party(1).gen.Store(maxGen - 1)
	for range 3 {
		o := another(t, r)
		put(t, o, "a")
		get(t, o, 1, "a")
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		done(t, r, get(t, r, 1, "a")...)
	}
	if gen := r.party(1).gen.Load(); gen != 2 {
		t.Errorf("the generation is %d, want 2", gen)
	}
}

// TestRandom has goroutines on several Rings put, get, return and do at random, on a small ring, and accounts for all.
func TestRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	first := make1(t, Options{Slots: 7, SlotSize: 64})
	rings := []*Ring{first, another(t, first), another(t, first)}
	const putters, getters, each = 4, 4, 500
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for p := range putters {
		random := rand.New(rand.NewPCG(seed, uint64(p)))
		wg.Go(func() {
			for i := 0; i < each; {
				var items [][]byte
				for range min(1+random.IntN(4), each-i) {
					items = append(items, content(fmt.Sprintf("%d-%d", p, i+len(items)), random.IntN(5*64)))
				}
				n, err := rings[p%len(rings)].Put(background, items...)
				if i += n; err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var getting sync.WaitGroup
	for g := range getters {
		random := rand.New(rand.NewPCG(seed, uint64(100+g)))
		getting.Go(func() {
			r := rings[g%len(rings)]
			for {
				items := make([]Item, 1+random.IntN(3))
				n, err := r.Get(background, items, nil)
				if err == io.EOF {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				items = items[:n]
				if random.IntN(4) == 0 {
					if err := r.Return(items...); err != nil {
						t.Error(err)
					}
					continue
				}
				for _, item := range items {
					name, err := nameOf(item.Data)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					seen[name]++
					mu.Unlock()
				}
				if err := r.Done(items...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := first.Join(background); err != nil {
		t.Error(err)
	}
	if err := first.End(); err != nil {
		t.Error(err)
	}
	getting.Wait()
	if len(seen) != putters*each {
		t.Errorf("%d items came, want %d", len(seen), putters*each)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was done %d times", name, n)
		}
	}
}
