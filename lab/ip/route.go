package ip

import (
	"net/netip"
	"slices"
	"time"
)

// A Route says where packets to a prefix go: to the router Via, or, where that is the zero Addr, to the destination
// itself, which is on the interface's link.
type Route struct {
	Prefix    netip.Prefix
	Via       netip.Addr
	Interface *Interface // nil with a Via: that by which Via is reached now

	local   bool          // of an interface's own address
	learned bool          // from a router advertisement
	until   time.Duration // its lifetime's end, where it was learned
	lease   *Lease        // of the DHCP client that has added it
}

// AddRoute adds a route. Of those that match a destination, that with the longest prefix is taken, and of several as
// long the one that was added first. A Via that is not on a link of this host, or of another family, is ErrAddress.
func (h *Host) AddRoute(r Route) error {
	if !r.Prefix.IsValid() || r.Via.IsValid() && r.Via.Is4() != r.Prefix.Addr().Is4() {
		return ErrAddress
	}
	if r.Interface == nil {
		on, ok := h.lookup(r.Via)
		if !r.Via.IsValid() || !ok || on.Via.IsValid() {
			return ErrAddress
		}
		r.Interface = on.Interface
	}
	r.Prefix, r.local, r.learned, r.lease = r.Prefix.Masked(), false, false, nil
	h.addRoute(r)
	return nil
}

// DropRoute takes away the routes to a prefix that AddRoute has added.
func (h *Host) DropRoute(prefix netip.Prefix) {
	prefix = prefix.Masked()
	h.dropRoutes(func(r *Route) bool { return !r.local && !r.learned && r.lease == nil && r.Prefix == prefix })
}

// Routes are all routes, in the order in which they are tried.
func (h *Host) Routes() []Route { return slices.Clone(h.routes) }

// addRoute puts a route behind those with a prefix as long.
func (h *Host) addRoute(r Route) {
	for n := range h.routes {
		o := &h.routes[n]
		if r.local && o.local && o.Prefix == r.Prefix && o.Interface == r.Interface {
			return
		}
	}
	n := slices.IndexFunc(h.routes, func(o Route) bool { return o.Prefix.Bits() < r.Prefix.Bits() })
	if n < 0 {
		n = len(h.routes)
	}
	h.routes = slices.Insert(h.routes, n, r)
}

func (h *Host) dropRoutes(drop func(*Route) bool) {
	h.routes = slices.DeleteFunc(h.routes, func(r Route) bool { return drop(&r) })
}

// lookup is the route to an address: the first in their order is that with the longest prefix. A linear search: hosts
// and the routers of a lab have a handful.
func (h *Host) lookup(dst netip.Addr) (*Route, bool) {
	for n := range h.routes {
		if r := &h.routes[n]; r.Prefix.Contains(dst) {
			return r, true
		}
	}
	return nil, false
}

// hop is where a packet to dst goes next: the neighbor, and the interface. Groups and broadcasts are on a link, and
// where no route says on which, on the first interface's.
func (h *Host) hop(dst netip.Addr) (*Interface, netip.Addr, bool) {
	r, ok := h.lookup(dst)
	switch {
	case ok && (!r.Via.IsValid() || dst.IsMulticast()):
		return r.Interface, dst, true
	case ok:
		return r.Interface, r.Via, true
	case (dst.IsMulticast() || dst == everybody) && len(h.interfaces) > 0:
		return h.interfaces[0], dst, true
	}
	return nil, netip.Addr{}, false
}

// Source is the address that this host would send to dst from, in the spirit of RFC 6724: dst itself where it is the
// host's, and else that of the interface's addresses which has the right scope, is not deprecated, and shares the
// longest prefix with dst; of several the one that was added first. Where that interface has none of a scope that
// reaches dst, another's is taken; where there is none at all, or no route, it is ErrUnreachable.
func (h *Host) Source(dst netip.Addr) (netip.Addr, error) {
	if h.mine(dst) {
		return dst, nil
	}
	i, next, ok := h.hop(dst)
	if !ok {
		return netip.Addr{}, ErrUnreachable
	}
	if a := i.source(dst, next); a.IsValid() {
		return a, nil
	}
	for _, i := range h.interfaces {
		if a := i.source(dst, next); a.IsValid() && !a.IsLinkLocalUnicast() {
			return a, nil
		}
	}
	return netip.Addr{}, ErrUnreachable
}

// source is the best of an interface's addresses for dst by the neighbor next; the zero Addr where none will do.
func (i *Interface) source(dst, next netip.Addr) (best netip.Addr) {
	most := -1
	local := dst.IsLinkLocalUnicast() || dst.IsLinkLocalMulticast() && dst.Is6()
	for _, a := range i.addrs {
		addr := a.addr()
		if !a.usable() || addr.Is4() != dst.Is4() || addr.Is6() && addr.IsLinkLocalUnicast() && !local {
			continue
		}
		score := common(addr, dst)
		if a.State == Preferred {
			score += 1 << 10 // rule 3: avoid deprecated addresses
		}
		if local && addr.IsLinkLocalUnicast() {
			score += 1 << 11 // rule 2: the scope of the destination
		}
		if addr.Is4() && a.Prefix.Contains(next) {
			score += 1 << 12 // the network that the neighbor is in
		}
		if score > most {
			most, best = score, addr
		}
	}
	return best
}

// common is how many bits two addresses of one family share from the left: rule 8.
func common(a, b netip.Addr) int {
	n := 0
	for x, y := a.AsSlice(), b.AsSlice(); n < 8*len(x) && (x[n/8]^y[n/8])&(0x80>>(n%8)) == 0; n++ {
	}
	return n
}
