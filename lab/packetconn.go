package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/plexor-go/plexor/sock"
)

// A PacketConn is a socket for datagrams, for goroutines: a net.PacketConn, with two methods of net.UDPConn.
type PacketConn struct {
	gate
	d *datagrams
}

// ListenPacket binds a socket for datagrams on this host, as net.ListenPacket does. It is for goroutines, in a live
// world.
func (h *Host) ListenPacket(network, address string) (*PacketConn, error) {
	if err := h.w.forGoroutines(); err != nil {
		return nil, err
	}
	if network != "udp" {
		return nil, net.UnknownNetworkError(network)
	}
	at, err := h.parse(network, address)
	if err != nil {
		return nil, err
	}
	d, err := h.Bind(sock.FromAddrPort("udp", at[0]), sock.Options{})
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(at[0]), Err: err}
	}
	c := &PacketConn{d: d.(*datagrams)}
	c.init(h.w)
	d.Notify(c.hears)
	return c, nil
}

func (c *PacketConn) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "udp", Addr: c.LocalAddr(), Err: err}
}

// ReadFromUDPAddrPort is that of net.UDPConn.
func (c *PacketConn) ReadFromUDPAddrPort(p []byte) (n int, from netip.AddrPort, err error) {
	m := sock.Datagram{Data: p}
	err = c.try(&c.read, func() error { return c.d.Receive(&m) })
	return m.N, m.Peer, c.wrap("read", err)
}

// WriteToUDPAddrPort is that of net.UDPConn.
func (c *PacketConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	err := c.try(&c.write, func() error { return c.d.Send(&sock.Datagram{Data: p, Peer: to}) })
	if err != nil {
		return 0, c.wrap("write", err)
	}
	return len(p), nil
}

// ReadFrom is of net.PacketConn.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo is of net.PacketConn. The address is a *net.UDPAddr.
func (c *PacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.wrap("write", fmt.Errorf("%v is no address of UDP: %w", to, net.InvalidAddrError("not udp")))
	}
	return c.WriteToUDPAddrPort(p, a.AddrPort())
}

// LocalAddr is of net.PacketConn.
func (c *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.d.Addr()) }

// Close is of net.PacketConn.
func (c *PacketConn) Close() error {
	if !c.shut() {
		return c.wrap("close", net.ErrClosed)
	}
	c.d.Close()
	return nil
}
