package tcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A side is an application that writes all of out, ends its half, and reads to the end.
type side struct {
	c    *Conn
	out  []byte
	in   []byte
	end  bool
	read int // at most so many at once
}

func (p *side) work(t testing.TB, now time.Duration) {
	t.Helper()
	for len(p.out) > 0 {
		n, err := p.c.Write(now, p.out)
		if err != nil {
			t.Fatalf("%v: write: %v in %v", now, err, p.c.State())
		}
		if n == 0 {
			break
		}
		if p.out = p.out[n:]; len(p.out) == 0 {
			if err := p.c.CloseWrite(now); err != nil {
				t.Fatalf("%v: close: %v", now, err)
			}
		}
	}
	buf := make([]byte, p.read)
	for !p.end {
		n, end, err := p.c.Read(now, buf)
		if err != nil {
			t.Fatalf("%v: read: %v in %v", now, err, p.c.State())
		}
		p.in, p.end = append(p.in, buf[:n]...), end
		if n == 0 {
			break
		}
	}
}

func noise(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// exchange sends streams both ways at once and holds every byte, the ends, and that nothing is left behind.
func exchange(t testing.TB, s *sim, toB, toA []byte, read int) {
	t.Helper()
	c, d := s.connect()
	p := &side{c: c, out: toB, read: read}
	q := &side{c: d, out: toA, read: read}
	for until := s.now + 10*time.Hour; ; {
		p.work(t, s.now)
		q.work(t, s.now)
		if p.end && q.end && len(p.out) == 0 && len(q.out) == 0 {
			break
		}
		if !s.step(until) {
			t.Fatalf("%v: it stands still: %v sent %d of %d and got %d; %v sent %d of %d and got %d\n%+v\n%+v", s.now, c.State(),
				len(toB)-len(p.out), len(toB), len(p.in), d.State(), len(toA)-len(q.out), len(toA), len(q.in), c, d)
		}
	}
	if !bytes.Equal(q.in, toB) || !bytes.Equal(p.in, toA) {
		t.Fatal("the bytes are not those that were sent")
	}
	s.run(3 * time.Hour)
	s.nothingLeft()
	if c.Err() != nil || d.Err() != nil || c.State() != Closed || d.State() != Closed {
		t.Errorf("at the end: %v %v, %v %v", c.State(), c.Err(), d.State(), d.Err())
	}
}

// TestStream sends over paths of each kind.
func TestStream(t *testing.T) {
	const ms = time.Millisecond
	for _, row := range []struct {
		name string
		path path
	}{
		{"nothing in the way", path{delay: ms}},
		{"a tiny round trip", path{}},
		{"slow", path{delay: 20 * ms, rate: 1 << 20}},
		{"loss of 1 %", path{delay: 10 * ms, loss: 0.01}},
		{"loss of 10 %", path{delay: 10 * ms, loss: 0.1}},
		{"loss of 30 %", path{delay: 10 * ms, loss: 0.3}},
		{"reordering", path{delay: 10 * ms, jitter: 5 * ms}},
		{"everything", path{delay: 10 * ms, jitter: 20 * ms, loss: 0.05, double: 0.05}},
	} {
		for _, reno := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/reno=%v", row.name, reno), func(t *testing.T) {
				for seed := range uint64(5) {
					rnd := rand.New(rand.NewPCG(seed, 9))
					// At a loss of 30 % nine timeouts in a row do happen, and they take longer than the limit,
					// and longer than a peer waits at the end.
					o := Options{Reno: reno, Limits: Limits{UserTimeout: time.Hour, MSL: time.Hour}}
					s := newSim(t, seed, row.path, o, o)
					exchange(t, s, noise(rnd, 1+rnd.IntN(300000)), noise(rnd, 1+rnd.IntN(100000)), 1+rnd.IntN(70000))
					if t.Failed() {
						t.Fatalf("seed %d", seed)
					}
				}
			})
		}
	}
}
