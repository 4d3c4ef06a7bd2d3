package sock

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Addr is where a socket listens or connects to, and with which options: the parsed form of
//
//	tcp://host:port?options
//	udp://host:port?options
//	unix:///absolute/path?options
//
// It is a [net.Addr]. The zero value is no address; ParseAddr, FromAddrPort or a literal make one, and Listen
// and Connect check it again.
type Addr struct {
	// Scheme is "tcp", "udp" or "unix" (a stream socket).
	Scheme string
	// Host is an IPv4 address, an IPv6 address without brackets and perhaps with a zone ("fe80::1%eth0"), or
	// a name. Empty means all of this machine's addresses to Listen, and this machine to Connect. It is empty
	// for unix.
	Host string
	// Port is 0 to 65535. To Listen 0 means any free one.
	Port int
	// Path is the absolute path of a unix socket, or its abstract name behind an @ (Linux), and empty otherwise.
	Path string
	// Query holds the options, one value a key (see [ParseOptions]); nil when there are none.
	Query url.Values
}

var _ net.Addr = Addr{}

// Network is the scheme, as [net.Addr] wants it.
func (a Addr) Network() string { return a.Scheme }

// String is the address as a URL. [ParseAddr] makes the same address of it again, if it is one that ParseAddr
// can give. (An unnamed unix socket, as a client's is, has an empty path and prints as "unix://".)
func (a Addr) String() string {
	var b strings.Builder
	b.WriteString(a.Scheme)
	b.WriteString("://")
	if a.Scheme == "unix" {
		b.WriteString(escape(a.Path, pathChars))
	} else {
		host, zone, hasZone := strings.Cut(a.Host, "%")
		switch {
		case hasZone:
			b.WriteString("[" + host + "%25" + escape(zone, "") + "]")
		case strings.Contains(host, ":"):
			b.WriteString("[" + host + "]")
		default:
			b.WriteString(host)
		}
		b.WriteString(":" + strconv.Itoa(a.Port))
	}
	if q := a.Query.Encode(); q != "" {
		b.WriteString("?" + q)
	}
	return b.String()
}

// pathChars are what RFC 3986 section 3.3 lets stand in a path beside letters, digits and "-._~".
const pathChars = "/!$&'()*+,;=:@"

// escape percent-encodes every byte of s that is neither unreserved (RFC 3986 section 2.3) nor in also.
func escape(s, also string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; isAlnum(c) || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(also, c) >= 0 {
			b.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func isAlnum(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// FromAddrPort is the address with a literal host. An IPv4 address mapped into IPv6 comes out as IPv4, and an
// invalid (zero) one as the empty host, which is all addresses.
func FromAddrPort(scheme string, ap netip.AddrPort) Addr {
	a := Addr{Scheme: scheme, Port: int(ap.Port())}
	if ip := ap.Addr().Unmap(); ip.IsValid() {
		a.Host = ip.String()
	}
	return a
}

// AddrPort is the host and port of a tcp or udp address whose host is a literal or empty; ok is false for
// names and for unix addresses. The empty host is "::", that of a dual-stack socket on all addresses.
func (a Addr) AddrPort() (ap netip.AddrPort, ok bool) {
	if a.Scheme != "tcp" && a.Scheme != "udp" || a.Port < 0 || a.Port > 65535 {
		return netip.AddrPort{}, false
	}
	if a.Host == "" {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(a.Port)), true
	}
	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(a.Port)), true
}

// Resolve turns the name in an address into the addresses behind it, in the order in which they should be
// tried (RFC 6724, as [net.Resolver] sorts them), at least one; the query is kept. An address whose host is a
// literal or empty, and a unix address, is the only result, and no resolver is asked.
//
// It waits for the resolver, until ctx is done: call it outside an event loop.
func (a Addr) Resolve(ctx context.Context) ([]Addr, error) {
	if _, literal := a.AddrPort(); literal || a.Scheme == "unix" {
		return []Addr{a}, nil
	}
	if ctx == nil {
		return nil, &Error{Op: "resolve", Addr: a.String(), Err: errors.New("the context is nil: pass context.Background()")}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host)
	if err != nil {
		return nil, &Error{Op: "resolve", Addr: a.String(), Err: err}
	}
	var found []Addr
	for _, ip := range ips {
		one := a
		one.Host = ip.Unmap().String()
		if !slices.ContainsFunc(found, func(f Addr) bool { return f.Host == one.Host }) {
			found = append(found, one)
		}
	}
	if len(found) == 0 {
		return nil, &Error{Op: "resolve", Addr: a.String(), Err: &net.DNSError{Err: "the name has no address", Name: a.Host,
			IsNotFound: true}}
	}
	return found, nil
}
