package tcp

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// joined is a connection of two stacks without a wire between: pump moves what both have to send.
func joined(t testing.TB) (c, d *Conn, pump func(now time.Duration)) {
	t.Helper()
	a, z := New(Options{Random: rand.New(rand.NewPCG(1, 1)).Uint64}), New(Options{Random: rand.New(rand.NewPCG(1,
		2)).Uint64})
	l, err := z.Listen(netip.AddrPortFrom(addrB, 80), 0)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = a.Dial(0, netip.AddrPortFrom(addrA, 0), netip.AddrPortFrom(addrB, 80)); err != nil {
		t.Fatal(err)
	}
	var at time.Duration
	there := func(g *Segment) { z.Segment(at, g.Envelope, &g.TCP) }
	back := func(g *Segment) { a.Segment(at, g.Envelope, &g.TCP) }
	pump = func(now time.Duration) {
		at = now
		a.Flush(now, there)
		z.Flush(now, back)
	}
	for range 3 {
		pump(0)
	}
	if d = l.Accept(); d == nil {
		t.Fatal("no connection")
	}
	return c, d, pump
}

// stream moves text from c to d, in a round of 16 full segments each time that it is called, and tells how many bytes
// have come.
func stream(t testing.TB) func() int {
	c, d, pump := joined(t)
	var now time.Duration
	buf, in := make([]byte, 1448*16), make([]byte, 1<<18)
	return func() int {
		now += 100 * time.Microsecond
		if _, err := c.Write(now, buf); err != nil {
			t.Fatal(err)
		}
		pump(now)
		n, _, err := d.Read(now, in)
		if err != nil {
			t.Fatal(err)
		}
		pump(now)
		return n
	}
}

// BenchmarkSegments moves full segments from one stack to another without a wire between: what an op is one segment of.
func BenchmarkSegments(b *testing.B) {
	round := stream(b)
	b.SetBytes(1448)
	b.ReportAllocs()
	b.ResetTimer()
	for total := 0; total < b.N*1448; {
		total += round()
	}
}

// TestSegmentsAllocate holds that a stream at work allocates nothing to speak of, a segment.
func TestSegmentsAllocate(t *testing.T) {
	round := stream(t)
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(500, func() { round() }); n > 1 {
		t.Errorf("%v allocations a round of 16 segments", n)
	}
}

// TestConnSize holds what an idle connection costs: a value, its place in the table and in the queue of timers.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 1024 {
		t.Errorf("a Conn is %d bytes", n)
	}
}

// TestIdleSize holds what connections cost that have carried some text each way and are idle now, with all that the
// stacks keep of them: no more than 1.5 KiB each.
func TestIdleSize(t *testing.T) {
	const n = 4000
	var at time.Duration
	a, z := New(Options{Random: rand.New(rand.NewPCG(1, 1)).Uint64}), New(Options{Random: rand.New(rand.NewPCG(1,
		2)).Uint64})
	there := func(g *Segment) { z.Segment(at, g.Envelope, &g.TCP) }
	back := func(g *Segment) { a.Segment(at, g.Envelope, &g.TCP) }
	l, err := z.Listen(netip.AddrPortFrom(addrB, 80), 0)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]*Conn, 0, 2*n)
	buf := make([]byte, 100)
	before := living()
	for range n {
		c, err := a.Dial(at, netip.AddrPortFrom(addrA, 0), netip.AddrPortFrom(addrB, 80))
		if err != nil {
			t.Fatal(err)
		}
		pump := func() {
			at += time.Millisecond
			a.Advance(at)
			z.Advance(at)
			a.Flush(at, there)
			z.Flush(at, back)
		}
		for range 3 {
			pump()
		}
		d := l.Accept()
		if d == nil {
			t.Fatal("no connection")
		}
		for _, x := range [][2]*Conn{{c, d}, {d, c}} {
			if m, err := x[0].Write(at, buf); m != len(buf) || err != nil {
				t.Fatal(m, err)
			}
			for range 2 {
				pump()
			}
			if m, _, err := x[1].Read(at, buf); m != len(buf) || err != nil {
				t.Fatal(m, err)
			}
		}
		conns = append(conns, c, d)
	}
	for _, s := range []*Stack{a, z} {
		for c, _ := s.Event(); c != nil; c, _ = s.Event() {
		}
	}
	size := float64(living()-before) / (2 * n)
	if size > 1536 {
		t.Errorf("an idle connection costs %.0f bytes", size)
	}
	t.Logf("an idle connection costs %.0f bytes", size)
	runtime.KeepAlive(conns)
}

// living is how many bytes live in the heap.
func living() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one has found to be free is swept
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
