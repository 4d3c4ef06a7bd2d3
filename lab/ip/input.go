package ip

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// An incoming is a packet that has come, whole.
type incoming struct {
	i        *Interface // nil: from this host
	src, dst netip.Addr
	protocol wire.Protocol
	tos, ttl uint8
	raw      []byte // the packet, or its first fragment: what an ICMP error quotes
	payload  []byte
	offset   int // of payload in raw, where it is not put together
	via      []netip.Addr
	group    bool // to more hosts than one, by its address or that of its frame
}

func (h *Host) input4(now time.Duration, i *Interface, b []byte, group bool) {
	var ip wire.IPv4
	if ip.Parse(b) != nil || ip.Verify(b) != nil {
		h.Dropped.Malformed++
		return
	}
	header := wire.IPv4MinLen + len(ip.Options)
	b = b[:header+len(ip.Payload)]
	if i != nil && h.martian4(i, &ip) {
		h.Dropped.Martian++
		return
	}
	via, passed := sourceRouted(ip.Options)
	if via != nil && !(h.routed && passed && ip.Protocol == wire.ProtoTCP) {
		h.Dropped.SourceRoutes++
		return
	}
	p := incoming{via: via, i: i, src: ip.Src, dst: ip.Dst, protocol: ip.Protocol, tos: ip.TOS, ttl: ip.TTL, raw: b,
		payload: ip.Payload, offset: header, group: group}
	switch {
	case i != nil && (i.broadcast(ip.Dst) || ip.Dst == allHosts):
		p.group = true
	case ip.Dst.IsMulticast():
		h.Dropped.Strange++
		return
	case group:
		h.Dropped.Strange++ // RFC 1122, section 3.3.6: a broadcast of the link to one host
		return
	case !h.mine(ip.Dst):
		h.forward4(now, &p, &ip)
		return
	}
	if ip.IsFragment() {
		key := assemblyKey{ip.Src, ip.Dst, ip.Protocol, uint32(ip.ID)}
		f := fragment{int(ip.Offset), ip.Flags&wire.MoreFragments != 0, ip.Payload}
		if !h.assemble(now, key, f, &p, h.limits.AssemblyTime4) {
			return
		}
	}
	h.deliver(now, &p)
}

// allHosts is every host's group of IPv4 (RFC 1112, section 4).
var allHosts = netip.AddrFrom4([4]byte{224, 0, 0, 1})

// martian4 reports whether a packet has addresses that cannot be on a link (RFC 1122, section 3.2.1.3; RFC 1812,
// section 5.3.7).
func (h *Host) martian4(i *Interface, ip *wire.IPv4) bool {
	src := ip.Src
	return src.IsMulticast() || src.As4()[0] >= 240 || src.IsLoopback() || ip.Dst.IsLoopback() || i.broadcast(src) ||
		h.mine(src) || src.As4()[0] == 0 && src != netip.IPv4Unspecified() || ip.Dst.IsUnspecified()
}

// sourceRouted is the source route of a packet, in the order in which it passes the hosts; nil where it has none.
// passed says that it has passed all of them. A second one is not looked for: RFC 791, section 3.1 has one at most.
func sourceRouted(o wire.IPv4Options) (via []netip.Addr, passed bool) {
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		if opt.Type != wire.IPv4OptLooseRoute && opt.Type != wire.IPv4OptStrictRoute {
			continue
		}
		via = []netip.Addr{}
		if len(opt.Data) == 0 {
			return via, false
		}
		for rest := opt.Data[1:]; len(rest) >= 4; rest = rest[4:] {
			via = append(via, netip.AddrFrom4([4]byte(rest)))
		}
		return via, int(opt.Data[0]) > len(opt.Data)+2
	}
	return nil, false
}

// forward4 sends a packet to another host on, where this host is a router (RFC 1812, section 5).
func (h *Host) forward4(now time.Duration, p *incoming, ip *wire.IPv4) {
	if !h.forward || p.i == nil || ip.Src.IsUnspecified() || ip.Src.IsLinkLocalUnicast() || ip.Dst.IsLinkLocalUnicast() ||
		ip.Dst.As4()[0] >= 240 {
		h.Dropped.Strange++
		return
	}
	if ip.TTL <= 1 {
		h.complain(now, p, hopsExceeded, 0)
		return
	}
	i, next, ok := h.hop(ip.Dst)
	if !ok {
		h.complain(now, p, noRoute, 0)
		return
	}
	if i.broadcast(ip.Dst) {
		h.Dropped.Strange++ // RFC 2644: broadcasts to another network are an amplifier
		return
	}
	if len(p.raw) > i.mtu {
		if ip.Flags&wire.DontFragment != 0 {
			h.complain(now, p, tooLong, uint32(i.mtu))
			return
		}
		ip.TTL--
		h.fragment4(now, ip, i, next, i.mtu)
		return
	}
	b := append(append(h.buf[:0], headroom[:]...), p.raw...)
	wire.DecrementTTL(b[wire.EthernetLen:])
	h.transmit(now, i, next, b)
}

// deliver gives a packet to the protocol that it is for.
func (h *Host) deliver(now time.Duration, p *incoming) {
	switch {
	case p.protocol == wire.ProtoTCP && p.group:
		h.Dropped.Strange++ // MUST-57 of RFC 9293
	case p.protocol == wire.ProtoTCP:
		h.tcp.Input(now, tcp.Envelope{Src: p.src, Dst: p.dst, TOS: p.tos, Via: p.via}, p.payload)
	case p.protocol == wire.ProtoUDP:
		h.inputUDP(now, p)
	case p.protocol == wire.ProtoICMPv4 && p.dst.Is4():
		h.inputICMP4(now, p)
	case p.protocol == wire.ProtoICMPv6 && p.dst.Is6():
		h.inputICMP6(now, p)
	case p.protocol == wire.ProtoNoNext && p.dst.Is6():
		h.Dropped.Strange++ // RFC 8200, section 4.7: nothing follows
	default:
		h.Dropped.Strange++
		h.complain(now, p, noProtocol, 0)
	}
}
