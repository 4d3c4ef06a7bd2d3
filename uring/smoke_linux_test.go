package uring

import "testing"

const childRole = "PLEXOR_URING_CHILD"

func child(string) int { return 1 }

func TestNop(t *testing.T) {
	onEach(t, func(t *testing.T, r *Ring) {
		for i := range uint64(1000) {
			get(t, r, i).Nop()
			wantRes(t, r, i, 0)
		}
	})
}

func BenchmarkNop1(b *testing.B)   { benchNop(b, 1) }
func BenchmarkNop16(b *testing.B)  { benchNop(b, 16) }
func BenchmarkNop128(b *testing.B) { benchNop(b, 128) }
func benchNop(b *testing.B, batch int) {
	o := loopOptions()
	o.Entries = 256
	r := newRing(b, o)
	b.ReportAllocs()
	for b.Loop() {
		for i := range batch {
			s := r.SQE()
			s.Nop()
			s.UserData = uint64(i)
		}
		if _, err := r.SubmitAndWait(batch, -1); err != nil {
			b.Fatal(err)
		}
		for c := r.Ready(); len(c) > 0; c = r.Ready() {
			r.Advance(len(c))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch), "ns/nop")
}

func TestAvailable(t *testing.T) {
	s, err := Probe()
	ok(t, err)
	t.Log(s.Names())
}
