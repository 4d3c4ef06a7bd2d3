package wire

import (
	"net/netip"
	"strconv"
	"time"
)

// The options of neighbor discovery (RFC 4861, section 4.6; RFC 8106).
const (
	NDPSourceAddr = 1 // the sender's link address
	NDPTargetAddr = 2 // the target's link address
	NDPPrefixInfo = 3
	NDPRedirected = 4 // the beginning of the packet that led to a redirect
	NDPMTU        = 5
	NDPDNSServers = 25
)

// NDPOptions are the bytes behind a message's fixed part. Each option's length is a multiple of 8 bytes above 0.
type NDPOptions []byte

// An NDPOption is one of them. Data is what follows type and length.
type NDPOption struct {
	Type uint8
	Data []byte // a view
}

// Next returns the first option and the rest. It is not ok at the end:
//
//	for o, rest, ok := m.Options.Next(); ok; o, rest, ok = rest.Next() { … }
func (o NDPOptions) Next() (opt NDPOption, rest NDPOptions, ok bool) {
	if len(o) < 8 || o[1] == 0 || int(o[1])*8 > len(o) {
		return opt, nil, false // the end, or nobody has parsed it
	}
	n := int(o[1]) * 8
	return NDPOption{o[0], cut(o, 2, n)}, o[n:], true
}

// check finds the first option whose length is not true. The options begin at offset of the message.
func (o NDPOptions) check(format string, offset int) error {
	for i := 0; i < len(o); {
		if len(o)-i < 2 {
			return truncated(format, "option", offset+i, len(o)-i, 8)
		}
		n := int(o[i+1]) * 8
		if n == 0 || n > len(o)-i {
			return badLength(format, "option length", offset+i+1, n, len(o)-i)
		}
		i += n
	}
	return nil
}

// LinkAddr is the address of an NDPSourceAddr or NDPTargetAddr option, on Ethernet.
func (o NDPOption) LinkAddr() (MAC, bool) {
	if (o.Type != NDPSourceAddr && o.Type != NDPTargetAddr) || len(o.Data) != 6 {
		return MAC{}, false
	}
	return MAC(o.Data), true
}

// MTU is the link's, in bytes, out of an NDPMTU option.
func (o NDPOption) MTU() (uint32, bool) {
	if o.Type != NDPMTU || len(o.Data) != 6 {
		return 0, false
	}
	return be.Uint32(o.Data[2:]), true
}

// An NDPPrefix is what an NDPPrefixInfo option says about a prefix: whether its addresses are on the link, and whether
// one may be made from it (RFC 4862).
type NDPPrefix struct {
	Prefix     netip.Prefix
	OnLink     bool
	Autonomous bool
	Valid      time.Duration // Infinite: for ever
	Preferred  time.Duration // at most Valid, or the option is not to be used
}

// Infinite is a lifetime without an end: 2³²-1 seconds on the wire (RFC 4861, section 4.6.2).
const Infinite = (1<<32 - 1) * time.Second

// Prefix is what an NDPPrefixInfo option says. It is not ok where the length of the prefix is over 128.
func (o NDPOption) Prefix() (p NDPPrefix, ok bool) {
	if o.Type != NDPPrefixInfo || len(o.Data) != 30 || o.Data[0] > 128 {
		return p, false
	}
	return NDPPrefix{
		Prefix:     netip.PrefixFrom(addr16(o.Data[14:30]), int(o.Data[0])),
		OnLink:     o.Data[1]&0x80 != 0,
		Autonomous: o.Data[1]&0x40 != 0,
		Valid:      time.Duration(be.Uint32(o.Data[2:])) * time.Second,
		Preferred:  time.Duration(be.Uint32(o.Data[6:])) * time.Second,
	}, true
}

// Servers are the addresses of an NDPDNSServers option, behind servers, and how long they are good.
func (o NDPOption) Servers(servers []netip.Addr) (all []netip.Addr, lifetime time.Duration, ok bool) {
	if o.Type != NDPDNSServers || len(o.Data) < 22 || len(o.Data)%16 != 6 {
		return servers, 0, false
	}
	for a := o.Data[6:]; len(a) > 0; a = a[16:] {
		servers = append(servers, addr16(a[:16]))
	}
	return servers, time.Duration(be.Uint32(o.Data[2:])) * time.Second, true
}

// AppendNDPLinkAddr writes an NDPSourceAddr or NDPTargetAddr option behind the others.
func AppendNDPLinkAddr(o NDPOptions, kind uint8, m MAC) NDPOptions {
	return append(append(o, kind, 1), m[:]...)
}

// AppendNDPMTU writes an NDPMTU option behind the others.
func AppendNDPMTU(o NDPOptions, mtu uint32) NDPOptions {
	return be.AppendUint32(append(o, NDPMTU, 1, 0, 0), mtu)
}

// AppendNDPPrefix writes an NDPPrefixInfo option behind the others. Times are rounded down to seconds, and limited to
// Infinite.
func AppendNDPPrefix(o NDPOptions, p NDPPrefix) (NDPOptions, error) {
	if !p.Prefix.IsValid() || !p.Prefix.Addr().Is6() {
		return o, badLength("NDP", "prefix", emitted, p.Prefix.Addr().BitLen()/8, 16)
	}
	if p.Valid < 0 || p.Preferred < 0 {
		return o, badValue("NDP", "lifetime", emitted, int(min(p.Valid, p.Preferred)/time.Second))
	}
	var flags byte
	if p.OnLink {
		flags |= 0x80
	}
	if p.Autonomous {
		flags |= 0x40
	}
	o = append(o, NDPPrefixInfo, 4, byte(p.Prefix.Bits()), flags)
	o = be.AppendUint32(o, uint32(min(p.Valid, Infinite)/time.Second))
	o = be.AppendUint32(o, uint32(min(p.Preferred, Infinite)/time.Second))
	a := p.Prefix.Masked().Addr().As16()
	return append(append(o, 0, 0, 0, 0), a[:]...), nil
}

// AppendNDPServers writes an NDPDNSServers option behind the others. The lifetime is rounded down to seconds, and
// limited to Infinite.
func AppendNDPServers(o NDPOptions, lifetime time.Duration, servers ...netip.Addr) (NDPOptions, error) {
	if len(servers) == 0 || len(servers) > 127 {
		return o, overLimit("NDP", "DNS servers", emitted, len(servers), 127)
	}
	for _, a := range servers {
		if !a.Is6() {
			return o, badLength("NDP", "DNS server", emitted, a.BitLen()/8, 16)
		}
	}
	o = append(o, NDPDNSServers, byte(1+2*len(servers)), 0, 0)
	o = be.AppendUint32(o, uint32(min(max(lifetime, 0), Infinite)/time.Second))
	for _, a := range servers {
		v := a.As16()
		o = append(o, v[:]...)
	}
	return o, nil
}

// appendNDPLine ends a line: the length of a message of n bytes before its options.
func appendNDPLine(b []byte, n int, o NDPOptions) []byte {
	return strconv.AppendInt(append(b, ", length "...), int64(n+len(o)), 10)
}
