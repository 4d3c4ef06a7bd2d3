package plexor

import (
	"net"
	"net/netip"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// netAddr is an address as package net has it, for that is what others who take a net.Conn look into.
func netAddr(a sock.Addr) net.Addr {
	ap, ok := a.AddrPort()
	switch {
	case a.Scheme == "unix":
		return &net.UnixAddr{Name: a.Path, Net: "unix"}
	case ok && a.Scheme == "udp":
		return net.UDPAddrFromAddrPort(ap)
	case ok:
		return net.TCPAddrFromAddrPort(ap)
	}
	return a
}

// peerOf is the address at the other end of a tcp connection; invalid for unix sockets.
func peerOf(lc *loop.Conn) netip.AddrPort {
	ap, err := lc.RemoteAddrPort()
	if err != nil {
		return netip.AddrPort{} // a unix socket, or the peer is gone already
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (s *stream) localAddr() net.Addr {
	a, err := s.lc.LocalAddr()
	if err != nil {
		return s.noAddr()
	}
	return netAddr(a)
}

func (s *stream) remoteAddr() net.Addr {
	if s.peer.IsValid() {
		return net.TCPAddrFromAddrPort(s.peer)
	}
	return s.noAddr()
}

// noAddr is the address of what has none, or had none that is known.
func (s *stream) noAddr() net.Addr {
	if s.peer.IsValid() {
		return &net.TCPAddr{}
	}
	return &net.UnixAddr{Net: "unix"}
}

func (s *stream) network() string {
	if s.peer.IsValid() {
		return "tcp"
	}
	return "unix"
}

// String is for lists of what coroutines wait for.
func (s *stream) String() string {
	if s.peer.IsValid() {
		return "tcp://" + s.peer.String()
	}
	return "unix"
}
