package loop

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// A queue that never empties keeps no trace of the blocks that have gone.
func TestOutputForgetsWhatIsSent(t *testing.T) {
	var o output
	var pool blockPool
	piece := make([]byte, smallBlock)
	for range 4 {
		o.append(piece, &pool)
	}
	for range 100_000 { // always some waits
		o.append(piece, &pool)
		o.consume(smallBlock, &pool)
	}
	if o.size != 4*smallBlock {
		t.Errorf("size %d: want %d", o.size, 4*smallBlock)
	}
	if n := cap(o.blocks); n > 64 {
		t.Errorf("%d places for the blocks of 5: want at most 64", n)
	}
}

// A queue against a model that is nothing but bytes, and its pool: what was taken from it comes back, once.
func TestOutputAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("seed %d: "+format, append([]any{seed}, args...)...)
	}
	var pool blockPool
	var a, b output
	var model []byte
	next := byte(0)
	for range 20_000 {
		switch rng.IntN(10) {
		case 0, 1, 2, 3:
			p := make([]byte, rng.IntN(1+rng.IntN(5000)))
			for i := range p {
				p[i] = next
				next += 7
			}
			a.append(p, &pool)
			model = append(model, p...)
		case 9:
			if rng.IntN(100) == 0 {
				a.drop(&pool)
				model = nil
			}
		default:
			n := rng.IntN(1 + min(a.size, 6000))
			a.consume(n, &pool)
			model = model[n:]
		}
		if rng.IntN(500) == 0 { // another user of the pool, whose bytes must not turn up here
			b.append(make([]byte, 10_000), &pool)
			b.drop(&pool)
		}
		if a.size != len(model) {
			fail("size %d: want %d", a.size, len(model))
		}
		var got []byte
		for _, v := range a.views(nil, 3) {
			got = append(got, v...)
		}
		if !bytes.HasPrefix(model, got) || len(got) == 0 && len(model) > 0 {
			fail("%d bytes of %d are not those that were appended", len(got), len(model))
		}
	}
	a.drop(&pool)
	seen := map[*byte]bool{}
	for _, free := range append(pool.small, pool.large...) {
		at := &free[:1][0]
		if seen[at] || len(free) != 0 {
			fail("a block came back twice, or with %d bytes", len(free))
		}
		seen[at] = true
	}
	if len(pool.small) > keepSmall || len(pool.large) > keepLarge {
		fail("the pool keeps %d and %d blocks: want at most %d and %d", len(pool.small), len(pool.large), keepSmall,
			keepLarge)
	}
	if len(seen) == 0 {
		fail("no block came back to the pool")
	}
}

// What was sent of a datagram socket's queue goes off its front, and the rest stays as it was: what happens when the
// kernel's buffer is full, which no loopback's is.
func TestPacketQueueAfterAPartialSend(t *testing.T) {
	for sent := range 5 {
		s := &PacketConn{sent: sent}
		for i, text := range []string{"one", "", "three", "four"} {
			from := len(s.data)
			s.data = append(s.data, text...)
			s.out = append(s.out, outPacket{netip.AddrPortFrom(netip.Addr{}, uint16(i)), netip.Addr{}, from, len(s.data)})
		}
		if sent == 4 {
			s.sentAll()
		} else {
			s.compact()
		}
		var got []string
		for i, o := range s.out {
			got = append(got, string(s.data[o.from:o.to]))
			if int(o.peer.Port()) != sent+i {
				t.Errorf("%d sent: datagram %d is for peer %d: want %d", sent, i, o.peer.Port(), sent+i)
			}
		}
		if want := []string{"one", "", "three", "four"}[sent:]; !slices.Equal(got, want) || s.sent != 0 {
			t.Errorf("%d sent: left are %q (sent %d): want %q", sent, got, s.sent, want)
		}
	}
}
