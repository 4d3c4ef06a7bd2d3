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

// TestFINBeyondTheWindow: a FIN needs no room, and is sent into a window that is shut. What is acknowledged behind it
// has its number: a peer whose window is shut takes no other, and would never hear of the room that there is here.
func TestFINBeyondTheWindow(t *testing.T) {
	for _, scale := range []uint8{0, 2, 14} {
		x := newScript(t, Options{})
		var err error
		if x.l, err = x.s.Listen(x.local, 0); err != nil {
			t.Fatal(err)
		}
		x.in(wire.SYN, 0, 0, "", func(h *wire.TCP) {
			o := wire.TCPOptions{HasMSS: true, MSS: 1000, HasScale: true, Scale: scale}
			h.Options, _ = o.Append(nil) // they fit
		})
		x.want("S. 0:1 ack 1")
		x.in(wire.ACK, 1, 1, "", window(0))
		x.c = x.l.Accept()
		if err := x.c.CloseWrite(x.now); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.want("F. 1:2 ack 1")
		x.in(wire.ACK, 1, 1, "abc", window(0))
		x.wait(50 * time.Millisecond)
		x.want(". 1:1 ack 4")
		x.in(wire.ACK, 4, 1, "", window(100)) // it has room: the FIN is within the window again
		x.in(wire.ACK, 4, 1, "def", window(100))
		x.wait(50 * time.Millisecond)
		x.want(". 2:2 ack 7")
	}
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

// What came before a reset is read before it is told; whoever closes does not want it, and its pages go back.
func TestUnreadAtReset(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.in(wire.ACK, 1, 1, "hello")
	x.in(wire.RST, 6, 0, "")
	x.state(Closed, ErrReset)
	x.read("hello")
	if n, end, err := x.c.Read(x.now, make([]byte, 9)); n != 0 || end || err != ErrReset {
		t.Errorf("behind it: %d, %v, %v; want the reset", n, end, err)
	}
	y := newScript(t, Options{}).accept()
	y.in(wire.ACK, 1, 1, "hello")
	y.in(wire.RST, 6, 0, "")
	if err := y.c.Close(y.now); err != ErrReset {
		t.Errorf("Close after the reset: %v", err)
	}
	if n, _, err := y.c.Read(y.now, make([]byte, 9)); n != 0 || err != ErrReset || y.s.pool.used != 0 {
		t.Errorf("after Close: %d, %v, and %d pages are in use", n, err, y.s.pool.used)
	}
}

// That the end was acknowledged is told, once, in each state in which it is.
func TestDeliveredIsTold(t *testing.T) {
	delivered := func(x *script) (n int) {
		for c, e := x.s.Event(); c != nil; c, e = x.s.Event() {
			if e&Delivered != 0 {
				n++
			}
		}
		return n
	}
	closing := func() *script {
		x := newScript(t, Options{}).accept()
		x.write("a")
		if err := x.c.CloseWrite(x.now); err != nil {
			t.Fatal(err)
		}
		x.flush()
		x.in(wire.ACK, 1, 2, "")
		if n := delivered(x); n != 0 {
			t.Errorf("told %d times before the end was acknowledged", n)
		}
		return x
	}
	for _, row := range []struct {
		name string
		segs func(x *script)
		want State
	}{
		{"FIN-WAIT-1", func(x *script) { x.in(wire.ACK, 1, 3, "") }, FinWait2},
		{"CLOSING", func(x *script) { x.in(wire.ACK|wire.FIN, 1, 2, ""); x.in(wire.ACK, 2, 3, "") }, TimeWait},
		{"FIN-WAIT-1, with the peer's", func(x *script) { x.in(wire.ACK|wire.FIN, 1, 3, "") }, TimeWait},
	} {
		x := closing()
		row.segs(x)
		if n := delivered(x); n != 1 || x.c.State() != row.want {
			t.Errorf("%s: told %d times, in %v; want once, in %v", row.name, n, x.c.State(), row.want)
		}
	}
	x := newScript(t, Options{}).accept()
	x.in(wire.ACK|wire.FIN, 1, 1, "")
	if err := x.c.CloseWrite(x.now); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.in(wire.ACK, 2, 2, "")
	if n := delivered(x); n != 1 || x.c.State() != Closed {
		t.Errorf("LAST-ACK: told %d times, in %v", n, x.c.State())
	}
}

// A connection's own buffers are smaller than the limits', and never larger.
func TestSetBuffers(t *testing.T) {
	x := newScript(t, Options{Limits: Limits{SendBuffer: 10_000, ReceiveBuffer: 10_000}}).accept()
	x.c.SetBuffers(100, 50)
	if n, err := x.c.Write(x.now, make([]byte, 1000)); n != 100 || err != nil {
		t.Errorf("Write took %d bytes, %v; want 100", n, err)
	}
	if n := x.c.room(); n != 50 {
		t.Errorf("there is room for %d bytes; want 50", n)
	}
	x.c.SetBuffers(1<<30, 0)
	if n, err := x.c.Write(x.now, make([]byte, 20_000)); n != 10_000-100 || err != nil || x.c.room() != 50 {
		t.Errorf("Write took %d bytes, %v; want what the limits leave", n, err)
	}
}
