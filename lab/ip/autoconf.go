package ip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// An autoconf is what an interface has learned of routers, and what it says of itself where the host is one.
type autoconf struct {
	on        bool // Autoconfigure was called
	asks      int  // router solicitations that are still to be sent
	askAt     time.Duration
	mtu       int           // the link's, as a router told; at most the interface's
	hops      uint8         // 0: not told
	reachable time.Duration // REACHABLE_TIME's base
	retrans   time.Duration // RETRANS_TIMER
	learnedAt time.Duration // when the first learned route ends

	says   *RouterConfig
	sayAt  time.Duration // when the next advertisement is due
	said   time.Duration // when the last one was sent
	rounds int           // of them at first
}

func (a *autoconf) init(mtu int) {
	a.mtu, a.reachable, a.retrans = mtu, reachableTime, retransTime
	a.askAt, a.learnedAt, a.sayAt, a.said = off, off, off, -off
}

func (a *autoconf) due() time.Duration { return min(a.askAt, a.learnedAt, a.sayAt) }

// A RouterConfig is what a router tells the hosts of a link (RFC 4861, section 6.2.1).
type RouterConfig struct {
	Lifetime time.Duration    // of it as the default router, to 9000 s: 30 minutes at 0, and none below
	Prefixes []wire.NDPPrefix // at most 16
	MTU      uint32           // of the link; 0 is not told
	HopLimit uint8            // for what hosts send; 0 is not told
	Interval time.Duration    // at most between two advertisements: 10 minutes at 0 (MaxRtrAdvInterval)
}

// The times of routers and of who asks for them (RFC 4861, section 10).
const (
	routerAsks     = 3                      // MAX_RTR_SOLICITATIONS
	routerAskTime  = 4 * time.Second        // RTR_SOLICITATION_INTERVAL
	routerFirst    = 3                      // MAX_INITIAL_RTR_ADVERTISEMENTS
	routerFirstGap = 16 * time.Second       // MAX_INITIAL_RTR_ADVERT_INTERVAL
	routerLeastGap = 3 * time.Second        // MIN_DELAY_BETWEEN_RAS
	routerDelay    = 500 * time.Millisecond // MAX_RA_DELAY_TIME
	mostPrefixes   = 16                     // that a RouterConfig may have: one packet holds them
	twoHours       = 2 * time.Hour          // RFC 4862, section 5.5.3 (e)
)

// Autoconfigure gives the interface a link-local address, and asks for routers: it takes what they say from now on (RFC
// 4862, section 5). The identifier is that of the card's address (RFC 4291, appendix A): a lab's traces are read by
// people. ErrAddress: the MTU is below 1280.
func (i *Interface) Autoconfigure(now time.Duration) error {
	addr := i.identified(netip.MustParsePrefix("fe80::/64"))
	if err := i.Probe(now, netip.PrefixFrom(addr, 64)); err != nil {
		return err
	}
	i.addrs[len(i.addrs)-1].Auto = true
	i.auto.on, i.auto.asks = true, routerAsks
	i.auto.askAt = now + 2*probeTime // when the address is known to be this host's alone
	i.due = min(i.due, i.auto.askAt)
	return nil
}

// identified is the address with a prefix of 64 bits and the card's identifier.
func (i *Interface) identified(p netip.Prefix) netip.Addr {
	b, m := p.Addr().As16(), i.mac
	copy(b[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return netip.AddrFrom16(b)
}

// Advertise has a router tell the hosts of the link about itself, at once, when it is asked, and now and then. The
// interface needs a link-local address, from which it does: without one, or with more than 16 prefixes, or where the
// host is no router, it is ErrAddress.
func (i *Interface) Advertise(now time.Duration, c RouterConfig) error {
	if len(c.Prefixes) > mostPrefixes || !i.host.forward || !i.linkLocal().IsValid() {
		return ErrAddress
	}
	if c.Lifetime == 0 {
		c.Lifetime = 30 * time.Minute
	}
	c.Lifetime = min(max(c.Lifetime, 0), 9000*time.Second)
	if c.Interval <= 0 {
		c.Interval = 10 * time.Minute
	}
	c.Prefixes = slices.Clone(c.Prefixes)
	i.auto.says, i.auto.rounds, i.auto.sayAt = &c, routerFirst, now
	i.due = min(i.due, now)
	return nil
}

// linkLocal is the interface's link-local address; the zero Addr where there is none that may be used.
func (i *Interface) linkLocal() netip.Addr {
	for _, a := range i.addrs {
		if a.usable() && a.addr().Is6() && a.addr().IsLinkLocalUnicast() {
			return a.addr()
		}
	}
	return netip.Addr{}
}

// advanceAuto asks for routers, tells about this one, and forgets what is over.
func (i *Interface) advanceAuto(now time.Duration) {
	c := &i.auto
	if c.askAt <= now {
		c.askAt = off
		if src := i.linkLocal(); src.IsValid() {
			m := wire.RouterSolicitation{Options: wire.AppendNDPLinkAddr(nil, wire.NDPSourceAddr, i.mac)}
			i.sendNDP(now, src, allRouters, &m)
			if c.asks--; c.asks > 0 {
				c.askAt = now + routerAskTime
			}
		} // RFC 4862, section 5.4.5: a host whose link-local address is another's stays silent
	}
	if c.sayAt <= now {
		i.say(now)
	}
	if c.learnedAt <= now {
		i.host.dropRoutes(func(r *Route) bool { return r.learned && r.Interface == i && r.until <= now })
		i.learnedUntil()
	}
}

// learnedUntil finds when the first learned route ends.
func (i *Interface) learnedUntil() {
	i.auto.learnedAt = off
	for _, r := range i.host.routes {
		if r.learned && r.Interface == i {
			i.auto.learnedAt = min(i.auto.learnedAt, r.until)
		}
	}
	i.due = min(i.due, i.auto.learnedAt)
}

// say sends a router advertisement to all.
func (i *Interface) say(now time.Duration) {
	c := &i.auto
	gap := c.says.Interval/3 + i.host.spread(c.says.Interval*2/3+1) // between Min- and MaxRtrAdvInterval
	if c.rounds > 0 {
		c.rounds--
		gap = min(gap, routerFirstGap)
	}
	c.sayAt = now + max(gap, routerLeastGap)
	src := i.linkLocal()
	if !src.IsValid() {
		return
	}
	c.said = now
	m := wire.RouterAdvertisement{HopLimit: c.says.HopLimit, Lifetime: c.says.Lifetime}
	m.Options = wire.AppendNDPLinkAddr(m.Options, wire.NDPSourceAddr, i.mac)
	if c.says.MTU > 0 {
		m.Options = wire.AppendNDPMTU(m.Options, c.says.MTU)
	}
	for _, p := range c.says.Prefixes {
		if o, err := wire.AppendNDPPrefix(m.Options, p); err == nil {
			m.Options = o
		}
	}
	i.sendNDP(now, src, allNodes, &m)
}

// routerWanted takes a router solicitation (RFC 4861, section 6.2.6): the answer is for all, a short time later.
func (h *Host) routerWanted(now time.Duration, p *incoming) bool {
	var m wire.RouterSolicitation
	if m.Parse(p.payload) != nil {
		return false
	}
	mac, has := linkAddr(m.Options, wire.NDPSourceAddr)
	if p.src.IsUnspecified() && has {
		return false // section 6.1.1
	}
	c := &p.i.auto
	if c.says == nil {
		return true
	}
	if has {
		h.heard6(now, p.i, p.src, mac)
	}
	at := now + h.spread(routerDelay)
	if c.said > -off {
		at = max(at, c.said+routerLeastGap)
	}
	c.sayAt = min(c.sayAt, at)
	p.i.due = min(p.i.due, c.sayAt)
	return true
}

// routerTold takes a router advertisement (RFC 4861, section 6.3.4).
func (h *Host) routerTold(now time.Duration, p *incoming) bool {
	var m wire.RouterAdvertisement
	if m.Parse(p.payload) != nil || !p.src.IsLinkLocalUnicast() {
		return false // section 6.1.2
	}
	i, c := p.i, &p.i.auto
	if !c.on || h.forward {
		return true
	}
	c.asks, c.askAt = 0, off
	if m.HopLimit > 0 {
		c.hops = m.HopLimit
	}
	if m.Reachable > 0 && m.Reachable <= time.Hour {
		c.reachable = m.Reachable
	}
	// others would be a flood, or a neighbor never found
	if m.Retrans >= 100*time.Millisecond && m.Retrans <= time.Minute {
		c.retrans = m.Retrans
	}
	i.learn(now, netip.PrefixFrom(netip.IPv6Unspecified(), 0), p.src, m.Lifetime)
	if mac, has := linkAddr(m.Options, wire.NDPSourceAddr); has {
		h.heard6(now, i, p.src, mac).Router = true
	}
	for o, rest, ok := m.Options.Next(); ok; o, rest, ok = rest.Next() {
		if mtu, is := o.MTU(); is && mtu >= leastMTU6 && int64(mtu) <= int64(i.mtu) {
			c.mtu = int(mtu)
		}
		if x, is := o.Prefix(); is && !x.Prefix.Addr().IsLinkLocalUnicast() && !x.Prefix.Addr().IsMulticast() {
			if x.OnLink {
				i.learn(now, x.Prefix.Masked(), netip.Addr{}, x.Valid)
			}
			if x.Autonomous && x.Preferred <= x.Valid && x.Prefix.Bits() == 64 {
				i.made(now, x)
			}
		}
	}
	return true
}

// learn adds, prolongs or, for a lifetime of 0, takes away a route that a router tells.
func (i *Interface) learn(now time.Duration, prefix netip.Prefix, via netip.Addr, life time.Duration) {
	h, until := i.host, ends(now, life)
	same := func(r *Route) bool { return r.learned && r.Interface == i && r.Prefix == prefix && r.Via == via }
	if life == 0 {
		h.dropRoutes(same)
		i.learnedUntil()
		return
	}
	n := 0
	for at := range h.routes {
		r := &h.routes[at]
		if same(r) {
			r.until = until
			i.learnedUntil()
			return
		}
		if r.learned {
			n++
		}
	}
	if n < 2*h.limits.Learned {
		h.addRoute(Route{Prefix: prefix, Via: via, Interface: i, learned: true, until: until})
		i.learnedUntil()
	}
}

// ends is when a lifetime is over.
func ends(now, life time.Duration) time.Duration {
	if life == wire.Infinite {
		return off
	}
	return now + life
}

// made makes an address of a prefix, or changes its lifetimes (RFC 4862, section 5.5.3).
func (i *Interface) made(now time.Duration, x wire.NDPPrefix) {
	prefix := netip.PrefixFrom(i.identified(x.Prefix), 64)
	valid, preferred := ends(now, x.Valid), ends(now, x.Preferred)
	if a := i.own(prefix.Addr()); a != nil {
		if !a.Auto {
			return
		}
		a.preferred = preferred
		switch left := a.valid - now; { // (e): nobody ends an address by a message that anybody could have sent
		case x.Valid > twoHours || valid > a.valid:
			a.valid = valid
		case left > twoHours:
			a.valid = now + twoHours
		}
		if a.usable() {
			a.State = Preferred
			if a.preferred <= now {
				a.State = Deprecated
			}
		}
		i.due = min(i.due, a.preferred, a.valid)
		return
	}
	n := 0
	for _, a := range i.addrs {
		if a.Auto {
			n++
		}
	}
	if x.Valid == 0 || n >= i.host.limits.Learned {
		return
	}
	a, err := i.add(prefix, false)
	if err != nil {
		return // another interface of this host has it
	}
	a.Auto, a.valid, a.preferred = true, valid, preferred
	i.ask(now, a)
}
