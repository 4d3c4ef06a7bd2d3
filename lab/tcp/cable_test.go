package tcp_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A cable is the script's end of what a judged TCP is connected to: it makes frames of what the peer sends, and reads
// those of the TCP. It answers for each address of the network that is not the TCP's.
type cable struct {
	t                  testing.TB
	network            netip.Prefix
	local, second      netip.Addr // the TCP's
	remote, way        netip.Addr // the script's
	localMAC, peersMAC wire.MAC
	via                []netip.Addr       // the source route of what comes from the peer
	put                func(frame []byte) // to the TCP's side
	known              chan struct{}      // has one in it once the TCP's side has answered hello
}

// newCable is one with the addresses of network n, of the family.
func newCable(t testing.TB, n byte, six bool) cable {
	at := func(last byte) netip.Addr {
		if six {
			return netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x50, 3: n, 15: last})
		}
		return netip.AddrFrom4([4]byte{10, 50, n, last})
	}
	bits := 24
	if six {
		bits = 64
	}
	return cable{t: t, network: netip.PrefixFrom(at(0), bits), local: at(1), remote: at(2), second: at(3), way: at(4),
		localMAC: wire.MAC{2, 0, 0, 0, 0, 1}, peersMAC: wire.MAC{2, 0, 0, 0, 0, 2}, known: make(chan struct{}, 1)}
}

// prefixes are the TCP's addresses.
func (c *cable) prefixes() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(c.local, c.network.Bits()), netip.PrefixFrom(c.second, c.network.Bits())}
}

func (c *cable) addr() netip.Addr          { return c.local }
func (c *cable) other() netip.Addr         { return c.second }
func (c *cable) peer() netip.Addr          { return c.remote }
func (c *cable) router() netip.Addr        { return c.way }
func (c *cable) through(via ...netip.Addr) { c.via = via }

func (c *cable) aim(a netip.Addr) {
	if a != c.local {
		c.local, c.second = a, c.local
	}
}

func (c *cable) inject(protocol wire.Protocol, tos uint8, b []byte) {
	c.send(c.remote, protocol, tos, b)
}

func (c *cable) injectFrom(src netip.Addr, b []byte) { c.send(src, wire.ProtoTCP, 0, b) }

func (c *cable) send(src netip.Addr, protocol wire.Protocol, tos uint8, b []byte) {
	c.t.Helper()
	p := wire.IPv4{Src: src, Dst: c.local, Protocol: protocol, TOS: tos, TTL: 64, Payload: b}
	b, err := p.Append(nil)
	kind := wire.EtherTypeIPv4
	switch {
	case src.Is6():
		p := wire.IPv6{Src: src, Dst: c.local, Next: protocol, Protocol: protocol, TrafficClass: tos, HopLimit: 255,
			Payload: p.Payload}
		b, err = p.Append(nil)
		kind = wire.EtherTypeIPv6
	case len(c.via) > 0: // which it has passed
		data := []byte{byte(4*len(c.via) + 4)}
		for _, a := range c.via {
			data = append(data, a.AsSlice()...)
		}
		o, e := wire.AppendIPv4Option(nil, wire.IPv4OptLooseRoute, data...)
		if e != nil {
			c.t.Fatal(e)
		}
		p.Options = wire.PadOptions(o)
		b, err = p.Append(nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.frame(kind, b)
}

func (c *cable) frame(kind wire.EtherType, b []byte) {
	c.t.Helper()
	e := wire.Ethernet{Dst: c.localMAC, Src: c.peersMAC, Type: kind, Payload: b}
	b, err := e.Append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(b)
}

// hello asks for the TCP's link address, from which that learns the peer's.
func (c *cable) hello() {
	c.t.Helper()
	if c.local.Is6() {
		m := wire.NeighborSolicitation{Target: c.local,
			Options: wire.AppendNDPLinkAddr(nil, wire.NDPSourceAddr, c.peersMAC)}
		b, err := m.Append(nil, c.remote, c.local)
		if err != nil {
			c.t.Fatal(err)
		}
		c.send(c.remote, wire.ProtoICMPv6, 0, b)
		return
	}
	c.arp(wire.ARPRequest, c.remote)
}

// arp says or asks something of the TCP's side as the host with address a.
func (c *cable) arp(op wire.ARPOp, a netip.Addr) {
	c.t.Helper()
	m := wire.ARP{Op: op, SenderMAC: c.peersMAC, SenderIP: a, TargetMAC: c.localMAC, TargetIP: c.local}
	b, err := m.Append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.frame(wire.EtherTypeARP, b)
}

// asked answers a question for a link address of the script's.
func (c *cable) asked(kind wire.EtherType, src netip.Addr, protocol wire.Protocol, b []byte) {
	ours := func(a netip.Addr) bool { return c.network.Contains(a) && a != c.local && a != c.second }
	var a wire.ARP
	var n wire.NeighborSolicitation
	var told wire.NeighborAdvertisement
	switch {
	case kind == wire.EtherTypeARP && a.Parse(b) == nil && a.Op == wire.ARPReply,
		protocol == wire.ProtoICMPv6 && told.Parse(b) == nil && told.Flags&wire.NeighborSolicited != 0:
		select {
		case c.known <- struct{}{}:
		default:
		}
	case kind == wire.EtherTypeARP && a.Parse(b) == nil && a.Op == wire.ARPRequest && ours(a.TargetIP):
		c.arp(wire.ARPReply, a.TargetIP)
	case protocol == wire.ProtoICMPv6 && n.Parse(b) == nil && ours(n.Target) && !src.IsUnspecified():
		m := wire.NeighborAdvertisement{Flags: wire.NeighborSolicited | wire.NeighborOverride, Target: n.Target,
			Options: wire.AppendNDPLinkAddr(nil, wire.NDPTargetAddr, c.peersMAC)}
		p := wire.IPv6{Src: n.Target, Dst: src, Next: wire.ProtoICMPv6, Protocol: wire.ProtoICMPv6, HopLimit: 255}
		var err error
		if p.Payload, err = m.Append(nil, n.Target, src); err == nil {
			b, err = p.Append(nil)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		c.frame(wire.EtherTypeIPv6, b)
	}
}

// took reads a frame of the TCP's side, and reports whether it is a segment to the peer.
func (c *cable) took(b []byte, at time.Duration) (h sent, ok bool) {
	var e wire.Ethernet
	if e.Parse(b) != nil {
		return h, false
	}
	var dst netip.Addr
	var protocol wire.Protocol
	text := e.Payload
	var four wire.IPv4
	var six wire.IPv6
	switch {
	case e.Type == wire.EtherTypeIPv4 && four.Parse(e.Payload) == nil:
		h.src, dst, protocol, text, h.tos, h.ttl = four.Src, four.Dst, four.Protocol, four.Payload, four.TOS, four.TTL
		dst, h.via = routed(four.Options, dst)
	case e.Type == wire.EtherTypeIPv6 && six.Parse(e.Payload) == nil:
		h.src, dst, protocol, text, h.tos, h.ttl = six.Src, six.Dst, six.Protocol, six.Payload, six.TrafficClass,
			six.HopLimit
	}
	c.asked(e.Type, h.src, protocol, text)
	if protocol != wire.ProtoTCP || dst != c.remote {
		return h, false
	}
	if err := h.Parse(text); err != nil {
		c.t.Errorf("a segment that is not well formed: %v", err)
	}
	if err := h.Verify(text, h.src, dst); err != nil {
		c.t.Errorf("a segment's checksum: %v", err)
	}
	wellFormed(c.t, h.Options)
	h.Payload, h.Options, h.at = bytes.Clone(h.Payload), bytes.Clone(h.Options), at
	return h, true
}

// routed is where a packet goes in the end, and by which hosts, whose header has dst.
func routed(o wire.IPv4Options, dst netip.Addr) (end netip.Addr, via []netip.Addr) {
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		if opt.Type != wire.IPv4OptLooseRoute && opt.Type != wire.IPv4OptStrictRoute {
			continue
		}
		for at := int(opt.Data[0]) - 3; at+4 <= len(opt.Data); at += 4 {
			via, dst = append(via, dst), netip.AddrFrom4([4]byte(opt.Data[at:]))
		}
	}
	return dst, via
}

// wellFormed holds that each option but the two of one byte has its length (MUST-68), and that zeros alone follow the
// end of the list (MUST-69).
func wellFormed(t testing.TB, o []byte) {
	t.Helper()
	for len(o) > 0 {
		switch {
		case o[0] == 0:
			if bytes.Trim(o, "\x00") != nil && len(bytes.Trim(o, "\x00")) > 0 {
				t.Errorf("behind the end of the options there is %x", o)
			}
			return
		case o[0] == 1:
			o = o[1:]
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			t.Errorf("an option without its length: %x", o)
			return
		default:
			o = o[o[1]:]
		}
	}
}
