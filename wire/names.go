package wire

import "strconv"

// An EtherType says what a frame carries. Values up to 1500 are lengths instead: the frame is one of IEEE 802.3.
type EtherType uint16

// The ether types that this package reads, and a few that a trace should name.
const (
	EtherTypeIPv4 EtherType = 0x0800
	EtherTypeARP  EtherType = 0x0806
	EtherTypeRARP EtherType = 0x8035
	EtherTypeVLAN EtherType = 0x8100 // IEEE 802.1Q, a customer's tag
	EtherTypeIPv6 EtherType = 0x86dd
	EtherTypeQinQ EtherType = 0x88a8 // IEEE 802.1ad, a provider's tag
	EtherTypeLLDP EtherType = 0x88cc
	EtherTypeLoop EtherType = 0x9000
)

// MaxLength is the largest value of the field that is a length and not an ether type (IEEE 802.3, section 3.2.6).
const MaxLength EtherType = 1500

// minEtherType is the smallest ether type. What lies between the two is neither.
const minEtherType EtherType = 0x0600

// IsLength reports whether the value is the length of a payload.
func (t EtherType) IsLength() bool { return t <= MaxLength }

// String is the name with the number, as in "IPv4 (0x0800)".
func (t EtherType) String() string { return string(t.text(nil)) }

func (t EtherType) text(b []byte) []byte {
	name := "Unknown"
	switch t {
	case EtherTypeIPv4:
		name = "IPv4"
	case EtherTypeARP:
		name = "ARP"
	case EtherTypeRARP:
		name = "Reverse ARP"
	case EtherTypeVLAN:
		name = "802.1Q"
	case EtherTypeIPv6:
		name = "IPv6"
	case EtherTypeQinQ:
		name = "802.1Q-QinQ"
	case EtherTypeLLDP:
		name = "LLDP"
	case EtherTypeLoop:
		name = "Loopback"
	}
	b = append(append(b, name...), " (0x"...)
	return append(appendHex(b, uint64(t), 4), ')')
}

// A Protocol is what an IP packet carries: a transport, or in IPv6 an extension header (IANA's "Protocol Numbers").
type Protocol uint8

// The protocols and extension headers that this package reads, and a few that a trace should name.
const (
	ProtoHopByHop Protocol = 0 // IPv6 options for every router on the way
	ProtoICMPv4   Protocol = 1
	ProtoIGMP     Protocol = 2
	ProtoIPv4     Protocol = 4
	ProtoTCP      Protocol = 6
	ProtoUDP      Protocol = 17
	ProtoIPv6     Protocol = 41
	ProtoRouting  Protocol = 43 // IPv6 routing header
	ProtoFragment Protocol = 44 // IPv6 fragment header
	ProtoGRE      Protocol = 47
	ProtoESP      Protocol = 50
	ProtoAuth     Protocol = 51 // the authentication header (RFC 4302)
	ProtoICMPv6   Protocol = 58
	ProtoNoNext   Protocol = 59 // IPv6: nothing follows
	ProtoDestOpts Protocol = 60 // IPv6 options for the destination
	ProtoOSPF     Protocol = 89
	ProtoSCTP     Protocol = 132
)

// String is the name as tcpdump's line has it, as in "TCP", or the number.
func (p Protocol) String() string {
	if name := p.name(); name != "unknown" {
		return name
	}
	return strconv.Itoa(int(p))
}

func (p Protocol) name() string {
	switch p {
	case ProtoHopByHop:
		return "Options"
	case ProtoICMPv4:
		return "ICMP"
	case ProtoIGMP:
		return "IGMP"
	case ProtoIPv4:
		return "IPIP"
	case ProtoTCP:
		return "TCP"
	case ProtoUDP:
		return "UDP"
	case ProtoIPv6:
		return "IPv6"
	case ProtoRouting:
		return "Routing"
	case ProtoFragment:
		return "Fragment"
	case ProtoGRE:
		return "GRE"
	case ProtoESP:
		return "ESP"
	case ProtoAuth:
		return "AH"
	case ProtoICMPv6:
		return "ICMPv6"
	case ProtoNoNext:
		return "no next header"
	case ProtoDestOpts:
		return "DSTOPT"
	case ProtoOSPF:
		return "OSPF"
	case ProtoSCTP:
		return "SCTP"
	}
	return "unknown"
}
