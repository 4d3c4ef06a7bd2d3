package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// raw reads hexadecimal digits; blanks and line ends do not count.
func raw(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestChecksumRFC1071 is the numerical example of RFC 1071, section 3.
func TestChecksumRFC1071(t *testing.T) {
	b := raw(t, "0001 f203 f4f5 f6f7")
	if got := Sum(0).Bytes(b); got != 0xddf2 {
		t.Errorf("the sum of %x is %x, want ddf2", b, got)
	}
	if got := Checksum(b); got != 0x220d {
		t.Errorf("the checksum of %x is %x, want 220d", b, got)
	}
}

// TestUpdateChecksumRFC1624 is the example of RFC 1624, section 4, with which RFC 1141's equation goes wrong.
func TestUpdateChecksumRFC1624(t *testing.T) {
	if got := UpdateChecksum(0xdd2f, 0x5555, 0x3285); got != 0 {
		t.Errorf("UpdateChecksum = %04x, want 0000", got)
	}
}

// slowSum is the definition: words added one after the other, the carry at once.
func slowSum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// TestChecksumLengths holds the fast sum against the definition at every length and alignment, with bytes that carry.
func TestChecksumLengths(t *testing.T) {
	b := make([]byte, 300)
	for fill := range 3 {
		for i := range b {
			b[i] = [...]byte{0xff, byte(i * 7), byte(i * i)}[fill]
		}
		for from := range 9 {
			for to := from; to < len(b); to++ {
				if got, want := Checksum(b[from:to]), slowSum(b[from:to]); got != want {
					t.Fatalf("fill %d, bytes %d to %d: got %04x, want %04x", fill, from, to, got, want)
				}
			}
		}
	}
}

// TestSumBlocks holds the two ways in which whole blocks are summed against each other.
func TestSumBlocks(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this processor has one way alone")
	}
	b := make([]byte, 9000+1)
	for fill := range 3 {
		for i := range b {
			b[i] = [...]byte{0xff, byte(i * 7), byte(i * i)}[fill]
		}
		for from := range 2 {
			for n := 1; from+n*block <= len(b); n++ {
				if fast, slow := fold(sumAVX2(&b[from], n)), fold(sumBlocks(b[from:from+n*block])); fast != slow {
					t.Fatalf("fill %d, %d blocks from %d on: %04x, want %04x", fill, n, from, fast, slow)
				}
			}
		}
	}
}

// TestIPv4RFC791 is the first example of RFC 791, appendix A: a minimal internet datagram.
func TestIPv4RFC791(t *testing.T) {
	h := IPv4{ID: 111, TTL: 123, Protocol: 1, Src: ip4A, Dst: ip4B, Payload: []byte{7}}
	b := must(t)(h.Append(nil))
	want := raw(t, "45 00 0015 006f 0000 7b 01")
	if !bytes.Equal(b[:10], want) || len(b) != 21 || b[20] != 7 {
		t.Errorf("got %x, want it to begin with %x", b, want)
	}
}

// TestIPv4Header is a header that is often shown, with its checksum b861.
func TestIPv4Header(t *testing.T) {
	b := append(raw(t, "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7"), make([]byte, 95)...)
	var h IPv4
	if err := h.Parse(b); err != nil {
		t.Fatal(err)
	}
	if err := h.Verify(b); err != nil {
		t.Error(err)
	}
	if h.Flags != DontFragment || h.TTL != 64 || h.Protocol != ProtoUDP || h.Src != netip.MustParseAddr("192.168.0.1") ||
		h.Dst != netip.MustParseAddr("192.168.0.199") || len(h.Payload) != 95 {
		t.Errorf("got %v", &h)
	}
	b[8]--
	if err := h.Verify(b); err == nil ||
		err.Error() != "wire: IPv4: checksum at byte 10: wrong checksum 0xb861, 0xb961 is right" {
		t.Errorf("after a change Verify = %v", err)
	}
}

// TestARPRFC826 has the fields where RFC 826, "Packet format", has them.
func TestARPRFC826(t *testing.T) {
	b := raw(t, "0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")
	h := ARP{ARPRequest, macA, ip4A, MAC{}, ip4B}
	if got := must(t)(h.Append(nil)); !bytes.Equal(got, b) {
		t.Errorf("got %x, want %x", got, b)
	}
}

// TestTCPRFC9293 has the fields and the control bits where RFC 9293, section 3.1, has them.
func TestTCPRFC9293(t *testing.T) {
	for i, f := range []TCPFlags{FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE} {
		if f != 1<<i {
			t.Errorf("bit %d is %v", i, f)
		}
	}
	h := TCP{SrcPort: 0x1234, DstPort: 0x5678, Seq: 0x01020304, Ack: 0x05060708, Flags: SYN | ACK, Window: 0x9abc,
		Urgent:  0xdef0,
		Options: []byte{2, 4, 5, 0xb4}}
	b := must(t)(h.Append(nil, ip4A, ip4B))
	want := raw(t, "1234 5678 01020304 05060708 6012 9abc 0000 def0 020405b4")
	copy(want[16:], b[16:18])
	if !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
}

// TestTCPOptionsRFC7323 has the options of a SYN in the layout that RFC 7323, appendix A, suggests, and a segment's
// timestamps behind two NOPs.
func TestTCPOptionsRFC7323(t *testing.T) {
	for _, row := range []struct {
		name string
		o    TCPOptions
		want string
	}{
		{"mss", TCPOptions{HasMSS: true, MSS: 1460}, "020405b4"},
		{"scale", TCPOptions{HasScale: true, Scale: 7}, "01030307"},
		{"sack permitted", TCPOptions{SACKPermitted: true}, "01010402"},
		{"timestamps", TCPOptions{HasTimestamps: true, Value: 1, Echo: 2}, "0101080a 00000001 00000002"},
		{"syn", TCPOptions{HasMSS: true, MSS: 1460, HasScale: true, Scale: 7, SACKPermitted: true, HasTimestamps: true,
			Value: 1},
			"020405b4 0402080a 00000001 00000000 01030307"},
		{"sack", TCPOptions{SACKs: 1, SACK: [4]SACKBlock{{1, 2}}}, "0101050a 00000001 00000002"},
		{"three blocks with timestamps fill the header", TCPOptions{HasTimestamps: true, SACKs: 3},
			"0101080a 0000000000000000 0101051a" + strings.Repeat("00", 24)},
	} {
		got, err := row.o.Append(nil)
		if want := raw(t, row.want); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v, want %x", row.name, got, err, want)
		}
	}
	tooMuch := TCPOptions{HasTimestamps: true, SACKs: 4}
	if got, err := tooMuch.Append([]byte{1}); err == nil || len(got) != 1 {
		t.Errorf("four blocks with timestamps: %x, %v", got, err)
	}
}

// TestDNSRFC1035 is the example of RFC 1035, section 4.1.4: F.ISI.ARPA, FOO.F.ISI.ARPA, ARPA and the root, compressed.
func TestDNSRFC1035(t *testing.T) {
	d := NewDNSBuilder(nil, 0, 0)
	for _, name := range []string{"F.ISI.ARPA", "FOO.F.ISI.ARPA", "ARPA", "."} {
		d.Question(name, DNSA, DNSInternet)
	}
	b := must(t)(d.Finish())
	const kind = " 0001 0001 "
	want := raw(t, "0000 0000 0004 0000 0000 0000 01 46 03 495349 04 41525041 00"+kind+
		"03 464f4f c00c"+kind+"c012"+kind+"00"+kind)
	if !bytes.Equal(b, want) {
		t.Errorf("got  %x\nwant %x", b, want)
	}
	var m DNS
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	if got := m.String(); got != "0 [4q] A? F.ISI.ARPA. A? FOO.F.ISI.ARPA. A? ARPA. A? . (49)" {
		t.Errorf("got %s", got)
	}
	if q, ok := m.Question(); !ok || !q.Name.Is("f.isi.arpa") || q.Name.Is("f.isi") || q.Name.Is("g.isi.arpa") {
		t.Errorf("the first question is %v", q.Name)
	}
}

// TestBPDU8021D has a configuration where IEEE 802.1D-2004, figure 9-1, has it.
func TestBPDU8021D(t *testing.T) {
	b := raw(t, "0000 00 00 01 1000020000000002 00000004 8000020000000001 8001 0100 1400 0200 0f00")
	var h BPDU
	if err := h.Parse(b); err != nil {
		t.Fatal(err)
	}
	want := BPDU{Flags: BPDUTopologyChange, Root: BridgeID{0x1000, macB}, RootCost: 4, Bridge: BridgeID{0x8000, macA},
		Port: 0x8001, Age: time.Second, MaxAge: 20 * time.Second, Hello: 2 * time.Second, Delay: 15 * time.Second}
	if h.String() != want.String() || h.Root != want.Root || h.RootCost != 4 || h.MaxAge != want.MaxAge ||
		h.Delay != want.Delay {
		t.Errorf("got %+v", h)
	}
	if !h.Root.Less(h.Bridge) || h.Bridge.Less(h.Root) || h.Root.Less(h.Root) {
		t.Error("the lower identifier wins, and only that")
	}
}

// TestNDPOptions reads what the Append functions wrote.
func TestNDPOptions(t *testing.T) {
	prefix := NDPPrefix{netip.MustParsePrefix("2001:db8:1::/48"), true, false, Infinite, time.Hour}
	o, err := AppendNDPPrefix(AppendNDPMTU(AppendNDPLinkAddr(nil, NDPTargetAddr, macB), 1280), prefix)
	if err == nil {
		o, err = AppendNDPServers(o, time.Minute, ip6A, ip6B)
	}
	if err != nil {
		t.Fatal(err)
	}
	var seen int
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		seen++
		if m, ok := opt.LinkAddr(); ok && m != macB {
			t.Errorf("link address %v", m)
		}
		if mtu, ok := opt.MTU(); ok && mtu != 1280 {
			t.Errorf("MTU %d", mtu)
		}
		if p, ok := opt.Prefix(); ok && p != prefix {
			t.Errorf("prefix %v, want %v", p, prefix)
		}
		if s, d, ok := opt.Servers(nil); ok && (len(s) != 2 || s[0] != ip6A || s[1] != ip6B || d != time.Minute) {
			t.Errorf("servers %v for %v", s, d)
		}
	}
	if seen != 4 {
		t.Errorf("%d options, want 4", seen)
	}
}

// TestDHCPOverload finds options in the fields File and ServerName, in the order of RFC 2131, section 4.1.
func TestDHCPOverload(t *testing.T) {
	o := append(AppendDHCPKind(nil, DHCPOffer), DHCPOverload, 1, 3)
	h := DHCPv4{Reply: true, Options: o, File: []byte{DHCPSubnetMask, 4, 255, 255, 255, 0, DHCPEnd},
		ServerName: []byte{DHCPSubnetMask, 4, 255, 0, 0, 0, DHCPRouters, 4, 10, 0, 0, 1, DHCPEnd}}
	b := must(t)(h.Append(nil))
	var back DHCPv4
	if err := back.Parse(b); err != nil {
		t.Fatal(err)
	}
	if a, ok := back.Addr(DHCPSubnetMask); !ok || a != netip.MustParseAddr("255.255.255.0") {
		t.Errorf("mask %v, %v", a, ok)
	}
	if a, ok := back.Addr(DHCPRouters); !ok || a != ip4A {
		t.Errorf("router %v, %v", a, ok)
	}
	if back.Kind() != DHCPOffer {
		t.Errorf("kind %v", back.Kind())
	}
}
