package wire

import (
	"net/netip"
	"strconv"
)

// The bounds of a TCP header in bytes (RFC 9293, section 3.1).
const (
	TCPMinLen     = 20
	TCPMaxLen     = 60
	TCPMaxOptions = TCPMaxLen - TCPMinLen
)

// TCPFlags are the control bits, and the reserved ones before them.
type TCPFlags uint16

// The control bits of RFC 9293 and RFC 3168, and AccECN's (RFC 9768), which was RFC 3540's NS. The three bits above
// are reserved: they are to be sent as zero and not looked at, and are kept, so that what was parsed is emitted as it
// was.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
	tcpReserved TCPFlags = 7 << 9
	tcpFlagBits TCPFlags = 1<<12 - 1
)

// TCP is a segment (RFC 9293, section 3.1).
//
//	0          2          4     8     12        14       16         18       20
//	| src port | dst port | seq | ack |off|flags| window | checksum | urgent | options | payload
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            TCPFlags
	Window           uint16 // as on the wire, not scaled
	Checksum         uint16 // as it was found
	Urgent           uint16
	Options          []byte // a multiple of 4; TCPOptions reads and writes them
	Payload          []byte
}

// Parse reads a segment. Where an option's length is not true, the error's Field is "option", and all but the option
// is good to use: RFC 9293, MUST-7, wants an endpoint to be ready for such a one, and suggests a reset.
func (h *TCP) Parse(b []byte) error {
	if len(b) < TCPMinLen {
		return truncated("TCP", "header", 0, len(b), TCPMinLen)
	}
	n := int(b[12]>>4) * 4
	if n < TCPMinLen || n > len(b) {
		return badLength("TCP", "data offset", 12, n, min(len(b), TCPMaxLen))
	}
	h.SrcPort, h.DstPort = be.Uint16(b[0:]), be.Uint16(b[2:])
	h.Seq, h.Ack = be.Uint32(b[4:]), be.Uint32(b[8:])
	h.Flags = TCPFlags(be.Uint16(b[12:])) & tcpFlagBits
	h.Window, h.Checksum, h.Urgent = be.Uint16(b[14:]), be.Uint16(b[16:]), be.Uint16(b[18:])
	h.Options, h.Payload = cut(b, TCPMinLen, n), cut(b, n, len(b))
	if n > TCPMinLen {
		return checkTLV("TCP", h.Options, TCPMinLen)
	}
	return nil
}

// tcpQuoteLen is what every ICMP error quotes at least of a segment: the ports and the sequence number (RFC 792).
const tcpQuoteLen = 8

// ParseQuote reads the beginning of a segment, as ICMP quotes it: of its first 8 bytes, and sets nothing but the ports
// and Seq.
func (h *TCP) ParseQuote(b []byte) error {
	if len(b) < tcpQuoteLen {
		return truncated("TCP", "ports and sequence number", 0, len(b), tcpQuoteLen)
	}
	*h = TCP{SrcPort: be.Uint16(b[0:]), DstPort: be.Uint16(b[2:]), Seq: be.Uint32(b[4:])}
	return nil
}

// Len is how much of the sequence space the segment takes: its payload, and one for each of SYN and FIN (RFC 9293,
// section 3.4: SEG.LEN).
func (h *TCP) Len() uint32 {
	n := uint32(len(h.Payload))
	if h.Flags&SYN != 0 {
		n++
	}
	if h.Flags&FIN != 0 {
		n++
	}
	return n
}

// Verify checks the checksum in b, from which h was parsed.
func (h *TCP) Verify(b []byte, src, dst netip.Addr) error {
	return verify("TCP", 16, b, Pseudo(src, dst, ProtoTCP, len(b)))
}

// AppendHeader writes the header of a segment whose payload of n bytes is to follow, and has the sum payload: so a
// payload may come in pieces, out of a ring.
func (h *TCP) AppendHeader(b []byte, src, dst netip.Addr, n int, payload Sum) ([]byte, error) {
	hlen := TCPMinLen + len(h.Options)
	switch {
	case len(h.Options) > TCPMaxOptions || len(h.Options)%4 != 0:
		return b, badLength("TCP", "options", emitted, len(h.Options), TCPMaxOptions)
	case n < 0 || hlen+n > maxIP:
		return b, badLength("TCP", "length", emitted, hlen+n, maxIP)
	case h.Flags > tcpFlagBits:
		return b, badValue("TCP", "flags", emitted, int(h.Flags))
	case !sameFamily(src, dst):
		return b, badLength("TCP", "source address", emitted, src.BitLen()/8, dst.BitLen()/8)
	}
	if len(h.Options) > 0 {
		if err := checkTLV("TCP", h.Options, 0); err != nil {
			return b, emitting(err)
		}
	}
	b, p := extend(b, hlen)
	be.PutUint16(p[0:], h.SrcPort)
	be.PutUint16(p[2:], h.DstPort)
	be.PutUint32(p[4:], h.Seq)
	be.PutUint32(p[8:], h.Ack)
	flags := uint16(hlen/4)<<12 | uint16(h.Flags)
	be.PutUint16(p[12:], flags)
	be.PutUint16(p[14:], h.Window)
	be.PutUint16(p[18:], h.Urgent)
	copy(p[TCPMinLen:], h.Options)
	sum := Pseudo(src, dst, ProtoTCP, hlen+n) + payload // of the fields, see IPv4.AppendHeader
	sum = sum.Uint16(h.SrcPort).Uint16(h.DstPort).Uint32(h.Seq).Uint32(h.Ack).Uint16(flags).Uint16(h.Window)
	sum = sum.Uint16(h.Urgent)
	if len(h.Options) > 0 {
		sum = sum.Bytes(h.Options)
	}
	be.PutUint16(p[16:], sum.Checksum())
	return b, nil
}

// Append writes the segment.
func (h *TCP) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	out, err := h.AppendHeader(b, src, dst, len(h.Payload), Sum(0).Bytes(h.Payload))
	if err != nil {
		return b, err
	}
	return append(out, h.Payload...), nil
}

// String is tcpdump's line with the ports alone, as in "1024 > 80: Flags [S], seq 7, win 64240, options [mss 1460],
// length 0". Sequence numbers are absolute, as with tcpdump -S.
func (h *TCP) String() string {
	b := strconv.AppendUint(nil, uint64(h.SrcPort), 10)
	b = strconv.AppendUint(append(b, " > "...), uint64(h.DstPort), 10)
	return string(h.text(append(b, ": "...)))
}

func (h *TCP) text(b []byte) []byte {
	b = h.Flags.text(append(b, "Flags ["...))
	b = append(b, ']')
	n := len(h.Payload)
	if n > 0 || h.Flags&(SYN|FIN|RST) != 0 {
		b = strconv.AppendUint(append(b, ", seq "...), uint64(h.Seq), 10)
		if n > 0 {
			b = strconv.AppendUint(append(b, ':'), uint64(h.Seq+uint32(n)), 10)
		}
	}
	if h.Flags&ACK != 0 {
		b = strconv.AppendUint(append(b, ", ack "...), uint64(h.Ack), 10)
	}
	b = strconv.AppendUint(append(b, ", win "...), uint64(h.Window), 10)
	if h.Flags&URG != 0 {
		b = strconv.AppendUint(append(b, ", urg "...), uint64(h.Urgent), 10)
	}
	if len(h.Options) > 0 {
		b = append(appendTCPOptionsText(append(b, ", options ["...), h.Options), ']')
	}
	return strconv.AppendInt(append(b, ", length "...), int64(n), 10)
}

// String is the flags as tcpdump has them, as in "S." for SYN and ACK, or "none".
func (f TCPFlags) String() string { return string(f.text(nil)) }

func (f TCPFlags) text(b []byte) []byte {
	if f&^tcpReserved == 0 {
		return append(b, "none"...)
	}
	for i, c := range [...]byte{'F', 'S', 'R', 'P', '.', 'U', 'E', 'W', 'e'} {
		if f>>i&1 != 0 {
			b = append(b, c)
		}
	}
	return b
}
