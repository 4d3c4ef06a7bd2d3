package wire

import (
	"net/netip"
	"strconv"
	"strings"
)

// ICMPLen is the length of the header that ICMPv4 and ICMPv6 messages share, in bytes.
const ICMPLen = 8

// An ICMPv4Type is the kind of an ICMPv4 message.
type ICMPv4Type uint8

// The messages of RFC 792, 950 and 1256.
const (
	ICMPv4EchoReply       ICMPv4Type = 0
	ICMPv4Unreachable     ICMPv4Type = 3
	ICMPv4SourceQuench    ICMPv4Type = 4
	ICMPv4Redirect        ICMPv4Type = 5
	ICMPv4Echo            ICMPv4Type = 8
	ICMPv4RouterAdvert    ICMPv4Type = 9
	ICMPv4RouterSolicit   ICMPv4Type = 10
	ICMPv4TimeExceeded    ICMPv4Type = 11
	ICMPv4Parameter       ICMPv4Type = 12
	ICMPv4Timestamp       ICMPv4Type = 13
	ICMPv4TimestampReply  ICMPv4Type = 14
	ICMPv4AddressMask     ICMPv4Type = 17
	ICMPv4AddressMaskRepl ICMPv4Type = 18
)

// The codes of ICMPv4Unreachable (RFC 792, 1122, 1812), and of others where they have a meaning.
const (
	ICMPv4NetUnreachable      = 0
	ICMPv4HostUnreachable     = 1
	ICMPv4ProtoUnreachable    = 2
	ICMPv4PortUnreachable     = 3
	ICMPv4FragmentationNeeded = 4
	ICMPv4SourceRouteFailed   = 5
	ICMPv4AdminProhibited     = 13

	ICMPv4TTLExceeded        = 0 // of ICMPv4TimeExceeded
	ICMPv4ReassemblyExceeded = 1
	ICMPv4RedirectNet        = 0 // of ICMPv4Redirect
	ICMPv4RedirectHost       = 1
)

// ICMPv4 is a message of ICMP (RFC 792). What the four bytes of Rest are depends on the type: the methods ID, Seq, MTU,
// Gateway and Pointer read them; EchoRest, GatewayRest and PointerRest make them.
//
//	0      1      2          4      8
//	| type | code | checksum | rest | payload
type ICMPv4 struct {
	Type     ICMPv4Type
	Code     uint8
	Checksum uint16 // as it was found
	Rest     uint32
	Payload  []byte // an echo's data; for an error the packet that it is about: Original
}

// Parse reads a message: all of b.
func (h *ICMPv4) Parse(b []byte) error {
	if len(b) < ICMPLen {
		return truncated("ICMPv4", "header", 0, len(b), ICMPLen)
	}
	h.Type, h.Code = ICMPv4Type(b[0]), b[1]
	h.Checksum, h.Rest = be.Uint16(b[2:]), be.Uint32(b[4:])
	h.Payload = cut(b, ICMPLen, len(b))
	return nil
}

// Verify checks the checksum in b, from which h was parsed.
func (h *ICMPv4) Verify(b []byte) error { return verify("ICMPv4", 2, b, 0) }

// Append writes the message.
func (h *ICMPv4) Append(b []byte) ([]byte, error) {
	if n := ICMPLen + len(h.Payload); n > maxIP {
		return b, badLength("ICMPv4", "length", emitted, n, maxIP)
	}
	b, p := extend(b, ICMPLen+len(h.Payload))
	p[0], p[1] = byte(h.Type), h.Code
	be.PutUint16(p[2:], 0)
	be.PutUint32(p[4:], h.Rest)
	copy(p[ICMPLen:], h.Payload)
	be.PutUint16(p[2:], Checksum(p))
	return b, nil
}

// EchoRest is the Rest of an echo or its reply: the identifier that the asker chose, and the number of the request.
func EchoRest(id, seq uint16) uint32 { return uint32(id)<<16 | uint32(seq) }

// ID is the identifier of an echo, a timestamp or a mask request or reply.
func (h *ICMPv4) ID() uint16 { return uint16(h.Rest >> 16) }

// Seq is the number of an echo, a timestamp or a mask request or reply.
func (h *ICMPv4) Seq() uint16 { return uint16(h.Rest) }

// MTU is that of the next hop in a message that fragmentation is needed (RFC 1191, section 4), in bytes; 0 from a
// router that does not know better. It is also the Rest to emit.
func (h *ICMPv4) MTU() int { return int(h.Rest & 0xffff) }

// Pointer is the offset of the byte that a parameter problem is about.
func (h *ICMPv4) Pointer() int { return int(h.Rest >> 24) }

// PointerRest is the Rest of a parameter problem.
func PointerRest(offset uint8) uint32 { return uint32(offset) << 24 }

// Gateway is the router that a redirect names.
func (h *ICMPv4) Gateway() netip.Addr {
	return netip.AddrFrom4([4]byte{byte(h.Rest >> 24), byte(h.Rest >> 16), byte(h.Rest >> 8), byte(h.Rest)})
}

// GatewayRest is the Rest of a redirect to gateway. An address that is not of 4 bytes gives 0.
func GatewayRest(gateway netip.Addr) uint32 {
	if !gateway.Is4() {
		return 0
	}
	v := gateway.As4()
	return be.Uint32(v[:])
}

// IsError reports whether the message is about a packet that was sent, which it quotes. Errors are never answered by
// errors (RFC 1122, section 3.2.2).
func (h *ICMPv4) IsError() bool {
	switch h.Type {
	case ICMPv4Unreachable, ICMPv4SourceQuench, ICMPv4Redirect, ICMPv4TimeExceeded, ICMPv4Parameter:
		return true
	}
	return false
}

// Original is the beginning of the packet that an error is about, for IPv4.ParseQuote; nil where it is no error.
// Where RFC 4884's length is set, extensions follow the quote and are left out. A length that is not true counts as
// none (RFC 4884, section 5.5).
func (h *ICMPv4) Original() []byte {
	if !h.IsError() {
		return nil
	}
	switch h.Type {
	case ICMPv4Unreachable, ICMPv4TimeExceeded, ICMPv4Parameter:
		if n := int(h.Rest>>16&0xff) * 4; n > 0 && n <= len(h.Payload) {
			return cut(h.Payload, 0, n)
		}
	}
	return h.Payload
}

// String is tcpdump's line, as in "ICMP echo request, id 1, seq 1, length 64".
func (h *ICMPv4) String() string { return string(h.text(nil)) }

// appendEcho is the line of an echo of either version.
func appendEcho(b []byte, reply bool, id, seq uint16) []byte {
	what := "echo request"
	if reply {
		what = "echo reply"
	}
	b = strconv.AppendUint(append(append(b, what...), ", id "...), uint64(id), 10)
	return strconv.AppendUint(append(b, ", seq "...), uint64(seq), 10)
}

func (h *ICMPv4) text(b []byte) []byte {
	b = append(b, "ICMP "...)
	switch h.Type {
	case ICMPv4Echo, ICMPv4EchoReply:
		b = appendEcho(b, h.Type == ICMPv4EchoReply, h.ID(), h.Seq())
	case ICMPv4Unreachable:
		b = h.unreachable(b)
	case ICMPv4SourceQuench:
		b = append(b, "source quench"...)
	case ICMPv4Redirect:
		b = h.redirect(b)
	case ICMPv4RouterSolicit:
		b = append(b, "router solicitation"...)
	case ICMPv4RouterAdvert:
		b = append(b, "router advertisement"...)
	case ICMPv4TimeExceeded:
		switch h.Code {
		case ICMPv4TTLExceeded:
			b = append(b, "time exceeded in-transit"...)
		case ICMPv4ReassemblyExceeded:
			b = append(b, "ip reassembly time exceeded"...)
		default:
			b = strconv.AppendUint(append(b, "time exceeded-#"...), uint64(h.Code), 10)
		}
	case ICMPv4Parameter:
		b = append(b, "parameter problem"...)
		if h.Code == 0 {
			b = strconv.AppendInt(append(b, " - octet "...), int64(h.Pointer()), 10)
		} else {
			b = strconv.AppendUint(append(b, " - code "...), uint64(h.Code), 10)
		}
	case ICMPv4Timestamp, ICMPv4TimestampReply:
		what := "time stamp query id "
		if h.Type == ICMPv4TimestampReply {
			what = "time stamp reply id "
		}
		b = strconv.AppendUint(append(b, what...), uint64(h.ID()), 10)
		b = strconv.AppendUint(append(b, " seq "...), uint64(h.Seq()), 10)
	case ICMPv4AddressMask:
		b = append(b, "address mask request"...)
	default:
		b = strconv.AppendUint(append(b, "type-#"...), uint64(h.Type), 10)
	}
	return strconv.AppendInt(append(b, ", length "...), int64(ICMPLen+len(h.Payload)), 10)
}

// icmpv4Unreachable is what the codes of RFC 1122, section 3.2.2.1, and RFC 1812, section 5.2.7.1, say: what is not to
// be reached, and why. Those that are empty have a line of their own.
var icmpv4Unreachable = [...]string{
	6: "net - unknown", 7: "host - unknown", 8: "host - source host isolated", 9: "net - admin prohibited",
	10: "host - admin prohibited", 11: "net - tos", 12: "host - tos", 13: "host - admin prohibited filter",
	14: "host - host precedence violation", 15: "host - precedence cutoff",
}

// unreachable says what the quoted packet did not reach, and why.
func (h *ICMPv4) unreachable(b []byte) []byte {
	var ip IPv4
	if ip.ParseQuote(h.Original()) != nil {
		return append(b, "unreachable"...)
	}
	switch h.Code {
	case ICMPv4NetUnreachable:
		return append(ip.Dst.AppendTo(append(b, "net "...)), " unreachable"...)
	case ICMPv4HostUnreachable:
		return append(ip.Dst.AppendTo(append(b, "host "...)), " unreachable"...)
	case ICMPv4ProtoUnreachable:
		b = ip.Dst.AppendTo(b)
		b = strconv.AppendUint(append(b, " protocol "...), uint64(ip.Protocol), 10)
		return append(b, " unreachable"...)
	case ICMPv4PortUnreachable:
		if len(ip.Payload) < 4 {
			break
		}
		b = ip.Dst.AppendTo(b)
		switch ip.Protocol {
		case ProtoTCP:
			b = append(b, " tcp port "...)
		case ProtoUDP:
			b = append(b, " udp port "...)
		default:
			b = strconv.AppendUint(append(b, " protocol "...), uint64(ip.Protocol), 10)
			b = append(b, " port "...)
		}
		b = strconv.AppendUint(b, uint64(be.Uint16(ip.Payload[2:])), 10)
		return append(b, " unreachable"...)
	case ICMPv4FragmentationNeeded:
		b = append(ip.Dst.AppendTo(b), " unreachable - need to frag"...)
		if h.MTU() != 0 {
			b = append(strconv.AppendInt(append(b, " (mtu "...), int64(h.MTU()), 10), ')')
		}
		return b
	case ICMPv4SourceRouteFailed:
		return append(ip.Dst.AppendTo(b), " unreachable - source route failed"...)
	}
	if int(h.Code) < len(icmpv4Unreachable) && h.Code > ICMPv4SourceRouteFailed {
		kind, why, _ := strings.Cut(icmpv4Unreachable[h.Code], " - ")
		b = ip.Dst.AppendTo(append(append(b, kind...), ' '))
		return append(append(b, " unreachable - "...), why...)
	}
	b = append(ip.Dst.AppendTo(b), " unreachable - #"...)
	return strconv.AppendUint(b, uint64(h.Code), 10)
}

// redirect says which packets should go to which router.
func (h *ICMPv4) redirect(b []byte) []byte {
	b = append(b, "redirect "...)
	var ip IPv4
	if ip.ParseQuote(h.Original()) != nil {
		return h.Gateway().AppendTo(append(b, "to "...))
	}
	b = ip.Dst.AppendTo(b)
	switch h.Code {
	case ICMPv4RedirectNet:
		b = append(b, " to net "...)
	case ICMPv4RedirectHost:
		b = append(b, " to host "...)
	default:
		b = strconv.AppendUint(append(b, "-#"...), uint64(h.Code), 10)
		b = append(b, " to net "...)
	}
	return h.Gateway().AppendTo(b)
}
