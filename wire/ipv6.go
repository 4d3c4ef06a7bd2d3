package wire

import (
	"net/netip"
	"strconv"
)

// IPv6Len is the length of the fixed header in bytes (RFC 8200, section 3).
const IPv6Len = 40

// MaxExtensions is how many extension headers a packet may have. RFC 8200 knows an order with six kinds, one of them
// twice; nobody sends more, and each costs the receiver a step (RFC 8504, section 5.3, lets hosts limit them).
const MaxExtensions = 16

// An IPv6Fragment is what a fragment header says (RFC 8200, section 4.5).
type IPv6Fragment struct {
	Present bool   // there is one
	More    bool   // this is not the last fragment
	Offset  uint16 // in bytes, a multiple of 8, in the whole's fragmentable part
	ID      uint32
}

// IPv6 is a packet of the Internet Protocol, version 6, with its extension headers (RFC 8200).
//
//	0                         4         6       7      8      24     40
//	| 6| class | flow label   | length  | next  | hops | src  | dst  | extensions … | payload
//
// The chain of headers: Next is the type of the first header behind the fixed one. Where there are no extensions, Next
// is Protocol; otherwise each extension's first byte is the type of the following, and the last one's is Protocol. The
// extensions that are walked are hop-by-hop options, routing, fragment, destination options and authentication. Payload
// is what lies behind them, of type Protocol.
//
// In a fragment the chain ends with the fragment header, and Payload is the fragment: bytes out of the middle of a
// packet, or its beginning, where the chain may go on. Only where the fragment is the whole packet (offset 0, and no
// more: RFC 6946) it goes on here.
type IPv6 struct {
	TrafficClass uint8 // the DSCP's six bits, then ECN's two
	HopLimit     uint8 //
	Next         Protocol
	Protocol     Protocol
	FlowLabel    uint32     // 20 bits
	Src, Dst     netip.Addr // of 16 bytes; zones are not on the wire
	Extensions   []byte     // as they stand on the wire; AppendExtension and AppendFragment write such
	Fragment     IPv6Fragment
	Payload      []byte
}

// IsFragment reports whether this is less than a whole packet.
func (h *IPv6) IsFragment() bool {
	return h.Fragment.Present && (h.Fragment.Offset != 0 || h.Fragment.More)
}

// Parse reads a packet. Bytes behind its payload length are padding of the frame and not looked at. Jumbograms
// (RFC 2675) are not read. The checks of RFC 8200, section 4.5, on a fragment's length are made, with the offsets that
// a parameter problem needs as its pointer.
func (h *IPv6) Parse(b []byte) error {
	if err := h.parseFixed(b); err != nil {
		return err
	}
	n := int(be.Uint16(b[4:]))
	if n > len(b)-IPv6Len {
		return badLength("IPv6", "payload length", 4, n, len(b)-IPv6Len)
	}
	if err := h.parseChain(b[:IPv6Len+n], IPv6Len, false); err != nil {
		return err
	}
	return h.checkFragment(len(h.Payload))
}

// ParseQuote reads the beginning of a packet, as ICMPv6 quotes it: Payload is what is there of it, and the payload
// length is not checked. Where the chain of headers is cut, Protocol is the type of the header that is not whole, and
// Payload what is there of that.
func (h *IPv6) ParseQuote(b []byte) error {
	if err := h.parseFixed(b); err != nil {
		return err
	}
	return h.parseChain(b[:min(len(b), IPv6Len+int(be.Uint16(b[4:])))], IPv6Len, true)
}

func (h *IPv6) parseFixed(b []byte) error {
	if len(b) < IPv6Len {
		return truncated("IPv6", "header", 0, len(b), IPv6Len)
	}
	first := be.Uint32(b)
	if first>>28 != 6 {
		return badValue("IPv6", "version", 0, int(first>>28))
	}
	h.TrafficClass, h.FlowLabel = uint8(first>>20), first&0xfffff
	h.Next, h.HopLimit = Protocol(b[6]), b[7]
	h.Src, h.Dst = addr16(b[8:24]), addr16(b[24:40])
	return nil
}

// parseChain walks the extension headers, from offset start of b, which ends where the packet does.
func (h *IPv6) parseChain(b []byte, start int, quote bool) error {
	h.Protocol, h.Fragment = h.Next, IPv6Fragment{}
	offset, field := start, 6 // of the next header, and of the byte that says what it is
	for count := 0; h.Protocol.isExtension(); count++ {
		if count == MaxExtensions {
			return overLimit("IPv6", "extension headers", offset, count+1, MaxExtensions)
		}
		if h.Protocol == ProtoHopByHop && count > 0 {
			return badValue("IPv6", "next header", field, int(ProtoHopByHop)) // RFC 8200, section 4.1
		}
		n, err := extensionLen(h.Protocol, b[offset:])
		if err == nil && (h.Protocol == ProtoHopByHop || h.Protocol == ProtoDestOpts) {
			err = IPv6Options(b[offset+2 : offset+n]).check(2)
		}
		if err != nil && quote {
			break
		} else if err != nil {
			return at(err, offset)
		}
		header := b[offset : offset+n]
		fragment := h.Protocol == ProtoFragment
		if fragment {
			h.Fragment = parseFragment(header)
		}
		h.Protocol, field = Protocol(header[0]), offset
		offset += n
		if fragment && h.IsFragment() {
			break
		}
	}
	h.Extensions, h.Payload = cut(b, start, offset), cut(b, offset, len(b))
	return nil
}

// AppendHeader writes the fixed header and the Extensions of a packet whose payload of n bytes is to follow. Next,
// Extensions, Fragment and Protocol have to agree.
func (h *IPv6) AppendHeader(b []byte, n int) ([]byte, error) {
	switch {
	case !h.Src.Is6():
		return b, badLength("IPv6", "source", emitted, h.Src.BitLen()/8, 16)
	case !h.Dst.Is6():
		return b, badLength("IPv6", "destination", emitted, h.Dst.BitLen()/8, 16)
	case n < 0 || len(h.Extensions)+n > maxIP:
		return b, badLength("IPv6", "payload length", emitted, len(h.Extensions)+n, maxIP)
	case h.FlowLabel > 0xfffff:
		return b, badValue("IPv6", "flow label", emitted, int(h.FlowLabel))
	}
	if err := h.checkChain(n); err != nil {
		return b, err
	}
	b, p := extend(b, IPv6Len)
	be.PutUint32(p, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel)
	be.PutUint16(p[4:], uint16(len(h.Extensions)+n))
	p[6], p[7] = byte(h.Next), h.HopLimit
	put16(p[8:], h.Src)
	put16(p[24:], h.Dst)
	return append(b, h.Extensions...), nil
}

// checkChain holds what is to be emitted against the rules of parsing: extensions that Parse would read otherwise than
// they are meant are refused.
func (h *IPv6) checkChain(n int) error {
	if len(h.Extensions) == 0 && h.Next == h.Protocol && !h.Fragment.Present && !h.Next.isExtension() {
		return nil
	}
	c := IPv6{Next: h.Next}
	if err := c.parseChain(h.Extensions, 0, false); err != nil {
		return emitting(err)
	}
	switch {
	case len(c.Payload) > 0:
		return badLength("IPv6", "extensions", emitted, len(h.Extensions), len(c.Extensions))
	case c.Protocol != h.Protocol:
		return badValue("IPv6", "protocol", emitted, int(h.Protocol))
	case c.Fragment != h.Fragment:
		return badValue("IPv6", "fragment", emitted, int(h.Fragment.Offset))
	}
	return emitting(c.checkFragment(n))
}

// checkFragment makes the checks of RFC 8200, section 4.5, on a fragment of n bytes.
func (h *IPv6) checkFragment(n int) error {
	if !h.IsFragment() {
		return nil
	}
	length := len(h.Extensions) + n
	if h.Fragment.More && n%8 != 0 {
		return badLength("IPv6", "payload length", 4, length, length-n%8)
	}
	if end := int(h.Fragment.Offset) + length - fragmentLen; end > maxIP {
		return badLength("IPv6", "fragment offset", IPv6Len+len(h.Extensions)-fragmentLen+2, end, maxIP)
	}
	return nil
}

// Append writes the packet.
func (h *IPv6) Append(b []byte) ([]byte, error) {
	out, err := h.AppendHeader(b, len(h.Payload))
	if err != nil {
		return b, err
	}
	return append(out, h.Payload...), nil
}

// String is tcpdump -v's line for the header, as in "IP6 (flowlabel 0x12345, hlim 64, next-header TCP (6) payload
// length: 20) fe80::1 > fe80::2".
func (h *IPv6) String() string { return string(h.text(nil)) }

func (h *IPv6) text(b []byte) []byte {
	b = append(b, "IP6 ("...)
	if h.TrafficClass != 0 {
		b = append(appendHex(append(b, "class 0x"...), uint64(h.TrafficClass), 2), ", "...)
	}
	if h.FlowLabel != 0 {
		b = append(appendHex(append(b, "flowlabel 0x"...), uint64(h.FlowLabel), 5), ", "...)
	}
	b = strconv.AppendUint(append(b, "hlim "...), uint64(h.HopLimit), 10)
	b = append(append(b, ", next-header "...), h.Next.name()...)
	b = strconv.AppendUint(append(b, " ("...), uint64(h.Next), 10)
	b = strconv.AppendInt(append(b, ") payload length: "...), int64(len(h.Extensions)+len(h.Payload)), 10)
	b = h.Src.AppendTo(append(b, ") "...))
	return h.Dst.AppendTo(append(b, " > "...))
}
