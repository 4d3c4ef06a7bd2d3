package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// readPcap reads the frames of a file that tcpdump wrote on a little-endian machine.
func readPcap(t testing.TB, name string) (frames [][]byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if le.Uint32(b) != 0xa1b2c3d4 {
		t.Fatalf("%s is no pcap file", name)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(le.Uint32(b[8:]))
		frames = append(frames, b[16:16+n])
		b = b[16+n:]
	}
	return frames
}

func readLines(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// TestLinux reads what a Linux kernel (6.18) sent between two of its namespaces: a bridge's BPDUs, ARP, neighbor
// discovery, TCP, UDP in fragments, ICMP errors, a query of glibc's resolver. Every frame is read to its end, every
// checksum is right, every format is emitted as it was, and the line is the one that tcpdump 4.99.3 wrote.
func TestLinux(t *testing.T) {
	want := readLines(t, "testdata/linux.txt")
	frames := readPcap(t, "testdata/linux.pcap")
	if len(frames) != len(want) || len(frames) < 70 {
		t.Fatalf("%d frames and %d lines", len(frames), len(want))
	}
	var seen Layers
	for i, f := range frames {
		var p Packet
		if err := p.Parse(f); err != nil {
			t.Errorf("%s\n %x: %v", want[i], f, err)
			continue
		}
		seen |= p.Layers
		if got := p.String(); got != want[i] {
			t.Errorf("the line is\n %s, want\n %s", got, want[i])
		}
		verifyPacket(t, &p)
		if out := emitPacket(t, &p); !bytes.Equal(out, f) {
			t.Errorf("%s\n was     %x\n emitted %x", want[i], f, out)
		}
	}
	all := HasEthernet | HasLLC | HasBPDU | HasARP | HasIPv4 | HasIPv6 | HasICMPv4 | HasICMPv6 | HasUDP | HasTCP | HasDNS
	if seen != all {
		t.Errorf("the frames have the formats %b, want %b", seen, all)
	}
}

// verifyPacket holds that all checksums of a packet are right.
func verifyPacket(t *testing.T, p *Packet) {
	t.Helper()
	var err error
	check := func(e error) {
		if err == nil {
			err = e
		}
	}
	src, dst := packetAddrs(p)
	body := ipPayload(p)
	if p.Layers&HasIPv4 != 0 {
		check(p.IPv4.Verify(p.Ethernet.Payload))
	}
	switch {
	case p.Layers&HasTCP != 0:
		check(p.TCP.Verify(body, src, dst))
	case p.Layers&HasUDP != 0:
		check(p.UDP.Verify(body, src, dst))
	case p.Layers&HasICMPv4 != 0:
		check(p.ICMPv4.Verify(body))
	case p.Layers&HasICMPv6 != 0:
		check(p.ICMPv6.Verify(body, src, dst))
	}
	if err != nil {
		t.Errorf("%s: %v", p, err)
	}
}

func packetAddrs(p *Packet) (src, dst netip.Addr) {
	if p.Layers&HasIPv6 != 0 {
		return p.IPv6.Src, p.IPv6.Dst
	}
	return p.IPv4.Src, p.IPv4.Dst
}

// emitPacket writes a packet from its formats, the innermost first. What is behind an IP packet is put back.
func emitPacket(t *testing.T, p *Packet) []byte {
	t.Helper()
	src, dst := packetAddrs(p)
	body := p.Payload
	var err error
	emit := func(has Layers, write func() ([]byte, error)) {
		if p.Layers&has == 0 || err != nil {
			return
		}
		if body, err = write(); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if p.Layers&HasDNS != 0 {
		body = p.UDP.Payload // DNS may be compressed otherwise: FuzzDNS
	}
	emit(HasBPDU, func() ([]byte, error) { return p.BPDU.Append(nil) })
	emit(HasLLC, func() ([]byte, error) { p.LLC.Payload = body; return p.LLC.Append(nil) })
	emit(HasARP, func() ([]byte, error) { b, err := p.ARP.Append(nil); return append(b, body...), err })
	emit(HasDHCPv4, func() ([]byte, error) { return p.DHCPv4.Append(nil) })
	emit(HasUDP, func() ([]byte, error) { p.UDP.Payload = body; return p.UDP.Append(nil, src, dst) })
	emit(HasTCP, func() ([]byte, error) { p.TCP.Payload = body; return p.TCP.Append(nil, src, dst) })
	emit(HasICMPv4, func() ([]byte, error) { p.ICMPv4.Payload = body; return p.ICMPv4.Append(nil) })
	emit(HasICMPv6, func() ([]byte, error) { p.ICMPv6.Payload = body; return p.ICMPv6.Append(nil, src, dst) })
	ip := p.Layers&(HasIPv4|HasIPv6) != 0
	emit(HasIPv4, func() ([]byte, error) { p.IPv4.Payload = body; return p.IPv4.Append(nil) })
	emit(HasIPv6, func() ([]byte, error) { p.IPv6.Payload = body; return p.IPv6.Append(nil) })
	outer := p.Ethernet.Payload
	if p.Layers&HasVLAN2 != 0 {
		outer = p.VLAN2.Payload
	} else if p.Layers&HasVLAN != 0 {
		outer = p.VLAN.Payload
	}
	if ip {
		body = append(body, outer[len(body):]...)
	}
	emit(HasVLAN2, func() ([]byte, error) { p.VLAN2.Payload = body; return p.VLAN2.Append(nil) })
	emit(HasVLAN, func() ([]byte, error) { p.VLAN.Payload = body; return p.VLAN.Append(nil) })
	emit(HasEthernet, func() ([]byte, error) { p.Ethernet.Payload = body; return p.Ethernet.Append(nil) })
	return body
}

// TestLines holds the lines of this package's own frames against those that tcpdump 4.99.3 wrote for them.
func TestLines(t *testing.T) {
	all, want := samples(t), readLines(t, "testdata/samples.txt")
	if len(all) != len(want) {
		t.Fatalf("%d frames and %d lines", len(all), len(want))
	}
	for i, s := range all {
		var p Packet
		if err := p.Parse(s.frame); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if got := p.String(); got != want[i] {
			t.Errorf("%s:\n got  %s\n want %s", s.name, got, want[i])
		}
		verifyPacket(t, &p)
		if out := emitPacket(t, &p); !bytes.Equal(out, s.frame) {
			t.Errorf("%s:\n was     %x\n emitted %x", s.name, s.frame, out)
		}
	}
}

// TestStrings holds the lines of the formats on their own, where they are not a part of a packet's.
func TestStrings(t *testing.T) {
	var p Packet
	frame := func(name string) *Packet {
		for _, s := range samples(t) {
			if s.name == name {
				if err := p.Parse(s.frame); err != nil {
					t.Fatal(err)
				}
				return &p
			}
		}
		t.Fatalf("there is no sample %q", name)
		return nil
	}
	var ns NeighborSolicitation
	var ra RouterAdvertisement
	for _, row := range []struct{ name, got, want string }{
		{"TCP", frame("tcp fin").TCP.String(), "40000 > 7777: Flags [F.], seq 1, ack 1, win 9, length 0"},
		{"UDP", frame("udp").UDP.String(), "40000 > 7777: UDP, length 5"},
		{"ARP", frame("arp request").ARP.String(), "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28"},
		{"DNS", frame("dns query").DNS.String(), "1+ A? example.com. (29)"},
		{"DHCP", frame("dhcp discover").DHCPv4.String(), "BOOTP/DHCP, Request from 02:00:00:00:00:01, length 300"},
		{"kind", frame("dhcp discover").DHCPv4.Kind().String(), "DISCOVER"},
		{"BPDU", frame("stp config").BPDU.String(),
			"STP 802.1d, Config, Flags [none], bridge-id 8000.02:00:00:00:00:01.8001, length 35"},
		{"neighbor", parsed(t, &ns, frame("ndp neighbor solicitation")),
			"ICMP6, neighbor solicitation, who has 2001:db8::2, length 32"},
		{"router", parsed(t, &ra, frame("ndp router advertisement")), "ICMP6, router advertisement, length 104"},
		{"flags", (SYN | ACK).String(), "S."},
		{"no flags", TCPFlags(0).String(), "none"},
		{"type", EtherTypeIPv6.String(), "IPv6 (0x86dd)"},
		{"MAC", macA.String(), "02:00:00:00:00:01"},
		{"nothing", new(Packet).String(), "no frame, length 0"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, row.got, row.want)
		}
	}
}

func parsed(t *testing.T, m ndpMessage, p *Packet) string {
	t.Helper()
	if err := m.Parse(p.IPv6.Payload); err != nil {
		t.Fatal(err)
	}
	return m.String()
}
