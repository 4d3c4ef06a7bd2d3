package wire

import (
	"net/netip"
	"strconv"
)

// An ICMPv6Type is the kind of an ICMPv6 message. Those below 128 are errors.
type ICMPv6Type uint8

// The messages of RFC 4443, and neighbor discovery's (RFC 4861).
const (
	ICMPv6Unreachable           ICMPv6Type = 1
	ICMPv6PacketTooBig          ICMPv6Type = 2
	ICMPv6TimeExceeded          ICMPv6Type = 3
	ICMPv6Parameter             ICMPv6Type = 4
	ICMPv6Echo                  ICMPv6Type = 128
	ICMPv6EchoReply             ICMPv6Type = 129
	ICMPv6RouterSolicitation    ICMPv6Type = 133
	ICMPv6RouterAdvertisement   ICMPv6Type = 134
	ICMPv6NeighborSolicitation  ICMPv6Type = 135
	ICMPv6NeighborAdvertisement ICMPv6Type = 136
	ICMPv6Redirect              ICMPv6Type = 137
	ICMPv6MulticastReportV2     ICMPv6Type = 143
)

// The codes of RFC 4443, section 3.
const (
	ICMPv6NoRoute            = 0 // of ICMPv6Unreachable
	ICMPv6AdminProhibited    = 1
	ICMPv6BeyondScope        = 2
	ICMPv6AddressUnreachable = 3
	ICMPv6PortUnreachable    = 4
	ICMPv6HopLimitExceeded   = 0 // of ICMPv6TimeExceeded
	ICMPv6ReassemblyExceeded = 1
	ICMPv6BadHeader          = 0 // of ICMPv6Parameter
	ICMPv6UnknownNextHeader  = 1
	ICMPv6UnknownOption      = 2
)

// ICMPv6 is a message of ICMP for IPv6 (RFC 4443). What the four bytes of Rest are depends on the type. Messages of
// neighbor discovery have types of their own: NeighborSolicitation and so on parse the same bytes.
//
//	0      1      2          4      8
//	| type | code | checksum | rest | payload
type ICMPv6 struct {
	Type     ICMPv6Type
	Code     uint8
	Checksum uint16 // as it was found
	Rest     uint32 // an echo's: EchoRest; a packet too big's: the MTU; a parameter problem's: the pointer
	Payload  []byte // an echo's data; for an error the packet that it is about, for IPv6.ParseQuote
}

// Parse reads a message: all of b.
func (h *ICMPv6) Parse(b []byte) error {
	if len(b) < ICMPLen {
		return truncated("ICMPv6", "header", 0, len(b), ICMPLen)
	}
	h.Type, h.Code = ICMPv6Type(b[0]), b[1]
	h.Checksum, h.Rest = be.Uint16(b[2:]), be.Uint32(b[4:])
	h.Payload = cut(b, ICMPLen, len(b))
	return nil
}

// Verify checks the checksum in b, from which h was parsed.
func (h *ICMPv6) Verify(b []byte, src, dst netip.Addr) error { return verifyICMPv6(b, src, dst) }

func verifyICMPv6(b []byte, src, dst netip.Addr) error {
	return verify("ICMPv6", 2, b, Pseudo(src, dst, ProtoICMPv6, len(b)))
}

// Append writes the message.
func (h *ICMPv6) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	out, p, err := extendICMPv6(b, src, dst, h.Type, ICMPLen+len(h.Payload))
	if err != nil {
		return b, err
	}
	p[1] = h.Code
	be.PutUint32(p[4:], h.Rest)
	copy(p[ICMPLen:], h.Payload)
	return sumICMPv6(out, p, src, dst), nil
}

// extendICMPv6 makes room for a message of n bytes and writes its type, with code and checksum 0.
func extendICMPv6(b []byte, src, dst netip.Addr, t ICMPv6Type, n int) (all, added []byte, err error) {
	if n > maxIP {
		return b, nil, badLength("ICMPv6", "length", emitted, n, maxIP)
	}
	if !src.Is6() || !dst.Is6() {
		return b, nil, badLength("ICMPv6", "addresses", emitted, min(src.BitLen(), dst.BitLen())/8, 16)
	}
	all, p := extend(b, n)
	p[0], p[1], p[2], p[3] = byte(t), 0, 0, 0
	return all, p, nil
}

// sumICMPv6 writes the checksum of the message p, which ends b.
func sumICMPv6(b, p []byte, src, dst netip.Addr) []byte {
	be.PutUint16(p[2:], Pseudo(src, dst, ProtoICMPv6, len(p)).Bytes(p).Checksum())
	return b
}

// ID is the identifier of an echo or its reply.
func (h *ICMPv6) ID() uint16 { return uint16(h.Rest >> 16) }

// Seq is the number of an echo or its reply.
func (h *ICMPv6) Seq() uint16 { return uint16(h.Rest) }

// IsError reports whether the message is about a packet that was sent, which it quotes.
func (h *ICMPv6) IsError() bool { return h.Type < 128 }

// String is tcpdump's line, as in "ICMP6, echo request, id 1, seq 1, length 64".
func (h *ICMPv6) String() string { return string(h.text(nil)) }

func (h *ICMPv6) text(b []byte) []byte {
	b = append(b, "ICMP6, "...)
	switch h.Type {
	case ICMPv6Echo, ICMPv6EchoReply:
		b = appendEcho(b, h.Type == ICMPv6EchoReply, h.ID(), h.Seq())
	case ICMPv6Unreachable:
		b = h.unreachable(b)
	case ICMPv6PacketTooBig:
		b = strconv.AppendUint(append(b, "packet too big, mtu "...), uint64(h.Rest), 10)
	case ICMPv6TimeExceeded:
		b = h.timeExceeded(b)
	case ICMPv6Parameter:
		b = append(b, "parameter problem, "...)
		switch h.Code {
		case ICMPv6BadHeader:
			b = append(b, "erroneous - octet "...)
		case ICMPv6UnknownNextHeader:
			b = append(b, "next header - octet "...)
		case ICMPv6UnknownOption:
			b = append(b, "option - octet "...)
		default:
			b = append(strconv.AppendUint(append(b, "code-#"...), uint64(h.Code), 10), " - octet "...)
		}
		b = strconv.AppendUint(b, uint64(h.Rest), 10)
	case ICMPv6RouterSolicitation:
		b = append(b, "router solicitation"...)
	case ICMPv6RouterAdvertisement:
		b = append(b, "router advertisement"...)
	case ICMPv6NeighborSolicitation:
		b = h.target(append(b, "neighbor solicitation"...), ", who has ")
	case ICMPv6NeighborAdvertisement:
		b = h.target(append(b, "neighbor advertisement"...), ", tgt is ")
	case ICMPv6Redirect:
		b = append(b, "redirect"...)
		if len(h.Payload) >= 32 {
			b = addr16(h.Payload[16:32]).AppendTo(append(b, ", "...))
			b = addr16(h.Payload[0:16]).AppendTo(append(b, " to "...))
		}
	case ICMPv6MulticastReportV2:
		b = strconv.AppendUint(append(b, "multicast listener report v2, "...), uint64(h.Rest&0xffff), 10)
		b = append(b, " group record(s)"...)
	default:
		b = strconv.AppendUint(append(b, "unknown icmp6 type ("...), uint64(h.Type), 10)
		b = append(b, ')')
	}
	return strconv.AppendInt(append(b, ", length "...), int64(ICMPLen+len(h.Payload)), 10)
}

// target names the address that a solicitation or an advertisement is about.
func (h *ICMPv6) target(b []byte, words string) []byte {
	if len(h.Payload) < 16 {
		return b
	}
	return addr16(h.Payload[:16]).AppendTo(append(b, words...))
}

// unreachable says what the quoted packet did not reach, and why.
func (h *ICMPv6) unreachable(b []byte) []byte {
	b = append(b, "destination unreachable, "...)
	var ip IPv6
	if ip.ParseQuote(h.Payload) != nil {
		return strconv.AppendUint(append(b, "code "...), uint64(h.Code), 10)
	}
	switch h.Code {
	case ICMPv6NoRoute:
		return ip.Dst.AppendTo(append(b, "unreachable route "...))
	case ICMPv6AdminProhibited:
		return ip.Dst.AppendTo(append(b, " unreachable prohibited "...))
	case ICMPv6BeyondScope:
		b = ip.Dst.AppendTo(append(b, "beyond scope "...))
		return ip.Src.AppendTo(append(b, ", source address "...))
	case ICMPv6AddressUnreachable:
		return ip.Dst.AppendTo(append(b, "unreachable address "...))
	case ICMPv6PortUnreachable:
		if len(ip.Payload) < 4 {
			break
		}
		b = ip.Dst.AppendTo(append(b, "unreachable port, "...))
		switch ip.Protocol {
		case ProtoTCP:
			b = append(b, " tcp port "...)
		case ProtoUDP:
			b = append(b, " udp port "...)
		default:
			b = strconv.AppendUint(append(b, " protocol "...), uint64(ip.Protocol), 10)
			b = append(b, " port "...)
		}
		return strconv.AppendUint(b, uint64(be.Uint16(ip.Payload[2:])), 10)
	}
	return strconv.AppendUint(append(b, "unknown unreach code ("...), uint64(h.Code), 10)
}

func (h *ICMPv6) timeExceeded(b []byte) []byte {
	var ip IPv6
	switch {
	case ip.ParseQuote(h.Payload) != nil:
		return append(b, "time exceeded"...)
	case h.Code == ICMPv6HopLimitExceeded:
		return ip.Dst.AppendTo(append(b, "time exceeded in-transit for "...))
	case h.Code == ICMPv6ReassemblyExceeded:
		return append(b, "time exceeded in-transit (reassembly)"...)
	}
	return strconv.AppendUint(append(b, "time exceeded, unknown code (#"...), uint64(h.Code), 10)
}
