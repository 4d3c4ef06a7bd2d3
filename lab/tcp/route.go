package tcp

import (
	"net/netip"
	"slices"
)

// A route is a connection's source route: RFC 9293, section 3.9.2.1.
type route struct {
	via []netip.Addr // in the order in which what is sent passes them
	own bool         // the application's, which goes before one that a datagram brings (MUST-52)
}

// SetRoute has what is sent from now on pass these hosts (MUST-51); the slice is copied. None is the direct way. The
// route of a peer's segments is not followed any more (MUST-52). More than MaxVia hosts, or IPv6, which has no source
// routes (RFC 5095), fail with ErrAddress.
func (c *Conn) SetRoute(via ...netip.Addr) error {
	six := func(a netip.Addr) bool { return !a.Is4() }
	if len(via) > MaxVia || !c.key.remote.Addr().Is4() || slices.ContainsFunc(via, six) {
		return ErrAddress
	}
	c.route = &route{via: slices.Clone(via), own: true}
	return nil
}

// gotRoute takes the source route of a segment that the peer has sent: what is sent goes back the same way (MUST-53),
// by the latest one (SHLD-24). A segment without one changes nothing.
func (c *Conn) gotRoute(g *segment) {
	if len(g.via) == 0 || len(g.via) > MaxVia || c.route != nil && c.route.own {
		return
	}
	back := slices.Clone(g.via)
	slices.Reverse(back)
	c.route = &route{via: back}
}
