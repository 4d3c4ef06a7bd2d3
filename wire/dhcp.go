package wire

import (
	"net/netip"
	"strconv"
)

// The lengths of a DHCP message in bytes (RFC 2131, section 2).
const (
	DHCPMinLen  = 240 // the fixed part and the magic cookie
	BOOTPMinLen = 300 // what relays and old servers expect at least; PadDHCP fills up to it
)

// The lengths of the fields that hold a name or options.
const (
	dhcpNameLen = 64
	dhcpFileLen = 128
)

// dhcpMagic is the cookie before the options (RFC 2132, section 2).
const dhcpMagic = 0x63825363

// The ports of DHCP.
const (
	DHCPServerPort = 67
	DHCPClientPort = 68
)

// dhcpBroadcast is the one bit of the flags that has a meaning.
const dhcpBroadcast = 0x8000

// DHCPv4 is a message of DHCP (RFC 2131) in the format of BOOTP (RFC 951).
//
//	0  1     2    3    4     8      10      12       16       20       24       28      44     108    236    240
//	|op|htype|hlen|hops| xid | secs | flags | ciaddr | yiaddr | siaddr | giaddr | chaddr| sname| file | magic| options
type DHCPv4 struct {
	Reply      bool // from a server: op 2, not 1
	HType      uint8
	HLen       uint8 // of the client's address in CHAddr, at most 16
	Hops       uint8
	XID        uint32 // the client's number for the exchange
	Secs       uint16 // since the client began
	Flags      uint16 // Broadcast reads its first bit
	CIAddr     netip.Addr
	YIAddr     netip.Addr // what the client is given
	SIAddr     netip.Addr // the next server in a boot
	GIAddr     netip.Addr // the relay
	CHAddr     [16]byte   // the client's hardware address; MAC reads it
	ServerName []byte     // 64 bytes, ended by a zero, or options; Append takes fewer too, and fills up with zeros
	File       []byte     // 128 bytes, so too
	Options    DHCPOptions
}

// MAC is the client's Ethernet address, where it has one.
func (h *DHCPv4) MAC() (MAC, bool) {
	if h.HType != arpEthernet || h.HLen != arpMACLen {
		return MAC{}, false
	}
	return MAC(h.CHAddr[:]), true
}

// Broadcast reports whether the client wants its reply as a broadcast, as it cannot take a unicast yet.
func (h *DHCPv4) Broadcast() bool { return h.Flags&dhcpBroadcast != 0 }

// SetMAC says whose message this is.
func (h *DHCPv4) SetMAC(m MAC) {
	h.HType, h.HLen, h.CHAddr = arpEthernet, arpMACLen, [16]byte{}
	copy(h.CHAddr[:], m[:])
}

// Parse reads a message: all of b. The options have to end with DHCPEnd, as RFC 2131, section 3, wants; where the
// option DHCPOverload says that the fields File and ServerName hold more of them, those too.
func (h *DHCPv4) Parse(b []byte) error {
	if len(b) < DHCPMinLen {
		return truncated("DHCP", "message", 0, len(b), DHCPMinLen)
	}
	switch {
	case b[0] != 1 && b[0] != 2:
		return badValue("DHCP", "op", 0, int(b[0]))
	case b[2] > 16:
		return badLength("DHCP", "hardware address length", 2, int(b[2]), 16)
	case be.Uint32(b[236:]) != dhcpMagic:
		return badValue("DHCP", "magic cookie", 236, int(be.Uint32(b[236:])))
	}
	h.Reply, h.HType, h.HLen, h.Hops = b[0] == 2, b[1], b[2], b[3]
	h.XID, h.Secs, h.Flags = be.Uint32(b[4:]), be.Uint16(b[8:]), be.Uint16(b[10:])
	h.CIAddr, h.YIAddr = addr4(b[12:16]), addr4(b[16:20])
	h.SIAddr, h.GIAddr = addr4(b[20:24]), addr4(b[24:28])
	h.CHAddr, h.ServerName, h.File = [16]byte(b[28:44]), cut(b, 44, 108), cut(b, 108, 236)
	h.Options = DHCPOptions(cut(b, DHCPMinLen, len(b)))
	if err := h.Options.check(DHCPMinLen); err != nil {
		return err
	}
	return h.checkOverload(108, 44)
}

// checkOverload checks the options in File and in ServerName, which lie at these offsets.
func (h *DHCPv4) checkOverload(file, name int) error {
	over := h.overload()
	if over&1 != 0 {
		if err := DHCPOptions(h.File).check(file); err != nil {
			return err
		}
	}
	if over&2 != 0 {
		return DHCPOptions(h.ServerName).check(name)
	}
	return nil
}

// overload says which fields hold options too: 1 File, 2 ServerName, 3 both (RFC 2132, section 9.3).
func (h *DHCPv4) overload() uint8 {
	for o, rest, ok := h.Options.Next(); ok; o, rest, ok = rest.Next() {
		if o.Code == DHCPOverload && len(o.Data) == 1 {
			return o.Data[0] & 3
		}
	}
	return 0
}

// Append writes the message. The zero Addr is written as 0.0.0.0, and where Options has no DHCPEnd, one is added.
func (h *DHCPv4) Append(b []byte) ([]byte, error) {
	if h.HLen > 16 {
		return b, badLength("DHCP", "hardware address length", emitted, int(h.HLen), 16)
	}
	addrs := [...]netip.Addr{h.CIAddr, h.YIAddr, h.SIAddr, h.GIAddr}
	for _, a := range addrs {
		if a.IsValid() && !a.Is4() {
			return b, badLength("DHCP", "address", emitted, a.BitLen()/8, 4)
		}
	}
	if len(h.ServerName) > dhcpNameLen {
		return b, badLength("DHCP", "server name", emitted, len(h.ServerName), dhcpNameLen)
	}
	if len(h.File) > dhcpFileLen {
		return b, badLength("DHCP", "file", emitted, len(h.File), dhcpFileLen)
	}
	if len(h.Options) > maxIP-DHCPMinLen-1 {
		return b, badLength("DHCP", "options", emitted, len(h.Options), maxIP-DHCPMinLen-1)
	}
	end, err := h.Options.scan(0)
	if err == nil {
		err = h.checkOverload(0, 0)
	}
	if err != nil {
		return b, emitting(err)
	}
	b, p := extend(b, DHCPMinLen)
	p[0], p[1], p[2], p[3] = 1, h.HType, h.HLen, h.Hops
	if h.Reply {
		p[0] = 2
	}
	be.PutUint32(p[4:], h.XID)
	be.PutUint16(p[8:], h.Secs)
	be.PutUint16(p[10:], h.Flags)
	for i, a := range addrs {
		var v [4]byte
		if a.IsValid() {
			v = a.As4()
		}
		copy(p[12+4*i:], v[:])
	}
	copy(p[28:], h.CHAddr[:])
	clear(p[44+copy(p[44:], h.ServerName) : 108])
	clear(p[108+copy(p[108:], h.File) : 236])
	be.PutUint32(p[236:], dhcpMagic)
	b = append(b, h.Options...)
	if !end {
		b = append(b, DHCPEnd)
	}
	return b, nil
}

// PadDHCP fills the message up with zeros to BOOTPMinLen. The message began at start.
func PadDHCP(b []byte, start int) []byte {
	short := BOOTPMinLen - (len(b) - start)
	if short <= 0 {
		return b
	}
	b, p := extend(b, short)
	clear(p)
	return b
}

// String is tcpdump's line, as in "BOOTP/DHCP, Request from 02:00:00:00:00:01, length 300".
func (h *DHCPv4) String() string { return string(h.text(nil, DHCPMinLen+len(h.Options))) }

// text is the line of a message of n bytes.
func (h *DHCPv4) text(b []byte, n int) []byte {
	b = append(b, "BOOTP/DHCP, "...)
	if h.Reply {
		b = append(b, "Reply"...)
	} else {
		b = append(b, "Request"...)
		if m, ok := h.MAC(); ok {
			b = m.text(append(b, " from "...))
		}
	}
	return strconv.AppendInt(append(b, ", length "...), int64(n), 10)
}
