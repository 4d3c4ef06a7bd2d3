package wire

import (
	"net/netip"
	"strconv"
)

// The bounds of an IPv4 header in bytes (RFC 791, section 3.1).
const (
	IPv4MinLen     = 20
	IPv4MaxLen     = 60
	IPv4MaxOptions = IPv4MaxLen - IPv4MinLen
)

// maxIP is the largest length that the 16 bits of an IP header hold, in bytes.
const maxIP = 65535

// IPv4Flags are the three bits before the fragment offset.
type IPv4Flags uint8

// The flags of RFC 791. The reserved bit has to be zero; it is kept, so that what was parsed is emitted as it was.
const (
	MoreFragments IPv4Flags = 1
	DontFragment  IPv4Flags = 2
	ReservedFlag  IPv4Flags = 4
)

// IPv4 is a packet of the Internet Protocol, version 4 (RFC 791).
//
//	0       1       2               4               6   8       9       10      12    16    20
//	| 4|IHL | TOS   | total length  | ID            | F| offset | TTL | proto | sum | src | dst | options | payload
type IPv4 struct {
	TOS      uint8 // the DSCP's six bits (RFC 2474), then ECN's two (RFC 3168)
	Flags    IPv4Flags
	TTL      uint8
	Protocol Protocol
	ID       uint16
	Offset   uint16     // of this fragment in the whole's payload, in bytes: a multiple of 8
	Checksum uint16     // as it was found
	Src, Dst netip.Addr // of 4 bytes
	Options  IPv4Options
	Payload  []byte
}

// IsFragment reports whether this is less than a whole packet.
func (h *IPv4) IsFragment() bool { return h.Offset != 0 || h.Flags&MoreFragments != 0 }

// Parse reads a packet. Bytes behind its total length are padding of the frame and not looked at. A fragment that would
// end behind the largest packet, or that is not the last and is no multiple of 8 bytes long, is an ErrLength: none such
// can be put together.
func (h *IPv4) Parse(b []byte) error {
	n, err := h.parseHeader(b)
	if err != nil {
		return err
	}
	total := int(be.Uint16(b[2:]))
	if total < n || total > len(b) {
		return badLength("IPv4", "total length", 2, total, len(b))
	}
	h.Payload = cut(b, n, total)
	if h.IsFragment() {
		if int(h.Offset)+len(h.Payload) > maxIP-n {
			return badLength("IPv4", "fragment offset", 6, int(h.Offset)+len(h.Payload), maxIP-n)
		}
		if h.Flags&MoreFragments != 0 && len(h.Payload)%8 != 0 {
			return badLength("IPv4", "total length", 2, total, total-len(h.Payload)%8)
		}
	}
	return nil
}

// ParseQuote reads the beginning of a packet, as ICMP quotes it: Payload is what is there of it, and the total length
// is not checked.
func (h *IPv4) ParseQuote(b []byte) error {
	n, err := h.parseHeader(b)
	if err != nil {
		return err
	}
	h.Payload = cut(b, n, min(len(b), max(n, int(be.Uint16(b[2:])))))
	return nil
}

// parseHeader reads all but the payload and returns the header's length.
func (h *IPv4) parseHeader(b []byte) (n int, err error) {
	if len(b) < IPv4MinLen {
		return 0, truncated("IPv4", "header", 0, len(b), IPv4MinLen)
	}
	if b[0]>>4 != 4 {
		return 0, badValue("IPv4", "version", 0, int(b[0]>>4))
	}
	n = int(b[0]&15) * 4
	if n < IPv4MinLen || n > len(b) {
		return 0, badLength("IPv4", "header length", 0, n, min(len(b), IPv4MaxLen))
	}
	h.TOS = b[1]
	h.ID = be.Uint16(b[4:])
	frag := be.Uint16(b[6:])
	h.Flags, h.Offset = IPv4Flags(frag>>13), frag<<3
	h.TTL, h.Protocol, h.Checksum = b[8], Protocol(b[9]), be.Uint16(b[10:])
	h.Src, h.Dst = addr4(b[12:16]), addr4(b[16:20])
	h.Options = IPv4Options(cut(b, IPv4MinLen, n))
	if n > IPv4MinLen {
		return n, h.Options.check(IPv4MinLen)
	}
	return n, nil
}

// Verify checks the header's checksum in b, from which h was parsed.
func (h *IPv4) Verify(b []byte) error {
	n := min(len(b), IPv4MinLen+len(h.Options))
	return verify("IPv4", 10, b[:n], 0)
}

// verify checks the checksum that stands at offset of b, where s is the sum of the pseudo header.
func verify(format string, offset int, b []byte, s Sum) error {
	sum := s.Bytes(b).Checksum()
	if sum == 0 {
		return nil
	}
	if len(b) < offset+2 {
		return truncated(format, "checksum", offset, max(len(b)-offset, 0), 2)
	}
	old := be.Uint16(b[offset:])
	return wrongChecksum(format, offset, old, UpdateChecksum(sum, old, 0))
}

// AppendHeader writes the header of a packet whose payload of n bytes is to follow.
func (h *IPv4) AppendHeader(b []byte, n int) ([]byte, error) {
	hlen := IPv4MinLen + len(h.Options)
	switch {
	case !h.Src.Is4():
		return b, badLength("IPv4", "source", emitted, h.Src.BitLen()/8, 4)
	case !h.Dst.Is4():
		return b, badLength("IPv4", "destination", emitted, h.Dst.BitLen()/8, 4)
	case len(h.Options) > IPv4MaxOptions || len(h.Options)%4 != 0:
		return b, badLength("IPv4", "options", emitted, len(h.Options), IPv4MaxOptions)
	case n < 0 || hlen+n > maxIP:
		return b, badLength("IPv4", "total length", emitted, hlen+n, maxIP)
	case h.Flags > 7:
		return b, badValue("IPv4", "flags", emitted, int(h.Flags))
	case h.Offset%8 != 0 || h.IsFragment() && int(h.Offset)+n > maxIP-hlen:
		return b, badLength("IPv4", "fragment offset", emitted, int(h.Offset), maxIP-hlen-n)
	case h.Flags&MoreFragments != 0 && n%8 != 0:
		return b, badLength("IPv4", "total length", emitted, hlen+n, hlen+n-n%8)
	}
	if err := h.Options.check(0); err != nil {
		return b, emitting(err)
	}
	b, p := extend(b, hlen)
	first, length := uint16(4<<4|hlen/4)<<8|uint16(h.TOS), uint16(hlen+n)
	offset, last := uint16(h.Flags)<<13|h.Offset>>3, uint16(h.TTL)<<8|uint16(h.Protocol)
	be.PutUint16(p[0:], first)
	be.PutUint16(p[2:], length)
	be.PutUint16(p[4:], h.ID)
	be.PutUint16(p[6:], offset)
	be.PutUint16(p[8:], last)
	put4(p[12:], h.Src)
	put4(p[16:], h.Dst)
	copy(p[IPv4MinLen:], h.Options)
	// Of the fields, not of p: a load of eight bytes waits for stores of two (the trap is store forwarding).
	sum := Sum(0).Uint16(first).Uint16(length).Uint16(h.ID).Uint16(offset).Uint16(last).Addr(h.Src).Addr(h.Dst)
	if len(h.Options) > 0 {
		sum = sum.Bytes(h.Options)
	}
	be.PutUint16(p[10:], sum.Checksum())
	return b, nil
}

// Append writes the packet.
func (h *IPv4) Append(b []byte) ([]byte, error) {
	out, err := h.AppendHeader(b, len(h.Payload))
	if err != nil {
		return b, err
	}
	return append(out, h.Payload...), nil
}

// DecrementTTL takes one from the TTL of the IPv4 packet, in place, and mends its checksum by RFC 1624, as a router
// does. It reports whether the packet may go on: where the TTL was 0 or 1, the packet stays as it was and is to be
// dropped (RFC 1812, section 5.3.1). The packet has to be one that Parse took.
func DecrementTTL(packet []byte) bool {
	if len(packet) < IPv4MinLen || packet[8] <= 1 {
		return false
	}
	old := be.Uint16(packet[8:])
	packet[8]--
	be.PutUint16(packet[10:], UpdateChecksum(be.Uint16(packet[10:]), old, old-0x100))
	return true
}

// String is tcpdump -v's line for the header, as in "IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6),
// length 40) 10.0.0.1 > 10.0.0.2".
func (h *IPv4) String() string { return string(h.text(nil)) }

func (h *IPv4) text(b []byte) []byte {
	b = append(b, "IP (tos 0x"...)
	b = strconv.AppendUint(b, uint64(h.TOS), 16)
	if e := h.TOS & 3; e != 0 {
		b = append(b, [...]string{"", ",ECT(1)", ",ECT(0)", ",CE"}[e]...)
	}
	if h.TTL > 0 {
		b = strconv.AppendUint(append(b, ", ttl "...), uint64(h.TTL), 10)
	}
	b = strconv.AppendUint(append(b, ", id "...), uint64(h.ID), 10)
	b = strconv.AppendUint(append(b, ", offset "...), uint64(h.Offset), 10)
	b = h.Flags.text(append(b, ", flags ["...))
	b = append(append(b, "], proto "...), h.Protocol.name()...)
	b = strconv.AppendUint(append(b, " ("...), uint64(h.Protocol), 10)
	b = strconv.AppendInt(append(b, "), length "...), int64(IPv4MinLen+len(h.Options)+len(h.Payload)), 10)
	if len(h.Options) > 0 {
		b = h.Options.text(append(b, ", options ("...))
		b = append(b, ')')
	}
	b = h.Src.AppendTo(append(b, ") "...))
	return h.Dst.AppendTo(append(b, " > "...))
}

// String is the flags as tcpdump has them: "+" for more fragments, "DF", "rsvd", with commas, or "none".
func (f IPv4Flags) String() string { return string(f.text(nil)) }

func (f IPv4Flags) text(b []byte) []byte {
	if f == 0 {
		return append(b, "none"...)
	}
	n := len(b)
	for _, flag := range [...]struct {
		bit  IPv4Flags
		name string
	}{{MoreFragments, "+"}, {DontFragment, "DF"}, {ReservedFlag, "rsvd"}} {
		if f&flag.bit == 0 {
			continue
		}
		if len(b) > n {
			b = append(b, ", "...)
		}
		b = append(b, flag.name...)
	}
	return b
}
