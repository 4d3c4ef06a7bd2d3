package uring

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBundle: one completion for what lies in several buffers, which are not in the order of their identities.
func TestBundle(t *testing.T) {
	for _, inc := range []bool{false, true} {
		t.Run(fmt.Sprint("incremental ", inc), func(t *testing.T) {
			r := newRing(t, loopOptions())
			if r.FeatureFlags()&FeatBundle == 0 {
				t.Skip("no bundles here (Linux 6.10)")
			}
			const size = 100
			bufs := newBufRing(t, r, BufRingOptions{Entries: 8, Size: size, Incremental: inc})
			seed := rand.Uint64()
			rnd := rand.New(rand.NewPCG(seed, 0))
			a, b := newPair(t)
			arm := func() {
				s := get(t, r, 1)
				s.RecvMultishot(a, 0)
				s.RecvBundle()
				_, err := r.Submit()
				ok(t, err)
			}
			arm()
			var sent, got byte
			var held []uint16
			several := 0
			for range 300 {
				out := make([]byte, 1+rnd.IntN(6*size))
				for i := range out {
					out[i] = sent
					sent++
				}
				write(t, b, string(out))
				for n := 0; n < len(out); {
					c := next(t, r)
					if c.Errno() != unix.ENOBUFS {
						n += int(c.Res)
						pieces := 0
						for s := bufs.Segments(&c); s.Next(); pieces++ {
							for _, x := range s.Data {
								if x != got {
									t.Fatalf("seed %d: byte %d comes in place of %d", seed, x, got)
								}
								got++
							}
							held = append(held, s.ID)
						}
						if pieces > 1 {
							several++
						}
					}
					rnd.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
					for len(held) > 0 && (rnd.IntN(3) > 0 || c.Errno() == unix.ENOBUFS) {
						bufs.Release(held[0])
						held = held[1:]
					}
					bufs.Publish()
					if !c.More() {
						arm()
					}
				}
			}
			if several == 0 {
				t.Error("no completion had several buffers")
			}
			t.Logf("%d bundles of several buffers", several)
		})
	}
}

// TestSendBundle: pieces of any length, queued while others are on their way, are sent in their order, once.
func TestSendBundle(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		if r.FeatureFlags()&FeatBundle == 0 {
			t.Skip("no bundles here (Linux 6.10)")
		}
		const size = 16
		bufs := newBufRing(t, r, BufRingOptions{Group: 9, Entries: 8, Size: size, Send: true})
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 0))
		a, b := newPair(t)
		get(t, r, 1).SendBundle(b, 9, 0, unix.MSG_WAITALL)
		wantRes(t, r, 1, -int(unix.ENOBUFS))
		var sent byte
		several := 0
		for range 200 {
			want := ""
			for range 1 + rnd.IntN(8) {
				id, buf := bufs.Take()
				n := 1 + rnd.IntN(size)
				for i := range n {
					buf[i] = sent
					want += string([]byte{sent})
					sent++
				}
				bufs.Queue(id, n)
			}
			get(t, r, 1).SendBundle(b, 9, 0, unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
			got, pieces := "", 0
			c := wantRes(t, r, 1, len(want))
			var ids []uint16
			for s := bufs.Segments(&c); s.Next(); pieces++ {
				got += string(s.Data)
				ids = append(ids, s.ID)
			}
			if pieces > 1 {
				several++
			}
			if got != want {
				t.Fatalf("seed %d: the completion is for %x, want %x", seed, got, want)
			}
			wantRead(t, a, want)
			rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			for _, id := range ids {
				bufs.Release(id)
			}
		}
		if several == 0 {
			t.Error("no completion had several buffers")
		}
		if bufs.InUse() != 0 || bufs.Held() != 0 {
			t.Errorf("%d in use, %d held at the end", bufs.InUse(), bufs.Held())
		}
		for range 8 {
			bufs.Take()
		}
		if _, buf := bufs.Take(); buf != nil {
			t.Error("a ninth of eight buffers was free")
		}
		wantPanic(t, "too long", "Queue of 17 bytes", func() { bufs.Queue(0, size+1) })
		wantPanic(t, "nothing", "Queue of 0 bytes", func() { bufs.Queue(0, 0) })
		bufs.Queue(0, 1)
		wantPanic(t, "twice", "must have been got by Take", func() { bufs.Queue(0, 1) })
		receives := newBufRing(t, r, BufRingOptions{Group: 10, Entries: 1, Size: 1})
		wantPanic(t, "of receives", "for receives", func() { receives.Take() })
	})
}
