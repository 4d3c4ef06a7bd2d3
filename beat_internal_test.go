package plexor

import (
	"math/rand/v2"
	"testing"
)

// TestSweepOfChangingTable: whatever comes and goes between the passes of a sweep, each connection that is there from
// its beginning to its end is looked at once, none twice, and none that came later.
func TestSweepOfChangingTable(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		w := new(worker)
		var there []*Conn
		add := func() {
			c := &Conn{raw: stream{w: w}}
			w.enlist(c)
			there = append(there, c)
		}
		for range r.IntN(40) {
			add()
		}
		looked, before := make(map[*Conn]int), len(there)
		old := make(map[*Conn]bool)
		for _, c := range there {
			old[c] = true
		}
		for w.beat.next = len(w.conns); w.beat.next > 0; {
			for range r.IntN(4) {
				w.beat.next--
				looked[w.conns[w.beat.next]]++
				if w.beat.next == 0 {
					break
				}
			}
			for range r.IntN(4) {
				if i := r.IntN(len(there) + 1); i == len(there) {
					add()
				} else {
					w.delist(there[i])
					there = append(there[:i], there[i+1:]...)
				}
			}
		}
		if len(w.conns) != len(there) {
			t.Fatalf("seed %d: %d in the table, want %d", seed, len(w.conns), len(there))
		}
		for i, c := range w.conns {
			if int(c.raw.at) != i {
				t.Fatalf("seed %d: the one at %d believes that it is at %d", seed, i, c.raw.at)
			}
			if want := map[bool]int{true: 1}[old[c]]; looked[c] != want {
				t.Fatalf("seed %d, %d at first: one of these was looked at %d times, want %d", seed, before, looked[c], want)
			}
		}
		for c, n := range looked {
			if n > 1 || !old[c] {
				t.Fatalf("seed %d: looked at %d times, and it was there: %v", seed, n, old[c])
			}
		}
	}
}

// TestIdlePassed: told once each time that the time has passed, however the sweeps lie.
func TestIdlePassed(t *testing.T) {
	for _, row := range []struct {
		n, every uint32
		quiet    []uint32 // at each sweep
		told     []bool
	}{
		{8, 1, []uint32{7, 8, 9, 10, 16, 17, 18, 25}, []bool{false, false, true, false, false, true, false, true}},
		{8, 4, []uint32{3, 7, 11, 15, 19, 23, 27}, []bool{false, false, true, false, true, false, true}},
		{8, 8, []uint32{8, 16, 24}, []bool{false, true, true}},
		{3, 8, []uint32{2, 10, 18}, []bool{false, true, true}},
		{0, 8, []uint32{100}, []bool{false}},
	} {
		for i, q := range row.quiet {
			b := &beat{before: 1000 - row.every, swept: 1000}
			if got := b.passed(q, row.n); got != row.told[i] {
				t.Errorf("%d ticks of %d, swept every %d: told %v, want %v", q, row.n, row.every, got, row.told[i])
			}
		}
	}
}
