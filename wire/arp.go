package wire

import (
	"net/netip"
	"strconv"
)

// An ARPOp is what an ARP packet wants or answers.
type ARPOp uint16

// ARP's two operations (RFC 826) and RARP's (RFC 903).
const (
	ARPRequest  ARPOp = 1
	ARPReply    ARPOp = 2
	RARPRequest ARPOp = 3
	RARPReply   ARPOp = 4
)

// ARPLen is the length of an ARP or RARP packet for IPv4 on Ethernet, in bytes.
const ARPLen = 28

// The types and lengths in the first six bytes of every such packet.
const (
	arpEthernet = 1
	arpMACLen   = 6
	arpIPLen    = 4
)

// ARP asks whose IPv4 address this is, or answers; RARP, with the same format under an ether type of its own, asks what
// one's own address is (RFC 826, RFC 903).
//
//	0      2      4   5   6    8            14         18           24         28
//	| htype| ptype|hln|pln| op | sender MAC | sender IP | target MAC | target IP |
//
// A probe for a duplicate address has the sender IP 0.0.0.0 (RFC 5227).
type ARP struct {
	Op        ARPOp
	SenderMAC MAC
	SenderIP  netip.Addr // of 4 bytes
	TargetMAC MAC
	TargetIP  netip.Addr // of 4 bytes
}

// Parse reads a packet. Bytes behind its 28 are padding and not looked at. Other hardware than Ethernet and other
// protocols than IPv4 are ErrUnsupported, other operations than the four too.
func (h *ARP) Parse(b []byte) error {
	if len(b) < ARPLen {
		return truncated("ARP", "packet", 0, len(b), ARPLen)
	}
	switch {
	case be.Uint16(b[0:]) != arpEthernet:
		return unsupported("ARP", "hardware type", 0, int(be.Uint16(b[0:])))
	case EtherType(be.Uint16(b[2:])) != EtherTypeIPv4:
		return unsupported("ARP", "protocol type", 2, int(be.Uint16(b[2:])))
	case b[4] != arpMACLen:
		return badLength("ARP", "hardware length", 4, int(b[4]), arpMACLen)
	case b[5] != arpIPLen:
		return badLength("ARP", "protocol length", 5, int(b[5]), arpIPLen)
	}
	h.Op = ARPOp(be.Uint16(b[6:]))
	h.SenderMAC, h.SenderIP = MAC(b[8:14]), addr4(b[14:18])
	h.TargetMAC, h.TargetIP = MAC(b[18:24]), addr4(b[24:28])
	if !h.Op.known() {
		return unsupported("ARP", "operation", 6, int(h.Op))
	}
	return nil
}

func (o ARPOp) known() bool { return o >= ARPRequest && o <= RARPReply }

// Append writes the packet.
func (h *ARP) Append(b []byte) ([]byte, error) {
	switch {
	case !h.Op.known():
		return b, unsupported("ARP", "operation", emitted, int(h.Op))
	case !h.SenderIP.Is4():
		return b, badLength("ARP", "sender IP", emitted, h.SenderIP.BitLen()/8, arpIPLen)
	case !h.TargetIP.Is4():
		return b, badLength("ARP", "target IP", emitted, h.TargetIP.BitLen()/8, arpIPLen)
	}
	b, p := extend(b, ARPLen)
	be.PutUint16(p[0:], arpEthernet)
	be.PutUint16(p[2:], uint16(EtherTypeIPv4))
	p[4], p[5] = arpMACLen, arpIPLen
	be.PutUint16(p[6:], uint16(h.Op))
	copy(p[8:], h.SenderMAC[:])
	put4(p[14:], h.SenderIP)
	copy(p[18:], h.TargetMAC[:])
	put4(p[24:], h.TargetIP)
	return b, nil
}

// String is tcpdump's line, as in "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28".
func (h *ARP) String() string { return string(h.text(nil, ARPLen)) }

// text is the line of a packet in n bytes of payload.
func (h *ARP) text(b []byte, n int) []byte {
	b = append(b, "ARP, "...)
	switch h.Op {
	case ARPRequest:
		b = h.TargetIP.AppendTo(append(b, "Request who-has "...))
		if h.TargetMAC != (MAC{}) {
			b = append(h.TargetMAC.text(append(b, " ("...)), ')')
		}
		b = h.SenderIP.AppendTo(append(b, " tell "...))
	case ARPReply:
		b = h.SenderIP.AppendTo(append(b, "Reply "...))
		b = h.SenderMAC.text(append(b, " is-at "...))
	case RARPRequest:
		b = h.TargetMAC.text(append(b, "Reverse Request who-is "...))
		b = h.SenderMAC.text(append(b, " tell "...))
	case RARPReply:
		b = h.TargetMAC.text(append(b, "Reverse Reply "...))
		b = h.TargetIP.AppendTo(append(b, " at "...))
	default:
		b = strconv.AppendInt(append(b, "Unknown ("...), int64(h.Op), 10)
		b = append(b, ')')
	}
	return strconv.AppendInt(append(b, ", length "...), int64(n), 10)
}
