package ip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// TestNeighborFlood has 5000 neighbors that ask, and as many that are asked for: those in use stay.
func TestNeighborFlood(t *testing.T) {
	m := newMark(t, Limits{Neighbors: 20}).knows()
	n := m.h.neighbors.table[neighborKey{m.i, addr("10.0.0.2")}]
	m.h.confirmed(m.now, n)
	for k := range 5000 {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(3 + k%250)})
		m.now += time.Millisecond
		m.arp(thiefMAC, wire.ARP{Op: wire.ARPRequest, SenderMAC: thiefMAC, SenderIP: a, TargetIP: addr("10.0.0.1")})
		var b [16]byte
		copy(b[:], addr("2001:db8::").AsSlice())
		binary.BigEndian.PutUint32(b[12:], uint32(k+9))
		if err := m.h.Ping(m.now, Echo{Addr: netip.AddrFrom16(b)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.neighbor("10.0.0.2"); got.MAC != peerMAC {
		t.Errorf("the neighbor in use was pushed out: %v", got)
	}
	// Addresses of other networks are nobody's neighbors.
	before := len(m.h.Neighbors())
	m.arp(thiefMAC, wire.ARP{Op: wire.ARPRequest, SenderMAC: thiefMAC, SenderIP: addr("8.8.8.8"),
		TargetIP: addr("10.0.0.1")})
	if m.neighbor("8.8.8.8").State != 0 || len(m.h.Neighbors()) > before {
		t.Error("8.8.8.8 is a neighbor")
	}
}

// TestARPThief has somebody say that he is a neighbor who is known.
func TestARPThief(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	steal := wire.ARP{Op: wire.ARPReply, SenderMAC: thiefMAC, SenderIP: addr("10.0.0.2"), TargetMAC: markMAC,
		TargetIP: addr("10.0.0.1")}
	m.arp(thiefMAC, steal)
	m.said("Request who-has 10.0.0.2 tell 10.0.0.1") // the one who is known is asked
	m.arp(thiefMAC, steal)                           // and an answer by another is none
	answer := steal
	answer.SenderMAC = peerMAC
	m.arp(peerMAC, answer)
	if n := m.neighbor("10.0.0.2"); n.MAC != peerMAC || n.State != Reachable {
		t.Errorf("%v", n)
	}
	// Where he does not answer, his place is free.
	m.arp(thiefMAC, steal).wait(10 * time.Second)
	if n := m.neighbor("10.0.0.2"); n.State != 0 {
		t.Errorf("%v", n)
	}
	// What nobody asked for makes no entry, and what was asked for is believed once.
	m.arp(thiefMAC, steal)
	if n := m.neighbor("10.0.0.2"); n.State != 0 {
		t.Errorf("%v", n)
	}
}

func TestARPAnswer(t *testing.T) {
	m := newMark(t, Limits{})
	ask := wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addr("10.0.0.2"), TargetIP: addr("10.0.0.1")}
	m.arp(peerMAC, ask).said("Reply 10.0.0.1 is-at 02:00:00:00:00:01")
	ask.TargetIP = addr("10.0.0.3")
	m.arp(peerMAC, ask).said()
	ask.SenderIP, ask.TargetIP = addr("0.0.0.0"), addr("10.0.0.1") // a probe
	m.arp(peerMAC, ask).said("Reply 10.0.0.1 is-at")
	ask.SenderMAC = wire.Broadcast
	ask.SenderIP = addr("10.0.0.2")
	m.arp(peerMAC, ask).said()
	if m.h.Dropped.Martian != 1 {
		t.Errorf("%d martians", m.h.Dropped.Martian)
	}
	m.frame(peerMAC, wire.Broadcast, wire.EtherTypeARP, []byte("short")).said()
}

// TestARPQuestions has a neighbor that does not answer: three questions, a second apart, and one packet is kept of each
// burst at least.
func TestARPQuestions(t *testing.T) {
	m := newMark(t, Limits{})
	for n := range 5 {
		if err := m.h.Ping(m.now, Echo{Addr: addr("10.0.0.9"), Seq: uint16(n)}); err != nil {
			t.Fatal(err)
		}
	}
	m.wait(0).said("who-has 10.0.0.9 tell 10.0.0.1")
	m.wait(5*time.Second).said("who-has 10.0.0.9 tell 10.0.0.1", "who-has 10.0.0.9 tell 10.0.0.1")
	if len(m.h.Neighbors()) != 0 || m.h.Dropped.Neighbors != 5 {
		t.Errorf("%v, %d packets were dropped", m.h.Neighbors(), m.h.Dropped.Neighbors)
	}
	for n := range 3 {
		if e, ok := m.h.Reply(); !ok || e.Err != ErrUnreachable || e.Seq != uint16(n+2) {
			t.Errorf("%v, %v", e, ok)
		}
	}
	// It answers later: what waits goes out, the newest.
	if err := m.h.Ping(m.now, Echo{Addr: addr("10.0.0.9"), Seq: 9}); err != nil {
		t.Fatal(err)
	}
	m.arp(peerMAC, wire.ARP{Op: wire.ARPReply, SenderMAC: peerMAC, SenderIP: addr("10.0.0.9"), TargetMAC: markMAC,
		TargetIP: addr("10.0.0.1")})
	m.said("who-has 10.0.0.9", "echo request, id 0, seq 9")
}

// TestNeighborStates walks through RFC 4861's states, by both families.
func TestNeighborStates(t *testing.T) {
	for _, f := range []struct{ peer, ask string }{{"10.0.0.2", "who-has 10.0.0.2"}, {"2001:db8::2",
		"who has 2001:db8::2"}} {
		m := newMark(t, Limits{}).knows()
		is := func(s NeighborState) {
			t.Helper()
			if n := m.neighbor(f.peer); n.State != s {
				t.Fatalf("%s is %v, want %v", f.peer, n.State, s)
			}
		}
		ping := func() {
			t.Helper()
			if err := m.h.Ping(m.now, Echo{Addr: addr(f.peer)}); err != nil {
				t.Fatal(err)
			}
			m.wait(0).said("echo request")
		}
		is(Stale)
		ping()
		is(Delay)
		m.wait(delayTime).said(f.ask)
		is(Probe)
		ping()
		n := m.h.neighbors.table[neighborKey{m.i, addr(f.peer)}]
		m.h.confirmed(m.now, n)
		is(Reachable)
		m.wait(45 * time.Second)
		is(Stale)
		ping()
		m.wait(delayTime+unicastAsks*retransTime-1).said(f.ask, f.ask, f.ask)
		is(Probe)
		m.wait(time.Second)
		is(0)
		m.h.heard6(m.now, m.i, addr(f.peer), peerMAC)
		m.wait(staleTime)
		is(0)
	}
}

func TestConflict(t *testing.T) {
	m := newMark(t, Limits{})
	claim := wire.ARP{Op: wire.ARPReply, SenderMAC: thiefMAC, SenderIP: addr("10.0.0.1"), TargetIP: addr("10.0.0.1")}
	m.arp(thiefMAC, claim).said("Request who-has 10.0.0.1 (ff:ff:ff:ff:ff:ff) tell 10.0.0.1"[:24])
	m.arp(thiefMAC, claim).said() // defended once in 10 s
	m.wait(defendTime).arp(thiefMAC, claim).said("who-has 10.0.0.1")
	if m.h.Conflicts != 3 || !m.h.mine(addr("10.0.0.1")) {
		t.Errorf("%d conflicts", m.h.Conflicts)
	}
	for _, p := range []string{"10.0.0.50/24", "2001:db8::50/64"} {
		if err := m.i.Probe(m.now, prefix(p)); err != nil {
			t.Fatal(err)
		}
		if m.h.mine(prefix(p).Addr()) {
			t.Error("it is used before it is known to be free")
		}
	}
	// Nobody has them.
	m.wait(20 * time.Second)
	var probes, announced int
	for _, line := range m.out {
		if strings.Contains(line, "who-has 10.0.0.50 tell 0.0.0.0") || strings.Contains(line, ":: > ff02::1:ff00:50") {
			probes++
		}
		if strings.Contains(line, "tell 10.0.0.50") || strings.Contains(line, "neighbor advertisement, tgt is 2001:db8::50") {
			announced++
		}
	}
	if probes != probes4+1 || announced != 2 || !m.h.mine(addr("10.0.0.50")) || !m.h.mine(addr("2001:db8::50")) {
		t.Errorf("%d probes, %d announcements:\n%s", probes, announced, strings.Join(m.out, "\n"))
	}
	// Somebody has this one, and somebody probes for that at the same time.
	for _, p := range []string{"10.0.0.51/24", "10.0.0.52/24"} {
		if err := m.i.Probe(m.now, prefix(p)); err != nil {
			t.Fatal(err)
		}
	}
	claim.SenderIP = addr("10.0.0.51")
	m.arp(thiefMAC, claim)
	m.arp(thiefMAC, wire.ARP{Op: wire.ARPRequest, SenderMAC: thiefMAC, SenderIP: addr("0.0.0.0"),
		TargetIP: addr("10.0.0.52")})
	m.wait(20 * time.Second)
	for _, a := range m.i.Addresses()[5:] {
		if a.State != Duplicate || m.h.mine(a.Prefix.Addr()) {
			t.Error(a)
		}
	}
}

// TestErrorsNotSent has all that an ICMP error is never sent about (RFC 1122, section 3.2.2; RFC 4443, section 2.4).
func TestErrorsNotSent(t *testing.T) {
	good4 := wire.IPv4{Protocol: wire.ProtoUDP, Src: addr("10.0.0.2"), Dst: addr("10.0.0.1")}
	good6 := wire.IPv6{Protocol: wire.ProtoUDP, Next: wire.ProtoUDP, Src: addr("2001:db8::2"), Dst: addr("2001:db8::1")}
	for name, change := range map[string]func(*wire.IPv4, *wire.IPv6){
		"":                       func(*wire.IPv4, *wire.IPv6) {},
		"from nobody":            func(a *wire.IPv4, b *wire.IPv6) { a.Src, b.Src = addr("0.0.0.0"), addr("::") },
		"from a group":           func(a *wire.IPv4, b *wire.IPv6) { a.Src, b.Src = addr("224.0.0.5"), addr("ff02::5") },
		"from the loopback":      func(a *wire.IPv4, b *wire.IPv6) { a.Src, b.Src = addr("127.0.0.1"), addr("::1") },
		"from itself":            func(a *wire.IPv4, b *wire.IPv6) { a.Src, b.Src = a.Dst, b.Dst },
		"to a group":             func(a *wire.IPv4, b *wire.IPv6) { a.Dst, b.Dst = allHosts, allNodes },
		"to a broadcast address": func(a *wire.IPv4, b *wire.IPv6) { a.Dst, b.Dst = addr("10.0.0.255"), allNodes },
		"from a broadcast": func(a *wire.IPv4, b *wire.IPv6) {
			a.Src, b.Src = addr("10.0.0.255"), addr("ff02::1")
		},
		"about an error": func(a *wire.IPv4, b *wire.IPv6) {
			a.Protocol, b.Protocol, b.Next = wire.ProtoICMPv4, wire.ProtoICMPv6, wire.ProtoICMPv6
		},
	} {
		m := newMark(t, Limits{}).knows()
		four, six := good4, good6
		change(&four, &six)
		u := wire.UDP{SrcPort: 7, DstPort: 9}
		four.Payload, _ = u.Append(nil, four.Src, four.Dst)
		six.Payload, _ = u.Append(nil, six.Src, six.Dst)
		if four.Protocol == wire.ProtoICMPv4 { // it is complained of, as of what does not fit anywhere
			e := wire.ICMPv4{Type: wire.ICMPv4Unreachable, Code: 3, Payload: make([]byte, 28)}
			four.Payload, _ = e.Append(nil)
			x := wire.ICMPv6{Type: wire.ICMPv6Unreachable, Payload: make([]byte, 48)}
			six.Payload, _ = x.Append(nil, six.Src, six.Dst)
			raw, _ := four.Append(nil)
			m.h.complain(0, &incoming{i: m.i, src: four.Src, dst: four.Dst, raw: raw}, noPort, 0)
			raw, _ = six.Append(nil)
			m.h.complain(0, &incoming{i: m.i, src: six.Src, dst: six.Dst, raw: raw}, noPort, 0)
		}
		m.ip4(four).ip6(six)
		if name == "" {
			m.said("udp port 9 unreachable", "unreachable port")
		} else if m.said(); len(m.out) > 0 {
			t.Error(name)
		}
	}
}

// TestErrorFlood has datagrams to closed ports: 10 a second are answered by errors.
func TestErrorFlood(t *testing.T) {
	m := newMark(t, Limits{Errors: 10}).knows()
	u := wire.UDP{SrcPort: 7, DstPort: 9}
	b, _ := u.Append(nil, families[0].b, families[0].a)
	for range 100 {
		m.ip4(wire.IPv4{Protocol: wire.ProtoUDP, Src: families[0].b, Dst: families[0].a, Payload: b})
	}
	if len(m.out) != 10 || m.h.Dropped.Errors != 90 {
		t.Errorf("%d were sent, %d not", len(m.out), m.h.Dropped.Errors)
	}
	m.wait(500 * time.Millisecond)
	m.out = nil
	for range 100 {
		m.ip4(wire.IPv4{Protocol: wire.ProtoUDP, Src: families[0].b, Dst: families[0].a, Payload: b})
	}
	if len(m.out) != 5 {
		t.Errorf("%d were sent half a second later", len(m.out))
	}
}

// TestAdviceGuessed has ICMP errors about what the host has not sent, and a path MTU of 68.
func TestAdviceGuessed(t *testing.T) {
	m := newMark(t, Limits{Paths: 8}).knows()
	s, err := m.h.DialUDP(port("10.0.0.2:9"))
	if err != nil {
		t.Fatal(err)
	}
	told := func(src, dst netip.AddrPort, mtu uint32) {
		u := wire.UDP{SrcPort: src.Port(), DstPort: dst.Port()}
		data, _ := u.Append(nil, src.Addr(), dst.Addr())
		ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, Src: src.Addr(), Dst: dst.Addr(), Payload: data}
		quote, _ := ip.Append(nil)
		e := wire.ICMPv4{Type: wire.ICMPv4Unreachable, Code: wire.ICMPv4FragmentationNeeded, Rest: mtu, Payload: quote}
		b, _ := e.Append(nil)
		m.ip4(wire.IPv4{Protocol: wire.ProtoICMPv4, Src: addr("10.0.0.3"), Dst: addr("10.0.0.1"), Payload: b})
	}
	for k := range 100 {
		told(netip.AddrPortFrom(addr("10.0.0.1"), uint16(k+1)), port("10.0.0.2:9"), 1000)      // no such socket
		told(s.Local(), netip.AddrPortFrom(addr(fmt.Sprintf("192.0.2.%d", k)), 9), 1000)       // not its peer
		told(netip.AddrPortFrom(addr("10.0.0.3"), s.Local().Port()), port("10.0.0.2:9"), 1000) // not this host
	}
	if len(m.h.paths.list) != 0 || m.h.Dropped.Advice != 300 {
		t.Errorf("%d paths, %d were dropped", len(m.h.paths.list), m.h.Dropped.Advice)
	}
	told(s.Local(), s.Remote(), 68)
	if mtu := m.h.paths.mtu(addr("10.0.0.2")); mtu != leastPath4 {
		t.Errorf("a path has an MTU of %d", mtu)
	}
	told(s.Local(), s.Remote(), 1400)
	if mtu := m.h.paths.mtu(addr("10.0.0.2")); mtu != leastPath4 {
		t.Errorf("a path grew to %d", mtu)
	}
	// A socket for all hears of any peer: the bound holds.
	if s, err = m.h.ListenUDP(port("0.0.0.0:99")); err != nil {
		t.Fatal(err)
	}
	for k := range 100 {
		told(port("10.0.0.1:99"), netip.AddrPortFrom(addr(fmt.Sprintf("192.0.2.%d", k)), 9), 0)
	}
	if len(m.h.paths.list) != 8 || len(m.h.paths.table) != 8 {
		t.Errorf("%d paths", len(m.h.paths.list))
	}
	want(t, s, nil, nil)
}

// FuzzHost feeds a host frames: nothing panics, and its bounds hold.
func FuzzHost(f *testing.F) {
	w := newWorld(f, 1)
	a, b := w.host(Options{}), w.host(Options{})
	i, j := w.cable(a, b, 1500, link.Options{})
	w.add(i, "10.0.0.2/24", "2001:db8::2/64")
	w.add(j, "10.0.0.1/24", "2001:db8::1/64")
	for _, x := range families {
		if err := a.Ping(0, Echo{Addr: x.a, Data: text(3000)}); err != nil {
			f.Fatal(err)
		}
		if _, err := a.Dial(0, netip.AddrPortFrom(x.a, 9)); err != nil {
			f.Fatal(err)
		}
	}
	for range 8 {
		a.Flush(w.now, func(_ *Interface, b []byte) { f.Add(b, byte(1)) })
		w.now += time.Second
		a.Advance(w.now)
	}
	f.Fuzz(func(t *testing.T, b []byte, n byte) {
		m := newMark(t, Limits{Assemblies: 4, Neighbors: 4, Paths: 4})
		for _, at := range []string{"0.0.0.0:9", "[::]:9"} {
			if _, err := m.h.ListenUDP(port(at)); err != nil {
				t.Fatal(err)
			}
		}
		m.h.forward = n&1 != 0
		m.i.auto.on = true
		// The addresses of cards, and checksums, are what a fuzzer does not find.
		if len(b) >= 6 {
			b = append([]byte(nil), b...)
			copy(b, markMAC[:])
		}
		for range n%8 + 1 {
			m.h.Frame(m.now, m.i, b)
			m.wait(time.Second)
		}
		m.wait(3 * time.Minute)
		if len(m.h.assemblies.list) > 0 {
			t.Error("fragments are kept for ever")
		}
	})
}
