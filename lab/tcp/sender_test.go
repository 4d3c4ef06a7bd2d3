package tcp

import (
	"bytes"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// TestKarn takes no round trip of a segment that was sent twice (MUST-18).
func TestKarn(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write("a")
	x.wait(50 * time.Millisecond)
	x.in(wire.ACK, 1, 2, "")
	known := x.c.rtt
	x.write("b")
	x.wait(time.Second) // sent again
	if len(x.out) < 3 {
		t.Fatalf("%d segments", len(x.out))
	}
	x.in(wire.ACK, 1, 3, "")
	if x.c.rtt != known {
		t.Errorf("the estimate was %+v and is %+v", known, x.c.rtt)
	}
	if x.c.backoff == 0 {
		t.Error("the timeout is back without a measurement")
	}
	x.write("c")
	x.in(wire.ACK, 1, 4, "")
	if x.c.backoff != 0 {
		t.Error("the timeout is still doubled after one")
	}
}

// TestSlowStart doubles the window each round trip, and after a loss grows by a segment (MUST-19).
func TestSlowStart(t *testing.T) {
	x := newScript(t, Options{Reno: true}).accept()
	x.write(times(200000))
	first := len(x.out)
	if first != 10 {
		t.Errorf("the first flight is %d segments", first)
	}
	x.wait(10 * time.Millisecond)
	ack := 1
	for range first {
		ack += 1000
		x.in(wire.ACK, 1, ack, "")
	}
	if got := len(x.out) - first; got != 20 {
		t.Errorf("the second flight is %d segments", got)
	}
	for range 3 { // three duplicates: a loss (RFC 5681, section 3.2)
		x.in(wire.ACK, 1, ack, "")
	}
	if got := x.line(x.out[len(x.out)-1]); got != ". 10001:11001 ack 1" {
		t.Errorf("after three duplicates it sent %s", got)
	}
	if x.c.cc.window != 10000 || !x.c.recovering {
		t.Errorf("the window is %d of 20000", x.c.cc.window)
	}
}

// TestSlowStartAtOnce has all acknowledgments of a flight come between two Flushes.
func TestSlowStartAtOnce(t *testing.T) {
	x := newScript(t, Options{Reno: true}).accept()
	x.write(times(200000))
	x.out = nil
	for n := range 10 {
		h := wire.TCP{SrcPort: x.peer.Port(), DstPort: x.local.Port(), Seq: peerISN + 1,
			Ack: uint32(x.iss.Add(1001 + 1000*n)), Flags: wire.ACK, Window: 65535}
		x.s.Segment(x.now, Envelope{Src: addrB, Dst: addrA}, &h)
	}
	x.flush()
	if len(x.out) != 20 {
		t.Errorf("the second flight is %d segments", len(x.out))
	}
}

// TestSillyWindow sends no small segment because the window is small (MUST-38).
func TestSillyWindow(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write(times(1000))
	x.want("P. 1:1001 ack 1")
	x.write(times(3000))
	x.out = nil
	x.in(wire.ACK, 1, 1001, "", window(0))
	x.out = nil
	x.c.maxWindow, x.c.usualWindow = 4000, 4000
	x.in(wire.ACK, 1, x.c.first.To(x.c.next)+1001, "", window(10))
	for _, h := range x.out {
		if len(h.Payload) > 0 && len(h.Payload) < 500 {
			t.Errorf("a segment of %d bytes", len(h.Payload))
		}
	}
}

// TestSmallWindow has a peer whose window was large, and from now on is less than a segment: a timer lets out what fits
// once (RFC 9293, section 3.8.6.2.1), and then it is known that there is no more to wait for.
func TestSmallWindow(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write(times(1000))
	x.in(wire.ACK, 1, 1001, "", window(600))
	x.out = nil
	x.write(times(3000))
	x.want()
	x.wait(300 * time.Millisecond)
	x.want(". 1001:1601 ack 1")
	x.in(wire.ACK, 1, 1601, "", window(600))
	x.want(". 1601:2201 ack 1")
	x.in(wire.ACK, 1, 2201, "", window(100)) // less than half of what it was
	x.want()
	x.in(wire.ACK, 1, 2201, "", window(65535))
	x.want(". 2201:3201 ack 1") // and Nagle keeps the rest
}

// TestReplay holds that a run with the same seed is the same, segment for segment.
func TestReplay(t *testing.T) {
	run := func(seed uint64) []byte {
		s := newSim(t, seed, path{delay: 5 * time.Millisecond, loss: 0.05, jitter: 3 * time.Millisecond}, Options{},
			Options{})
		s.keep = true
		exchange(t, s, make([]byte, 100000), make([]byte, 50000), 5000)
		var b bytes.Buffer
		for _, l := range s.seen {
			b.WriteString(l + "\n")
		}
		return b.Bytes()
	}
	if !bytes.Equal(run(5), run(5)) {
		t.Error("two runs with one seed differ")
	}
	if bytes.Equal(run(5), run(6)) {
		t.Error("two seeds give one run")
	}
}
