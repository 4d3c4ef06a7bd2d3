package ip

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// lan is a router that advertises, and a host that configures itself.
func lan(t *testing.T, c RouterConfig) (w *world, r, h *Host, ri, hi *Interface) {
	w = newWorld(t, 9)
	r, h = w.host(Options{Forward: true}), w.host(Options{})
	ri, hi = w.cable(r, h, 1500, link.Options{Delay: time.Millisecond})
	w.add(ri, "fe80::fe/64", "2001:db8:7::fe/64")
	if err := ri.Advertise(w.now, c); err != nil {
		t.Fatal(err)
	}
	if err := hi.Autoconfigure(w.now); err != nil {
		t.Fatal(err)
	}
	return w, r, h, ri, hi
}

func TestAutoconfiguration(t *testing.T) {
	p := wire.NDPPrefix{Prefix: prefix("2001:db8:7::/64"), OnLink: true, Autonomous: true, Valid: time.Hour,
		Preferred: 30 * time.Minute}
	w, r, h, ri, hi := lan(t, RouterConfig{Prefixes: []wire.NDPPrefix{p}, MTU: 1400, HopLimit: 33, Interval: time.Minute})
	w.run(5 * time.Second)
	got := hi.Addresses()
	if len(got) != 2 || got[0].Prefix != prefix("fe80::ff:fe00:2/64") ||
		got[1].Prefix != prefix("2001:db8:7:0:0:ff:fe00:2/64") ||
		got[1].State != Preferred || !got[1].Auto {
		t.Fatalf("%v", got)
	}
	if i, via, ok := h.hop(addr("2001:db8:9::1")); !ok || via != addr("fe80::fe") || i != hi {
		t.Errorf("the default route is by %v, %v", via, ok)
	}
	s, c := w.listen(r, "[::]:9"), w.dial(h, port("[2001:db8:7::fe]:9"))
	if err := c.Send(w.now, text(1390)); err != nil { // in two fragments, by the router's MTU
		t.Fatal(err)
	}
	w.run(time.Second)
	if d := want(t, s, text(1390), nil); d.TTL != 33 {
		t.Errorf("a hop limit of %d", d.TTL)
	}
	// The router falls silent: first its address is old, then the router is gone, then the address.
	ri.auto.sayAt, ri.auto.says = off, nil
	r.forward = false
	w.run(31 * time.Minute)
	if got = hi.Addresses(); got[1].State != Deprecated {
		t.Errorf("after 31 minutes: %v", got)
	}
	if _, _, ok := h.hop(addr("2001:db8:9::1")); ok {
		t.Error("the router is still there")
	}
	w.run(30 * time.Minute)
	if got = hi.Addresses(); len(got) != 1 || len(h.routes) != 1 {
		t.Errorf("after an hour: %v, %v", got, h.routes)
	}
}

// TestNoRouter has nobody who answers: three questions.
func TestNoRouter(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.host(Options{}), w.host(Options{})
	i, _ := w.cable(a, b, 1500, link.Options{})
	w.keep = true
	if err := i.Autoconfigure(w.now); err != nil {
		t.Fatal(err)
	}
	w.run(time.Minute)
	if n := strings.Count(strings.Join(w.seen, "\n"), "router solicitation"); n != routerAsks {
		t.Errorf("%d questions:\n%s", n, strings.Join(w.seen, "\n"))
	}
}

// TestDuplicateAddress has two hosts with the same card address: one has it, and the other knows.
func TestDuplicateAddress(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.host(Options{}), w.host(Options{})
	i, j := w.cable(a, b, 1500, link.Options{})
	w.add(j, "fe80::ff:fe00:1/64")
	if err := i.Autoconfigure(w.now); err != nil {
		t.Fatal(err)
	}
	w.keep = true
	w.run(time.Minute)
	if s := i.Addresses()[0].State; s != Duplicate || a.Conflicts != 1 {
		t.Errorf("it is %v, %d conflicts", s, a.Conflicts)
	}
	if strings.Contains(strings.Join(w.seen, "\n"), "router solicitation") {
		t.Error("it speaks from an address that is another's")
	}
	// Both at the same time: neither has it.
	for _, k := range []*Interface{i, j} {
		if err := k.Probe(w.now, prefix("2001:db8::5/64")); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Minute)
	if s, o := i.Addresses()[1].State, j.Addresses()[1].State; s == Preferred && o == Preferred {
		t.Errorf("both have it: %v, %v", s, o)
	}
}

// advertised puts a router advertisement on the link of m.
func (m *mark) advertised(src string, hops uint8, a wire.RouterAdvertisement) *mark {
	m.t.Helper()
	b, err := a.Append(nil, addr(src), allNodes)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.ip6(wire.IPv6{Next: wire.ProtoICMPv6, Protocol: wire.ProtoICMPv6, HopLimit: hops, Src: addr(src),
		Dst:     allNodes,
		Payload: b})
}

func prefixOption(p wire.NDPPrefix) wire.NDPOptions {
	o, err := wire.AppendNDPPrefix(nil, p)
	if err != nil {
		panic(err)
	}
	return o
}

func TestRouterAdvertisements(t *testing.T) {
	p := wire.NDPPrefix{Prefix: prefix("2001:db8:7::/64"), Autonomous: true, Valid: 10 * time.Hour,
		Preferred: 10 * time.Hour}
	ra := wire.RouterAdvertisement{Lifetime: time.Hour, Options: prefixOption(p)}
	m := newMark(t, Limits{})
	m.advertised("fe80::fe", 255, ra)
	if len(m.h.routes) != 3 {
		t.Error("it was heeded without having been asked for")
	}
	m.i.auto.on = true
	m.advertised("fe80::fe", 254, ra).advertised("2001:db8::fe", 255, ra)
	if m.h.Dropped.Malformed != 2 || len(m.h.routes) != 3 {
		t.Errorf("from behind a router: %d, %v", m.h.Dropped.Malformed, m.h.routes)
	}
	m.advertised("fe80::fe", 255, ra).wait(5 * time.Second)
	if got := m.i.Addresses(); len(got) != 4 || got[3].State != Preferred || len(m.h.routes) != 4 {
		t.Fatalf("%v, %v", got, m.h.routes)
	}
	if i, via, ok := m.h.hop(addr("2001:db8:7::9")); !ok || via != addr("fe80::fe") || i != m.i {
		t.Errorf("a prefix that is not on the link: by %v", via) // RFC 5942, section 4
	}
	left := func() time.Duration { return m.i.addrs[3].valid - m.now }
	// A lifetime of a minute ends no address: two hours are left. RFC 4862, section 5.5.3 (e).
	p.Valid, p.Preferred = time.Minute, time.Minute
	m.advertised("fe80::fe", 255, wire.RouterAdvertisement{Options: prefixOption(p)})
	if left() != twoHours || len(m.h.routes) != 3 {
		t.Errorf("%v are left, %v", left(), m.h.routes)
	}
	// More routers and prefixes than the bound.
	for n := range byte(100) {
		p.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 9, n}), 64)
		p.OnLink = true
		ra.Options = prefixOption(p)
		m.advertised(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: n + 10}).String(), 255, ra)
	}
	if n, r := len(m.i.addrs), len(m.h.routes); n > 3+16 || r > 3+32 {
		t.Errorf("%d addresses, %d routes", n, r)
	}
	m.wait(3 * time.Hour)
	if n, r := len(m.i.addrs), len(m.h.routes); n != 3 || r != 3 {
		t.Errorf("%d addresses, %d routes after their time", n, r)
	}
}

// ndp puts a message of neighbor discovery on the link of m.
func (m *mark) ndp(src, dst string, hops uint8, x interface {
	Append([]byte, netip.Addr, netip.Addr) ([]byte, error)
}) *mark {
	m.t.Helper()
	b, err := x.Append(nil, addr(src), addr(dst))
	if err != nil {
		m.t.Fatal(err)
	}
	return m.ip6(wire.IPv6{Next: wire.ProtoICMPv6, Protocol: wire.ProtoICMPv6, HopLimit: hops, Src: addr(src),
		Dst:     addr(dst),
		Payload: b})
}

func TestSolicitation(t *testing.T) {
	own := wire.AppendNDPLinkAddr(nil, wire.NDPSourceAddr, peerMAC)
	ns := func(target string, o wire.NDPOptions) *wire.NeighborSolicitation {
		return &wire.NeighborSolicitation{Target: addr(target), Options: o}
	}
	group := "ff02::1:ff00:1"
	m := newMark(t, Limits{})
	m.ndp("2001:db8::2", group, 255, ns("2001:db8::1",
		own)).said("2001:db8::1 > 2001:db8::2: ICMP6, neighbor advertisement")
	if n := m.neighbor("2001:db8::2"); n.State != Delay || n.MAC != peerMAC {
		t.Error(n) // it was entered as stale, and the answer went to it
	}
	m.ndp("::", group, 255, ns("2001:db8::1", nil)).said("2001:db8::1 > ff02::1: ICMP6, neighbor advertisement")
	m.ndp("2001:db8::2", group, 255, ns("2001:db8::3", own)).said() // another's
	bad := m.h.Dropped.Malformed
	m.ndp("2001:db8::2", group, 254, ns("2001:db8::1", own)).said()
	m.ndp("::", group, 255, ns("2001:db8::1", own)).said()
	m.ndp("::", "ff02::1", 255, ns("2001:db8::1", nil)).said()
	if n := m.h.Dropped.Malformed - bad; n != 3 {
		t.Errorf("%d were not valid, want 3", n)
	}
}

// TestAdvertisement is the table of RFC 4861, section 7.2.5.
func TestAdvertisement(t *testing.T) {
	const s, o = wire.NeighborSolicited, wire.NeighborOverride
	const peer, thief = 2, 66
	for _, row := range []struct {
		before NeighborState
		flags  wire.NeighborFlags
		mac    byte // 0: none
		after  NeighborState
		has    byte
	}{
		{Incomplete, s | o, peer, Reachable, peer}, {Incomplete, o, peer, Stale, peer}, {Incomplete, s, 0, Incomplete, 0},
		{Reachable, s, thief, Stale, peer}, {Reachable, 0, thief, Stale, peer}, {Probe, s, thief, Probe, peer},
		{Reachable, o, thief, Stale, thief}, {Reachable, s | o, thief, Reachable, thief}, {Probe, s, peer, Reachable, peer},
		{Probe, s, 0, Reachable, peer}, {Probe, 0, peer, Probe, peer}, {Stale, o, peer, Stale, peer}, {0, s | o, peer, 0, 0},
	} {
		m := newMark(t, Limits{})
		if row.before != 0 {
			n := m.h.enter(0, m.i, addr("2001:db8::2"))
			if row.before != Incomplete {
				n.MAC = peerMAC
			}
			m.h.turn(n, row.before, time.Second)
		}
		a := wire.NeighborAdvertisement{Flags: row.flags, Target: addr("2001:db8::2")}
		if row.mac != 0 {
			a.Options = wire.AppendNDPLinkAddr(nil, wire.NDPTargetAddr, wire.MAC{2, 0, 0, 0, 0, row.mac})
		}
		m.ndp("2001:db8::2", "2001:db8::1", 255, &a)
		n := m.neighbor("2001:db8::2")
		if n.State != row.after || n.MAC[5] != row.has {
			t.Errorf("%v, flags %x, address %d: %v at %v, want %v at %d", row.before, row.flags, row.mac, n.State, n.MAC,
				row.after,
				row.has)
		}
	}
	m := newMark(t, Limits{})
	m.ndp("2001:db8::2", "ff02::1", 255, &wire.NeighborAdvertisement{Flags: s, Target: addr("2001:db8::2")})
	if m.h.Dropped.Malformed != 1 {
		t.Error("a solicited one to all")
	}
}

func TestExtensions(t *testing.T) {
	options := func(kind uint8) []byte {
		o, err := wire.AppendIPv6Option(nil, kind, 1, 2, 3, 4)
		if err != nil {
			t.Fatal(err)
		}
		ext, err := wire.AppendExtension(nil, wire.ProtoUDP, o)
		if err != nil {
			t.Fatal(err)
		}
		return ext
	}
	routing := func(left byte) []byte { return []byte{byte(wire.ProtoUDP), 0, 0, left, 0, 0, 0, 0} }
	for _, row := range []struct {
		name string
		next wire.Protocol
		ext  []byte
		come bool
		says string
	}{
		{"skip", wire.ProtoHopByHop, options(0x1e), true, ""},
		{"discard", wire.ProtoHopByHop, options(0x5e), false, ""},
		{"report", wire.ProtoDestOpts, options(0x9e), false, "parameter problem"},
		{"report to one", wire.ProtoDestOpts, options(0xde), false, "parameter problem"},
		{"no segments left", wire.ProtoRouting, routing(0), true, ""},
		{"a route to follow", wire.ProtoRouting, routing(1), false, "parameter problem"},
	} {
		m := newMark(t, Limits{}).knows()
		s, err := m.h.ListenUDP(port("[::]:9"))
		if err != nil {
			t.Fatal(err)
		}
		u := wire.UDP{SrcPort: 7, DstPort: 9, Payload: []byte("x")}
		b, _ := u.Append(nil, families[1].b, families[1].a)
		m.ip6(wire.IPv6{Next: row.next, Protocol: wire.ProtoUDP, Src: families[1].b, Dst: families[1].a, Extensions: row.ext,
			Payload: b})
		if _, ok, _ := s.Read(); ok != row.come || len(m.out) == 0 != (row.says == "") ||
			len(m.out) > 0 && !strings.Contains(m.out[0], row.says) {
			t.Errorf("%s: came %v, said %v", row.name, ok, m.out)
		}
	}
	// A protocol that nobody takes, by both families.
	m := newMark(t, Limits{}).knows()
	m.ip6(wire.IPv6{Next: wire.ProtoSCTP, Protocol: wire.ProtoSCTP, Src: families[1].b, Dst: families[1].a,
		Payload: text(8)})
	m.ip4(wire.IPv4{Protocol: wire.ProtoSCTP, Src: families[0].b, Dst: families[0].a, Payload: text(8)})
	m.said("parameter problem", "protocol 132 unreachable")
}

// TestNoChecksum has a datagram over IPv6 without a checksum, and over IPv4 one, which is right.
func TestNoChecksum(t *testing.T) {
	m := newMark(t, Limits{})
	for n, at := range []string{"0.0.0.0:9", "[::]:9"} {
		s, err := m.h.ListenUDP(port(at))
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{0, 7, 0, 9, 0, 9, 0, 0, 'x'}
		if n == 0 {
			m.ip4(wire.IPv4{Protocol: wire.ProtoUDP, Src: families[0].b, Dst: families[0].a, Payload: b})
			want(t, s, []byte("x"), nil)
			b[6] = 1
			m.ip4(wire.IPv4{Protocol: wire.ProtoUDP, Src: families[0].b, Dst: families[0].a, Payload: b})
		} else {
			m.ip6(wire.IPv6{Next: wire.ProtoUDP, Protocol: wire.ProtoUDP, Src: families[1].b, Dst: families[1].a, Payload: b})
		}
		want(t, s, nil, nil)
	}
	if m.h.Dropped.Malformed != 2 {
		t.Errorf("%d were refused, want 2", m.h.Dropped.Malformed)
	}
}
