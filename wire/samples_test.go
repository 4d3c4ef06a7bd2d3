package wire

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

var (
	macA = MAC{2, 0, 0, 0, 0, 1}
	macB = MAC{2, 0, 0, 0, 0, 2}
	ip4A = netip.MustParseAddr("10.0.0.1")
	ip4B = netip.MustParseAddr("10.0.0.2")
	ip6A = netip.MustParseAddr("2001:db8::1")
	ip6B = netip.MustParseAddr("2001:db8::2")
	ll6A = netip.MustParseAddr("fe80::ff:fe00:1")
	all6 = netip.MustParseAddr("ff02::1")
)

// A sample is a frame that this package wrote.
type sample struct {
	name  string
	frame []byte
}

// must gives the bytes of an Append that has no error.
func must(t testing.TB) func(b []byte, err error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// eth puts a payload into an Ethernet II frame, filled up to the shortest.
func eth(t testing.TB, kind EtherType, payload []byte) []byte {
	h := Ethernet{Dst: macB, Src: macA, Type: kind, Payload: payload}
	return PadEthernet(must(t)(h.Append(nil)), 0)
}

// v4 and v6 put a payload into a packet and that into a frame.
func v4(t testing.TB, p Protocol, payload []byte) []byte {
	h := IPv4{TTL: 64, ID: 1, Flags: DontFragment, Protocol: p, Src: ip4A, Dst: ip4B, Payload: payload}
	return eth(t, EtherTypeIPv4, must(t)(h.Append(nil)))
}

func v6(t testing.TB, p Protocol, src, dst netip.Addr, payload []byte) []byte {
	h := IPv6{HopLimit: 255, Next: p, Protocol: p, Src: src, Dst: dst, Payload: payload}
	return eth(t, EtherTypeIPv6, must(t)(h.Append(nil)))
}

func samples(t testing.TB) (all []sample) {
	add := func(name string, frame []byte) { all = append(all, sample{name, frame}) }
	linkSamples(t, add)
	ipSamples(t, add)
	icmpSamples(t, add)
	ndpSamples(t, add)
	tcpSamples(t, add)
	dnsSamples(t, add)
	dhcpSamples(t, add)
	return all
}

func linkSamples(t testing.TB, add func(string, []byte)) {
	arp := func(kind EtherType, h ARP) []byte { return eth(t, kind, must(t)(h.Append(nil))) }
	none := netip.IPv4Unspecified()
	add("arp request", arp(EtherTypeARP, ARP{ARPRequest, macA, ip4A, MAC{}, ip4B}))
	add("arp request to a known address", arp(EtherTypeARP, ARP{ARPRequest, macA, ip4A, macB, ip4B}))
	add("arp probe", arp(EtherTypeARP, ARP{ARPRequest, macA, none, MAC{}, ip4B}))
	add("arp announcement", arp(EtherTypeARP, ARP{ARPRequest, macA, ip4A, MAC{}, ip4A}))
	add("arp reply", arp(EtherTypeARP, ARP{ARPReply, macB, ip4B, macA, ip4A}))
	add("rarp request", arp(EtherTypeRARP, ARP{RARPRequest, macA, none, macA, none}))
	add("rarp reply", arp(EtherTypeRARP, ARP{RARPReply, macB, ip4B, macA, ip4A}))

	tag := VLAN{Priority: 5, ID: 7, Type: EtherTypeARP}
	tag.Payload = must(t)((&ARP{ARPRequest, macA, ip4A, MAC{}, ip4B}).Append(nil))
	add("vlan", eth(t, EtherTypeVLAN, must(t)(tag.Append(nil))))
	outer := VLAN{ID: 100, DropEligible: true, Type: EtherTypeVLAN, Payload: must(t)(tag.Append(nil))}
	add("vlan in vlan", eth(t, EtherTypeQinQ, must(t)(outer.Append(nil))))

	stp := func(h BPDU) []byte {
		llc := LLC{SAPSpanningTree, SAPSpanningTree, ControlUnnumber, must(t)(h.Append(nil))}
		return PadEthernet(must(t)((&Ethernet{Dst: SpanningTreeGroup, Src: macA,
			Payload: must(t)(llc.Append(nil))}).Append(nil)), 0)
	}
	root, me := BridgeID{0x1000, macB}, BridgeID{0x8000, macA}
	config := BPDU{Root: root, RootCost: 4, Bridge: me, Port: 0x8001, Age: time.Second, MaxAge: 20 * time.Second,
		Hello: 2 * time.Second, Delay: 15 * time.Second}
	add("stp config", stp(config))
	config.Flags = BPDUTopologyChange | BPDUTopologyAck
	add("stp config with flags", stp(config))
	add("stp topology change", stp(BPDU{Type: BPDUTopology}))
	config.Version, config.Type, config.Flags = 2, BPDURapid, BPDUProposal|BPDULearning|BPDUForwarding|BPDURole
	add("rapid stp", stp(config))
}

func ipSamples(t testing.TB, add func(string, []byte)) {
	udp := func(src, dst netip.Addr, n int) []byte {
		h := UDP{SrcPort: 40000, DstPort: 7777, Payload: bytes.Repeat([]byte("x"), n)}
		return must(t)(h.Append(nil, src, dst))
	}
	add("udp", v4(t, ProtoUDP, udp(ip4A, ip4B, 5)))
	add("udp empty", v4(t, ProtoUDP, udp(ip4A, ip4B, 0)))
	add("udp full", v4(t, ProtoUDP, udp(ip4A, ip4B, 1472)))
	none := UDP{SrcPort: 40000, DstPort: 7777, NoChecksum: true, Payload: []byte("hello")}
	add("udp without a checksum", v4(t, ProtoUDP, must(t)(none.Append(nil, ip4A, ip4B))))
	add("udp over v6", v6(t, ProtoUDP, ip6A, ip6B, udp(ip6A, ip6B, 5)))

	h := IPv4{TTL: 1, TOS: 0xb9, ID: 0xbeef, Protocol: ProtoUDP, Src: ip4A, Dst: ip4B, Payload: udp(ip4A, ip4B, 3)}
	alert, _ := AppendIPv4Option(nil, IPv4OptRouterAlert, 0, 0)
	h.Options, _ = AppendIPv4Option(alert, IPv4OptRecordRoute, 4, 0, 0, 0, 0)
	h.Options = PadOptions(h.Options)
	add("options", eth(t, EtherTypeIPv4, must(t)(h.Append(nil))))

	whole := udp(ip4A, ip4B, 2000)
	first := IPv4{TTL: 64, ID: 9, Flags: MoreFragments, Protocol: ProtoUDP, Src: ip4A, Dst: ip4B, Payload: whole[:1480]}
	add("first fragment", eth(t, EtherTypeIPv4, must(t)(first.Append(nil))))
	last := IPv4{TTL: 64, ID: 9, Offset: 1480, Protocol: ProtoUDP, Src: ip4A, Dst: ip4B, Payload: whole[1480:]}
	add("last fragment", eth(t, EtherTypeIPv4, must(t)(last.Append(nil))))
	add("sctp", v4(t, 254, []byte("not known")))

	six := IPv6{TrafficClass: 0x2e, FlowLabel: 0xabcde, HopLimit: 3, Next: ProtoHopByHop, Protocol: ProtoUDP,
		Src: ip6A, Dst: ip6B}
	option, _ := AppendIPv6Option(nil, IPv6OptRouterAlert, 0, 0)
	six.Extensions = must(t)(AppendExtension(nil, ProtoDestOpts, option))
	six.Extensions = must(t)(AppendExtension(six.Extensions, ProtoUDP, nil))
	six.Payload = udp(ip6A, ip6B, 4)
	add("v6 options", eth(t, EtherTypeIPv6, must(t)(six.Append(nil))))
	whole = udp(ip6A, ip6B, 2000)
	six = IPv6{HopLimit: 64, Next: ProtoFragment, Protocol: ProtoUDP, Src: ip6A, Dst: ip6B, Payload: whole[:1448]}
	six.Fragment = IPv6Fragment{Present: true, More: true, ID: 77}
	six.Extensions = must(t)(AppendFragment(nil, ProtoUDP, six.Fragment))
	add("v6 first fragment", eth(t, EtherTypeIPv6, must(t)(six.Append(nil))))
	six.Fragment, six.Payload = IPv6Fragment{Present: true, Offset: 1448, ID: 77}, whole[1448:]
	six.Extensions = must(t)(AppendFragment(nil, ProtoUDP, six.Fragment))
	add("v6 last fragment", eth(t, EtherTypeIPv6, must(t)(six.Append(nil))))
	six.Fragment, six.Payload = IPv6Fragment{Present: true, ID: 78}, udp(ip6A, ip6B, 8)
	six.Extensions = must(t)(AppendFragment(nil, ProtoUDP, six.Fragment))
	add("v6 atomic fragment", eth(t, EtherTypeIPv6, must(t)(six.Append(nil))))
}

func icmpSamples(t testing.TB, add func(string, []byte)) {
	probe := UDP{SrcPort: 40000, DstPort: 33434, Payload: []byte("probe")}
	quoted := IPv4{TTL: 1, Protocol: ProtoUDP, Src: ip4B, Dst: ip4A, Payload: must(t)(probe.Append(nil, ip4B, ip4A))}
	quote := must(t)(quoted.Append(nil))
	four := func(name string, h ICMPv4) { add("icmp "+name, v4(t, ProtoICMPv4, must(t)(h.Append(nil)))) }
	four("echo", ICMPv4{Type: ICMPv4Echo, Rest: EchoRest(7, 1), Payload: make([]byte, 56)})
	four("echo reply", ICMPv4{Type: ICMPv4EchoReply, Rest: EchoRest(7, 1), Payload: make([]byte, 56)})
	for code := range uint8(7) {
		four("unreachable "+string('0'+rune(code)), ICMPv4{Type: ICMPv4Unreachable, Code: code, Rest: 1400, Payload: quote})
	}
	four("prohibited", ICMPv4{Type: ICMPv4Unreachable, Code: ICMPv4AdminProhibited, Payload: quote})
	four("redirect", ICMPv4{Type: ICMPv4Redirect, Code: ICMPv4RedirectHost, Rest: GatewayRest(ip4B), Payload: quote})
	four("redirect net", ICMPv4{Type: ICMPv4Redirect, Code: ICMPv4RedirectNet, Rest: GatewayRest(ip4B), Payload: quote})
	four("source quench", ICMPv4{Type: ICMPv4SourceQuench, Payload: quote})
	four("time exceeded", ICMPv4{Type: ICMPv4TimeExceeded, Payload: quote})
	four("reassembly", ICMPv4{Type: ICMPv4TimeExceeded, Code: ICMPv4ReassemblyExceeded, Payload: quote})
	four("parameter", ICMPv4{Type: ICMPv4Parameter, Rest: PointerRest(20), Payload: quote})
	four("router solicitation", ICMPv4{Type: ICMPv4RouterSolicit})

	quoted6 := IPv6{HopLimit: 1, Next: ProtoUDP, Protocol: ProtoUDP, Src: ip6B, Dst: ip6A}
	quoted6.Payload = must(t)(probe.Append(nil, ip6B, ip6A))
	quote = must(t)(quoted6.Append(nil))
	six := func(name string, h ICMPv6) {
		add("icmp6 "+name, v6(t, ProtoICMPv6, ip6A, ip6B, must(t)(h.Append(nil, ip6A, ip6B))))
	}
	six("echo", ICMPv6{Type: ICMPv6Echo, Rest: EchoRest(7, 1), Payload: make([]byte, 56)})
	six("echo reply", ICMPv6{Type: ICMPv6EchoReply, Rest: EchoRest(7, 1), Payload: make([]byte, 56)})
	for code := range uint8(5) {
		six("unreachable "+string('0'+rune(code)), ICMPv6{Type: ICMPv6Unreachable, Code: code, Payload: quote})
	}
	six("too big", ICMPv6{Type: ICMPv6PacketTooBig, Rest: 1280, Payload: quote})
	six("time exceeded", ICMPv6{Type: ICMPv6TimeExceeded, Payload: quote})
	six("reassembly", ICMPv6{Type: ICMPv6TimeExceeded, Code: ICMPv6ReassemblyExceeded, Payload: quote})
	for code := range uint8(3) {
		six("parameter "+string('0'+rune(code)), ICMPv6{Type: ICMPv6Parameter, Code: code, Rest: 40, Payload: quote})
	}
}

func ndpSamples(t testing.TB, add func(string, []byte)) {
	ndp := func(name string, src, dst netip.Addr, m interface {
		Append([]byte, netip.Addr, netip.Addr) ([]byte, error)
	}) {
		add("ndp "+name, v6(t, ProtoICMPv6, src, dst, must(t)(m.Append(nil, src, dst))))
	}
	source := AppendNDPLinkAddr(nil, NDPSourceAddr, macA)
	ndp("router solicitation", ll6A, all6, &RouterSolicitation{Options: source})
	options := AppendNDPMTU(source, 1500)
	prefix := NDPPrefix{netip.MustParsePrefix("2001:db8::/64"), true, true, 24 * time.Hour, Infinite}
	options, err := AppendNDPPrefix(options, prefix)
	if err == nil {
		options, err = AppendNDPServers(options, time.Hour, ip6A, ip6B)
	}
	if err != nil {
		t.Fatal(err)
	}
	ndp("router advertisement", ll6A, all6, &RouterAdvertisement{HopLimit: 64, Flags: RouterOtherConfig,
		Lifetime: 30 * time.Minute, Reachable: 30 * time.Second, Retrans: time.Second, Options: options})
	ndp("neighbor solicitation", ll6A, all6, &NeighborSolicitation{Target: ip6B, Options: source})
	ndp("duplicate address detection", netip.IPv6Unspecified(), all6, &NeighborSolicitation{Target: ip6B})
	ndp("neighbor advertisement", ll6A, all6, &NeighborAdvertisement{Flags: NeighborOverride | NeighborSolicited,
		Target: ip6A, Options: AppendNDPLinkAddr(nil, NDPTargetAddr, macA)})
	ndp("redirect", ll6A, ip6B, &NeighborRedirect{Target: ll6A, Destination: ip6A})
}

func tcpSamples(t testing.TB, add func(string, []byte)) {
	tcp := func(name string, h TCP) {
		h.SrcPort, h.DstPort = 40000, 7777
		add("tcp "+name, v4(t, ProtoTCP, must(t)(h.Append(nil, ip4A, ip4B))))
	}
	syn := TCPOptions{HasMSS: true, MSS: 1460, HasScale: true, Scale: 7, SACKPermitted: true, HasTimestamps: true,
		Value: 5}
	tcp("syn", TCP{Seq: 100, Flags: SYN, Window: 64240, Options: must(t)(syn.Append(nil))})
	tcp("syn ack", TCP{Seq: 1 << 31, Ack: 101, Flags: SYN | ACK, Window: 65160,
		Options: must(t)((&TCPOptions{HasMSS: true, MSS: 1460}).Append(nil))})
	stamps := must(t)((&TCPOptions{HasTimestamps: true, Value: 10, Echo: 9}).Append(nil))
	tcp("ack", TCP{Seq: 101, Ack: 7, Flags: ACK, Window: 502, Options: stamps})
	tcp("data", TCP{Seq: 101, Ack: 7, Flags: ACK | PSH, Window: 502, Options: stamps, Payload: []byte("hello, world")})
	tcp("data over the end of the sequence space", TCP{Seq: 0xfffffffe, Ack: 7, Flags: ACK, Window: 502,
		Payload: []byte("hello")})
	sack := TCPOptions{HasTimestamps: true, Value: 3, Echo: 4, SACKs: 3, SACK: [4]SACKBlock{{1, 2}, {3, 4}, {5, 6}}}
	tcp("sack", TCP{Seq: 1, Ack: 1, Flags: ACK, Window: 9, Options: must(t)(sack.Append(nil))})
	tcp("fin", TCP{Seq: 1, Ack: 1, Flags: FIN | ACK, Window: 9})
	tcp("reset", TCP{Seq: 1, Flags: RST})
	tcp("urgent", TCP{Seq: 1, Ack: 1, Flags: ACK | URG, Urgent: 3, Window: 9, Payload: []byte("!!!")})
	tcp("ecn", TCP{Seq: 1, Ack: 1, Flags: SYN | ECE | CWR, Window: 9})
	tcp("no flags", TCP{Seq: 1, Ack: 1, Window: 9})
	tcp("unknown option", TCP{Flags: ACK, Options: []byte{200, 4, 1, 2, 1, 0, 0, 0}})
	six := TCP{SrcPort: 40000, DstPort: 7777, Flags: SYN, Options: must(t)(syn.Append(nil))}
	add("tcp syn over v6", v6(t, ProtoTCP, ip6A, ip6B, must(t)(six.Append(nil, ip6A, ip6B))))
	full := TCP{SrcPort: 40000, DstPort: 7777, Flags: ACK, Options: stamps, Payload: bytes.Repeat([]byte("y"), 1448)}
	add("tcp full", v4(t, ProtoTCP, must(t)(full.Append(nil, ip4A, ip4B))))
}

func dnsSamples(t testing.TB, add func(string, []byte)) {
	message := func(name string, flags DNSFlags, write func(b *DNSBuilder)) {
		b := NewDNSBuilder(nil, 1, flags)
		write(&b)
		h := UDP{SrcPort: 40000, DstPort: DNSPort, Payload: must(t)(b.Finish())}
		add("dns "+name, v4(t, ProtoUDP, must(t)(h.Append(nil, ip4A, ip4B))))
	}
	const answer = DNSResponse | DNSRecursionDesired | DNSRecursionAvailable
	ask := func(b *DNSBuilder, name string, kind DNSType) { b.Question(name, kind, DNSInternet) }
	message("query", DNSRecursionDesired, func(b *DNSBuilder) { ask(b, "example.com", DNSA) })
	message("query with edns", DNSRecursionDesired, func(b *DNSBuilder) {
		ask(b, "example.com", DNSAAAA)
		b.Raw(DNSAdditionals, ".", DNSOPT, 1232, 0, nil)
	})
	message("addresses", answer, func(b *DNSBuilder) {
		ask(b, "www.example.com", DNSA)
		b.Target(DNSAnswers, "www.example.com", DNSCNAME, 60, "example.com")
		b.Addr(DNSAnswers, "example.com", 300, ip4A)
		b.Addr(DNSAnswers, "example.com", 300, ip6A)
		b.Target(DNSAuthorities, "example.com", DNSNS, 300, "ns.example.com")
		b.Addr(DNSAdditionals, "ns.example.com", 300, ip4B)
	})
	message("name of an address", answer|DNSAuthoritative, func(b *DNSBuilder) {
		ask(b, "1.0.0.10.in-addr.arpa", DNSPTR)
		b.Target(DNSAnswers, "1.0.0.10.in-addr.arpa", DNSPTR, 60, "a.example.com")
	})
	message("no such name", DNSResponse|DNSFlags(DNSNXDomain)|DNSTruncated|DNSAuthentic, func(b *DNSBuilder) {
		ask(b, "nowhere.example.com", DNSA)
		soa := []byte("\x02ns\x07example\x03com\x00\x04root\x07example\x03com\x00" + string(make([]byte, dnsSOALen)))
		b.Raw(DNSAuthorities, "example.com", DNSSOA, DNSInternet, 60, soa)
	})
	message("mail", answer, func(b *DNSBuilder) {
		ask(b, "example.com", DNSMX)
		b.Raw(DNSAnswers, "example.com", DNSMX, DNSInternet, 60, []byte("\x00\x0a\x02mx\x07example\x03com\x00"))
		b.Raw(DNSAnswers, "example.com", DNSTXT, DNSInternet, 60, []byte("\x05hello\x05world"))
	})
}

func dhcpSamples(t testing.TB, add func(string, []byte)) {
	message := func(name string, h DHCPv4, src, dst uint16) {
		h.SetMAC(macA)
		u := UDP{SrcPort: src, DstPort: dst, Payload: PadDHCP(must(t)(h.Append(nil)), 0)}
		add("dhcp "+name, v4(t, ProtoUDP, must(t)(u.Append(nil, ip4A, ip4B))))
	}
	ask := AppendDHCPKind(nil, DHCPDiscover)
	ask, _ = AppendDHCPOption(ask, DHCPParameters, DHCPSubnetMask, DHCPRouters, DHCPNameServers)
	message("discover", DHCPv4{XID: 0xcafe, Flags: dhcpBroadcast, Options: ask}, DHCPClientPort, DHCPServerPort)
	give := AppendDHCPSeconds(AppendDHCPKind(nil, DHCPOffer), DHCPLeaseTime, time.Hour)
	give, err := AppendDHCPAddrs(give, DHCPServerID, ip4B)
	if err == nil {
		give, err = AppendDHCPAddrs(give, DHCPNameServers, ip4A, ip4B)
	}
	if err != nil {
		t.Fatal(err)
	}
	message("offer", DHCPv4{Reply: true, XID: 0xcafe, YIAddr: ip4A, Options: give}, DHCPServerPort, DHCPClientPort)
}
