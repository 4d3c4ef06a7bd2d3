package tcp_test

import (
	"encoding/binary"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

func bothRetransmission(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	x.wantIn(200*ms, 250*ms, ". 1:2 ack 1 a") // doubled each time (MUST-19)
	x.wantIn(400*ms, 500*ms, ". 1:2 ack 1 a")
	x.wantIn(800*ms, 1000*ms, ". 1:2 ack 1 a")
	x.in(wire.ACK, 1, 2, "")
	x.quiet(100 * ms)
}

// bothKarn takes no round trip of a segment that was sent twice (MUST-18): the timeout stays doubled until there is
// one.
func bothKarn(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	x.wantIn(200*ms, 250*ms, ". 1:2 ack 1 a")
	x.wantIn(400*ms, 500*ms, ". 1:2 ack 1 a")
	x.pass(500 * ms)
	x.in(wire.ACK, 1, 2, "")
	x.write("b")
	x.want(". 2:3 ack 1 b")
	x.wantIn(800*ms, 1000*ms, ". 2:3 ack 1 b")
	x.in(wire.ACK, 1, 3, "")
	x.write("c") // which is acknowledged at once, and measured
	x.want(". 3:4 ack 1 c")
	x.in(wire.ACK, 1, 4, "")
	x.write("d")
	x.want(". 4:5 ack 1 d")
	x.wantIn(200*ms, 250*ms, ". 4:5 ack 1 d")
}

func bothUserTimeout(x *script) {
	x.accept()
	x.s.userTimeout(time.Second)
	x.write("a")
	x.want(". 1:2 ack 1 a")
	x.pass(4 * time.Second)
	x.failed(tcp.ErrTimeout)
}

// bothSlowStart doubles the window each round trip.
func bothSlowStart(x *script) {
	x.accept()
	x.s.noDelay(true)
	x.write(times(36000))
	for n := range 10 { // RFC 6928
		x.want(". " + itoa(1000*n+1) + ":" + itoa(1000*n+1001) + " ack 1")
	}
	x.quiet(atRest)
	for n := range 10 {
		x.in(wire.ACK, 1, 1000*n+1001, "")
	}
	for n := range 20 {
		x.want(". " + itoa(1000*n+10001) + ":" + itoa(1000*n+11001) + " ack 1")
	}
	x.quiet(atRest)
}

// bothSlowStartAtOnce acknowledges a flight by one segment: the window grows by all of it.
func bothSlowStartAtOnce(x *script) {
	x.accept()
	x.s.noDelay(true)
	x.write(times(36000))
	for n := range 10 {
		x.want(". " + itoa(1000*n+1) + ":" + itoa(1000*n+1001) + " ack 1")
	}
	x.in(wire.ACK, 1, 10001, "")
	for n := range 20 {
		x.want(". " + itoa(1000*n+10001) + ":" + itoa(1000*n+11001) + " ack 1")
	}
	x.quiet(atRest)
}

// bothFastRetransmit loses the first of five, and has no SACK: three duplicates are a loss (RFC 5681, section 3.2).
func bothFastRetransmit(x *script) {
	x.accept()
	x.s.noDelay(true)
	x.write(times(5000))
	for n := range 5 {
		x.want(". " + itoa(1000*n+1) + ":" + itoa(1000*n+1001) + " ack 1")
	}
	for range 2 {
		x.in(wire.ACK, 1, 1, "")
	}
	x.quiet(atRest)
	x.in(wire.ACK, 1, 1, "")
	x.want(". 1:1001 ack 1")
	x.in(wire.ACK, 1, 5001, "")
	x.quiet(100 * ms)
}

// block is a SACK block of the TCP's numbers.
func (x *script) block(from, to int) wire.SACKBlock {
	return wire.SACKBlock{Left: x.iss + uint32(from), Right: x.iss + uint32(to)}
}

// bothRACK loses the first of four: SACKs of the three behind it are enough (RFC 8985).
func bothRACK(x *script) {
	x.accept(sackOK)
	x.s.noDelay(true)
	x.write(times(4000))
	for n := range 4 {
		x.want(". " + itoa(1000*n+1) + ":" + itoa(1000*n+1001) + " ack 1")
	}
	x.pass(20 * ms)
	for n := range 3 {
		x.in(wire.ACK, 1, 1, "", sack(x.block(1001, 1000*n+2001)))
	}
	x.wantIn(0, 50*ms, ". 1:1001 ack 1")
	x.in(wire.ACK, 1, 4001, "")
	x.quiet(100 * ms)
}

// bothTailLoss loses the last segment: a probe comes before the timeout would (RFC 8985, section 7).
func bothTailLoss(x *script) {
	x.accept(sackOK)
	x.s.noDelay(true)
	for n := range 3 { // so that the round trip is known
		x.write("x")
		x.want(". " + itoa(n+1) + ":" + itoa(n+2) + " ack 1 x")
		x.pass(50 * ms)
		x.in(wire.ACK, 1, n+2, "")
	}
	x.write(times(3000))
	x.want(". 4:1004 ack 1", ". 1004:2004 ack 1", ". 2004:3004 ack 1")
	x.in(wire.ACK, 1, 2004, "")
	h := x.wantIn(0, 350*ms, ". 2004:3004 ack 1")
	if x.judge.now()-h.at < soon {
		x.in(wire.ACK, 1, 3004, "")
		x.quiet(100 * ms)
	}
}

// bothProbeOverWindow has congestion told while four segments are on their way, and then silence: the probe of the tail
// comes though the window that is left allows nothing (RFC 8985, section 7.3).
func bothProbeOverWindow(x *script) {
	x.listen()
	x.in(wire.SYN|wire.ECE|wire.CWR, 0, 0, "", sackOK)
	x.want("S.E 0:1 ack 1")
	x.in(wire.ACK, 1, 1, "")
	x.take()
	x.s.noDelay(true)
	for n := range 3 { // so that the round trip is known
		x.write("x")
		x.want(". " + itoa(n+1) + ":" + itoa(n+2) + " ack 1 x")
		x.pass(50 * ms)
		x.in(wire.ACK, 1, n+2, "")
	}
	x.write(times(4000))
	x.want(". 4:1004 ack 1", ". 1004:2004 ack 1", ". 2004:3004 ack 1", ". 3004:4004 ack 1")
	x.in(wire.ACK|wire.ECE, 1, 1004, "")
	x.wantIn(0, 350*ms, ". 3004:4004 ack 1")
	x.in(wire.ACK, 1, 4004, "")
	x.state("ESTABLISHED")
}

func bothKeepAlive(x *script) {
	x.accept()
	x.wantIn(time.Second, time.Second, ". 0:0 ack 1")
	x.in(wire.ACK, 1, 1, "")
	x.wantIn(time.Second, 1100*ms, ". 0:0 ack 1")
	x.wantIn(time.Second, 1100*ms, ". 0:0 ack 1") // one that is not answered ends nothing (MUST-29)
	x.state("ESTABLISHED")
}

func bothKeepAliveOff(x *script) {
	x.accept()
	x.quiet(2500 * ms) // MUST-25
}

func bothTOS(x *script) {
	x.accept()
	x.s.tos(0xb8)
	x.write("a")
	if h := x.want(". 1:2 ack 1 a")[0]; h.tos != 0xb8 {
		x.t.Errorf("the field is %#x", h.tos)
	}
	x.in(wire.ACK, 1, 2, "")
	x.s.tos(0x28)
	x.write("b")
	if h := x.want(". 2:3 ack 1 b")[0]; h.tos != 0x28 { // SHLD-21
		x.t.Errorf("the field is %#x", h.tos)
	}
}

// An advice is an ICMP error, in either family.
type advice struct {
	kind  wire.ICMPv4Type
	code  uint8
	rest  uint32
	six   wire.ICMPv6Type
	code6 uint8
}

// advise brings an ICMP error about the TCP's segment with this number.
func (x *script) advise(a advice, seq int) {
	x.t.Helper()
	h := wire.TCP{SrcPort: x.local, DstPort: x.remote, Seq: x.iss + uint32(seq), Flags: wire.ACK}
	b, err := h.Append(nil, x.judge.addr(), x.judge.peer())
	if err != nil {
		x.t.Fatal(err)
	}
	if x.six {
		p := wire.IPv6{Src: x.judge.addr(), Dst: x.judge.peer(), Next: wire.ProtoTCP, Protocol: wire.ProtoTCP, HopLimit: 64,
			Payload: b}
		m := wire.ICMPv6{Type: a.six, Code: a.code6, Rest: a.rest}
		if m.Payload, err = p.Append(nil); err == nil {
			b, err = m.Append(nil, x.judge.peer(), x.judge.addr())
		}
		if err != nil {
			x.t.Fatal(err)
		}
		x.judge.inject(wire.ProtoICMPv6, 0, b)
		return
	}
	p := wire.IPv4{Src: x.judge.addr(), Dst: x.judge.peer(), Protocol: wire.ProtoTCP, TTL: 64, Payload: b}
	if b, err = p.Append(nil); err == nil {
		binary.BigEndian.PutUint16(b[2:], 1500) // it was longer
		m := wire.ICMPv4{Type: a.kind, Code: a.code, Rest: a.rest, Payload: b}
		b, err = m.Append(nil)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	x.judge.inject(wire.ProtoICMPv4, 0, b)
}

var (
	netUnreachable = advice{kind: wire.ICMPv4Unreachable, code: wire.ICMPv4NetUnreachable, six: wire.ICMPv6Unreachable,
		code6: wire.ICMPv6NoRoute}
	portUnreachable = advice{kind: wire.ICMPv4Unreachable, code: wire.ICMPv4PortUnreachable, six: wire.ICMPv6Unreachable,
		code6: wire.ICMPv6PortUnreachable}
)

func tooBig(mtu uint32) advice {
	return advice{kind: wire.ICMPv4Unreachable, code: wire.ICMPv4FragmentationNeeded, rest: mtu,
		six: wire.ICMPv6PacketTooBig}
}

// bothAdvice says what must not end a connection (MUST-56).
func bothAdvice(x *script) {
	x.accept()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	for code := range uint8(6) {
		if code != wire.ICMPv4FragmentationNeeded {
			x.advise(advice{kind: wire.ICMPv4Unreachable, code: code, six: wire.ICMPv6Unreachable, code6: code}, 1)
		}
	}
	x.advise(advice{kind: wire.ICMPv4TimeExceeded, six: wire.ICMPv6TimeExceeded}, 1)
	x.advise(advice{kind: wire.ICMPv4Parameter, six: wire.ICMPv6Parameter}, 1)
	if !x.six {
		x.advise(advice{kind: wire.ICMPv4SourceQuench}, 1) // MUST-55
	}
	x.state("ESTABLISHED")
	x.in(wire.ACK, 1, 2, "go on")
	x.read("go on") // without an error: nobody has asked for any (SHLD-20)
}

// bothAdviceTold has a program be told of it that has asked for that, and goes on (MUST-47).
func bothAdviceTold(x *script) {
	x.accept()
	x.s.reports()
	x.write("a")
	x.want(". 1:2 ack 1 a")
	for _, a := range []advice{netUnreachable, portUnreachable, // SHLD-25
		{kind: wire.ICMPv4TimeExceeded, six: wire.ICMPv6TimeExceeded}} {
		x.advise(a, 1)
		if !eventually(x.s.advised) {
			x.t.Errorf("the program is not told of %+v", a)
		}
		x.s.reports()
	}
	x.state("ESTABLISHED")
	x.in(wire.ACK, 1, 2, "go on")
	x.read("go on")
}

func bothAdviceOfSYN(x *script) {
	x.dial()
	x.advise(portUnreachable, 7) // a guess
	x.state("SYN-SENT")
	x.advise(netUnreachable, 0)
	x.either("net unreachable while a connection opens", func() {
		x.state("SYN-SENT")
		x.advise(portUnreachable, 0)
	}, func() {})
	x.failed(tcp.ErrUnreachable)
}

func bothPathMTU(x *script) {
	most := of(x, 1000, 1400)
	x.accept(mss(uint16(most)))
	x.s.noDelay(true)
	x.write(times(2 * most))
	x.want(". 1:"+itoa(most+1)+" ack 1", ". "+itoa(most+1)+":"+itoa(2*most+1)+" ack 1")
	x.advise(tooBig(of[uint32](x, 640, 1300)), 1)
	n := of(x, 600, 1240)
	x.want(". 1:" + itoa(n+1) + " ack 1")
	x.pass(50 * ms)
	end := 2*most + 1
	x.in(wire.ACK, 1, end, "")
	x.write(times(2 * n))
	x.want(". "+itoa(end)+":"+itoa(end+n)+" ack 1", ". "+itoa(end+n)+":"+itoa(end+2*n)+" ack 1")
}

// bothLeastMTU says that a path takes next to nothing.
func bothLeastMTU(x *script) {
	x.accept(mss(1400))
	x.s.noDelay(true)
	x.write(times(1400))
	x.want(". 1:1401 ack 1")
	x.advise(tooBig(100), 1)
	least := 1400 // RFC 8201, section 4
	if !x.six {
		x.either("least MTU that a message is believed", func() { least = 536 }, func() { least = 512 })
		x.want(". 1:" + itoa(least+1) + " ack 1")
		x.pass(50 * ms)
	}
	x.in(wire.ACK, 1, 1401, "")
	x.write(times(least + 1))
	x.want(". 1401:" + itoa(1401+least) + " ack 1")
}

func bothECNAccept(x *script) {
	x.listen()
	x.in(wire.SYN|wire.ECE|wire.CWR, 0, 0, "", mss(1000))
	x.want("S.E 0:1 ack 1")
	x.in(wire.ACK, 1, 1, "")
	x.take()
	x.inMarked(3, wire.ACK, 1, 1, "ab")
	x.wantIn(0, 50*ms, ".E 1:1 ack 3")
	x.in(wire.ACK|wire.CWR, 3, 1, "cd")
	x.wantIn(0, 50*ms, ". 1:1 ack 5")
}

func bothECNDial(x *script) {
	if h := x.dial(); h.Flags&(wire.ECE|wire.CWR) != wire.ECE|wire.CWR {
		x.t.Fatalf("the SYN has flags %v", h.Flags)
	}
	x.in(wire.SYN|wire.ACK|wire.ECE, 0, 1, "", mss(1000))
	x.want(". 1:1 ack 1")
	x.s.noDelay(true)
	x.write(times(1000))
	if h := x.want(". 1:1001 ack 1")[0]; h.tos&3 != 2 {
		x.t.Errorf("text goes with the codepoint %d", h.tos&3)
	}
	x.in(wire.ACK|wire.ECE, 1, 1001, "")
	x.write(times(1000))
	x.want(".W 1001:2001 ack 1") // RFC 3168, section 6.1.2
}

// bothBlackHole has a path that swallows what is large, and no message that says so (RFC 2923, section 2.1).
func bothBlackHole(x *script) {
	x.dial()
	x.in(wire.SYN|wire.ACK, 0, 1, "", mss(1460))
	x.want(". 1:1 ack 1")
	x.write(times(x.full()))
	x.want(". 1:" + itoa(x.full()+1) + " ack 1")
	for end := x.judge.now() + 8*time.Second; ; {
		h, ok := x.get(4 * time.Second)
		if !ok || h.at > end {
			x.t.Fatal("no smaller segment comes")
		}
		if len(h.Payload) <= 1024 {
			break
		}
	}
	x.state("ESTABLISHED")
}
