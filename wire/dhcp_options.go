package wire

import (
	"net/netip"
	"time"
)

// The options of DHCP that this package reads (RFC 2132, and 3442's routes as bytes).
const (
	DHCPPad           = 0
	DHCPSubnetMask    = 1
	DHCPRouters       = 3
	DHCPNameServers   = 6
	DHCPHostName      = 12
	DHCPDomainName    = 15
	DHCPInterfaceMTU  = 26
	DHCPBroadcastAddr = 28
	DHCPRequestedIP   = 50
	DHCPLeaseTime     = 51
	DHCPOverload      = 52
	DHCPMessageType   = 53
	DHCPServerID      = 54
	DHCPParameters    = 55 // the codes of the options that a client wants
	DHCPMessage       = 56
	DHCPMaxSize       = 57
	DHCPRenewalTime   = 58 // T1
	DHCPRebindingTime = 59 // T2
	DHCPClientID      = 61
	DHCPEnd           = 255
)

// A DHCPKind is what a message is: the value of the option DHCPMessageType.
type DHCPKind uint8

// The kinds of RFC 2132, section 9.6.
const (
	DHCPDiscover DHCPKind = 1 + iota
	DHCPOffer
	DHCPRequest
	DHCPDecline
	DHCPAck
	DHCPNak
	DHCPRelease
	DHCPInform
)

// String is the name as in RFC 2131, as in "DISCOVER".
func (k DHCPKind) String() string {
	names := [...]string{"BOOTP", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// DHCPOptions are the bytes behind the magic cookie: codes with a length and data, ended by DHCPEnd.
type DHCPOptions []byte

// A DHCPOption is one of them.
type DHCPOption struct {
	Code uint8
	Data []byte // a view
}

// Next returns the first option that is no padding, and the rest. It is not ok at the end:
//
//	for o, rest, ok := h.Options.Next(); ok; o, rest, ok = rest.Next() { … }
func (o DHCPOptions) Next() (opt DHCPOption, rest DHCPOptions, ok bool) {
	for len(o) > 0 && o[0] == DHCPPad {
		o = o[1:]
	}
	if len(o) < 2 || o[0] == DHCPEnd || int(o[1]) > len(o)-2 {
		return opt, nil, false
	}
	n := 2 + int(o[1])
	return DHCPOption{o[0], cut(o, 2, n)}, o[n:], true
}

// check finds the first option whose length is not true, or that there is no end.
func (o DHCPOptions) check(offset int) error {
	end, err := o.scan(offset)
	if err == nil && !end {
		err = truncated("DHCP", "end option", offset+len(o), 0, 1)
	}
	return err
}

// scan walks the options, which begin at offset, and reports whether there is an end.
func (o DHCPOptions) scan(offset int) (end bool, err error) {
	for i := 0; i < len(o); {
		switch o[i] {
		case DHCPPad:
			i++
			continue
		case DHCPEnd:
			return true, nil
		}
		if i+1 >= len(o) {
			return false, truncated("DHCP", "option", offset+i, 1, 2)
		}
		if n := int(o[i+1]); n > len(o)-i-2 {
			return false, badLength("DHCP", "option length", offset+i+1, n, len(o)-i-2)
		}
		i += 2 + int(o[i+1])
	}
	return false, nil
}

// Option is the data of the first option with this code: in Options, and where DHCPOverload says so, in File and in
// ServerName (RFC 2131, section 4.1, in this order). It is a view. An option that is split
// in several (RFC 3396) is put together by who asks for it.
func (h *DHCPv4) Option(code uint8) ([]byte, bool) {
	if data, ok := h.Options.find(code); ok {
		return data, true
	}
	over := h.overload()
	if over&1 != 0 {
		if data, ok := DHCPOptions(h.File).find(code); ok {
			return data, true
		}
	}
	if over&2 != 0 {
		return DHCPOptions(h.ServerName).find(code)
	}
	return nil, false
}

func (o DHCPOptions) find(code uint8) ([]byte, bool) {
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		if opt.Code == code {
			return opt.Data, true
		}
	}
	return nil, false
}

// Kind is what the message is; 0 where it is BOOTP's.
func (h *DHCPv4) Kind() DHCPKind {
	if data, ok := h.Option(DHCPMessageType); ok && len(data) == 1 {
		return DHCPKind(data[0])
	}
	return 0
}

// Addr is the first address of an option that holds some: DHCPServerID, DHCPSubnetMask, DHCPRouters and so on.
func (h *DHCPv4) Addr(code uint8) (netip.Addr, bool) {
	data, ok := h.Option(code)
	if !ok || len(data) < 4 || len(data)%4 != 0 {
		return netip.Addr{}, false
	}
	return addr4(data[:4]), true
}

// Addrs writes all addresses of an option behind addrs.
func (h *DHCPv4) Addrs(addrs []netip.Addr, code uint8) []netip.Addr {
	data, ok := h.Option(code)
	if !ok || len(data)%4 != 0 {
		return addrs
	}
	for ; len(data) > 0; data = data[4:] {
		addrs = append(addrs, addr4(data[:4]))
	}
	return addrs
}

// Seconds is the time of an option that holds one: DHCPLeaseTime, DHCPRenewalTime, DHCPRebindingTime. Infinite is for
// ever (RFC 2131, section 3.3).
func (h *DHCPv4) Seconds(code uint8) (time.Duration, bool) {
	data, ok := h.Option(code)
	if !ok || len(data) != 4 {
		return 0, false
	}
	return time.Duration(be.Uint32(data)) * time.Second, true
}

// AppendDHCPOption writes one option behind the others.
func AppendDHCPOption(o DHCPOptions, code uint8, data ...byte) (DHCPOptions, error) {
	if code == DHCPPad || code == DHCPEnd {
		return append(o, code), nil
	}
	if len(data) > 255 {
		return o, badLength("DHCP", "option length", emitted, len(data), 255)
	}
	return append(append(o, code, byte(len(data))), data...), nil
}

// AppendDHCPKind writes the option that says what the message is.
func AppendDHCPKind(o DHCPOptions, k DHCPKind) DHCPOptions {
	return append(o, DHCPMessageType, 1, byte(k))
}

// AppendDHCPAddrs writes an option of addresses behind the others.
func AppendDHCPAddrs(o DHCPOptions, code uint8, addrs ...netip.Addr) (DHCPOptions, error) {
	if len(addrs) == 0 || len(addrs) > 63 {
		return o, overLimit("DHCP", "addresses", emitted, len(addrs), 63)
	}
	for _, a := range addrs {
		if !a.Is4() {
			return o, badLength("DHCP", "address", emitted, a.BitLen()/8, 4)
		}
	}
	o = append(o, code, byte(4*len(addrs)))
	for _, a := range addrs {
		v := a.As4()
		o = append(o, v[:]...)
	}
	return o, nil
}

// AppendDHCPSeconds writes an option of a time behind the others: rounded down to seconds, and limited to Infinite.
func AppendDHCPSeconds(o DHCPOptions, code uint8, d time.Duration) DHCPOptions {
	return be.AppendUint32(append(o, code, 4), uint32(min(max(d, 0), Infinite)/time.Second))
}
