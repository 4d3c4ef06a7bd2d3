package sock

import (
	"errors"
	"io"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

func buffer(p []byte) windows.WSABuf {
	return windows.WSABuf{Len: uint32(min(len(p), 1<<30)), Buf: unsafe.SliceData(p)}
}

func sysRecv(s Socket, p []byte) (int, error) {
	b := buffer(p)
	var n, flags uint32
	err := windows.WSARecv(s.handle(), &b, 1, &n, &flags, nil, nil)
	switch {
	case err == windows.WSAEMSGSIZE: // a datagram's rest that did not fit
		return len(p), nil
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return int(n), nil
}

func sysSend(s Socket, p []byte) (int, error) {
	b := buffer(p)
	var n uint32
	if err := windows.WSASend(s.handle(), &b, 1, &n, 0, nil, nil); err != nil {
		return 0, err
	}
	return int(n), nil
}

func sysSendV(s Socket, pieces [][]byte) (int, error) {
	var bs []windows.WSABuf
	for _, p := range pieces {
		if len(p) > 0 && len(bs) < MaxPieces {
			bs = append(bs, buffer(p))
		}
	}
	if len(bs) == 0 {
		return 0, nil
	}
	var n uint32
	if err := windows.WSASend(s.handle(), &bs[0], uint32(len(bs)), &n, 0, nil, nil); err != nil {
		return 0, err
	}
	return int(n), nil
}

// sysAccept calls accept, since AcceptEx is overlapped. The new socket is made as non-blocking and
// inheritable as the listener, which the documentation does not promise, so it is said again.
func sysAccept(s Socket) (Socket, error) {
	r, _, err := procAccept.Call(uintptr(s), 0, 0)
	if windows.Handle(r) == windows.InvalidHandle {
		return None, err
	}
	a := Socket(r)
	err = windows.SetHandleInformation(a.handle(), windows.HANDLE_FLAG_INHERIT, 0)
	if err == nil {
		err = ioctl(a, fionbio, 1)
	}
	if err != nil {
		_ = a.Close() // the first error is the one to tell
		return None, err
	}
	return a, nil
}

func sysRecvFrom(s Socket, p []byte) (int, netip.AddrPort, bool, error) {
	b := buffer(p)
	var n, flags uint32
	var from windows.RawSockaddrAny
	size := int32(unsafe.Sizeof(from))
	err := windows.WSARecvFrom(s.handle(), &b, 1, &n, &flags, &from, &size, nil, nil)
	truncated := err == windows.WSAEMSGSIZE
	if truncated {
		n = b.Len
	} else if err != nil {
		return 0, netip.AddrPort{}, false, err
	}
	var peer name
	if sa, err := from.Sockaddr(); err == nil {
		peer, _ = nameOf(sa) // a family that is not IP has no AddrPort
	}
	return int(n), peer.ip, truncated, nil
}

func sysSendTo(s Socket, p []byte, peer netip.AddrPort) error {
	b := buffer(p)
	var n uint32
	if !peer.IsValid() {
		return windows.WSASend(s.handle(), &b, 1, &n, 0, nil, nil)
	}
	return windows.WSASendto(s.handle(), &b, 1, &n, 0, sockaddr6(peer), nil, nil)
}

// sockaddr6 keeps an IPv4 address that is mapped into IPv6 as it is, for an IPv6 socket.
func sockaddr6(peer netip.AddrPort) windows.Sockaddr {
	ip := peer.Addr()
	if ip.Is4() {
		return &windows.SockaddrInet4{Port: int(peer.Port()), Addr: ip.As4()}
	}
	return &windows.SockaddrInet6{Port: int(peer.Port()), Addr: ip.As16(), ZoneId: zones.id(ip.Zone())}
}

// Windows passes sockets to other processes in another way (WSADuplicateSocket), which needs to know the
// process.

func sysDup(Socket) (Socket, error) { return None, lacks("duplicating a descriptor") }

func sysBreakOff(s Socket) error { return errors.Join(s.CloseRead(), s.CloseWrite()) }

func sysDetach(Socket) error { return lacks("detaching a descriptor") }

func sysSendFD(Socket, []int, []byte) (int, error) { return 0, lacks("descriptor passing") }

func sysRecvFD(Socket, []byte, int, bool) ([]int, int, error) {
	return nil, 0, lacks("descriptor passing")
}

// sysPair makes a tcp connection over the loopback, with calls that block, since nothing there has to wait
// long, and sees to it that the one who connected is the one who was accepted.
func sysPair() (p [2]Socket, err error) {
	fail := func(call string, err error) ([2]Socket, error) {
		return [2]Socket{None, None}, &Error{Op: "make a pair of sockets", Call: call, Err: err}
	}
	e := endpoint{ip: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)}
	l, err := listenIP(e, Options{Backlog: 1})
	if err != nil {
		return fail("listen", err)
	}
	defer l.Close()
	if err := ioctl(l, fionbio, 0); err != nil {
		return fail("ioctlsocket", err)
	}
	at, err := sysName(l, false)
	if err != nil {
		return fail("getsockname", err)
	}
	h, err := blockingSocket(e)
	if err != nil {
		return fail("WSASocket", err)
	}
	p[0] = Socket(h)
	if err := windows.Connect(h, sockaddr(endpoint{ip: at.ip})); err != nil {
		_ = p[0].Close() // the first error is the one to tell
		return fail("connect", err)
	}
	own, err := sysName(p[0], false)
	for err == nil {
		if p[1], err = sysAccept(l); err != nil {
			break
		}
		if peer, perr := sysName(p[1], true); perr == nil && peer == own {
			err = ioctl(p[0], fionbio, 1)
			break
		}
		_ = p[1].Close() // a stranger, who was quicker
	}
	if err != nil {
		_ = p[0].Close() // the first error is the one to tell
		return fail("accept", err)
	}
	for _, s := range p {
		_ = s.SetNoDelay(true) // without it the pair is slower, and as good
	}
	return p, nil
}
