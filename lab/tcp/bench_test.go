package tcp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkSegments moves full segments from one stack to another without a wire between: what an op is one segment of.
func BenchmarkSegments(b *testing.B) {
	a, z := New(Options{Random: rand.New(rand.NewPCG(1, 1)).Uint64}), New(Options{Random: rand.New(rand.NewPCG(1,
		2)).Uint64})
	l, _ := z.Listen(netip.AddrPortFrom(addrB, 80), 0)
	c, _ := a.Dial(0, netip.AddrPortFrom(addrA, 0), netip.AddrPortFrom(addrB, 80))
	var now time.Duration
	pump := func() {
		a.Flush(now, func(g *Segment) { z.Segment(now, g.Envelope, &g.TCP) })
		z.Flush(now, func(g *Segment) { a.Segment(now, g.Envelope, &g.TCP) })
	}
	for range 3 {
		pump()
	}
	d := l.Accept()
	if d == nil {
		b.Fatal("no connection")
	}
	buf, in := make([]byte, 1448*16), make([]byte, 1<<18)
	total := 0
	b.SetBytes(1448)
	b.ReportAllocs()
	b.ResetTimer()
	for total < b.N*1448 {
		now += 100 * time.Microsecond
		c.Write(now, buf)
		pump()
		n, _, err := d.Read(now, in)
		if err != nil {
			b.Fatal(err)
		}
		total += n
		pump()
	}
}

// TestConnSize holds what an idle connection costs: a value, its place in the table and in the queue of timers.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 900 {
		t.Errorf("a Conn is %d bytes", n)
	}
}
