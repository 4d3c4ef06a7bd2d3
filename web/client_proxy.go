package web

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/plexor-go/plexor"
)

// A clientProxy is the proxy of a request.
type clientProxy struct {
	url      *url.URL
	absolute bool        // requests go to it, with whole URLs (RFC 9112, section 3.2.2); else it makes a tunnel
	auth     http.Header // for requests to it; nil: none
}

// The errors of proxies.
var (
	errProxyScheme = errors.New("web: a proxy's scheme is http, https, socks5 or socks5h")
	errProxyAhead  = errors.New("web: the proxy sent bytes behind its answer to CONNECT, before TLS")
	errSocks       = errors.New("web: the proxy does not speak SOCKS 5")
	errSocksAuth   = errors.New("web: the SOCKS proxy does not take the user and password, or wants some")
	errSocksLong   = errors.New("web: a name, user or password is longer than the 255 bytes that SOCKS has for it")
)

func newClientProxy(u *url.URL, secure bool) (*clientProxy, error) {
	p := &clientProxy{url: u}
	switch u.Scheme {
	case "http", "https":
		p.absolute = !secure
		if u.User != nil {
			password, _ := u.User.Password()
			p.auth = http.Header{"Proxy-Authorization": {"Basic " +
				base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))}}
		}
	case "socks5", "socks5h":
	default:
		return nil, errProxyScheme
	}
	return p, nil
}

// fields go with each request on a connection to it.
func (p *clientProxy) fields() http.Header {
	if p == nil || !p.absolute {
		return nil
	}
	return p.auth
}

func (p *clientProxy) direct() bool { return p == nil || !p.absolute }

// pass has the proxy make a tunnel to addr.
func (p *clientProxy) pass(c *Client, nc *plexor.Conn, addr string) error {
	switch {
	case p.absolute:
		return nil
	case p.url.Scheme == "http", p.url.Scheme == "https":
		return p.connect(c, nc, addr)
	}
	return p.socks(nc, addr)
}

// connect is CONNECT (RFC 9110, section 9.3.6).
func (p *clientProxy) connect(c *Client, nc *plexor.Conn, addr string) error {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Host: addr}, Host: addr, Header: http.Header{}}
	maps.Copy(req.Header, c.o.ProxyHeader)
	maps.Copy(req.Header, p.auth)
	resp, err := c.tunnel.NewConn(nc).RoundTrip(req)
	if err != nil {
		return fmt.Errorf("web: the proxy %s: %w", p.url.Host, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("web: the proxy %s answered CONNECT %s with %s", p.url.Host, addr, resp.Status)
	}
	if resp.Body.(interface{ Buffered() int }).Buffered() > 0 {
		return errProxyAhead
	}
	return nil
}

// Numbers of SOCKS 5 (RFC 1928) and its passwords (RFC 1929).
const (
	socksVersion  = 5
	socksNoAuth   = 0
	socksPassword = 2
	socksConnect  = 1
	socksIPv4     = 1
	socksName     = 3
	socksIPv6     = 4
)

// socks is SOCKS 5. The proxy looks names up.
func (p *clientProxy) socks(nc *plexor.Conn, addr string) error {
	hello := []byte{socksVersion, 1, socksNoAuth}
	if p.url.User != nil {
		hello = []byte{socksVersion, 2, socksNoAuth, socksPassword}
	}
	if _, err := nc.Write(hello); err != nil {
		return err
	}
	var two [2]byte
	if _, err := io.ReadFull(nc, two[:]); err != nil {
		return fmt.Errorf("web: the proxy %s: %w", p.url.Host, err)
	}
	switch {
	case two[0] != socksVersion:
		return errSocks
	case two[1] == socksPassword && p.url.User != nil:
		if err := p.socksPassword(nc); err != nil {
			return err
		}
	case two[1] != socksNoAuth:
		return errSocksAuth
	}
	ask, err := appendSocksAddr([]byte{socksVersion, socksConnect, 0}, addr)
	if err != nil {
		return err
	}
	if _, err := nc.Write(ask); err != nil {
		return err
	}
	return p.socksAnswer(nc, addr)
}

func (p *clientProxy) socksPassword(nc *plexor.Conn) error {
	user := p.url.User.Username()
	password, _ := p.url.User.Password()
	if len(user) > 255 || len(password) > 255 {
		return errSocksLong
	}
	b := append([]byte{1, byte(len(user))}, user...)
	b = append(append(b, byte(len(password))), password...)
	if _, err := nc.Write(b); err != nil {
		return err
	}
	var two [2]byte
	if _, err := io.ReadFull(nc, two[:]); err != nil {
		return err
	}
	if two[1] != 0 {
		return errSocksAuth
	}
	return nil
}

// appendSocksAddr writes an address behind b (RFC 1928, section 5).
func appendSocksAddr(b []byte, addr string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		kind := byte(socksIPv4)
		if ip.Is6() {
			kind = socksIPv6
		}
		b = append(append(b, kind), ip.AsSlice()...)
	} else {
		if len(host) > 255 {
			return nil, errSocksLong
		}
		b = append(append(b, socksName, byte(len(host))), host...)
	}
	return append(b, byte(number>>8), byte(number)), nil
}

// socksAnswer reads the answer, and not a byte more.
func (p *clientProxy) socksAnswer(nc *plexor.Conn, addr string) error {
	var b [262]byte // what a name of 255 bytes makes
	if _, err := io.ReadFull(nc, b[:5]); err != nil {
		return fmt.Errorf("web: the proxy %s: %w", p.url.Host, err)
	}
	if b[0] != socksVersion {
		return errSocks
	}
	if b[1] != 0 {
		return fmt.Errorf("web: the SOCKS proxy %s refuses %s: %s", p.url.Host, addr, socksReason(b[1]))
	}
	n := 0
	switch b[3] {
	case socksIPv4:
		n = 4 + 2 - 1
	case socksIPv6:
		n = 16 + 2 - 1
	case socksName:
		n = int(b[4]) + 2
	default:
		return errSocks
	}
	_, err := io.ReadFull(nc, b[5:5+n])
	return err
}

// socksReason is RFC 1928, section 6.
func socksReason(code byte) string {
	reasons := [...]string{1: "general failure", 2: "not allowed", 3: "network unreachable", 4: "host unreachable",
		5: "connection refused", 6: "TTL expired", 7: "command not supported", 8: "address type not supported"}
	if int(code) < len(reasons) {
		return reasons[code]
	}
	return "reason " + strconv.Itoa(int(code))
}
