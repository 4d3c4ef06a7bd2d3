package wire

import (
	"net/netip"
	"strconv"
)

// UDPLen is the length of a UDP header in bytes.
const UDPLen = 8

// UDP is a datagram (RFC 768).
//
//	0          2          4        6          8
//	| src port | dst port | length | checksum | payload
type UDP struct {
	SrcPort, DstPort uint16
	Checksum         uint16 // as it was found
	NoChecksum       bool   // the field is 0: the sender computed none. Over IPv6 that is refused
	Payload          []byte
}

// Parse reads a datagram. Bytes behind its length are not looked at.
func (h *UDP) Parse(b []byte) error {
	if len(b) < UDPLen {
		return truncated("UDP", "header", 0, len(b), UDPLen)
	}
	n := int(be.Uint16(b[4:]))
	if n < UDPLen || n > len(b) {
		return badLength("UDP", "length", 4, n, len(b))
	}
	h.read(b)
	h.Payload = cut(b, UDPLen, n)
	return nil
}

// ParseQuote reads the beginning of a datagram, as ICMP quotes it: the length is not checked.
func (h *UDP) ParseQuote(b []byte) error {
	if len(b) < UDPLen {
		return truncated("UDP", "header", 0, len(b), UDPLen)
	}
	h.read(b)
	h.Payload = cut(b, UDPLen, max(UDPLen, min(len(b), int(be.Uint16(b[4:])))))
	return nil
}

func (h *UDP) read(b []byte) {
	h.SrcPort, h.DstPort = be.Uint16(b[0:]), be.Uint16(b[2:])
	h.Checksum = be.Uint16(b[6:])
	h.NoChecksum = h.Checksum == 0
}

// Verify checks the checksum in b, from which h was parsed. Over IPv4 a datagram without one is right (RFC 768); over
// IPv6 it is not (RFC 8200, section 8.1).
func (h *UDP) Verify(b []byte, src, dst netip.Addr) error {
	n := min(len(b), UDPLen+len(h.Payload))
	if h.NoChecksum {
		if src.Is4() {
			return nil
		}
		return wrongChecksum("UDP", 6, 0, udpChecksum(Pseudo(src, dst, ProtoUDP, n).Bytes(b[:n])))
	}
	return verify("UDP", 6, b[:n], Pseudo(src, dst, ProtoUDP, n))
}

// udpChecksum is never 0, which would say that there is none.
func udpChecksum(s Sum) uint16 {
	if c := s.Checksum(); c != 0 {
		return c
	}
	return 0xffff
}

// AppendHeader writes the header of a datagram whose payload of n bytes is to follow, and has the sum payload.
func (h *UDP) AppendHeader(b []byte, src, dst netip.Addr, n int, payload Sum) ([]byte, error) {
	switch {
	case n < 0 || n > maxIP-UDPLen:
		return b, badLength("UDP", "length", emitted, n+UDPLen, maxIP)
	case !sameFamily(src, dst):
		return b, badLength("UDP", "source address", emitted, src.BitLen()/8, dst.BitLen()/8)
	case h.NoChecksum && !src.Is4():
		return b, badValue("UDP", "checksum", emitted, 0)
	}
	b, p := extend(b, UDPLen)
	be.PutUint16(p[0:], h.SrcPort)
	be.PutUint16(p[2:], h.DstPort)
	be.PutUint16(p[4:], uint16(UDPLen+n))
	be.PutUint16(p[6:], 0)
	if !h.NoChecksum {
		sum := Pseudo(src, dst, ProtoUDP, UDPLen+n) + payload
		be.PutUint16(p[6:], udpChecksum(sum.Bytes(p)))
	}
	return b, nil
}

// sameFamily reports whether both are addresses, and of one length.
func sameFamily(src, dst netip.Addr) bool {
	return src.IsValid() && src.Is4() == dst.Is4() && dst.IsValid()
}

// Append writes the datagram.
func (h *UDP) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	var sum Sum
	if !h.NoChecksum {
		sum = sum.Bytes(h.Payload)
	}
	out, err := h.AppendHeader(b, src, dst, len(h.Payload), sum)
	if err != nil {
		return b, err
	}
	return append(out, h.Payload...), nil
}

// String is tcpdump's line with the ports alone, as in "1024 > 7: UDP, length 5".
func (h *UDP) String() string {
	b := strconv.AppendUint(nil, uint64(h.SrcPort), 10)
	b = strconv.AppendUint(append(b, " > "...), uint64(h.DstPort), 10)
	return string(h.text(append(b, ": "...)))
}

func (h *UDP) text(b []byte) []byte {
	return strconv.AppendInt(append(b, "UDP, length "...), int64(len(h.Payload)), 10)
}
