package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// TestSeq compares around the end of the sequence space.
func TestSeq(t *testing.T) {
	const end = Seq(1<<32 - 1)
	if !end.Less(0) || Seq(0).Less(end) || end.Less(end) || !end.AtMost(end) || end.Add(2) != 1 || end.To(1) != 2 ||
		Seq(1).To(end) != -2 {
		t.Error("2³²-1 comes right before 0")
	}
}

// TestRTT is RFC 6298, sections 2 and 5.
func TestRTT(t *testing.T) {
	var r rtt
	if r.after(0) != time.Second || r.after(1) != 2*time.Second {
		t.Errorf("before a measurement: %v, %v", r.after(0), r.after(1))
	}
	r.measured(400 * time.Millisecond)
	if r.smooth != 400*time.Millisecond || r.vary != 200*time.Millisecond || r.after(0) != 1200*time.Millisecond {
		t.Errorf("after the first: %+v", r)
	}
	r.measured(800 * time.Millisecond)
	if r.smooth != 450*time.Millisecond || r.vary != 250*time.Millisecond || r.after(0) != 1450*time.Millisecond {
		t.Errorf("after the second: %+v", r)
	}
	for range 100 {
		r.measured(time.Microsecond)
	}
	if r.after(0) < minRTO || r.after(100) != maxRTO {
		t.Errorf("the bounds: %v, %v", r.after(0), r.after(100))
	}
}

// TestPages writes with holes and reads, at random places, against a plain slice.
func TestPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var p pool
	var g pages
	var model []byte
	base := 0 // of g in model
	for range 2000 {
		off, n := rnd.IntN(20000), rnd.IntN(3*pageSize)
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		for len(model) < base+off+n {
			model = append(model, 0)
		}
		copy(model[base+off:], b)
		g.write(&p, off, b)
		got := make([]byte, n)
		if g.read(off, got); !bytes.Equal(got, model[base+off:base+off+n]) {
			t.Fatalf("%d bytes at %d differ", n, off)
		}
		d := rnd.IntN(off + n + 1)
		g.discard(&p, d)
		base += d
		if base > len(model) {
			t.Fatal("discarded more than there is")
		}
	}
	g.release(&p)
	if p.used != 0 || len(p.free) > maxFreePages {
		t.Errorf("%d pages are used by nobody", p.used)
	}
}

// TestRanges adds ranges at random and holds them against a set of numbers.
func TestRanges(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	const origin = Seq(1<<32 - 500) // so that they go over the end
	for range 200 {
		var r ranges
		have := map[Seq]bool{}
		for range 100 {
			from := origin.Add(1 + rnd.IntN(1000))
			s := span{from, from.Add(1 + rnd.IntN(20))}
			if r.add(s) {
				for n := s.from; n != s.to; n++ {
					have[n] = true
				}
			}
			if len(r.list) > maxRanges || len(r.recent) == 0 || len(r.recent) > 4 {
				t.Fatalf("%d ranges, %d of them recent", len(r.list), len(r.recent))
			}
			total := 0
			for i, o := range r.list {
				total += o.from.To(o.to)
				if i > 0 && o.from.AtMost(r.list[i-1].to) {
					t.Fatalf("%v touch", r.list)
				}
			}
			if total != len(have) {
				t.Fatalf("%v are %d numbers, want %d", r.list, total, len(have))
			}
		}
		next := origin.Add(1)
		want := next
		for have[want] {
			want++
		}
		if got := r.take(next); got != want {
			t.Fatalf("take = %d, want %d", got, want)
		}
	}
}
