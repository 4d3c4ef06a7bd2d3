package ip

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// The groups that every host, and every router, is in (RFC 4291, section 2.7.1).
var (
	allNodes   = netip.MustParseAddr("ff02::1")
	allRouters = netip.MustParseAddr("ff02::2")
)

// solicited is the solicited-node group of an address.
func solicited(a netip.Addr) netip.Addr {
	g, b := netip.MustParseAddr("ff02::1:ff00:0").As16(), a.As16()
	copy(g[13:], b[13:])
	return netip.AddrFrom16(g)
}

// inGroup reports whether the host listens to a group on an interface.
func (i *Interface) inGroup(g netip.Addr) bool {
	if g == allNodes || g == allRouters && i.host.forward {
		return true
	}
	for _, a := range i.addrs {
		if a.addr().Is6() && solicited(a.addr()) == g {
			return true
		}
	}
	return false
}

func (h *Host) input6(now time.Duration, i *Interface, b []byte, group bool) {
	var ip wire.IPv6
	if err := ip.Parse(b); err != nil {
		h.malformed6(now, i, b, group, err)
		return
	}
	b = b[:wire.IPv6Len+len(ip.Extensions)+len(ip.Payload)]
	if i != nil && (ip.Src.IsMulticast() || ip.Src.IsLoopback() || ip.Dst.IsLoopback() || ip.Dst.IsUnspecified() ||
		ip.Src.Is4In6() || ip.Dst.Is4In6() || h.mine(ip.Src)) {
		h.Dropped.Martian++
		return
	}
	p := incoming{i: i, src: ip.Src, dst: ip.Dst, protocol: ip.Protocol, tos: ip.TrafficClass, ttl: ip.HopLimit, raw: b,
		payload: ip.Payload, offset: wire.IPv6Len + len(ip.Extensions), group: group}
	switch {
	case ip.Dst.IsMulticast() && i != nil && i.inGroup(ip.Dst):
		p.group = true
	case ip.Dst.IsMulticast():
		h.Dropped.Strange++
		return
	case !h.mine(ip.Dst):
		if !group {
			h.forward6(now, &p)
		} else {
			h.Dropped.Strange++
		}
		return
	}
	if !h.extensions(now, &p, &ip) {
		return
	}
	if !ip.IsFragment() {
		h.deliver(now, &p)
		return
	}
	key := assemblyKey{ip.Src, ip.Dst, 0, ip.Fragment.ID}
	f := fragment{int(ip.Fragment.Offset), ip.Fragment.More, ip.Payload}
	if !h.assemble(now, key, f, &p, h.limits.AssemblyTime6) {
		return
	}
	// What was cut may begin with more headers: it is read as a packet of its own.
	whole := append(append(make([]byte, 0, wire.IPv6Len+len(p.payload)), p.raw[:wire.IPv6Len]...), p.payload...)
	binary.BigEndian.PutUint16(whole[4:], uint16(len(p.payload)))
	whole[6] = byte(p.protocol)
	if ip.Parse(whole) != nil || ip.Fragment.Present {
		h.Dropped.Malformed++ // fragments within fragments
		return
	}
	p.raw, p.payload, p.protocol, p.offset = whole, ip.Payload, ip.Protocol, wire.IPv6Len+len(ip.Extensions)
	if h.extensions(now, &p, &ip) {
		h.deliver(now, &p)
	}
}

// malformed6 drops a packet that is not well formed, and tells its sender where it is not, if it was for this host and
// so far behind the addresses that they can be believed (RFC 8200, section 4.5).
func (h *Host) malformed6(now time.Duration, i *Interface, b []byte, group bool, err error) {
	h.Dropped.Malformed++
	var e *wire.Error
	var ip wire.IPv6
	if errors.As(err, &e) && e.Offset >= wire.IPv6Len && e.Err != wire.ErrTruncated && ip.ParseQuote(b) == nil &&
		h.mine(ip.Dst) {
		p := incoming{i: i, src: ip.Src, dst: ip.Dst, raw: b, group: group}
		h.complain(now, &p, badField, uint32(e.Offset))
	}
}

// extensions does what a packet's extension headers ask for: false where they ask to drop it (RFC 8200, section 4).
func (h *Host) extensions(now time.Duration, p *incoming, ip *wire.IPv6) bool {
	from := 0
	for e, to, ok := ip.Extension(ip.Next, 0); ok; e, to, ok = ip.Extension(e.Next, to) {
		at := wire.IPv6Len + from
		from = to
		switch e.Type {
		case wire.ProtoHopByHop, wire.ProtoDestOpts:
			if !h.options6(now, p, e.Data, at) {
				return false
			}
		case wire.ProtoRouting:
			if e.Data[3] != 0 { // segments left: none is followed (RFC 5095, section 3; RFC 8200, section 4.4)
				h.Dropped.SourceRoutes++
				h.complain(now, p, badField, uint32(at+2))
				return false
			}
		case wire.ProtoAuth:
			h.Dropped.Strange++ // nobody has agreed on keys: what it says cannot be checked
			return false
		}
	}
	return true
}

// options6 walks the options of a header that begins at at: none is known, and their types say what that means.
func (h *Host) options6(now time.Duration, p *incoming, b []byte, at int) bool {
	for n := 2; n < len(b); {
		if b[n] == 0 { // Pad1
			n++
			continue
		}
		o := wire.IPv6Option{Type: b[n]}
		switch action := o.Action(); {
		case b[n] == 1 || b[n] == wire.IPv6OptRouterAlert || action == wire.IPv6Skip: // PadN; what a host passes over
		case action == wire.IPv6Report, action == wire.IPv6ReportUnicast && !p.dst.IsMulticast():
			h.complain(now, p, badOption, uint32(at+n))
			fallthrough
		default:
			h.Dropped.Strange++
			return false
		}
		n += 2 + int(b[n+1])
	}
	return true
}

// forward6 sends a packet to another host on, where this host is a router.
func (h *Host) forward6(now time.Duration, p *incoming) {
	if !h.forward || p.i == nil || p.src.IsUnspecified() || p.src.IsLinkLocalUnicast() || p.dst.IsLinkLocalUnicast() {
		h.Dropped.Strange++
		return
	}
	if p.ttl <= 1 {
		h.complain(now, p, hopsExceeded, 0)
		return
	}
	i, next, ok := h.hop(p.dst)
	if !ok {
		h.complain(now, p, noRoute, 0)
		return
	}
	if len(p.raw) > i.mtu {
		h.complain(now, p, tooLong, uint32(i.mtu))
		return
	}
	b := append(append(h.buf[:0], headroom[:]...), p.raw...)
	b[wire.EthernetLen+7]--
	h.transmit(now, i, next, b)
}

func (h *Host) output6(now time.Duration, o *outgoing, i *Interface, next netip.Addr) error {
	ip := wire.IPv6{TrafficClass: o.tos, HopLimit: o.ttl, Next: o.protocol, Protocol: o.protocol, Src: o.src, Dst: o.dst}
	if o.ttl == defaultTTL && i.auto.hops > 0 {
		ip.HopLimit = i.auto.hops
	}
	mtu, n := min(i.mtu, i.auto.mtu), o.len()
	if o.segment == nil {
		mtu = min(mtu, h.paths.mtu(o.dst))
	}
	switch {
	case i.mtu < leastMTU6:
		return ErrUnreachable
	case n > 65535-8:
		return ErrTooLong
	case wire.IPv6Len+n <= mtu:
		b, err := ip.AppendHeader(append(h.buf[:0], headroom[:]...), n)
		if err == nil {
			b, err = o.append(b)
		}
		if err != nil {
			return err
		}
		h.transmit(now, i, next, b)
		return nil
	case o.segment != nil:
		h.tooLong(o.segment, mtu)
		return ErrTooLong
	case o.whole:
		return ErrTooLong
	}
	id, each := uint32(h.random()), (mtu-wire.IPv6Len-8)&^7
	for start := 0; start < n; start += each {
		end := min(start+each, n)
		f := wire.IPv6Fragment{More: end < n, Offset: uint16(start), ID: id}
		var err error
		if ip.Extensions, err = wire.AppendFragment(ip.Extensions[:0], o.protocol, f); err != nil {
			return err
		}
		f.Present = true
		ip.Next, ip.Fragment, ip.Payload = wire.ProtoFragment, f, o.payload[start:end]
		b, err := ip.Append(append(h.buf[:0], headroom[:]...))
		if err != nil {
			return err
		}
		h.transmit(now, i, next, b)
	}
	return nil
}

var complaints6 = [...]struct {
	t    wire.ICMPv6Type
	code uint8
}{
	noRoute: {wire.ICMPv6Unreachable, wire.ICMPv6NoRoute}, noNeighbor: {wire.ICMPv6Unreachable,
		wire.ICMPv6AddressUnreachable},
	noPort: {wire.ICMPv6Unreachable, wire.ICMPv6PortUnreachable}, tooLong: {wire.ICMPv6PacketTooBig, 0},
	noProtocol:   {wire.ICMPv6Parameter, wire.ICMPv6UnknownNextHeader},
	hopsExceeded: {wire.ICMPv6TimeExceeded, wire.ICMPv6HopLimitExceeded},
	notAssembled: {wire.ICMPv6TimeExceeded, wire.ICMPv6ReassemblyExceeded},
	badField:     {wire.ICMPv6Parameter, wire.ICMPv6BadHeader},
	badOption:    {wire.ICMPv6Parameter, wire.ICMPv6UnknownOption},
}

func (h *Host) complain6(now time.Duration, p *incoming, why complaint, rest uint32, src netip.Addr) {
	if why == noProtocol {
		rest = nextHeaderAt(p.raw)
	}
	m := wire.ICMPv6{Type: complaints6[why].t, Code: complaints6[why].code, Rest: rest}
	m.Payload = p.raw[:min(len(p.raw), leastMTU6-wire.IPv6Len-wire.ICMPLen)]
	h.data, _ = m.Append(h.data[:0], src, p.src) // it cannot fail: both are IPv6's
	// An error to a neighbor on the link leaves by the link it came from; what cannot be sent is lost.
	o := outgoing{src: src, dst: p.src, protocol: wire.ProtoICMPv6, payload: h.data}
	if p.src.IsLinkLocalUnicast() {
		o.i = p.i
	}
	_ = h.output(now, &o)
}

// nextHeaderAt is where a packet says of which protocol its payload is.
func nextHeaderAt(raw []byte) uint32 {
	var ip wire.IPv6
	at, from := 6, 0
	if ip.ParseQuote(raw) == nil {
		for e, to, ok := ip.Extension(ip.Next, 0); ok; e, to, ok = ip.Extension(e.Next, to) {
			at, from = wire.IPv6Len+from, to
		}
	}
	return uint32(at)
}

func (h *Host) inputICMP6(now time.Duration, p *incoming) {
	var m wire.ICMPv6
	if m.Parse(p.payload) != nil || m.Verify(p.payload, p.src, p.dst) != nil {
		h.Dropped.Malformed++
		return
	}
	switch m.Type {
	case wire.ICMPv6Echo:
		src := p.dst
		if p.group { // RFC 4443, section 4.2: an answer is allowed, and from an address of the interface
			h.Dropped.Echoes++
			return
		}
		m.Type = wire.ICMPv6EchoReply
		if h.mayAnswer(now) {
			h.data, _ = m.Append(h.data[:0], src, p.src)
			o := outgoing{src: src, dst: p.src, protocol: wire.ProtoICMPv6, tos: p.tos, payload: h.data}
			if p.src.IsLinkLocalUnicast() {
				o.i = p.i
			}
			_ = h.output(now, &o)
		}
	case wire.ICMPv6EchoReply:
		h.reply(p, m.ID(), m.Seq(), m.Payload)
	case wire.ICMPv6Unreachable:
		a := tcp.NetUnreachable
		if m.Code == wire.ICMPv6AdminProhibited || m.Code == wire.ICMPv6PortUnreachable {
			a = tcp.PortUnreachable
		}
		h.advised(now, p.src, m.Payload, a, 0)
	case wire.ICMPv6PacketTooBig:
		if m.Rest < leastMTU6 { // no link of IPv6 has that: RFC 8201, section 4
			h.Dropped.Advice++
			return
		}
		h.advised(now, p.src, m.Payload, tcp.TooBig, int(min(m.Rest, 65535)))
	case wire.ICMPv6TimeExceeded:
		h.advised(now, p.src, m.Payload, tcp.TimeExceeded, 0)
	case wire.ICMPv6Parameter:
		h.advised(now, p.src, m.Payload, tcp.ParameterProblem, 0)
	case wire.ICMPv6NeighborSolicitation, wire.ICMPv6NeighborAdvertisement, wire.ICMPv6RouterSolicitation,
		wire.ICMPv6RouterAdvertisement:
		h.discovery(now, p, m.Type)
	default:
		h.Dropped.Strange++
	}
}
