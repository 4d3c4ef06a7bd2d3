package ip

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

func TestHeaderChecksum(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	e := wire.ICMPv4{Type: wire.ICMPv4Echo}
	b, _ := e.Append(nil)
	ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoICMPv4, Src: addr("10.0.0.2"), Dst: addr("10.0.0.1"), Payload: b}
	raw, _ := ip.Append(nil)
	m.frame(peerMAC, markMAC, wire.EtherTypeIPv4, raw).said("echo reply")
	raw[8]-- // the TTL, which changes nothing else
	m.frame(peerMAC, markMAC, wire.EtherTypeIPv4, raw).said()
	if m.h.Dropped.Malformed != 1 {
		t.Errorf("%d were refused", m.h.Dropped.Malformed)
	}
}

func TestNotForThisHost(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	e := wire.ICMPv4{Type: wire.ICMPv4Echo}
	b, _ := e.Append(nil)
	ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoICMPv4, Src: addr("10.0.0.2"), Dst: addr("10.0.0.9"), Payload: b}
	m.ip4(ip).said() // it is no router
	ip.Dst = addr("10.0.0.1")
	raw, _ := ip.Append(nil)
	m.frame(peerMAC, wire.Broadcast, wire.EtherTypeIPv4, raw).said()
	m.frame(peerMAC, thiefMAC, wire.EtherTypeIPv4, raw).said()
	m.frame(wire.Broadcast, markMAC, wire.EtherTypeIPv4, raw).said()
	ip.TTL = 1
	m.ip4(ip).said("echo reply") // the last hop does not discard by the TTL
	if m.h.Dropped.Strange != 3 || m.h.Dropped.Martian != 1 {
		t.Errorf("%+v", m.h.Dropped)
	}
}

func TestIdentifier(t *testing.T) {
	h := newMark(t, Limits{}).h
	seen := map[uint16]int{}
	for n := range 60000 {
		id := h.identifier()
		if last, ok := seen[id]; ok && n-last < 9000 {
			t.Fatalf("%d came again after %d packets", id, n-last)
		}
		seen[id] = n
	}
}

// TestQuotes holds how much of a packet an error has.
func TestQuotes(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	var lengths []int
	flush := func() {
		m.h.Flush(m.now, func(_ *Interface, b []byte) { lengths = append(lengths, len(b)-wire.EthernetLen) })
	}
	for n, f := range families {
		u := wire.UDP{SrcPort: 7, DstPort: 9, Payload: text(1400)}
		b, _ := u.Append(nil, f.b, f.a)
		four := wire.IPv4{TTL: 9, Protocol: wire.ProtoUDP, Src: f.b, Dst: f.a, Payload: b}
		six := wire.IPv6{HopLimit: 9, Next: wire.ProtoUDP, Protocol: wire.ProtoUDP, Src: f.b, Dst: f.a, Payload: b}
		raw, err := four.Append(nil)
		if n == 1 {
			raw, err = six.Append(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		m.h.input(m.now, m.i, raw, false)
		flush()
	}
	if len(lengths) != 2 || lengths[0] != quoteLen4 || lengths[1] != leastMTU6 {
		t.Errorf("errors of %v bytes", lengths)
	}
}

// TestLeastPath has a packet too big that tells an MTU of 100, which no link has, and then one of 1280.
func TestLeastPath(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	s, err := m.h.DialUDP(port("[2001:db8::2]:9"))
	if err != nil {
		t.Fatal(err)
	}
	u := wire.UDP{SrcPort: s.Local().Port(), DstPort: 9}
	data, _ := u.Append(nil, families[1].a, families[1].b)
	ip := wire.IPv6{HopLimit: 9, Next: wire.ProtoUDP, Protocol: wire.ProtoUDP, Src: families[1].a, Dst: families[1].b,
		Payload: data}
	quote, _ := ip.Append(nil)
	for n, told := range []uint32{100, leastMTU6 - 1, leastMTU6} {
		e := wire.ICMPv6{Type: wire.ICMPv6PacketTooBig, Rest: told, Payload: quote}
		b, _ := e.Append(nil, addr("2001:db8::9"), families[1].a)
		m.ip6(wire.IPv6{Next: wire.ProtoICMPv6, Protocol: wire.ProtoICMPv6, Src: addr("2001:db8::9"), Dst: families[1].a,
			Payload: b})
		want := 65535
		if told == leastMTU6 {
			want = leastMTU6
		}
		if mtu := m.h.paths.mtu(families[1].b); mtu != want || m.h.Dropped.Advice != min(n+1, 2) {
			t.Errorf("after a message of %d a path has an MTU of %d, and %d were dropped", told, mtu, m.h.Dropped.Advice)
		}
	}
	if err := s.Send(m.now, text(1300)); err != nil {
		t.Fatal(err)
	}
	want(t, s, nil, nil)
	m.wait(0).said("frag", "frag")
}

// TestBucket holds that a bucket gives its rate, whatever the times.
func TestBucket(t *testing.T) {
	b := bucket{rate: 3, tokens: 3}
	n := 0
	for now := time.Duration(0); now <= 10*time.Second; now += 7 * time.Millisecond {
		if b.take(now) {
			n++
		}
	}
	if n != 3+30-1 && n != 3+30 {
		t.Errorf("%d in 10 s", n)
	}
}

// TestNestedFragments has a datagram whose whole is a fragment again.
func TestNestedFragments(t *testing.T) {
	m := newMark(t, Limits{}).knows()
	inner := make([]byte, 16)
	inner[0] = byte(wire.ProtoUDP)
	binary.BigEndian.PutUint16(inner[2:], 1)
	for n, part := range [][]byte{inner[:8], inner[8:]} {
		f := wire.IPv6Fragment{Present: true, More: n == 0, Offset: uint16(8 * n), ID: 1}
		ext, err := wire.AppendFragment(nil, wire.ProtoFragment, f)
		if err != nil {
			t.Fatal(err)
		}
		m.ip6(wire.IPv6{Next: wire.ProtoFragment, Protocol: wire.ProtoFragment, Src: families[1].b, Dst: families[1].a,
			Extensions: ext,
			Fragment:   f, Payload: part})
	}
	if len(m.h.assemblies.list) != 0 || m.h.Dropped.Malformed != 1 {
		t.Errorf("%d are put together, %d were refused", len(m.h.assemblies.list), m.h.Dropped.Malformed)
	}
}
