package ip

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// sendNDP sends a message of neighbor discovery: in a buffer of its own, as a packet that waits for it is being built.
func (i *Interface) sendNDP(now time.Duration, src, dst netip.Addr, m interface {
	Append(b []byte, src, dst netip.Addr) ([]byte, error)
}) {
	b, err := m.Append(make([]byte, 0, 256), src, dst)
	if err != nil {
		panic("lab/ip: " + err.Error()) // the addresses are IPv6's: see the callers
	}
	// What has no link address yet waits for it, and is lost where it does not come.
	_ = i.host.output(now, &outgoing{i: i, src: src, dst: dst, protocol: wire.ProtoICMPv6, ttl: wire.NDPHopLimit,
		payload: b})
}

// solicit asks for target (RFC 4861, section 7.2.2), or, from the unspecified address, whether anybody has it.
func (i *Interface) solicit(now time.Duration, src, target, dst netip.Addr) {
	m := wire.NeighborSolicitation{Target: target}
	if !src.IsUnspecified() {
		m.Options = wire.AppendNDPLinkAddr(nil, wire.NDPSourceAddr, i.mac)
	}
	i.sendNDP(now, src, dst, &m)
}

// advertise says that target is this host (RFC 4861, sections 7.2.4 and 7.2.6).
func (i *Interface) advertise(now time.Duration, target, dst netip.Addr, flags wire.NeighborFlags) {
	if i.host.forward {
		flags |= wire.NeighborRouter
	}
	m := wire.NeighborAdvertisement{Flags: flags, Target: target,
		Options: wire.AppendNDPLinkAddr(nil, wire.NDPTargetAddr, i.mac)}
	i.sendNDP(now, target, dst, &m)
}

// linkAddr is the link address that options name.
func linkAddr(o wire.NDPOptions, kind uint8) (wire.MAC, bool) {
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		if m, is := opt.LinkAddr(); is && opt.Type == kind && !m.IsMulticast() {
			return m, true
		}
	}
	return wire.MAC{}, false
}

// discovery takes a message of neighbor discovery. One that has passed a router is not one (RFC 4861, section 7.1).
func (h *Host) discovery(now time.Duration, p *incoming, t wire.ICMPv6Type) {
	if p.ttl != wire.NDPHopLimit || p.payload[1] != 0 || p.i == nil {
		h.Dropped.Malformed++
		return
	}
	fine := false
	switch t {
	case wire.ICMPv6NeighborSolicitation:
		fine = h.solicitation(now, p)
	case wire.ICMPv6NeighborAdvertisement:
		fine = h.advertisement(now, p)
	case wire.ICMPv6RouterSolicitation:
		fine = h.routerWanted(now, p)
	default:
		fine = h.routerTold(now, p)
	}
	if !fine {
		h.Dropped.Malformed++
	}
}

// solicitation answers who asks for an address of this host (RFC 4861, section 7.2.3; RFC 4862, section 5.4.3). It is
// false for one that is not valid (section 7.1.1).
func (h *Host) solicitation(now time.Duration, p *incoming) bool {
	var m wire.NeighborSolicitation
	if m.Parse(p.payload) != nil || m.Target.IsMulticast() {
		return false
	}
	mac, has := linkAddr(m.Options, wire.NDPSourceAddr)
	probing := p.src.IsUnspecified()
	if probing && (has || p.dst != solicited(m.Target)) {
		return false
	}
	a := p.i.own(m.Target)
	switch {
	case a == nil:
	case a.State == Tentative && probing:
		p.i.conflict(now, a)
	case !a.usable():
	case probing:
		p.i.advertise(now, m.Target, allNodes, wire.NeighborOverride)
	default:
		if has {
			h.heard6(now, p.i, p.src, mac)
		}
		p.i.advertise(now, m.Target, p.src, wire.NeighborSolicited|wire.NeighborOverride)
	}
	return true
}

// heard6 takes the link address that a neighbor names of itself, without having been asked.
func (h *Host) heard6(now time.Duration, i *Interface, addr netip.Addr, mac wire.MAC) *neighbor {
	n := h.neighbors.table[neighborKey{i, addr}]
	if n == nil {
		n = h.enter(now, i, addr)
	} else if n.MAC == mac {
		return n
	}
	n.MAC = mac
	h.turn(n, Stale, now+staleTime)
	h.release(n)
	return n
}

// advertisement takes a neighbor's answer, or its news (RFC 4861, section 7.2.5).
func (h *Host) advertisement(now time.Duration, p *incoming) bool {
	var m wire.NeighborAdvertisement
	told := func(f wire.NeighborFlags) bool { return m.Flags&f != 0 }
	if m.Parse(p.payload) != nil || m.Target.IsMulticast() || told(wire.NeighborSolicited) && p.dst.IsMulticast() {
		return false // section 7.1.2
	}
	if a := p.i.own(m.Target); a != nil {
		p.i.conflict(now, a)
		return true
	}
	n := h.neighbors.table[neighborKey{p.i, m.Target}]
	if n == nil {
		return true
	}
	mac, has := linkAddr(m.Options, wire.NDPTargetAddr)
	other := has && mac != n.MAC
	switch {
	case n.State == Incomplete && !has:
		return true
	case n.State != Incomplete && other && !told(wire.NeighborOverride):
		if n.State == Reachable {
			h.turn(n, Stale, now+staleTime)
		}
		return true
	}
	if has {
		n.MAC = mac
	}
	switch {
	case told(wire.NeighborSolicited):
		h.confirmed(now, n)
	case other:
		h.turn(n, Stale, now+staleTime)
	}
	h.release(n)
	if n.Router && !told(wire.NeighborRouter) {
		h.dropRoutes(func(r *Route) bool { return r.learned && r.Via == n.Addr && r.Interface == n.Interface })
	}
	n.Router = told(wire.NeighborRouter)
	return true
}
