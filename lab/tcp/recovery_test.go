package tcp

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// sackedFlight is a connection whose peer acknowledges selectively, whose round trip is 20 ms, and whose window is 20
// full segments that are on their way: 1:20001.
func sackedFlight(t *testing.T) *script {
	t.Helper()
	x := newScript(t, Options{Reno: true}).accept()
	x.c.sack, x.c.rtt = true, rtt{} // that of the handshake was 0
	x.write(times(10000))
	x.wait(20 * time.Millisecond)
	x.in(wire.ACK, 1, 10001, "")
	x.write(times(100000))
	if got := x.c.first.To(x.c.next); got != 20000 {
		t.Fatalf("%d bytes are on their way", got)
	}
	x.iss = x.iss.Add(10000) // so that what was acknowledged does not count
	x.out = nil
	x.wait(20 * time.Millisecond)
	return x
}

// told has the peer acknowledge up to ack, and selectively segments number from up to to, of a thousand bytes each.
func (x *script) told(ack, from, to int) {
	x.t.Helper()
	x.in(wire.ACK, 1, ack, "", x.blocks(from, to))
}

func (x *script) blocks(from, to int) func(h *wire.TCP) {
	return func(h *wire.TCP) {
		o := wire.TCPOptions{SACKs: 1}
		o.SACK[0] = wire.SACKBlock{Left: uint32(x.iss.Add(1000*from + 1)), Right: uint32(x.iss.Add(1000*to + 1))}
		h.Options, _ = o.Append(nil)
	}
}

// TestProportion loses the first of 20: what is in flight goes from 20 segments to 10 bit by bit, one segment out for
// two that have arrived (RFC 6937), and not by a silence followed by a burst.
func TestProportion(t *testing.T) {
	x := sackedFlight(t)
	sent := 0
	for n := 2; n <= 20; n++ {
		x.told(1, 1, n)
		if n == 4 && (len(x.out) == 0 || x.line(x.out[0]) != ". 1:1001 ack 1") {
			t.Fatalf("after three that arrived it sent %d segments, %+v", len(x.out), x.c.rack)
		}
		sent += len(x.out)
		if n > 4 && len(x.out) > 1 {
			t.Errorf("%d segments at once", len(x.out))
		}
		x.out = nil
		if want := (n - 1) / 2; sent < want-2 || sent > want+2 {
			t.Errorf("of %d that have arrived, %d went out", n-1, sent)
		}
	}
	if got := x.c.flight(); got < 9000 || got > 11000 {
		t.Errorf("%d bytes are in flight, want half of 20000", got)
	}
	x.in(wire.ACK, 1, x.c.iss.To(x.c.recover)-10000, "")
	if x.c.recovering || x.c.cc.window < 10000 || x.c.cc.window > 11000 {
		t.Errorf("after the recovery (%v) the window is %d", x.c.recovering, x.c.cc.window)
	}
}

// TestSlowStartAfterTimeout loses all of a flight: the window is a segment then and grows with what is acknowledged,
// though not all that was sent before is (RFC 5681, section 3.1).
func TestSlowStartAfterTimeout(t *testing.T) {
	x := sackedFlight(t)
	x.wait(40 * time.Millisecond) // the probe of the tail
	x.out = nil
	x.wait(time.Second)
	if len(x.out) == 0 || x.line(x.out[0]) != ". 1:1001 ack 1" || x.c.cc.window != 1000 {
		t.Fatalf("after the timeout it sent %d segments, the window is %d", len(x.out), x.c.cc.window)
	}
	for n := range 4 {
		x.out = nil
		x.in(wire.ACK, 1, 1000*n+1001, "")
		if len(x.out) != 2 {
			t.Errorf("acknowledgment %d let %d segments out, want 2", n, len(x.out))
		}
	}
	if x.c.cc.threshold != 10000 {
		t.Errorf("the threshold is %d, want half of 20000", x.c.cc.threshold)
	}
}

// TestTimeoutSparesNew has a timeout while the last segments were sent a moment ago: they are not sent again (RFC 8985,
// section 6.3).
func TestTimeoutSparesNew(t *testing.T) {
	x := sackedFlight(t)
	for i := range x.c.records[10:] {
		x.c.records[10+i].sent = x.now
	}
	x.c.markOld(x.now + 10*time.Millisecond)
	for i, r := range x.c.records {
		if got, want := r.flags&lost != 0, i < 10; got != want {
			t.Errorf("segment %d is counted as lost: %v, want %v", i, got, want)
		}
	}
}

// TestStuckHole has a path that loses one segment time and again while many behind it come through: the threshold comes
// from the window that was, whatever is not acknowledged by then.
func TestStuckHole(t *testing.T) {
	x := sackedFlight(t)
	for n := 2; n <= 80; n++ {
		x.told(1, 1, n)
	}
	if got := x.c.una.To(x.c.next); got < 30000 || x.c.cc.threshold != 10000 {
		t.Fatalf("%d bytes are not acknowledged, the threshold is %d", got, x.c.cc.threshold)
	}
	x.wait(2 * time.Second) // a timeout, in the midst of the recovery
	if x.c.cc.threshold != 10000 {
		t.Errorf("after a timeout the threshold is %d", x.c.cc.threshold)
	}
	for _, cubic := range []bool{false, true} {
		g := newCongestion(1000, cubic)
		if g.lost(50_000, 1000); g.threshold > 7000 {
			t.Errorf("of a window of ten segments and 50 that are not acknowledged the threshold became %d", g.threshold)
		}
	}
}

// TestLossInBatch has most of a flight acknowledged, and a loss told of, between two Flushes: the window that follows
// is half of what was on its way before, and not of what the first acknowledgments have left.
func TestLossInBatch(t *testing.T) {
	x := sackedFlight(t)
	for n := range 20 {
		h := wire.TCP{SrcPort: x.peer.Port(), DstPort: x.local.Port(), Seq: peerISN + 1,
			Ack: uint32(x.iss.Add(1000*min(n+1, 16) + 1)), Flags: wire.ACK, Window: 65535}
		if n > 16 {
			x.blocks(17, n+1)(&h)
		}
		x.s.Segment(x.now, Envelope{Src: addrB, Dst: addrA}, &h)
	}
	if !x.c.recovering || x.c.cc.threshold < 10000 {
		t.Errorf("recovering: %v, the threshold is %d, want half of 20000", x.c.recovering, x.c.cc.threshold)
	}
}

// TestLossInRecovery loses a segment that was sent for the first time in a recovery: when that ends, the next one
// begins, and the window gets smaller once more.
func TestLossInRecovery(t *testing.T) {
	x := sackedFlight(t)
	for n := 2; n <= 20; n++ {
		x.told(1, 1, n)
	}
	once, flight := x.c.cc.threshold, x.iss.To(x.c.recover)/1000 // two went out before three were told of (RFC 3042)
	if got := x.iss.To(x.c.next); got < 28000 || !x.c.recovering {
		t.Fatalf("%d bytes were sent", got)
	}
	x.wait(20 * time.Millisecond)
	x.out = nil
	x.told(1000*flight+1, flight+1, flight+4) // all of the first flight, and what came behind the first of the second
	want := ". " + itoa(1000*flight+1) + ":" + itoa(1000*flight+1001) + " ack 1"
	if !x.c.recovering || x.c.cc.threshold >= once || len(x.out) == 0 || x.line(x.out[0]) != want {
		t.Errorf("recovering: %v, the threshold was %d and is %d, %d segments", x.c.recovering, once, x.c.cc.threshold,
			len(x.out))
	}
}

// TestProbeOfNewText loses the end of a flight: the probe is the next segment, where there is one.
func TestProbeOfNewText(t *testing.T) {
	x := sackedFlight(t)
	x.wait(30 * time.Millisecond)
	x.want(". 20001:21001 ack 1")
	x.told(17001, 20, 21) // it tells of the three before it
	x.wait(10 * time.Millisecond)
	if len(x.out) == 0 || x.line(x.out[0]) != ". 17001:18001 ack 1" || !x.c.recovering {
		t.Errorf("it sent %v", x.out)
	}
}

// TestProbeThatRepairs loses the last segment, and the probe brings it: that was congestion all the same (RFC 8985,
// section 7.4). Where the peer has got it twice it was none.
func TestProbeThatRepairs(t *testing.T) {
	for _, twice := range []bool{false, true} {
		x := newScript(t, Options{Reno: true}).accept()
		x.c.sack = true
		x.write("a")
		x.wait(20 * time.Millisecond)
		x.in(wire.ACK, 1, 2, "")
		x.c.noDelay = true
		x.write(times(3000))
		before := x.c.cc.window
		x.out = nil
		x.wait(100 * time.Millisecond)
		x.want(". 2002:3002 ack 1")
		if x.in(wire.ACK, 1, 3002, ""); twice {
			x.in(wire.ACK, 1, 3002, "", func(h *wire.TCP) {
				o := wire.TCPOptions{SACKs: 1}
				o.SACK[0] = wire.SACKBlock{Left: uint32(x.iss.Add(2002)), Right: uint32(x.iss.Add(3002))}
				h.Options, _ = o.Append(nil)
			})
		}
		x.write("b")
		x.in(wire.ACK, 1, 3003, "")
		if smaller := x.c.cc.window < before; smaller == twice {
			t.Errorf("got twice: %v, the window was %d and is %d", twice, before, x.c.cc.window)
		}
	}
}

// TestGoodput holds that goodput over a path with losses is what CUBIC makes of it: 20 transfers of a minute each,
// always the same ones, as time and losses are virtual. With a round trip of 100 ms and 1 % of the segments lost in
// each direction it is in the region where it grows as Reno does, whose window is about 1.2 segments by the root of the
// loss (RFC 3714, section 4): 12 of 1448 bytes, or 174 kB/s.
func TestGoodput(t *testing.T) {
	const n, length = 20, time.Minute
	total := 0.0
	for seed := range uint64(n) {
		o := Options{Limits: Limits{SendBuffer: 8 << 20, ReceiveBuffer: 8 << 20}}
		s := newSim(t, seed, path{delay: 50 * time.Millisecond, loss: 0.01}, o, o)
		got := float64(bulk(s, length)) / length.Seconds()
		total += got / n
		if got > 600_000 {
			t.Errorf("seed %d: %.0f bytes a second", seed, got)
		}
	}
	if total < 140_000 || total > 260_000 {
		t.Errorf("%.0f bytes a second on average", total)
	}
	t.Logf("%.0f bytes a second on average", total)
}

// bulk sends from a to b for so long, and tells how many bytes have come.
func bulk(s *sim, length time.Duration) (total int) {
	c, d := s.connect()
	out, in := make([]byte, 1<<16), make([]byte, 1<<16)
	for until := s.now + length; s.now < until; {
		for n := 1; n > 0; {
			n, _ = c.Write(s.now, out) // it takes no more than there is room for, and fails never
		}
		for n := 1; n > 0; total += n {
			n, _, _ = d.Read(s.now, in)
		}
		s.step(until)
	}
	return total
}
