package ftp

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// ErrBadAddress is an argument, or a reply, that holds no address in the form it should.
var ErrBadAddress = errors.New("ftp: that is no address of a data connection")

// ErrFamily is an address of EPRT in a family of which this knows nothing (RFC 2428, section 2).
var ErrFamily = errors.New("ftp: no such address family: there are 1 for IPv4 and 2 for IPv6")

// ParsePort reads the argument of PORT: h1,h2,h3,h4,p1,p2, each a decimal number of 0 to 255.
func ParsePort(s string) (netip.AddrPort, error) {
	parts := strings.Split(s, ",")
	if len(parts) != 6 {
		return netip.AddrPort{}, ErrBadAddress
	}
	var b [6]byte
	for i, p := range parts {
		n, ok := decimal(p, 255)
		if !ok {
			return netip.AddrPort{}, ErrBadAddress
		}
		b[i] = byte(n)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5])), nil
}

// decimal reads digits alone: no sign, no space, at most most.
func decimal(s string, most uint64) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= most
}

// AppendPort appends an IPv4 address as PORT and the reply to PASV have it. It panics if a is none.
func AppendPort(b []byte, a netip.AddrPort) []byte {
	for _, c := range a.Addr().Unmap().As4() {
		b = append(strconv.AppendUint(b, uint64(c), 10), ',')
	}
	b = append(strconv.AppendUint(b, uint64(a.Port()>>8), 10), ',')
	return strconv.AppendUint(b, uint64(a.Port()&0xff), 10)
}

// ParsePASV finds the address in the text of a reply to PASV. Servers differ in what stands around the six numbers
// (RFC 1123, section 4.1.2.6), so the first six that are joined by commas are taken.
func ParsePASV(text string) (netip.AddrPort, error) {
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			continue
		}
		end := i
		for end < len(text) && (text[end] == ',' || '0' <= text[end] && text[end] <= '9') {
			end++
		}
		if a, err := ParsePort(strings.TrimRight(text[i:end], ",")); err == nil {
			return a, nil
		}
		i = end
	}
	return netip.AddrPort{}, ErrBadAddress
}

// ParseEPRT reads the argument of EPRT: <d>family<d>address<d>port<d>, with any of the characters 33 to 126 as <d>.
func ParseEPRT(s string) (netip.AddrPort, error) {
	if len(s) < 2 || s[0] < 33 || s[0] > 126 {
		return netip.AddrPort{}, ErrBadAddress
	}
	parts := strings.Split(s, s[:1])
	if len(parts) != 5 || parts[0] != "" || parts[4] != "" {
		return netip.AddrPort{}, ErrBadAddress
	}
	family, ok := decimal(parts[1], 1<<16)
	if !ok {
		return netip.AddrPort{}, ErrBadAddress
	}
	if family != 1 && family != 2 {
		return netip.AddrPort{}, ErrFamily
	}
	a, err := netip.ParseAddr(parts[2])
	port, ok := decimal(parts[3], 65535)
	if err != nil || !ok || port == 0 || a.Zone() != "" || a.Is4() != (family == 1) {
		return netip.AddrPort{}, ErrBadAddress
	}
	return netip.AddrPortFrom(a, uint16(port)), nil
}

// AppendEPRT appends an address as EPRT has it.
func AppendEPRT(b []byte, a netip.AddrPort) []byte {
	family := "|2|"
	ip := a.Addr().Unmap().WithZone("")
	if ip.Is4() {
		family = "|1|"
	}
	b = append(ip.AppendTo(append(b, family...)), '|')
	return append(strconv.AppendUint(b, uint64(a.Port()), 10), '|')
}

// ParseEPSV finds the port in the text of a reply to EPSV: (<d><d><d>port<d>).
func ParseEPSV(text string) (port uint16, err error) {
	_, s, ok := strings.Cut(text, "(")
	s, _, closed := strings.Cut(s, ")")
	if !ok || !closed || len(s) < 5 || s[0] < 33 || s[0] > 126 {
		return 0, ErrBadAddress
	}
	d := s[:1]
	digits, ok := strings.CutPrefix(s, d+d+d)
	digits, closed = strings.CutSuffix(digits, d)
	n, number := decimal(digits, 65535)
	if !ok || !closed || !number || n == 0 {
		return 0, ErrBadAddress
	}
	return uint16(n), nil
}
