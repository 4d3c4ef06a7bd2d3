//go:build (linux && (386 || s390x)) || darwin || freebsd || netbsd || openbsd

package sock

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

func sysName(s Socket, peer bool) (name, error) {
	var sa unix.Sockaddr
	var err error
	if peer {
		sa, err = unix.Getpeername(s.FD())
	} else {
		sa, err = unix.Getsockname(s.FD())
	}
	if err != nil {
		return name{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return name{ip: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}, nil
	case *unix.SockaddrInet6:
		return name{v6: true, ip: netip.AddrPortFrom(ipv6(sa.Addr, sa.ZoneId), uint16(sa.Port))}, nil
	case *unix.SockaddrUnix:
		if sa.Name == "@" { // how golang.org/x/sys shows an unnamed one on Linux
			return name{unix: true}, nil
		}
		return name{unix: true, path: sa.Name}, nil
	}
	return name{}, errNoFamily
}
