package lab

import (
	"errors"
	"net/netip"
	"syscall"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// datagrams is a socket of a host: a loop.Datagrams. It has one of the stack's for each family.
type datagrams struct {
	host   *Host
	parts  []*ip.Socket
	addr   netip.AddrPort
	notify func(loop.Ready)
	closed bool
}

// Bind is of loop.Network.
func (h *Host) Bind(a sock.Addr, o sock.Options) (loop.Datagrams, error) {
	if err := refuseOptions(&o); err != nil {
		return nil, err
	}
	h.lock()
	defer h.unlock()
	addrs, err := h.locals(a, o.V6Only == sock.Yes)
	if err != nil {
		return nil, err
	}
	d := &datagrams{host: h}
	if err := h.onPort(a.Port, func(port uint16) error { return d.bind(addrs, port) }); err != nil {
		return nil, err
	}
	for _, s := range d.parts {
		h.grams[s] = d
	}
	return d, nil
}

func (d *datagrams) bind(addrs []netip.Addr, port uint16) error {
	for _, addr := range addrs {
		s, err := d.host.ip.ListenUDP(netip.AddrPortFrom(addr, port))
		if err != nil {
			d.closeParts()
			return errno(err)
		}
		s.Told = true
		d.parts = append(d.parts, s)
	}
	d.addr = netip.AddrPortFrom(addrs[0], port)
	return nil
}

func (d *datagrams) closeParts() {
	for _, s := range d.parts {
		delete(d.host.grams, s)
		s.Close()
	}
	d.parts = nil
}

// Notify is of loop.Datagrams.
func (d *datagrams) Notify(f func(loop.Ready)) {
	d.host.lock()
	defer d.host.unlock()
	d.notify = f
}

// Receive is of loop.Datagrams.
func (d *datagrams) Receive(m *sock.Datagram) error {
	d.host.lock()
	defer d.host.unlock()
	for _, s := range d.parts {
		if r, ok := s.Refusal(); ok {
			m.Peer = r.To
			return errno(r.Err)
		}
		if g, ok, _ := s.Read(); ok { // it fails for one peer alone
			m.N = copy(m.Data, g.Data)
			m.Truncated = m.N < len(g.Data)
			m.Peer, m.Local = g.From, g.To.Addr()
			return nil
		}
	}
	if d.closed {
		return syscall.EBADF
	}
	return sock.ErrWouldBlock
}

// Send is of loop.Datagrams.
func (d *datagrams) Send(m *sock.Datagram) error {
	d.host.lock()
	defer d.host.leave()
	peer := netip.AddrPortFrom(m.Peer.Addr().Unmap(), m.Peer.Port())
	for _, s := range d.parts {
		if s.Local().Addr().Is4() != peer.Addr().Is4() {
			continue
		}
		now := d.host.w.time()
		if !m.Local.IsValid() || m.Local.IsUnspecified() {
			return errno(s.SendTo(now, peer, m.Data))
		}
		if m.Local.Unmap().Is4() != peer.Addr().Is4() {
			return syscall.EINVAL
		}
		err := s.SendFrom(now, m.Local.Unmap(), peer, m.Data)
		if errors.Is(err, ip.ErrAddress) {
			return syscall.EINVAL
		}
		return errno(err)
	}
	return syscall.EAFNOSUPPORT
}

// Addr is of loop.Datagrams.
func (d *datagrams) Addr() netip.AddrPort { return d.addr }

// Close is of loop.Datagrams.
func (d *datagrams) Close() {
	d.host.lock()
	defer d.host.unlock()
	if !d.closed {
		d.closed = true
		d.closeParts()
	}
}
