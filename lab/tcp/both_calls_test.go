package tcp_test

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// bothOthersISN opens connections from one port after the other: nobody who sees the number of his own learns from it
// what another's is (RFC 6528). Those of a clock alone would differ by less than what it goes in a second.
func bothOthersISN(x *script) {
	x.listen()
	var seen []uint32
	for range 8 {
		x.in(wire.SYN, 0, 0, "", mss(1000))
		x.want("S. 0:1 ack 1")
		seen = append(seen, x.iss)
		x.in(wire.RST, 1, 0, "")
		x.remote++
	}
	near := 0
	for i, n := range seen[1:] {
		if d := int32(n - seen[i]); d > -1<<20 && d < 1<<20 {
			near++
		}
	}
	if near > 2 { // by chance one is in two thousand
		x.t.Errorf("%d numbers of 8 are close to the one before: %d", near, seen)
	}
}

// bothGivesUpSYN has nobody answer for minutes.
func bothGivesUpSYN(x *script) {
	x.dial()
	x.pass(70 * time.Second)
	x.either("time until a SYN is given up", func() {
		x.pass(100 * time.Second)
		x.state("SYN-SENT") // MUST-23
	}, func() {
		x.pass(70 * time.Second) // net.ipv4.tcp_syn_retries
		x.state("CLOSED")
	})
}

// bothGoesOn is not answered for less than R2.
func bothGoesOn(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	x.pass(99 * time.Second)
	x.state("ESTABLISHED") // SHLD-11
	x.in(wire.ACK, 1, 2, "go on")
	x.read("go on")
}

// bothLastWait waits for the end of the last wait.
func bothLastWait(x *script) {
	x.accept()
	x.s.closeWrite()
	x.want("F. 1:2 ack 1")
	x.in(wire.FIN|wire.ACK, 1, 2, "")
	x.want(". 2:2 ack 2")
	x.pass(55 * time.Second)
	x.state("TIME-WAIT")
	x.pass(10 * time.Second)
	x.state("CLOSED")
}

// bothTimeWaitStamp opens a connection anew by a later timestamp, and a lower number (RFC 6191).
func bothTimeWaitStamp(x *script) {
	offer := func(value uint32) func(*wire.TCP) {
		return parsed(wire.TCPOptions{HasMSS: true, MSS: 1000, HasTimestamps: true, Value: value})
	}
	x.accept(offer(1))
	x.s.closeWrite()
	h := x.want("F. 1:2 ack 1")[0]
	x.in(wire.FIN|wire.ACK, 1, 2, "", stamp(3, optionsOf(h).Value))
	x.want(". 2:2 ack 2")
	x.state("TIME-WAIT")
	x.in(wire.SYN, -1000, 0, "", offer(2)) // neither is later
	x.want(". 2:2 ack 2")
	x.in(wire.SYN, -1000, 0, "", offer(4)) // SHLD-4
	x.want("S. 0:1 ack -999")
}

func bothKeepAliveDefault(x *script) {
	x.accept()
	if d := x.s.keepAlive(); d < 2*time.Hour { // MUST-28
		x.t.Errorf("a peer is asked after %v", d)
	}
}

// bothUrgentLeft has a program learn how much of what it reads is urgent (MUST-33).
func bothUrgentLeft(x *script) {
	x.accept()
	x.in(wire.ACK|wire.URG, 1, 1, "abcdefg", urgent(5))
	if !x.s.urgent() {
		x.t.Error("nobody is told (MUST-32)")
	}
	left := func(want int) {
		x.t.Helper()
		if n := x.s.urgentLeft(); n != want {
			x.t.Errorf("%d bytes are urgent, want %d", n, want)
		}
	}
	left(5)
	b := make([]byte, 2)
	if n, _, err := x.s.read(b); n != 2 || err != nil {
		x.t.Fatal(n, err)
	}
	left(3)
	if n, _, err := x.s.read(b); n != 2 || err != nil {
		x.t.Fatal(n, err)
	}
	left(1)
	x.read("efg")
}

// bothListenWhileOpening listens at the port of a connection that is being opened (MUST-42).
func bothListenWhileOpening(x *script) {
	x.dialFrom(netip.AddrPortFrom(x.judge.addr(), 80))
	x.state("SYN-SENT")
	opening := x.s
	x.listen()
	x.remote++
	x.in(wire.SYN, 0, 0, "", mss(1000))
	x.want("S. 0:1 ack 1")
	x.in(wire.ACK, 1, 1, "hi")
	x.take()
	x.read("hi")
	opening.abort()
}

// bothLocalAddress listens at one of the TCP's addresses, and opens a connection from one (MUST-43).
func bothLocalAddress(x *script) {
	x.listen()
	first, second := x.judge.addr(), x.judge.other()
	x.judge.aim(second)
	x.in(wire.SYN, 0, 0, "")
	x.want("R. 0:0 ack 1")
	x.judge.aim(first)
	x.in(wire.SYN, 0, 0, "", mss(1000))
	x.want("S. 0:1 ack 1")
	x.in(wire.ACK, 1, 1, "")
	x.take()
	if h := x.dialFrom(netip.AddrPortFrom(second, 0)); h.src != second {
		x.t.Errorf("the SYN is from %v", h.src)
	}
	x.in(wire.SYN|wire.ACK, 0, 1, "", mss(1000))
	if h := x.want(". 1:1 ack 1")[0]; h.src != second {
		x.t.Errorf("the acknowledgment is from %v", h.src)
	}
}

// bothSourceAddress leaves the choice to the host, and stays with it (MUST-44, MUST-45).
func bothSourceAddress(x *script) {
	both := []netip.Addr{x.judge.addr(), x.judge.other()}
	h := x.dial()
	if !slices.Contains(both, h.src) {
		x.t.Fatalf("the SYN is from %v", h.src)
	}
	x.in(wire.SYN|wire.ACK, 0, 1, "", mss(1000))
	src := h.src
	if h := x.want(". 1:1 ack 1")[0]; h.src != src {
		x.t.Errorf("it goes on from %v", h.src)
	}
	x.state("ESTABLISHED")
}

// bothDialGroup dials what is no host (MUST-46).
func bothDialGroup(x *script) {
	for _, a := range of(x, []string{"224.0.0.1", "255.255.255.255"}, []string{"ff02::1"}) {
		if x.judge.refused(netip.MustParseAddr(a)) == nil {
			x.t.Errorf("a dial to %s is not refused", a)
		}
	}
	x.quiet(atRest)
}

func bothTTL(x *script) {
	x.accept()
	x.write("a")
	if h := x.want(". 1:2 ack 1 a")[0]; h.ttl != x.setup.ttl { // MUST-49
		x.t.Errorf("the TTL is %d", h.ttl)
	}
}

// bothStalled tells a program after three retransmissions that were not answered (SHLD-9, SHLD-10).
func bothStalled(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	for n := range 3 {
		if x.s.stalled() {
			x.t.Errorf("the program is told after %d", n)
		}
		x.wantIn(200*ms<<n, 250*ms<<n, ". 1:2 ack 1 a")
	}
	if !eventually(x.s.stalled) {
		x.t.Error("the program is not told")
	}
	x.state("ESTABLISHED")
	x.in(wire.ACK, 1, 2, "")
}

// bothPush has PSH on the last segment of what a program writes (MUST-61), and once where it has written often
// (SHLD-27).
func bothPush(x *script) {
	x.accept()
	x.write(times(2500))
	pushed := func(lines ...string) {
		x.t.Helper()
		got := x.want(lines...)
		if got[len(got)-1].Flags&wire.PSH == 0 {
			x.t.Errorf("%q has no PSH", lines[len(lines)-1])
		}
	}
	want := []string{". 1:1001 ack 1", ". 1001:2001 ack 1"}
	x.want(want...)
	x.in(wire.ACK, 1, 2001, "") // which lets Nagle's rest go
	pushed(". 2001:2501 ack 1")
	for range 4 {
		x.write("ab")
	}
	x.in(wire.ACK, 1, 2501, "")
	pushed(". 2501:2509 ack 1 abababab")
}

// bothOptionsWellFormed has segments with all the options that there are; what is sent is looked at wherever a segment
// comes from a judge (MUST-68, MUST-69).
func bothOptionsWellFormed(x *script) {
	o := wire.TCPOptions{HasMSS: true, MSS: 1000, HasScale: true, Scale: 3, SACKPermitted: true, HasTimestamps: true,
		Value: 1}
	x.accept(parsed(o))
	gap := wire.TCPOptions{HasTimestamps: true, Value: 3}
	for n := range 3 {
		x.in(wire.ACK, 101+200*n, 1, times(100), parsed(gap))
		x.blocksAre(x.want(". 1:1 ack 1")[0], n+1)
	}
}

func (x *script) blocksAre(h *sent, n int) {
	x.t.Helper()
	if o := optionsOf(h); int(o.SACKs) != n || !o.HasTimestamps {
		x.t.Errorf("the options are %+v", o)
	}
	if len(h.Options)%4 != 0 {
		x.t.Errorf("the options are %x", h.Options)
	}
}

// bothBacklog sends a SYN more than the backlog takes, or some more: it is dropped, and taken when there is room.
func bothBacklog(x *script) {
	x.listen()
	taken := 0
	for ; ; taken++ {
		x.in(wire.SYN, 0, 0, "", mss(1000))
		h, ok := x.get(100 * ms)
		if !ok {
			break
		}
		if got := x.line(h); got != "S. 0:1 ack 1" || taken > 3 {
			x.t.Fatalf("%q was sent when %d were taken", got, taken)
		}
		x.remote++
	}
	if taken == 0 {
		x.t.Fatal("none is taken")
	}
	x.remote--
	x.in(wire.RST, 1, 0, "")
	x.pass(50 * ms)
	x.remote++
	x.in(wire.SYN, 0, 0, "", mss(1000))
	x.want("S. 0:1 ack 1")
}

// bothShutAfterClose closes to a peer whose window is shut, and which answers each probe.
func bothShutAfterClose(x *script) {
	x.accept()
	x.in(wire.ACK, 1, 1, "", window(0))
	x.write("hello")
	x.s.close()
	for end := x.judge.now() + 5*time.Second; x.judge.now() < end; {
		if h, ok := x.get(end - x.judge.now()); ok && h.Flags&wire.RST == 0 {
			x.in(wire.ACK, 1, 1, "", window(0))
		}
	}
	x.state("CLOSED")
}

// bothChallengeLimit has one challenge after another within half a second.
func bothChallengeLimit(x *script) {
	x.accept()
	x.pass(700 * ms)
	x.in(wire.SYN, 1, 0, "")
	x.want(". 1:1 ack 1")
	x.in(wire.SYN, 1, 0, "")
	x.either("limit of challenge ACKs", func() { x.want(". 1:1 ack 1") }, func() { x.quiet(100 * ms) })
}

// went holds by which hosts a segment goes.
func (x *script) went(h *sent, via ...netip.Addr) {
	x.t.Helper()
	if !slices.Equal(h.via, via) {
		x.t.Errorf("%q goes by %v, want %v", x.line(h), h.via, via)
	}
}

// bothRouteBack has a connection come by a source route, and go back by it (MUST-53).
func bothRouteBack(x *script) {
	a := x.judge.router()
	b := a.Next()
	x.judge.through(a, b)
	x.listen()
	x.in(wire.SYN, 0, 0, "", mss(1000))
	x.went(x.want("S. 0:1 ack 1")[0], b, a)
	x.in(wire.ACK, 1, 1, "")
	x.take()
	x.write("a")
	x.went(x.want(". 1:2 ack 1 a")[0], b, a)
	x.judge.through(b)
	x.in(wire.ACK, 1, 2, "")
	x.write("b")
	h := x.want(". 2:3 ack 1 b")[0]
	x.either("source route that changes", func() { x.went(h, b) }, func() { x.went(h, b, a) }) // SHLD-24
	x.judge.through()
	x.in(wire.ACK, 1, 3, "")
}

// bothRouteGiven has a program say by which hosts its segments go (MUST-51), also where others have come (MUST-52).
func bothRouteGiven(x *script) {
	a := x.judge.router()
	b := a.Next()
	x.went(x.dialFrom(netip.AddrPort{}, a), a)
	x.judge.through(b)
	x.in(wire.SYN|wire.ACK, 0, 1, "", mss(1000))
	x.went(x.want(". 1:1 ack 1")[0], a)
	x.write("a")
	x.went(x.want(". 1:2 ack 1 a")[0], a)
}
