package wire

import (
	"bytes"
	"errors"
	"testing"
)

// frameOf is the frame of the sample with this name, to be changed.
func frameOf(t testing.TB, name string) []byte {
	t.Helper()
	for _, s := range samples(t) {
		if s.name == name {
			return bytes.Clone(s.frame)
		}
	}
	t.Fatalf("there is no sample %q", name)
	return nil
}

// Where the headers begin in the frames of refusals.
const (
	atIPv4, atIPv6 = EthernetLen, EthernetLen
	atUDP, atTCP   = atIPv4 + IPv4MinLen, atIPv4 + IPv4MinLen
	atMessage      = atUDP + UDPLen
)

// refusals are lies in packets, one a row: what is set where in a good frame, and the error, whose offset is in the
// frame.
var refusals = []struct {
	name   string
	sample string
	at     int
	set    []byte
	kind   error
	format string
	field  string
	offset int
}{
	{"802.3 length behind the end", "stp config", 12, []byte{5, 0xdc}, ErrLength, "Ethernet", "length", 12},
	{"neither type nor length", "udp", 12, []byte{5, 0xdd}, ErrValue, "Ethernet", "type", 12},
	{"tag with neither", "vlan", 16, []byte{5, 0xff}, ErrValue, "VLAN", "type", 16},
	{"LLC of a numbered frame", "stp config", 16, []byte{0}, ErrUnsupported, "LLC", "control", 16},
	{"STP protocol", "stp config", 17, []byte{1}, ErrValue, "STP", "protocol", 17},
	{"STP type", "stp config", 20, []byte{9}, ErrUnsupported, "STP", "type", 20},
	{"rapid STP of version 0", "rapid stp", 19, []byte{0}, ErrValue, "STP", "version", 19},
	{"ARP hardware", "arp request", 14, []byte{0, 6}, ErrUnsupported, "ARP", "hardware type", 14},
	{"ARP protocol", "arp request", 16, []byte{0x86, 0xdd}, ErrUnsupported, "ARP", "protocol type", 16},
	{"ARP hardware length", "arp request", 18, []byte{8}, ErrLength, "ARP", "hardware length", 18},
	{"ARP protocol length", "arp request", 19, []byte{16}, ErrLength, "ARP", "protocol length", 19},
	{"ARP operation", "arp request", 20, []byte{0, 9}, ErrUnsupported, "ARP", "operation", 20},
	{"IPv4 version", "udp", atIPv4, []byte{0x55}, ErrValue, "IPv4", "version", atIPv4},
	{"IPv4 header too short", "udp", atIPv4, []byte{0x44}, ErrLength, "IPv4", "header length", atIPv4},
	{"IPv4 header behind the end", "arp request", 12, []byte{8, 0, 0x4f}, ErrLength, "IPv4", "header length", atIPv4},
	{"IPv4 total length behind the end", "udp", atIPv4 + 2, []byte{0xff, 0xff}, ErrLength, "IPv4", "total length",
		atIPv4 + 2},
	{"IPv4 total length below the header", "udp", atIPv4 + 2, []byte{0, 19}, ErrLength, "IPv4", "total length", atIPv4 +
		2},
	{"IPv4 option of length 0", "options", atIPv4 + 21, []byte{0}, ErrLength, "IPv4", "option", atIPv4 + 20},
	{"IPv4 option of length 1", "options", atIPv4 + 21, []byte{1}, ErrLength, "IPv4", "option", atIPv4 + 20},
	{"IPv4 option behind the header", "options", atIPv4 + 25, []byte{13}, ErrLength, "IPv4", "option", atIPv4 + 24},
	{"IPv4 option without a length", "options", atIPv4 + 20, []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7}, ErrTruncated,
		"IPv4",
		"option", atIPv4 + 31},
	{"fragment behind the largest packet", "last fragment", atIPv4 + 6, []byte{0x1f, 0xff}, ErrLength, "IPv4",
		"fragment offset", atIPv4 + 6},
	{"fragment that is no multiple of 8", "first fragment", atIPv4 + 2, []byte{5, 0xd9}, ErrLength, "IPv4",
		"total length", atIPv4 + 2},
	{"IPv6 version", "udp over v6", atIPv6, []byte{0x40}, ErrValue, "IPv6", "version", atIPv6},
	{"IPv6 length behind the end", "udp over v6", atIPv6 + 4, []byte{0, 14}, ErrLength, "IPv6", "payload length",
		atIPv6 + 4},
	{"IPv6 extension behind the end", "v6 options", atIPv6 + 41, []byte{9}, ErrLength, "IPv6", "extension header length",
		atIPv6 + 41},
	{"IPv6 extension cut off", "v6 options", atIPv6 + 4, []byte{0, 7}, ErrTruncated, "IPv6", "extension header",
		atIPv6 + 40},
	{"IPv6 option behind its header", "v6 options", atIPv6 + 43, []byte{5}, ErrLength, "IPv6", "option", atIPv6 + 42},
	{"IPv6 option without a length", "v6 options", atIPv6 + 43, []byte{3, 0, 0, 0, 5}, ErrTruncated, "IPv6", "option",
		atIPv6 + 47},
	{"hop-by-hop options that are not the first", "v6 options", atIPv6 + 40, []byte{0}, ErrValue, "IPv6", "next header",
		atIPv6 + 40},
	{"IPv6 fragment that is no multiple of 8", "v6 first fragment", atIPv6 + 4, []byte{5, 0xaf}, ErrLength, "IPv6",
		"payload length", atIPv6 + 4},
	{"IPv6 fragment behind the largest packet", "v6 last fragment", atIPv6 + 42, []byte{0xff, 0xf8}, ErrLength, "IPv6",
		"fragment offset", atIPv6 + 42},
	{"UDP length behind the end", "udp", atUDP + 4, []byte{0, 14}, ErrLength, "UDP", "length", atUDP + 4},
	{"UDP length below the header", "udp", atUDP + 4, []byte{0, 7}, ErrLength, "UDP", "length", atUDP + 4},
	{"UDP length 0 of a jumbogram", "udp", atUDP + 4, []byte{0, 0}, ErrLength, "UDP", "length", atUDP + 4},
	{"TCP header too short", "tcp syn", atTCP + 12, []byte{0x40}, ErrLength, "TCP", "data offset", atTCP + 12},
	{"TCP header behind the end", "tcp syn", atTCP + 12, []byte{0xf0}, ErrLength, "TCP", "data offset", atTCP + 12},
	{"TCP option of length 0", "tcp syn", atTCP + 21, []byte{0}, ErrLength, "TCP", "option", atTCP + 20},
	{"TCP option behind the header", "tcp syn", atTCP + 38, []byte{9}, ErrLength, "TCP", "option", atTCP + 37},
	{"DNS label behind the end", "dns query", atMessage + 12, []byte{63}, ErrLength, "DNS", "label", atMessage + 12},
	{"DNS pointer to itself", "dns query", atMessage + 12, []byte{0xc0, 12}, ErrValue, "DNS", "pointer", atMessage + 12},
	{"DNS pointer forwards", "dns query", atMessage + 12, []byte{0xc0, 20}, ErrValue, "DNS", "pointer", atMessage + 12},
	{"DNS pointer into the header", "dns query", atMessage + 12, []byte{0xc0, 2}, ErrValue, "DNS", "pointer",
		atMessage + 12},
	{"DNS label of a type of its own", "dns query", atMessage + 12, []byte{0x41}, ErrUnsupported, "DNS", "label type",
		atMessage +
			12},
	{"DNS more questions than there are", "dns query", atMessage + 4, []byte{0, 2}, ErrTruncated, "DNS", "name",
		atMessage + 29},
	{"DNS more answers than there are", "dns query", atMessage + 6, []byte{0xff, 0xff}, ErrTruncated, "DNS", "name",
		atMessage + 29},
	{"DHCP operation", "dhcp discover", atMessage, []byte{3}, ErrValue, "DHCP", "op", atMessage},
	{"DHCP address length", "dhcp discover", atMessage + 2, []byte{17}, ErrLength, "DHCP", "hardware address length",
		atMessage + 2},
	{"DHCP cookie", "dhcp discover", atMessage + 236, []byte{0}, ErrValue, "DHCP", "magic cookie", atMessage + 236},
	{"DHCP option behind the end", "dhcp discover", atMessage + 241, []byte{255}, ErrLength, "DHCP", "option length",
		atMessage +
			241},
	{"DHCP without an end", "dhcp discover", atMessage + 248, []byte{0}, ErrTruncated, "DHCP", "end option", atMessage +
		300},
}

// TestRefuse finds each of the lies, and says where it is.
func TestRefuse(t *testing.T) {
	for _, row := range refusals {
		t.Run(row.name, func(t *testing.T) {
			frame := frameOf(t, row.sample)
			copy(frame[row.at:], row.set)
			var p Packet
			err := p.Parse(frame)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, row.kind) || e.Format != row.format || e.Field != row.field ||
				e.Offset != row.offset {
				t.Errorf("%x:\n got  %v\n want %v in %s, %s at byte %d", frame, err, row.kind, row.format, row.field, row.offset)
			}
		})
	}
}

// TestRefuseNDP has messages that break RFC 4861, sections 6.1, 7.1 and 8.1.
func TestRefuseNDP(t *testing.T) {
	for _, row := range []struct {
		name   string
		sample string
		m      ndpMessage
		at     int
		set    byte
		field  string
		offset int
	}{
		{"type", "ndp router solicitation", &RouterSolicitation{}, 0, 134, "type", 0},
		{"code", "ndp router solicitation", &RouterSolicitation{}, 1, 1, "code", 1},
		{"option of length 0", "ndp router solicitation", &RouterSolicitation{}, 9, 0, "option length", 9},
		{"option behind the end", "ndp router advertisement", &RouterAdvertisement{}, 17, 99, "option length", 17},
		{"multicast target", "ndp neighbor solicitation", &NeighborSolicitation{}, 8, 0xff, "target", 8},
		{"multicast target advertised", "ndp neighbor advertisement", &NeighborAdvertisement{}, 8, 0xff, "target", 8},
		{"multicast destination", "ndp redirect", &NeighborRedirect{}, 24, 0xff, "destination", 24},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := frameOf(t, row.sample)[EthernetLen+IPv6Len:]
			if err := row.m.Parse(b); err != nil {
				t.Fatal(err)
			}
			b[row.at] = row.set
			err := row.m.Parse(b)
			var e *Error
			if !errors.As(err, &e) || e.Field != row.field || e.Offset != row.offset {
				t.Errorf("%x: got %v, want %s at byte %d", b, err, row.field, row.offset)
			}
		})
	}
}

// TestTruncated cuts every sample after each of its bytes. What is cut is found, unless it is padding.
func TestTruncated(t *testing.T) {
	for _, s := range samples(t) {
		var p, q Packet
		if err := p.Parse(s.frame); err != nil {
			t.Fatal(err)
		}
		end := p.Offset // behind the last header
		switch {
		case p.Layers&HasBPDU != 0:
			end = EthernetLen + len(p.Ethernet.Payload)
		case p.Layers&HasIPv4 != 0:
			end = EthernetLen + IPv4MinLen + len(p.IPv4.Options) + len(p.IPv4.Payload)
		case p.Layers&HasIPv6 != 0:
			end = EthernetLen + IPv6Len + len(p.IPv6.Extensions) + len(p.IPv6.Payload)
		}
		for n := range end {
			cut := bytes.Clone(s.frame[:n]) // so that a read behind the end is a panic
			err := q.Parse(cut)
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > n {
				t.Errorf("%s, cut to %d of %d bytes: %v", s.name, n, end, err)
			}
			_ = q.String()
		}
		if err := q.Parse(s.frame[:end]); err != nil {
			t.Errorf("%s, without its padding: %v", s.name, err)
		}
	}
}

// TestLimits has one more than each bound allows.
func TestLimits(t *testing.T) {
	var ext []byte
	for range MaxExtensions {
		ext = must(t)(AppendExtension(ext, ProtoDestOpts, nil))
	}
	h := IPv6{Next: ProtoDestOpts, Protocol: ProtoNoNext, Src: ip6A, Dst: ip6B, Extensions: ext}
	ext[len(ext)-8] = byte(ProtoNoNext)
	b := must(t)(h.Append(nil))
	if err := h.Parse(b); err != nil {
		t.Errorf("%d extensions: %v", MaxExtensions, err)
	}
	ext[len(ext)-8] = byte(ProtoDestOpts)
	h.Extensions = must(t)(AppendExtension(ext, ProtoNoNext, nil))
	if _, err := h.Append(nil); !errors.Is(err, ErrLimit) {
		t.Errorf("%d extensions to emit: %v", MaxExtensions+1, err)
	}
	b = append(b[:IPv6Len], h.Extensions...)
	be.PutUint16(b[4:], uint16(len(h.Extensions)))
	if err := h.Parse(b); !errors.Is(err, ErrLimit) {
		t.Errorf("%d extensions: %v", MaxExtensions+1, err)
	}

	// Names that are pointers to pointers: dnsMaxPointers of them are read, and one more is not.
	for n, want := range map[int]error{dnsMaxPointers: nil, dnsMaxPointers + 1: ErrLimit} {
		d := NewDNSBuilder(nil, 1, 0)
		d.Question("x", DNSA, DNSInternet)
		b := must(t)(d.Finish())
		be.PutUint16(b[4:], uint16(1+n))
		for at, i := DNSLen, 0; i < n; i++ {
			next := len(b)
			b = append(be.AppendUint16(b, dnsPointer<<8|uint16(at)), 0, 1, 0, 1)
			at = next
		}
		var m DNS
		if err := m.Parse(b); !errors.Is(err, want) {
			t.Errorf("a name of %d pointers: %v, want %v", n, err, want)
		}
	}
}

// zero has zero addresses.
var zero IPv4

// long is more than a packet holds.
var long = make([]byte, maxIP)

// cannot are values that a format cannot carry.
var cannot = []struct {
	name string
	emit func(b []byte) ([]byte, error)
	kind error
}{
	{"802.3 frame that is too long", (&Ethernet{Payload: make([]byte, 1501)}).Append, ErrLength},
	{"type that is none", (&Ethernet{Type: 1501}).Append, ErrValue},
	{"priority", (&VLAN{Priority: 8, Type: EtherTypeARP}).Append, ErrValue},
	{"VLAN", (&VLAN{ID: 4096, Type: EtherTypeARP}).Append, ErrValue},
	{"LLC control", (&LLC{}).Append, ErrUnsupported},
	{"ARP operation", (&ARP{SenderIP: ip4A, TargetIP: ip4B}).Append, ErrUnsupported},
	{"ARP address", (&ARP{Op: ARPRequest, SenderIP: ip4A, TargetIP: ip6B}).Append, ErrLength},
	{"IPv4 source", (&IPv4{Src: ip6A, Dst: ip4B}).Append, ErrLength},
	{"IPv4 destination", (&IPv4{Src: ip4A}).Append, ErrLength},
	{"IPv4 payload", (&IPv4{Src: ip4A, Dst: ip4B, Payload: long}).Append, ErrLength},
	{"IPv4 options", (&IPv4{Src: ip4A, Dst: ip4B, Options: make([]byte, 44)}).Append, ErrLength},
	{"IPv4 options that are odd", (&IPv4{Src: ip4A, Dst: ip4B, Options: make([]byte, 3)}).Append, ErrLength},
	{"IPv4 options that lie", (&IPv4{Src: ip4A, Dst: ip4B, Options: []byte{7, 9, 0, 0}}).Append, ErrLength},
	{"IPv4 flags", (&IPv4{Src: ip4A, Dst: ip4B, Flags: 8}).Append, ErrValue},
	{"IPv4 fragment offset", (&IPv4{Src: ip4A, Dst: ip4B, Offset: 4}).Append, ErrLength},
	{"IPv4 fragment too far", (&IPv4{Src: ip4A, Dst: ip4B, Offset: 65528}).Append, ErrLength},
	{"IPv4 fragment of odd size", (&IPv4{Src: ip4A, Dst: ip4B, Flags: MoreFragments, Payload: long[:9]}).Append,
		ErrLength},
	{"IPv6 source", (&IPv6{Next: 59, Protocol: 59, Src: ip4A, Dst: ip6B}).Append, ErrLength},
	{"IPv6 destination", (&IPv6{Next: 59, Protocol: 59, Src: ip6A}).Append, ErrLength},
	{"IPv6 payload", (&IPv6{Next: 59, Protocol: 59, Src: ip6A, Dst: ip6B, Payload: make([]byte, maxIP+1)}).Append,
		ErrLength},
	{"IPv6 flow label", (&IPv6{Next: 59, Protocol: 59, FlowLabel: 1 << 20, Src: ip6A, Dst: ip6B}).Append, ErrValue},
	{"IPv6 protocol without its extensions", (&IPv6{Next: 0, Protocol: 59, Src: ip6A, Dst: ip6B}).Append, ErrTruncated},
	{"IPv6 protocol that differs", (&IPv6{Next: 17, Protocol: 6, Src: ip6A, Dst: ip6B}).Append, ErrValue},
	{"IPv6 extensions of nobody", (&IPv6{Next: 17, Protocol: 17, Extensions: long[:8], Src: ip6A, Dst: ip6B}).Append,
		ErrLength},
	{"IPv6 fragment that is not there", (&IPv6{Next: 17, Protocol: 17, Fragment: IPv6Fragment{Present: true}, Src: ip6A,
		Dst: ip6B}).Append, ErrValue},
	{"IPv6 fragment offset", func(b []byte) ([]byte, error) { return AppendFragment(b, 17, IPv6Fragment{Offset: 3}) },
		ErrLength},
	{"UDP payload", func(b []byte) ([]byte, error) { return (&UDP{Payload: long}).Append(b, ip4A, ip4B) }, ErrLength},
	{"UDP families", func(b []byte) ([]byte, error) { return (&UDP{}).Append(b, ip4A, ip6B) }, ErrLength},
	{"UDP without a checksum over IPv6", func(b []byte) ([]byte, error) {
		return (&UDP{NoChecksum: true}).Append(b,
			ip6A, ip6B)
	}, ErrValue},
	{"TCP payload", func(b []byte) ([]byte, error) { return (&TCP{Payload: long}).Append(b, ip4A, ip4B) }, ErrLength},
	{"TCP options", func(b []byte) ([]byte, error) { return (&TCP{Options: long[:44]}).Append(b, ip4A, ip4B) },
		ErrLength},
	{"TCP options that lie", func(b []byte) ([]byte, error) {
		return (&TCP{Options: []byte{2, 9, 0, 0}}).Append(b,
			ip4A, ip4B)
	}, ErrLength},
	{"TCP flags", func(b []byte) ([]byte, error) { return (&TCP{Flags: 1 << 12}).Append(b, ip4A, ip4B) }, ErrValue},
	{"TCP without addresses", func(b []byte) ([]byte, error) { return new(TCP).Append(b, ip4A, zero.Src) }, ErrLength},
	{"ICMPv4 payload", (&ICMPv4{Payload: long}).Append, ErrLength},
	{"ICMPv6 payload", func(b []byte) ([]byte, error) { return (&ICMPv6{Payload: long}).Append(b, ip6A, ip6B) },
		ErrLength},
	{"ICMPv6 over IPv4", func(b []byte) ([]byte, error) { return new(ICMPv6).Append(b, ip4A, ip4B) }, ErrLength},
	{"router lifetime", func(b []byte) ([]byte, error) {
		return (&RouterAdvertisement{Lifetime: Infinite}).Append(b, ip6A, ip6B)
	}, ErrValue},
	{"neighbor target", func(b []byte) ([]byte, error) {
		return (&NeighborSolicitation{Target: all6}).Append(b, ip6A,
			ip6B)
	}, ErrValue},
	{"DHCP address", (&DHCPv4{YIAddr: ip6A}).Append, ErrLength},
	{"DHCP name", (&DHCPv4{ServerName: long[:65]}).Append, ErrLength},
	{"DHCP file", (&DHCPv4{File: long[:129]}).Append, ErrLength},
	{"DHCP options that lie", (&DHCPv4{Options: []byte{1, 4, 0}}).Append, ErrLength},
	{"DHCP hardware length", (&DHCPv4{HLen: 17}).Append, ErrLength},
	{"BPDU type", (&BPDU{Type: 7}).Append, ErrUnsupported},
	{"BPDU time", (&BPDU{Age: Infinite}).Append, ErrValue},
	{"rapid BPDU of version 0", (&BPDU{Type: BPDURapid}).Append, ErrValue},
}

// TestRefuseEmit holds that they are refused, and that what was behind stays as it was.
func TestRefuseEmit(t *testing.T) {
	before := []byte("before")
	for _, row := range cannot {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.emit(bytes.Clone(before))
			var e *Error
			if !errors.Is(err, row.kind) || !errors.As(err, &e) || e.Offset != emitted {
				t.Errorf("got %v, want %v without an offset", err, row.kind)
			}
			if !bytes.Equal(got, before) {
				t.Errorf("what was behind is %q now", got)
			}
		})
	}
}

// TestRefuseEmitDNS has messages that cannot be built.
func TestRefuseEmitDNS(t *testing.T) {
	for _, row := range []struct {
		name  string
		write func(d *DNSBuilder)
		kind  error
	}{
		{"empty label", func(d *DNSBuilder) { d.Question("a..b", DNSA, 1) }, ErrLength},
		{"long label", func(d *DNSBuilder) { d.Question(string(bytes.Repeat([]byte("a"), 64)), DNSA, 1) }, ErrLength},
		{"long name", func(d *DNSBuilder) { d.Question(string(bytes.Repeat([]byte("a."), 127)), DNSA, 1) }, nil},
		{"too long name", func(d *DNSBuilder) { d.Question(string(bytes.Repeat([]byte("a."), 128)), DNSA, 1) }, ErrLength},
		{"escape", func(d *DNSBuilder) { d.Question(`a\25`, DNSA, 1) }, ErrValue},
		{"order", func(d *DNSBuilder) {
			d.Addr(DNSAdditionals, "a", 1, ip4A)
			d.Addr(DNSAnswers, "a", 1, ip4A)
		}, ErrValue},
		{"record as a question", func(d *DNSBuilder) { d.Addr(DNSQuestions, "a", 1, ip4A) }, ErrValue},
		{"section", func(d *DNSBuilder) { d.Addr(9, "a", 1, ip4A) }, ErrValue},
		{"no address", func(d *DNSBuilder) { d.Addr(DNSAnswers, "a", 1, zero.Src) }, ErrLength},
		{"address of 3 bytes", func(d *DNSBuilder) { d.Raw(DNSAnswers, "a", DNSA, 1, 1, []byte{1, 2, 3}) }, ErrLength},
		{"target of another type", func(d *DNSBuilder) { d.Target(DNSAnswers, "a", DNSA, 1, "b") }, ErrValue},
		{"data", func(d *DNSBuilder) { d.Raw(DNSAnswers, "a", DNSTXT, 1, 1, make([]byte, 1<<16)) }, ErrLength},
		{"message", func(d *DNSBuilder) {
			d.Raw(DNSAnswers, "a", DNSTXT, 1, 1, make([]byte, 1<<15))
			d.Raw(DNSAnswers, "a", DNSTXT, 1, 1, make([]byte, 1<<15))
		}, ErrLimit},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := NewDNSBuilder([]byte("before"), 1, 0)
			row.write(&d)
			got, err := d.Finish()
			if !errors.Is(err, row.kind) || (err != nil) != (row.kind != nil) {
				t.Errorf("got %v, want %v", err, row.kind)
			}
			if row.kind != nil && string(got) != "before" {
				t.Errorf("what was behind is %q now", got)
			}
		})
	}
}

// TestParseMAC reads what String writes, and nothing else.
func TestParseMAC(t *testing.T) {
	if m, err := ParseMAC("02:00:5E:10:aB:01"); err != nil || m.String() != "02:00:5e:10:ab:01" || !m.IsLocal() ||
		m.IsMulticast() {
		t.Errorf("got %v, %v", m, err)
	}
	if !Broadcast.IsMulticast() {
		t.Error("the broadcast address is a group's")
	}
	for _, s := range []string{"", "02:00:5e:10:ab:0", "02-00-5e-10-ab-01", "02:00:5e:10:ab:0g", "02:00:5e:10:ab:01 "} {
		if m, err := ParseMAC(s); err == nil {
			t.Errorf("%q is %v", s, m)
		}
	}
}
