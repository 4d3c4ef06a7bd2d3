package smtp

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol (haproxy's doc/proxy-protocol.txt, versions 1 and 2): a proxy tells in front of a connection whose
// it is.

// proxied are the addresses that a PROXY header tells.
type proxied struct{ from, to net.Addr }

// FromAddrs is for Server.Proxied: connections from one of these networks begin with a PROXY header.
func FromAddrs(networks ...netip.Prefix) func(nc net.Conn) bool {
	return func(nc net.Conn) bool {
		a, err := netip.ParseAddrPort(nc.RemoteAddr().String())
		if err != nil {
			return false
		}
		for _, n := range networks {
			if n.Contains(a.Addr().Unmap()) {
				return true
			}
		}
		return false
	}
}

// proxySignature begins a header of version 2, and proxyWord one of version 1.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyWord      = "PROXY "
)

// Lengths of headers, in bytes.
const (
	mostProxyLine = 107 // of version 1, with its line end
	proxyFixed    = 16  // of version 2, before the addresses
)

// readProxy reads the header, byte by byte behind what is needed at least: what follows it belongs to others.
func (c *ServerConn) readProxy() error {
	_ = c.nc.SetReadDeadline(c.srv.now().Add(c.srv.limits.HandshakeTime)) // if it fails, so does Read
	need := len(proxySignature)
	b := make([]byte, 0, 128)
	for {
		for len(b) < need {
			if cap(b) < need {
				b = append(make([]byte, 0, need), b...)
			}
			n, err := c.nc.Read(b[len(b):need])
			b = b[:len(b)+n]
			if n == 0 {
				if err == nil {
					err = ErrProxyHeader
				}
				return c.ends(err)
			}
		}
		p, more, err := parseProxy(b)
		switch {
		case err != nil || len(b)+more > c.srv.limits.ProxyHeader:
			return c.ends(ErrProxyHeader)
		case more == 0:
			c.proxied = p
			return nil
		}
		need = len(b) + more
	}
}

// parseProxy reads a header that b begins with and ends with. more is how many bytes are needed at least, beyond b; nil
// without more is a header that tells no addresses.
func parseProxy(b []byte) (p *proxied, more int, err error) {
	switch {
	case string(b[:min(len(b), len(proxyWord))]) == proxyWord[:min(len(b), len(proxyWord))]:
		return parseProxyLine(b)
	case string(b[:min(len(b), len(proxySignature))]) != proxySignature[:min(len(b), len(proxySignature))]:
		return nil, 0, ErrProxyHeader
	case len(b) < proxyFixed:
		return nil, proxyFixed - len(b), nil
	}
	length := proxyFixed + int(binary.BigEndian.Uint16(b[14:]))
	if len(b) < length {
		return nil, length - len(b), nil
	}
	if len(b) > length || b[12]>>4 != 2 {
		return nil, 0, ErrProxyHeader
	}
	switch b[12] & 15 {
	case 0: // LOCAL: the proxy's own
		return nil, 0, nil
	case 1: // PROXY
	default:
		return nil, 0, ErrProxyHeader
	}
	size := 0
	switch b[13] {
	case 0x11: // TCP over IPv4
		size = 4
	case 0x21: // TCP over IPv6
		size = 16
	case 0x00, 0x31: // unspecified, or a unix socket: no address that anybody could use
		return nil, 0, nil
	default:
		return nil, 0, ErrProxyHeader
	}
	in := b[proxyFixed:]
	if len(in) < 2*size+4 {
		return nil, 0, ErrProxyHeader
	}
	from, _ := netip.AddrFromSlice(in[:size])
	to, _ := netip.AddrFromSlice(in[size : 2*size])
	ports := in[2*size:]
	return &proxied{proxyAddr(from, binary.BigEndian.Uint16(ports)), proxyAddr(to, binary.BigEndian.Uint16(ports[2:]))},
		0, nil
}

// parseProxyLine is parseProxy for version 1.
func parseProxyLine(b []byte) (p *proxied, more int, err error) {
	end := bytes.IndexByte(b, '\n')
	switch {
	case end < 0 && len(b) >= mostProxyLine:
		return nil, 0, ErrProxyHeader
	case end < 0: // so nothing behind the header is read
		return nil, 1, nil
	case end != len(b)-1 || bytes.IndexByte(b, '\r') != end-1:
		return nil, 0, ErrProxyHeader
	}
	words := strings.Split(string(b[len(proxyWord):end-1]), " ")
	if words[0] == "UNKNOWN" {
		return nil, 0, nil
	}
	if len(words) != 5 || words[0] != "TCP4" && words[0] != "TCP6" {
		return nil, 0, ErrProxyHeader
	}
	from, err1 := netip.ParseAddr(words[1])
	to, err2 := netip.ParseAddr(words[2])
	fromPort, ok1 := parsePort(words[3])
	toPort, ok2 := parsePort(words[4])
	four := words[0] == "TCP4"
	if err1 != nil || err2 != nil || !ok1 || !ok2 || from.Is4() != four || to.Is4() != four || from.Zone() != "" ||
		to.Zone() != "" {
		return nil, 0, ErrProxyHeader
	}
	return &proxied{proxyAddr(from, fromPort), proxyAddr(to, toPort)}, 0, nil
}

// parsePort reads a port, which has no zeros in front.
func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && strconv.FormatUint(n, 10) == s
}

func proxyAddr(a netip.Addr, port uint16) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Unmap(), port))
}
