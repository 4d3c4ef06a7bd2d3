package link

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

const ms = time.Millisecond

func stream(fault string) *rand.Rand { return rand.New(rand.NewPCG(7, uint64(len(fault)))) }

// drain takes all that is on the way, each frame when it arrives, as lines "time: bytes".
func drain(l Line) (lines []string) {
	for at, ok := l.Next(); ok; at, ok = l.Next() {
		for f := l.Take(at); f != nil; f = l.Take(at) {
			lines = append(lines, fmt.Sprintf("%v: %s", at, f.Bytes))
			f.Free()
		}
	}
	return lines
}

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " | ") != strings.Join(want, " | ") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWire(t *testing.T) {
	var p Pool
	l := Wire(20 * ms)
	if _, ok := l.Next(); ok {
		t.Error("there is something on an empty line")
	}
	l.Put(0, p.Copy([]byte("a")))
	l.Put(5*ms, p.Copy([]byte("b")))
	if f := l.Take(19 * ms); f != nil {
		t.Errorf("%q came early", f.Bytes)
	}
	check(t, drain(l), "20ms: a", "25ms: b")
	if len(p.free) != 2 {
		t.Errorf("%d frames are in the pool, want 2", len(p.free))
	}
}

// TestRate: a frame takes its length in bits by the rate, the next waits for it, and what the queue has no room for is
// dropped.
func TestRate(t *testing.T) {
	var p Pool
	var fates []string
	l := Rate(Wire(ms), RateOptions{Bits: 8000, Queue: 2}, func(now time.Duration, f *Frame, what Fate) {
		fates = append(fates, fmt.Sprintf("%v: %s %v", now, f.Bytes, what))
	})
	for i, text := range []string{"abc", "d", "e", "f"} { // a byte a millisecond
		l.Put(time.Duration(i)*ms/2, p.Copy([]byte(text)))
	}
	check(t, drain(l), "4ms: abc", "5ms: d", "6ms: e")
	check(t, fates, "1.5ms: f dropped here: the queue is full")
	l.Put(time.Second, p.Copy([]byte("g"))) // the line was idle: nothing is left of the past
	check(t, drain(l), "1.002s: g")
}

// TestFaults: each happens about as often as its probability says, is told of, and leaves no frame behind.
func TestFaults(t *testing.T) {
	const n = 10_000
	for _, row := range []struct {
		name string
		o    Options
		fate Fate
		come func(hits int) int
	}{
		{"loss", Options{Loss: 0.1}, Lost, func(hits int) int { return n - hits }},
		{"duplicate", Options{Duplicate: 0.1}, Doubled, func(hits int) int { return n + hits }},
		{"corrupt", Options{Corrupt: 0.1}, Corrupted, func(int) int { return n }},
		{"reorder", Options{Reorder: 0.1, Delay: ms}, Held, func(int) int { return n }},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p Pool
			hits := 0
			l := New(row.o, stream, func(_ time.Duration, _ *Frame, what Fate) {
				if what != row.fate {
					t.Fatalf("%v", what)
				}
				hits++
			})
			sent, came, changed, late := []byte("0123456789"), 0, 0, 0
			var last byte
			for i := range n {
				now := time.Duration(i) * ms / 4
				sent[0] = byte(i)
				l.Put(now, p.Copy(sent))
				for f := l.Take(now); f != nil; f = l.Take(now) {
					came++
					if !bytes.Equal(f.Bytes[1:], sent[1:]) || f.Bytes[0] != byte(i) && row.o.Reorder == 0 {
						changed++
					}
					if int8(f.Bytes[0]-last) < 0 {
						late++
					}
					last = f.Bytes[0]
					f.Free()
				}
			}
			came += len(drain(l))
			if hits < n/10*8/10 || hits > n/10*12/10 || came != row.come(hits) {
				t.Errorf("%d of %d were hit, %d came", hits, n, came)
			}
			if row.o.Corrupt > 0 && changed != hits || row.o.Corrupt == 0 && changed > 0 {
				t.Errorf("%d came changed, %d were hit", changed, hits)
			}
			if row.o.Reorder > 0 && late < hits/2 || row.o.Reorder == 0 && row.o.Corrupt == 0 && late > 0 {
				t.Errorf("%d were overtaken, %d were hit", late, hits)
			}
			if out := p.free; len(out) == 0 || len(out) > 20 {
				t.Errorf("%d frames are in the pool", len(out))
			}
		})
	}
}

// TestOwnStreams: a second fault changes nothing in which frames the first one hits.
func TestOwnStreams(t *testing.T) {
	lost := func(o Options) (list []string) {
		var p Pool
		l := New(o, stream, func(_ time.Duration, f *Frame, what Fate) {
			if what == Lost {
				list = append(list, string(f.Bytes))
			}
		})
		for i := range 1000 {
			l.Put(time.Duration(i)*ms, p.Copy(fmt.Append(nil, i)))
			for f := l.Take(time.Duration(i) * ms); f != nil; f = l.Take(time.Duration(i) * ms) {
				f.Free()
			}
		}
		return list
	}
	alone := lost(Options{Loss: 0.05})
	check(t, lost(Options{Loss: 0.05, Duplicate: 0.5, Corrupt: 0.5, Reorder: 0.5, Rate: RateOptions{Bits: 1e6}}), alone...)
	if len(alone) == 0 {
		t.Error("nothing was lost")
	}
}

// TestCoDel sends more than the line takes. Without CoDel the queue stays full, and each frame waits for its length;
// with it the wait comes down to near the target, and the line is busy all the time.
func TestCoDel(t *testing.T) {
	for _, on := range []bool{false, true} {
		var p Pool
		dropped := 0
		l := Rate(Wire(0), RateOptions{Bits: 8e6, Queue: 1 << 20, CoDel: on}, func(_ time.Duration, _ *Frame, what Fate) {
			if what == Dropped {
				dropped++
			}
		})
		var wait, until time.Duration
		came, seen := 0, 0
		sender := 1.2 // of the rate; it slows down a little for each drop, as TCP does
		for now, due := time.Duration(0), time.Duration(0); now < 20*time.Second; now += ms / 10 {
			for ; due <= now; due += time.Duration(float64(ms) / sender) {
				f := p.Copy(make([]byte, 1000))
				copy(f.Bytes, fmt.Append(nil, int64(due), " "))
				l.Put(now, f)
				if dropped > seen {
					sender, seen = max(sender*0.7, 0.5), dropped
				} else {
					sender = min(sender+0.0005, 1.2)
				}
			}
			for f := l.Take(now); f != nil; f = l.Take(now) {
				var sent int64
				if _, err := fmt.Sscan(string(f.Bytes[:bytes.IndexByte(f.Bytes, ' ')]), &sent); err != nil {
					t.Fatal(err)
				}
				if now > 10*time.Second {
					came++
					wait += now - time.Duration(sent)
				}
				f.Free()
			}
			until = now
		}
		mean := wait / time.Duration(came)
		t.Logf("CoDel %v: %d dropped, a mean wait of %v, %d of 10,000 frames", on, dropped, mean, came)
		switch {
		case on && (mean > 60*ms || came < 8500 || dropped == 0):
			t.Errorf("with CoDel a frame waits for %v, %d came, %d were dropped (%v)", mean, came, dropped, until)
		case !on && (mean < 500*ms || dropped > 0):
			t.Errorf("without CoDel a frame waits for %v, %d were dropped", mean, dropped)
		}
	}
}

func TestCard(t *testing.T) {
	var p Pool
	a, b := &Card{Addr: wire.MAC{2, 0, 0, 0, 0, 1}}, &Card{Addr: wire.MAC{2, 0, 0, 0, 0, 2}, MTU: 1000}
	Connect(a, b, Wire(ms), Wire(ms), &p)
	frame := func(dst wire.MAC, n int) []byte { return append(dst[:], make([]byte, n-6)...) }
	for _, row := range []struct {
		name  string
		dst   wire.MAC
		n     int
		taken bool // by a's Send
		comes bool
	}{
		{"to it", b.Addr, 60, true, true},
		{"to everybody", wire.Broadcast, 60, true, true},
		{"to a group", wire.MAC{1, 0, 0x5e, 0, 0, 1}, 60, true, true},
		{"to another", wire.MAC{2, 0, 0, 0, 0, 3}, 60, true, false},
		{"as long as goes", b.Addr, 1018, true, true},
		{"longer than its MTU", b.Addr, 1019, true, false},
		{"longer than the sender's MTU", b.Addr, 1519, false, false},
		{"shorter than a header", b.Addr, 13, false, false},
	} {
		sent := frame(row.dst, row.n)
		if err := a.Send(0, sent); (err == nil) != row.taken {
			t.Errorf("%s: Send: %v", row.name, err)
		}
		f := b.Receive(ms)
		if (f != nil) != row.comes || f != nil && !bytes.Equal(f.Bytes, sent) {
			t.Errorf("%s: came %v", row.name, f)
		}
		if f != nil {
			f.Free()
		}
	}
	if b.Received != 4 || b.Strange != 1 || b.TooLong != 1 || a.TooLong != 2 || a.Sent != 6 {
		t.Errorf("the counters are %+v and %+v", a, b)
	}
	b.Promiscuous = true
	if err := a.Send(0, frame(wire.MAC{2, 0, 0, 0, 0, 3}, 60)); err != nil || b.Receive(ms) == nil {
		t.Errorf("%v; a promiscuous card takes what is to others", err)
	}
}

// BenchmarkCard sends full frames over a cable that does everything: an op is one frame.
func BenchmarkCard(b *testing.B) {
	var p Pool
	x, y := &Card{Addr: wire.MAC{2, 0, 0, 0, 0, 1}}, &Card{Addr: wire.MAC{2, 0, 0, 0, 0, 2}}
	o := Options{Delay: ms, Rate: RateOptions{Bits: 1e9, CoDel: true}, Loss: 0.001, Reorder: 0.001}
	Connect(x, y, New(o, stream, nil), New(o, stream, nil), &p)
	frame := append(y.Addr[:], make([]byte, 1508)...)
	b.ReportAllocs()
	now := time.Duration(0)
	for b.Loop() {
		now += 13 * time.Microsecond
		if err := x.Send(now, frame); err != nil {
			b.Fatal(err)
		}
		for f := y.Receive(now); f != nil; f = y.Receive(now) {
			f.Free()
		}
	}
}
