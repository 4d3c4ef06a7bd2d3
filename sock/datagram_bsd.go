//go:build darwin || freebsd || netbsd || openbsd

package sock

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

func sysRecvFrom(s Socket, p []byte) (n int, peer netip.AddrPort, truncated bool, err error) {
	for {
		n, _, flags, from, err := unix.Recvmsg(s.FD(), p, nil, 0)
		switch err {
		case nil:
			switch sa := from.(type) {
			case *unix.SockaddrInet4:
				peer = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
			case *unix.SockaddrInet6:
				peer = netip.AddrPortFrom(ipv6(sa.Addr, sa.ZoneId), uint16(sa.Port))
			}
			return n, peer, flags&unix.MSG_TRUNC != 0, nil
		case unix.EINTR:
		default:
			return 0, peer, false, bare(err)
		}
	}
}

func sysSendTo(s Socket, p []byte, peer netip.AddrPort) error {
	var to unix.Sockaddr
	if ip := peer.Addr(); ip.Is4() {
		to = &unix.SockaddrInet4{Port: int(peer.Port()), Addr: ip.As4()}
	} else if ip.Is6() {
		to = &unix.SockaddrInet6{Port: int(peer.Port()), Addr: ip.As16(), ZoneId: zones.id(ip.Zone())}
	}
	for {
		_, err := unix.SendmsgN(s.FD(), p, nil, to, sendFlags)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
		default:
			return bare(err)
		}
	}
}
