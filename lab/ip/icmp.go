package ip

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// A complaint is why an ICMP error is sent.
type complaint uint8

const (
	noRoute      complaint = iota
	noNeighbor             // the link address was asked for and nobody answered
	noPort                 //
	noProtocol             // in IPv6 a parameter problem
	tooLong                // with the MTU
	hopsExceeded           //
	notAssembled           //
	badField               // a parameter problem, with its place
	badOption              // IPv6: one that is not known
)

var complaints4 = [...]struct {
	t    wire.ICMPv4Type
	code uint8
}{
	noRoute: {wire.ICMPv4Unreachable, wire.ICMPv4NetUnreachable}, noNeighbor: {wire.ICMPv4Unreachable,
		wire.ICMPv4HostUnreachable},
	noPort: {wire.ICMPv4Unreachable, wire.ICMPv4PortUnreachable}, noProtocol: {wire.ICMPv4Unreachable,
		wire.ICMPv4ProtoUnreachable},
	tooLong:      {wire.ICMPv4Unreachable, wire.ICMPv4FragmentationNeeded},
	hopsExceeded: {wire.ICMPv4TimeExceeded, wire.ICMPv4TTLExceeded},
	notAssembled: {wire.ICMPv4TimeExceeded, wire.ICMPv4ReassemblyExceeded},
	badField:     {wire.ICMPv4Parameter, 0},
}

// complain sends an ICMP error about a packet to who has sent it; but never about an error, a packet to a group or by a
// broadcast of the link, a fragment but the first, or a packet that does not say which host has sent it (RFC 1122,
// section 3.2.2; RFC 4443, section 2.4 (e)).
func (h *Host) complain(now time.Duration, p *incoming, why complaint, rest uint32) {
	six := p.dst.Is6()
	groupsToo := six && (why == tooLong || why == badOption) // RFC 4443, 2.4 (e.3): for path MTUs of groups
	if p.src.IsUnspecified() || p.src.IsMulticast() || p.src.IsLoopback() && p.i != nil || p.group && !groupsToo ||
		!six && p.src.As4()[0] >= 240 || aboutError(p.raw) {
		return
	}
	if !h.errors.take(now) {
		h.Dropped.Errors++
		return
	}
	src := p.dst
	if p.group || !h.mine(p.dst) {
		var err error
		if src, err = h.Source(p.src); err != nil {
			return
		}
	}
	if six {
		h.complain6(now, p, why, rest, src)
		return
	}
	m := wire.ICMPv4{Type: complaints4[why].t, Code: complaints4[why].code, Rest: rest}
	m.Payload = p.raw[:min(len(p.raw), quoteLen4-wire.IPv4MinLen-wire.ICMPLen)]
	h.data, _ = m.Append(h.data[:0]) // it cannot fail: there is nothing in it that it could refuse
	// What cannot be sent is lost: errors are a courtesy.
	_ = h.output(now, &outgoing{src: src, dst: p.src, protocol: wire.ProtoICMPv4, payload: h.data})
}

// aboutError reports whether a packet may not be complained about for what it is: an ICMP error, one whose kind is cut
// off or not known, or a fragment but the first.
func aboutError(raw []byte) bool {
	if raw[0]>>4 == 4 {
		var ip wire.IPv4
		if ip.ParseQuote(raw) != nil || ip.Offset != 0 {
			return true
		}
		if ip.Protocol != wire.ProtoICMPv4 {
			return false
		}
		if len(ip.Payload) == 0 {
			return true
		}
		switch wire.ICMPv4Type(ip.Payload[0]) {
		case wire.ICMPv4Echo, wire.ICMPv4EchoReply, wire.ICMPv4Timestamp, wire.ICMPv4TimestampReply:
			return false
		}
		return true
	}
	var ip wire.IPv6
	if ip.ParseQuote(raw) != nil || ip.Fragment.Offset != 0 {
		return true
	}
	// RFC 4443, section 2.4 (e.1) and (e.2): errors are below 128, and redirects are like them.
	return ip.Protocol == wire.ProtoICMPv6 && (len(ip.Payload) == 0 || ip.Payload[0] < 128 ||
		wire.ICMPv6Type(ip.Payload[0]) == wire.ICMPv6Redirect)
}

// undeliverable tells of a packet for whose next hop nobody has answered: this host's own sockets, or its sender.
func (h *Host) undeliverable(now time.Duration, i *Interface, raw []byte) {
	p := incoming{i: i, raw: raw}
	if raw[0]>>4 == 4 {
		var ip wire.IPv4
		if ip.ParseQuote(raw) != nil {
			return
		}
		p.src, p.dst = ip.Src, ip.Dst
	} else {
		var ip wire.IPv6
		if ip.ParseQuote(raw) != nil {
			return
		}
		p.src, p.dst = ip.Src, ip.Dst
	}
	if h.mine(p.src) {
		h.advised(now, p.src, raw, tcp.NetUnreachable, 0)
		return
	}
	h.complain(now, &p, noNeighbor, 0)
}

func (h *Host) inputICMP4(now time.Duration, p *incoming) {
	var m wire.ICMPv4
	if m.Parse(p.payload) != nil || m.Verify(p.payload) != nil {
		h.Dropped.Malformed++
		return
	}
	switch m.Type {
	case wire.ICMPv4Echo:
		if p.group { // RFC 1122, section 3.2.2.6, leaves it open; answers to everybody's are an amplifier
			h.Dropped.Echoes++
			return
		}
		m.Type = wire.ICMPv4EchoReply
		if h.mayAnswer(now) {
			h.data, _ = m.Append(h.data[:0]) // as it was parsed
			_ = h.output(now, &outgoing{src: p.dst, dst: p.src, protocol: wire.ProtoICMPv4, tos: p.tos, payload: h.data})
		}
	case wire.ICMPv4EchoReply:
		h.reply(p, m.ID(), m.Seq(), m.Payload)
	case wire.ICMPv4Unreachable:
		a, mtu := tcp.NetUnreachable, 0
		switch m.Code {
		case wire.ICMPv4ProtoUnreachable, wire.ICMPv4PortUnreachable:
			a = tcp.PortUnreachable
		case wire.ICMPv4FragmentationNeeded:
			a, mtu = tcp.TooBig, m.MTU()
			if mtu == 0 {
				mtu = plateau(m.Original())
			}
		}
		h.advised(now, p.src, m.Original(), a, mtu)
	case wire.ICMPv4TimeExceeded:
		h.advised(now, p.src, m.Original(), tcp.TimeExceeded, 0)
	case wire.ICMPv4Parameter:
		h.advised(now, p.src, m.Original(), tcp.ParameterProblem, 0)
	default:
		// Redirects and source quench are not heeded (RFC 6633), nor is what is not known (RFC 1122, section 3.2.2).
		h.Dropped.Strange++
	}
}

// plateau is the next common MTU below the length of a packet that was too long, for routers that do not tell theirs
// (RFC 1191, section 7.1).
func plateau(quote []byte) int {
	n := 0
	if len(quote) >= 4 {
		n = int(quote[2])<<8 | int(quote[3])
	}
	for _, mtu := range [...]int{32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296} {
		if mtu < n {
			return mtu
		}
	}
	return leastMTU4
}

// advised tells TCP, a socket or who sends echoes what the network says about a packet that this host has sent: from is
// who says it, and quote the packet's beginning. What this host cannot have sent is somebody's guess.
func (h *Host) advised(now time.Duration, from netip.Addr, quote []byte, a tcp.Advice, mtu int) {
	var src, dst netip.Addr
	var protocol wire.Protocol
	var payload []byte
	if len(quote) > 0 && quote[0]>>4 == 4 {
		var ip wire.IPv4
		if ip.ParseQuote(quote) != nil || ip.Offset != 0 {
			h.Dropped.Advice++
			return
		}
		src, dst, protocol, payload = ip.Src, ip.Dst, ip.Protocol, ip.Payload
	} else {
		var ip wire.IPv6
		if ip.ParseQuote(quote) != nil || ip.Fragment.Offset != 0 {
			h.Dropped.Advice++
			return
		}
		src, dst, protocol, payload = ip.Src, ip.Dst, ip.Protocol, ip.Payload
	}
	if !h.mine(src) || len(payload) < wire.ICMPLen {
		h.Dropped.Advice++
		return
	}
	switch protocol {
	case wire.ProtoTCP:
		var s wire.TCP
		if s.ParseQuote(payload) == nil {
			h.tcp.Advise(now, netip.AddrPortFrom(src, s.SrcPort), netip.AddrPortFrom(dst, s.DstPort), tcp.Seq(s.Seq), a, mtu)
		}
	case wire.ProtoUDP:
		var u wire.UDP
		if u.ParseQuote(payload) == nil {
			h.adviseUDP(now, netip.AddrPortFrom(src, u.SrcPort), netip.AddrPortFrom(dst, u.DstPort), a, mtu)
		}
	case wire.ProtoICMPv4, wire.ProtoICMPv6:
		h.adviseEcho(now, from, dst, payload, a, mtu)
	default:
		h.Dropped.Advice++
	}
}

// failure is an advice as the error that a socket gets; nil where there is nothing that a socket does about it.
func failure(a tcp.Advice) error {
	switch a {
	case tcp.NetUnreachable:
		return ErrUnreachable
	case tcp.PortUnreachable:
		return ErrRefused
	case tcp.TimeExceeded:
		return ErrExpired
	case tcp.TooBig:
		return ErrTooLong
	}
	return nil
}
