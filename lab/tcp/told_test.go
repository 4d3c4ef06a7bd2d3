package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

func TestWriteUrgent(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write("a")
	x.in(wire.ACK, 1, 2, "")
	x.out = nil
	if n, err := x.c.WriteUrgent(x.now, []byte("stop")); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	x.flush()
	if h := x.want("P.U 2:6 ack 1 stop"); h[0].Urgent != 4 {
		t.Errorf("the pointer is %d", h[0].Urgent)
	}
	x.in(wire.ACK, 1, 6, "")
	x.write("go")
	x.want("P. 6:8 ack 1 go")
}

func TestUserTimeout(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.c.SetUserTimeout(5 * time.Second)
	x.write("a")
	told := Events(0)
	for until := x.now + 20*time.Second; x.now < until; {
		x.wait(100 * time.Millisecond)
		for c, e := x.s.Event(); c != nil; c, e = x.s.Event() {
			told |= e
		}
	}
	x.state(Closed, ErrTimeout)
	if told&Stalled == 0 {
		t.Error("nobody was told of R1")
	}
}

func TestTOS(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.c.SetTOS(0xb8)
	if _, err := x.c.Write(x.now, []byte("a")); err != nil {
		t.Fatal(err)
	}
	x.s.Flush(x.now, func(g *Segment) {
		if g.TOS != 0xb8 {
			t.Errorf("the field is %#x", g.TOS)
		}
	})
}

func TestAdvice(t *testing.T) {
	x := newScript(t, Options{}).accept()
	for c, _ := x.s.Event(); c != nil; c, _ = x.s.Event() {
	}
	x.write(times(900))
	x.s.Advise(x.now, x.local, x.peer, x.iss.Add(5000), NetUnreachable, 0)
	if c, e := x.s.Event(); c != nil || x.s.Refused.Advice != 1 {
		t.Errorf("a guess was believed: %v", e)
	}
	for _, a := range []Advice{NetUnreachable, PortUnreachable, TimeExceeded, ParameterProblem} {
		x.s.Advise(x.now, x.local, x.peer, x.iss+1, a, 0)
		x.state(Established, nil) // MUST-56
		if c, e := x.s.Event(); c != x.c || e != Advised || x.c.Advice() != a {
			t.Errorf("of %d it was told %v", a, e)
		}
	}
	y := newScript(t, Options{}).dial()
	y.s.Advise(y.now, y.local, y.peer, y.iss, NetUnreachable, 0)
	y.state(SynSent, nil)
	y.s.Advise(y.now, y.local, y.peer, y.iss, PortUnreachable, 0)
	y.state(Closed, ErrUnreachable)
}

func TestPathMTU(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write(times(2000))
	x.want(". 1:1001 ack 1", "P. 1001:2001 ack 1")
	x.s.Advise(x.now, x.local, x.peer, x.iss+1, TooBig, 640)
	x.flush()
	x.want(". 1:601 ack 1", ". 601:1001 ack 1", ". 1001:1601 ack 1", ". 1601:2001 ack 1")
	if x.c.recovering {
		t.Error("it was taken for congestion")
	}
	x.s.Advise(x.now, x.local, x.peer, x.iss+1, TooBig, 1) // nobody's path is that small
	x.flush()
	if x.c.mss != minMTU4-40 {
		t.Errorf("the segment's size is %d", x.c.mss)
	}
}

// TestShrunkToZero has a peer that takes its window back over what is on its way, and opens it after an hour.
func TestShrunkToZero(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write(times(2000))
	x.want(". 1:1001 ack 1", "P. 1001:2001 ack 1")
	probes := 0
	for x.now < time.Hour {
		x.in(wire.ACK, 1, 1, "", window(0))
		at, ok := x.s.Next()
		if !ok {
			t.Fatal("nothing is asked any more")
		}
		x.wait(at - x.now)
		probes += len(x.out) // the oldest text again asks as well as a probe does (MUST-35)
		x.out = nil
	}
	if probes < 30 || probes > 200 {
		t.Errorf("%d segments asked in an hour", probes)
	}
	x.state(Established, nil) // SHLD-17
	x.out = nil
	x.in(wire.ACK, 1, 1001, "", window(5000))
	x.wait(3 * time.Minute)
	if len(x.out) == 0 || x.line(x.out[0]) != ". 1001:2001 ack 1" { // SHLD-16
		t.Fatalf("after the window opened it sent %d segments", len(x.out))
	}
	x.in(wire.ACK, 1, 2001, "", window(5000))
	if x.c.Unacked() != 0 {
		t.Error("something is left")
	}
}

func TestResetWithText(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.in(wire.RST, 1, 0, "why it was reset") // SHLD-2
	x.want()
	x.state(Closed, ErrReset)
}

// TestECN goes through RFC 3168, section 6.1: agreed in the handshake, marked, echoed until it was heard, and the
// window reduced once.
func TestECN(t *testing.T) {
	x := newScript(t, Options{ECN: true})
	var err error
	if x.c, err = x.s.Dial(0, x.local, x.peer); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.want("SEW 0:1")
	x.in(wire.SYN|wire.ACK|wire.ECE, 0, 1, "", mss(1000))
	x.want(". 1:1 ack 1")
	x.write(times(4000))
	x.out = nil
	before := x.c.cc.window
	for range 3 {
		x.in(wire.ACK|wire.ECE, 1, 1, "")
	}
	if x.c.cc.window >= before {
		t.Errorf("the window was %d and is %d", before, x.c.cc.window)
	}
	once := x.c.cc.threshold
	x.in(wire.ACK|wire.ECE, 1, 1001, "")
	if x.c.cc.threshold < once {
		t.Error("it was reduced twice in a window")
	}
	x.in(wire.ACK, 1, 4001, "")
	x.out = nil
	x.write(times(1000))
	x.want("P.W 4001:5001 ack 1")

	// As a receiver.
	h := wire.TCP{SrcPort: x.peer.Port(), DstPort: x.local.Port(), Seq: peerISN + 1, Ack: uint32(x.iss.Add(5001)),
		Flags:  wire.ACK,
		Window: 65535, Payload: []byte("ab")}
	x.s.Segment(x.now, Envelope{Src: x.peer.Addr(), Dst: x.local.Addr(), TOS: 3}, &h)
	x.flush()
	x.want(".E 5001:5001 ack 3")
	x.in(wire.ACK, 3, 5001, "cd")
	x.wait(time.Second)
	x.want(".E 5001:5001 ack 5")
	x.in(wire.ACK|wire.CWR, 5, 5001, "ef")
	x.wait(time.Second)
	x.want(". 5001:5001 ack 7")
}

// TestECNStream sends over a path that marks, and loses nothing: nothing is sent twice.
func TestECNStream(t *testing.T) {
	s := newSim(t, 3, path{delay: 10 * time.Millisecond, mark: 0.05}, Options{ECN: true}, Options{})
	again := map[uint32]bool{}
	s.drop = func(h *wire.TCP, _ netip.Addr) bool {
		if h.DstPort == 80 && len(h.Payload) > 0 {
			if again[h.Seq] {
				t.Errorf("%d was sent twice", h.Seq)
			}
			again[h.Seq] = true
		}
		return false
	}
	exchange(t, s, make([]byte, 500000), make([]byte, 10), 100000)
	if s.marks == 0 {
		t.Error("nothing was marked")
	}
}
