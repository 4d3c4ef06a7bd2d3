package wire

import (
	"net/netip"
	"time"
)

// The messages of neighbor discovery (RFC 4861, section 4) are ICMPv6 messages. Parse takes one from its type byte on
// and holds it against the rules that the message itself can break: code 0, its length, options of a length above zero,
// and no multicast address as a target (sections 6.1, 7.1 and 8.1). The hop limit has to be 255 and the checksum
// right: the caller has the IPv6 header and sees to both; the checksum is verified by ICMPv6.Verify.

// NDPHopLimit is the hop limit of every message of neighbor discovery: so nobody behind a router can send one.
const NDPHopLimit = 255

// parseNDP checks what all messages share: n bytes before the options.
func parseNDP(format string, b []byte, t ICMPv6Type, n int) (NDPOptions, error) {
	if len(b) < n {
		return nil, truncated(format, "message", 0, len(b), n)
	}
	if ICMPv6Type(b[0]) != t {
		return nil, badValue(format, "type", 0, int(b[0]))
	}
	if b[1] != 0 {
		return nil, badValue(format, "code", 1, int(b[1]))
	}
	o := NDPOptions(cut(b, n, len(b)))
	return o, o.check(format, n)
}

// parseTarget reads the address that a message is about, at offset 8. It may not be a multicast address.
func parseTarget(format string, b []byte) (netip.Addr, error) {
	a := addr16(b[8:24])
	if a.IsMulticast() {
		return a, badValue(format, "target", 8, int(b[8]))
	}
	return a, nil
}

// appendNDP makes room for a message of n bytes and options behind them, and writes what all share.
func appendNDP(b []byte, src, dst netip.Addr, t ICMPv6Type, n int, o NDPOptions) (all, added []byte, err error) {
	if err := o.check("NDP", 0); err != nil {
		return b, nil, emitting(err)
	}
	all, p, err := extendICMPv6(b, src, dst, t, n+len(o))
	if err != nil {
		return b, nil, err
	}
	be.PutUint32(p[4:], 0)
	copy(p[n:], o)
	return all, p, nil
}

// A RouterSolicitation asks the routers of a link for their advertisements.
type RouterSolicitation struct {
	Reserved uint32 // 0; kept, so that what was parsed is emitted as it was
	Options  NDPOptions
}

// Parse reads a message from its type byte on.
func (m *RouterSolicitation) Parse(b []byte) (err error) {
	if m.Options, err = parseNDP("router solicitation", b, ICMPv6RouterSolicitation, 8); err != nil {
		return err
	}
	m.Reserved = be.Uint32(b[4:])
	return nil
}

// Append writes the message with its ICMPv6 header.
func (m *RouterSolicitation) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	out, p, err := appendNDP(b, src, dst, ICMPv6RouterSolicitation, 8, m.Options)
	if err != nil {
		return b, err
	}
	be.PutUint32(p[4:], m.Reserved)
	return sumICMPv6(out, p, src, dst), nil
}

// String is tcpdump's line.
func (m *RouterSolicitation) String() string {
	return string(appendNDPLine([]byte("ICMP6, router solicitation"), 8, m.Options))
}

// RouterFlags are the flags of a router advertisement.
type RouterFlags uint8

// The flags: addresses, or other configuration, are to be had by DHCPv6.
const (
	RouterManaged     RouterFlags = 0x80
	RouterOtherConfig RouterFlags = 0x40
)

// A RouterAdvertisement is what a router says about the link and itself. Times are whole units on the wire, and Append
// rounds down; zero means "unspecified" but for Lifetime, where it means "no default router".
type RouterAdvertisement struct {
	HopLimit  uint8
	Flags     RouterFlags
	Lifetime  time.Duration // of the default router, in seconds on the wire: at most 65535
	Reachable time.Duration // how long a neighbor counts as reachable, in milliseconds on the wire
	Retrans   time.Duration // between two solicitations of a neighbor, in milliseconds on the wire
	Options   NDPOptions
}

// Parse reads a message from its type byte on.
func (m *RouterAdvertisement) Parse(b []byte) (err error) {
	if m.Options, err = parseNDP("router advertisement", b, ICMPv6RouterAdvertisement, 16); err != nil {
		return err
	}
	m.HopLimit, m.Flags = b[4], RouterFlags(b[5])
	m.Lifetime = time.Duration(be.Uint16(b[6:])) * time.Second
	m.Reachable = time.Duration(be.Uint32(b[8:])) * time.Millisecond
	m.Retrans = time.Duration(be.Uint32(b[12:])) * time.Millisecond
	return nil
}

// Append writes the message with its ICMPv6 header.
func (m *RouterAdvertisement) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	for _, f := range [...]struct {
		name string
		d    time.Duration
		unit time.Duration
		max  int64
	}{
		{"lifetime", m.Lifetime, time.Second, 1<<16 - 1},
		{"reachable time", m.Reachable, time.Millisecond, 1<<32 - 1},
		{"retransmission time", m.Retrans, time.Millisecond, 1<<32 - 1},
	} {
		if v := int64(f.d / f.unit); f.d < 0 || v > f.max {
			return b, badValue("router advertisement", f.name, emitted, int(v))
		}
	}
	out, p, err := appendNDP(b, src, dst, ICMPv6RouterAdvertisement, 16, m.Options)
	if err != nil {
		return b, err
	}
	p[4], p[5] = m.HopLimit, byte(m.Flags)
	be.PutUint16(p[6:], uint16(m.Lifetime/time.Second))
	be.PutUint32(p[8:], uint32(m.Reachable/time.Millisecond))
	be.PutUint32(p[12:], uint32(m.Retrans/time.Millisecond))
	return sumICMPv6(out, p, src, dst), nil
}

// String is tcpdump's line.
func (m *RouterAdvertisement) String() string {
	return string(appendNDPLine([]byte("ICMP6, router advertisement"), 16, m.Options))
}

// A NeighborSolicitation asks for the link address of Target, or whether it is still there, or whether anybody has it
// already (RFC 4862, section 5.4.2: then from the unspecified address).
type NeighborSolicitation struct {
	Reserved uint32     // 0; kept, so that what was parsed is emitted as it was
	Target   netip.Addr // of 16 bytes
	Options  NDPOptions
}

// Parse reads a message from its type byte on.
func (m *NeighborSolicitation) Parse(b []byte) (err error) {
	const format = "neighbor solicitation"
	if m.Options, err = parseNDP(format, b, ICMPv6NeighborSolicitation, 24); err != nil {
		return err
	}
	m.Reserved = be.Uint32(b[4:])
	m.Target, err = parseTarget(format, b)
	return err
}

// Append writes the message with its ICMPv6 header.
func (m *NeighborSolicitation) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	if !m.Target.Is6() || m.Target.IsMulticast() {
		return b, badValue("neighbor solicitation", "target", emitted, m.Target.BitLen())
	}
	out, p, err := appendNDP(b, src, dst, ICMPv6NeighborSolicitation, 24, m.Options)
	if err != nil {
		return b, err
	}
	be.PutUint32(p[4:], m.Reserved)
	put16(p[8:], m.Target)
	return sumICMPv6(out, p, src, dst), nil
}

// String is tcpdump's line.
func (m *NeighborSolicitation) String() string {
	b := m.Target.AppendTo([]byte("ICMP6, neighbor solicitation, who has "))
	return string(appendNDPLine(b, 24, m.Options))
}

// NeighborFlags are the flags of a neighbor advertisement, with the reserved bits behind them.
type NeighborFlags uint32

// The flags: the sender is a router; this answers a solicitation; it replaces what a cache has.
const (
	NeighborRouter    NeighborFlags = 1 << 31
	NeighborSolicited NeighborFlags = 1 << 30
	NeighborOverride  NeighborFlags = 1 << 29
)

// A NeighborAdvertisement says what the link address of Target is.
type NeighborAdvertisement struct {
	Flags   NeighborFlags
	Target  netip.Addr // of 16 bytes
	Options NDPOptions
}

// Parse reads a message from its type byte on.
func (m *NeighborAdvertisement) Parse(b []byte) (err error) {
	const format = "neighbor advertisement"
	if m.Options, err = parseNDP(format, b, ICMPv6NeighborAdvertisement, 24); err != nil {
		return err
	}
	m.Flags = NeighborFlags(be.Uint32(b[4:]))
	m.Target, err = parseTarget(format, b)
	return err
}

// Append writes the message with its ICMPv6 header.
func (m *NeighborAdvertisement) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	if !m.Target.Is6() || m.Target.IsMulticast() {
		return b, badValue("neighbor advertisement", "target", emitted, m.Target.BitLen())
	}
	out, p, err := appendNDP(b, src, dst, ICMPv6NeighborAdvertisement, 24, m.Options)
	if err != nil {
		return b, err
	}
	be.PutUint32(p[4:], uint32(m.Flags))
	put16(p[8:], m.Target)
	return sumICMPv6(out, p, src, dst), nil
}

// String is tcpdump's line.
func (m *NeighborAdvertisement) String() string {
	b := m.Target.AppendTo([]byte("ICMP6, neighbor advertisement, tgt is "))
	return string(appendNDPLine(b, 24, m.Options))
}

// A NeighborRedirect names a better first hop for a destination: Target, which is the destination itself where that is
// on the link.
type NeighborRedirect struct {
	Reserved    uint32     // 0; kept, so that what was parsed is emitted as it was
	Target      netip.Addr // of 16 bytes
	Destination netip.Addr // of 16 bytes
	Options     NDPOptions
}

// Parse reads a message from its type byte on.
func (m *NeighborRedirect) Parse(b []byte) (err error) {
	const format = "redirect"
	if m.Options, err = parseNDP(format, b, ICMPv6Redirect, 40); err != nil {
		return err
	}
	m.Reserved = be.Uint32(b[4:])
	if m.Target, err = parseTarget(format, b); err != nil {
		return err
	}
	if m.Destination = addr16(b[24:40]); m.Destination.IsMulticast() {
		return badValue(format, "destination", 24, int(b[24]))
	}
	return nil
}

// Append writes the message with its ICMPv6 header.
func (m *NeighborRedirect) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	if !m.Target.Is6() || m.Target.IsMulticast() {
		return b, badValue("redirect", "target", emitted, m.Target.BitLen())
	}
	if !m.Destination.Is6() || m.Destination.IsMulticast() {
		return b, badValue("redirect", "destination", emitted, m.Destination.BitLen())
	}
	out, p, err := appendNDP(b, src, dst, ICMPv6Redirect, 40, m.Options)
	if err != nil {
		return b, err
	}
	be.PutUint32(p[4:], m.Reserved)
	put16(p[8:], m.Target)
	put16(p[24:], m.Destination)
	return sumICMPv6(out, p, src, dst), nil
}

// String is tcpdump's line.
func (m *NeighborRedirect) String() string {
	b := m.Destination.AppendTo([]byte("ICMP6, redirect, "))
	b = m.Target.AppendTo(append(b, " to "...))
	return string(appendNDPLine(b, 40, m.Options))
}
