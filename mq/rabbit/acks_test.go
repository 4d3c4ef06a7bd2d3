package rabbit

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAcks: whatever is acknowledged together, the broker hears of each once, and of none that is still open. The model
// of the broker ends the test where RabbitMQ would close the channel, and where a job would be lost.
func TestAcks(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var g tags
		var unacked, working []uint64 // the broker's, and those whose handlers run
		frames, jobs := 0, 0
		for next := uint64(1); next < 200 || len(working) > 0; {
			for next < 200 && len(g) < 16 && r.IntN(3) > 0 {
				g, unacked, working = append(g, next), append(unacked, next), append(working, next)
				next++
			}
			r.Shuffle(len(working), func(i, k int) { working[i], working[k] = working[k], working[i] })
			n := r.IntN(len(working) + 1)
			some := slices.Clone(working[:n])
			working = working[n:]
			if n == 1 && r.IntN(2) == 0 { // it is given back by itself
				g.settle(some[0])
				unacked = slices.DeleteFunc(unacked, func(tag uint64) bool { return tag == some[0] })
				continue
			}
			jobs += n
			upTo, others := g.acks(slices.Clone(some))
			if upTo > 0 {
				frames++
				if !slices.Contains(unacked, upTo) {
					t.Fatalf("seed %d: all up to %d, which the broker does not know: %d", seed, upTo, unacked)
				}
				unacked = slices.DeleteFunc(unacked, func(tag uint64) bool { return tag <= upTo })
			}
			for _, tag := range others {
				frames++
				if !slices.Contains(unacked, tag) {
					t.Fatalf("seed %d: %d, which the broker does not know: %d", seed, tag, unacked)
				}
				unacked = slices.DeleteFunc(unacked, func(x uint64) bool { return x == tag })
			}
			if want := slices.Sorted(slices.Values(working)); !slices.Equal(unacked, want) || !slices.Equal(g, want) {
				t.Fatalf("seed %d: after %d the broker has %d, and %d are noted; want %d", seed, some, unacked, g, want)
			}
		}
		if frames > jobs {
			t.Fatalf("seed %d: %d frames for %d jobs", seed, frames, jobs)
		}
	}
	g := tags{3, 5, 6, 9}
	if upTo, others := g.acks([]uint64{6, 3, 5}); upTo != 6 || len(others) > 0 {
		t.Errorf("all up to %d and %d, want 6 and none", upTo, others)
	}
}
