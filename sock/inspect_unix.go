//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func sysInspect(s Socket) (k Kind, err error) {
	wrong := func(call string, err error) (Kind, error) {
		return Kind{}, &Error{Op: fmt.Sprintf("look at descriptor %d", s.FD()), Call: call, Err: err}
	}
	typ, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return wrong("getsockopt", err)
	}
	switch typ {
	case unix.SOCK_STREAM:
		k.Type = "stream"
	case unix.SOCK_DGRAM:
		k.Type = "datagram"
	case unix.SOCK_SEQPACKET:
		k.Type = "seqpacket"
	default:
		k.Type = fmt.Sprint(typ)
	}
	name, err := unix.Getsockname(s.FD())
	switch {
	case err == unix.EAFNOSUPPORT: // a family that x/sys has no type for
		k.Family = "other"
	case err != nil:
		return wrong("getsockname", err)
	}
	switch name.(type) {
	case *unix.SockaddrInet4:
		k.Family = "inet"
	case *unix.SockaddrInet6:
		k.Family = "inet6"
	case *unix.SockaddrUnix:
		k.Family = "unix"
	default:
		k.Family = "other"
	}
	if k.Type != "datagram" {
		listens, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil {
			return wrong("getsockopt", err)
		}
		k.Listening = listens != 0
	}
	return k, nil
}
