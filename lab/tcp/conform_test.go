package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

func TestResetToNobody(t *testing.T) {
	x := newScript(t, Options{})
	x.in(wire.SYN, 5, 0, "ab")
	x.want("R. 0:0 ack 8")
	x.in(wire.ACK, 5, 77, "")
	x.want("R 77:77")
	x.in(wire.RST, 5, 0, "")
	x.want()
	if x.c != nil || len(x.s.conns) != 0 {
		t.Error("a connection came of nothing")
	}
}

func TestChecksum(t *testing.T) {
	x := newScript(t, Options{})
	h := wire.TCP{SrcPort: 1, DstPort: 2, Flags: wire.SYN}
	b, _ := h.Append(nil, addrB, addrA)
	b[16]++
	x.s.Input(0, Envelope{Src: addrB, Dst: addrA}, b)
	x.s.Input(0, Envelope{Src: addrB, Dst: addrA}, b[:19])
	x.flush()
	x.want()
	if x.s.Refused.Checksum != 1 || x.s.Refused.Malformed != 1 {
		t.Errorf("%+v", x.s.Refused)
	}
}

func TestIllegalOptionLength(t *testing.T) {
	x := newScript(t, Options{}).accept()
	// A length of 0, by hand: wire emits none such.
	h := wire.TCP{SrcPort: x.peer.Port(), DstPort: 80, Seq: peerISN + 1, Ack: uint32(x.iss + 1), Flags: wire.ACK,
		Options: []byte{2, 4, 5, 0xb4}, Payload: []byte("a")}
	b, err := h.Append(nil, addrB, addrA)
	if err != nil {
		t.Fatal(err)
	}
	b[21] = 0
	x.s.Input(0, Envelope{Src: addrB, Dst: addrA}, b)
	x.state(Established, nil)
	x.read("")
	if x.s.Refused.Malformed != 1 {
		t.Errorf("%+v", x.s.Refused)
	}
}

func TestGroupAddress(t *testing.T) {
	x := newScript(t, Options{})
	group := netip.MustParseAddr("224.0.0.1")
	for _, a := range [][2]netip.Addr{{addrB, group}, {group, addrA}, {netip.IPv4Unspecified(), addrA}} {
		h := wire.TCP{SrcPort: 1, DstPort: 80, Flags: wire.SYN}
		b, _ := h.Append(nil, a[0], a[1])
		x.s.Input(0, Envelope{Src: a[0], Dst: a[1]}, b)
	}
	x.flush()
	x.want()
	for _, to := range []netip.AddrPort{netip.AddrPortFrom(group, 80), netip.AddrPortFrom(addrB, 0), {},
		netip.MustParseAddrPort("255.255.255.255:80")} {
		if _, err := x.s.Dial(0, netip.AddrPortFrom(addrA, 0), to); err != ErrAddress {
			t.Errorf("Dial to %v: %v", to, err)
		}
	}
}

func TestISN(t *testing.T) {
	x, y := newScript(t, Options{}), newScript(t, Options{})
	key := fourTuple{x.local, x.peer}
	if a, b := x.s.isn(0, key), x.s.isn(time.Second, key); a.To(b) != 250000 {
		t.Errorf("in a second the clock went from %d to %d", a, b)
	}
	other := fourTuple{x.local, netip.AddrPortFrom(addrB, 1025)}
	if x.s.isn(0, key) != y.s.isn(0, key) || x.s.isn(0, key) == x.s.isn(0, other) {
		t.Error("it is a function of the secret and of the addresses")
	}
	y.s.secret[0]++
	if x.s.isn(0, key) == y.s.isn(0, key) {
		t.Error("without the secret it can be computed")
	}
}

func TestSimultaneousClose(t *testing.T) {
	x := newScript(t, Options{}).accept()
	if err := x.c.CloseWrite(x.now); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.want("F. 1:2 ack 1")
	x.in(wire.FIN|wire.ACK, 1, 1, "")
	x.want(". 2:2 ack 2")
	x.state(Closing, nil)
	x.in(wire.ACK, 2, 2, "")
	x.state(TimeWait, nil)
	x.wait(2*30*time.Second - 1)
	x.state(TimeWait, nil)
	x.wait(1)
	x.state(Closed, nil)
}

func TestBacklogReturnsToListen(t *testing.T) {
	x := newScript(t, Options{})
	l, _ := x.s.Listen(x.local, 1)
	x.in(wire.SYN, 0, 0, "")
	x.want("S. 0:1 ack 1")
	x.peer = netip.AddrPortFrom(addrB, 1025)
	x.in(wire.SYN, 0, 0, "") // one more than the backlog
	x.want()
	x.peer = netip.AddrPortFrom(addrB, 1024)
	x.in(wire.RST, 1, 0, "") // back to LISTEN, and nobody is told (MUST-11)
	x.want()
	if c, _ := x.s.Event(); c != nil || l.Accept() != nil || len(x.s.conns) != 0 {
		t.Error("a connection is left")
	}
	x.in(wire.SYN, 0, 0, "")
	x.want("S. 0:1 ack 1")
	if x.s.Refused.Backlog != 1 {
		t.Errorf("%+v", x.s.Refused)
	}
}

func TestResetInWindow(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.in(wire.RST, 100, 0, "")
	x.want(". 1:1 ack 1") // RFC 5961, section 3.2
	x.in(wire.RST, -5, 0, "")
	x.want()
	x.state(Established, nil)
	x.in(wire.RST, 1, 0, "")
	x.want()
	x.state(Closed, ErrReset) // MUST-12
	if c, e := x.s.Event(); c != x.c || e&Ended == 0 {
		t.Errorf("the application was told %v", e)
	}
}

func TestChallenge(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.in(wire.SYN, 1, 0, "")
	x.want(". 1:1 ack 1") // RFC 5961, section 4.2
	x.in(wire.ACK, 1, 2, "")
	x.want(". 1:1 ack 1") // of what was never sent; section 5.2
	x.state(Established, nil)
	seen := map[int]bool{}
	for range 20 { // about 100 a second, and nobody knows how many
		x.now += time.Second
		x.out, x.s.Refused.Challenges = nil, 0
		for range 200 {
			x.in(wire.SYN, 1, 0, "")
		}
		if n := len(x.out); n < 50 || n >= 150 || x.s.Refused.Challenges != 200-n {
			t.Errorf("%d challenges in a second, %d refused", n, x.s.Refused.Challenges)
		}
		seen[len(x.out)] = true
	}
	if len(seen) < 5 {
		t.Errorf("%d different numbers of challenges in 20 seconds", len(seen))
	}
}

func TestSYNTimeout(t *testing.T) {
	x := newScript(t, Options{}).dial()
	x.wait(7 * time.Second)
	x.want("S 0:1", "S 0:1", "S 0:1") // after 1, 3 and 7 s
	x.wait(170 * time.Second)
	x.state(SynSent, nil)
	x.wait(time.Hour)
	x.state(Closed, ErrTimeout)
	if x.now < 3*time.Minute {
		t.Error("R2 of a SYN is 3 minutes at least (MUST-23)")
	}
}

func TestMSS(t *testing.T) {
	for _, row := range []struct {
		name string
		set  []func(h *wire.TCP)
		want string
	}{
		{"said", []func(h *wire.TCP){mss(1000)}, ". 1:1001 ack 1"},
		{"not said", nil, ". 1:537 ack 1"}, // MUST-15
		{"larger than the link's", []func(h *wire.TCP){mss(9000)}, ". 1:1461 ack 1"},
		{"tiny", []func(h *wire.TCP){mss(1)}, ". 1:89 ack 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := newScript(t, Options{}).dial()
			x.in(wire.SYN|wire.ACK, 0, 1, "", row.set...)
			x.want(". 1:1 ack 1")
			x.write(times(60000))
			if got := x.line(x.out[0]); got != row.want {
				t.Errorf("the first segment is %s, want %s", got, row.want)
			}
			for _, h := range x.out {
				var o wire.TCPOptions
				if o.Parse(h.Options); o.HasMSS {
					t.Error("an MSS on a segment that is no SYN (MUST-65)")
				}
			}
		})
	}
}

func TestOptionsOfSYN(t *testing.T) {
	x := newScript(t, Options{MTU: 1400})
	x.c, _ = x.s.Dial(0, x.local, x.peer)
	x.flush()
	var o wire.TCPOptions
	if o.Parse(x.out[0].Options); !o.HasMSS || o.MSS != 1360 || !o.HasScale || !o.SACKPermitted || !o.HasTimestamps {
		t.Errorf("the SYN offers %+v", o) // MUST-14, MUST-67
	}
}

func TestNagle(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write("a")
	x.want("P. 1:2 ack 1 a")
	x.write("b")
	x.write("c")
	x.want()
	x.in(wire.ACK, 1, 2, "")
	x.want("P. 2:4 ack 1 bc")
	x.write("d")
	x.want()
	x.c.SetNoDelay(true) // MUST-17
	x.flush()
	x.want("P. 4:5 ack 1 d")
}

func TestDelayedAck(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.in(wire.ACK, 1, 1, "one")
	x.want()
	x.wait(39 * time.Millisecond)
	x.want()
	x.wait(time.Millisecond)
	x.want(". 1:1 ack 4") // MUST-40
	for i := range 2 {
		x.in(wire.ACK, 4+1460*i, 1, times(1460))
	}
	x.want(". 1:1 ack 2924") // every second full segment
	x.in(wire.ACK, 2924, 1, "ask")
	x.write("answer")
	x.want("P. 1:7 ack 2927 answer") // it travels with data
}

func TestAckOnce(t *testing.T) {
	x := newScript(t, Options{}).accept()
	for i := range 10 { // ten that came before anything was sent (MUST-58, MUST-59)
		h := wire.TCP{SrcPort: x.peer.Port(), DstPort: 80, Seq: peerISN + 1 + uint32(1000*i), Ack: uint32(x.iss + 1),
			Flags: wire.ACK, Payload: []byte(times(1000))}
		x.s.Segment(x.now, Envelope{Src: addrB, Dst: addrA}, &h)
	}
	x.flush()
	x.want(". 1:1 ack 10001")
}

func TestZeroWindow(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.in(wire.ACK, 1, 1, "", window(0))
	x.write("hello")
	x.want()
	x.wait(time.Second)
	x.want(". 0:0 ack 1", ". 0:0 ack 1") // after 200 and 600 ms (SHLD-29, SHLD-30)
	// For as long as it answers (MUST-37), though probes are two minutes apart in the end.
	for range 40 {
		at, _ := x.s.Next()
		x.wait(at - x.now)
		x.wait(time.Millisecond)
		x.in(wire.ACK, 1, 1, "", window(0))
	}
	x.state(Established, nil)
	if x.now < time.Hour {
		t.Errorf("the window was shut for %v alone", x.now)
	}
	x.out = nil
	x.in(wire.ACK, 1, 1, "", window(3))
	x.want() // three bytes are a silly segment (MUST-38)
	x.wait(300 * time.Millisecond)
	x.want(". 1:4 ack 1 hel")
}

func TestZeroWindowOfOurs(t *testing.T) {
	x := newScript(t, Options{Limits: Limits{ReceiveBuffer: 2000}}).accept()
	x.in(wire.ACK, 1, 1, times(2000))
	if h := x.want(". 1:1 ack 2001"); h[0].Window != 0 {
		t.Fatalf("the window is %d", h[0].Window)
	}
	x.write("hi")
	x.want("P. 1:3 ack 2001 hi")
	x.in(wire.ACK, 2001, 3, "z") // its text is not taken, its ACK is (MUST-66)
	x.want(". 3:3 ack 2001")
	if x.c.Unacked() != 0 {
		t.Error("the ACK was not looked at")
	}
	b := make([]byte, 10)
	x.c.Read(x.now, b)
	x.flush()
	x.want() // ten bytes are not worth a segment (MUST-39)
	x.read(times(1990))
	if h := x.want(". 3:3 ack 2001"); h[0].Window != 2000 {
		t.Errorf("the window is %d", h[0].Window)
	}
	x.in(wire.RST, 2001, 0, "")
	x.state(Closed, ErrReset)
}

func TestRetransmission(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.write("a")
	x.want("P. 1:2 ack 1 a")
	start := x.now
	for _, d := range []time.Duration{200, 600, 1400} { // doubled each time (MUST-19)
		x.now = max(x.now, start)
		x.wait(start + d*time.Millisecond + 10*time.Millisecond - x.now)
		x.want(". 1:2 ack 1 a")
	}
	if x.c.cc.window != x.c.mss {
		t.Errorf("the congestion window is %d", x.c.cc.window)
	}
	x.wait(98 * time.Second)
	x.state(Established, nil) // R2 is 100 s at least
	x.wait(2 * time.Minute)
	x.state(Closed, ErrTimeout)
}

func TestUrgent(t *testing.T) {
	x := newScript(t, Options{}).accept()
	for c, _ := x.s.Event(); c != nil; c, _ = x.s.Event() {
	}
	urgent := func(n uint16) func(h *wire.TCP) { return func(h *wire.TCP) { h.Urgent = n } }
	x.in(wire.ACK|wire.URG, 1, 1, "ab", urgent(5)) // the urgent text goes on behind the segment (MUST-31)
	if c, e := x.s.Event(); c != x.c || e&Urgent == 0 {
		t.Errorf("the application was told %v (MUST-32)", e)
	}
	if n := x.c.UrgentLeft(); n != 5 {
		t.Errorf("%d bytes are urgent, want 5: the pointer is at the first that is not (MUST-62, MUST-33)", n)
	}
	x.read("ab")
	if n := x.c.UrgentLeft(); n != 3 {
		t.Errorf("%d bytes are urgent still", n)
	}
}

func TestKeepAlive(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.wait(24 * time.Hour)
	x.want() // off unless asked for (MUST-25)
	y := newScript(t, Options{Limits: Limits{KeepAlive: 2 * time.Hour}}).accept()
	y.wait(2*time.Hour - 1)
	y.want()
	y.wait(1)
	y.want(". 0:0 ack 1")
	y.in(wire.ACK, 1, 1, "")
	y.wait(2*time.Hour - 1)
	y.want()
	y.wait(12 * time.Second)
	y.state(Established, nil) // one that is not answered ends nothing (MUST-29)
	y.wait(3 * time.Minute)
	y.state(Closed, ErrTimeout)
}

func TestTimeWaitAgain(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.c.CloseWrite(x.now)
	x.flush()
	x.in(wire.FIN|wire.ACK, 1, 2, "")
	x.state(TimeWait, nil)
	x.out = nil
	x.wait(59 * time.Second)
	x.in(wire.FIN|wire.ACK, 1, 2, "") // the peer's FIN again
	x.want(". 2:2 ack 2")
	x.wait(59 * time.Second)
	x.state(TimeWait, nil)
	x.in(wire.RST, 2, 0, "")
	x.state(TimeWait, nil) // RFC 1337
	x.in(wire.SYN, 100000, 0, "")
	x.want("S. 0:1 ack 100001") // MAY-2
	x.state(Closed, nil)
}

func TestAbort(t *testing.T) {
	x := newScript(t, Options{}).accept()
	x.c.Abort(x.now)
	x.flush()
	x.want("R 1:1")
	x.state(Closed, ErrClosed)
	if _, err := x.c.Write(x.now, []byte("a")); err != ErrClosed {
		t.Errorf("write: %v", err)
	}
}

func TestListeners(t *testing.T) {
	x := newScript(t, Options{}).accept()
	if _, err := x.s.Listen(x.local, 0); err != ErrInUse {
		t.Errorf("a second one: %v", err)
	}
	if _, err := x.s.Listen(netip.AddrPortFrom(addrA, 81), 0); err != nil { // MUST-41, MUST-42
		t.Error(err)
	}
	if _, err := x.s.Listen(netip.MustParseAddrPort("0.0.0.0:80"), 0); err != nil {
		t.Error(err)
	}
	x.write("a")
	x.want("P. 1:2 ack 1 a")
}
