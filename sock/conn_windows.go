package sock

import (
	"io/fs"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Winsock, by golang.org/x/sys/windows, without overlapped calls: they would need a completion port, and this
// package is for selectors. This file and the others for Windows are compiled and vetted, but untested.

// ErrWouldBlock is what a call returns that cannot do its work now (EAGAIN, on Windows WSAEWOULDBLOCK): wait
// until the socket is ready. Compare it with ==, or by errors.Is.
const ErrWouldBlock = windows.WSAEWOULDBLOCK

// The errnos that the portable files look for.
const (
	errInUse      = windows.WSAEADDRINUSE
	errNotAvail   = windows.WSAEADDRNOTAVAIL
	errAccess     = windows.WSAEACCES
	errNoFamily   = windows.WSAEAFNOSUPPORT
	errNetUnreach = windows.WSAENETUNREACH
	errNotExist   = windows.ERROR_PATH_NOT_FOUND
	errNotDir     = windows.ERROR_DIRECTORY
	errReadOnly   = windows.ERROR_WRITE_PROTECT
	errRefused    = windows.WSAECONNREFUSED
	errNotConn    = windows.WSAENOTCONN
	errInProgress = windows.WSAEINPROGRESS
)

var (
	exhausted = []syscall.Errno{windows.WSAEMFILE, windows.WSAENOBUFS, windows.ERROR_NOT_ENOUGH_MEMORY,
		windows.ERROR_TOO_MANY_OPEN_FILES}
	aborted = []syscall.Errno{windows.WSAECONNABORTED, windows.WSAECONNRESET, windows.WSAENETDOWN,
		windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH}
)

var system = features{keepTimes: true, dualStack: true}

const (
	solSocket       = windows.SOL_SOCKET
	soKeepAlive     = windows.SO_KEEPALIVE
	soRecvBuffer    = windows.SO_RCVBUF
	soSendBuffer    = windows.SO_SNDBUF
	soReusePort     = 0
	ipprotoTCP      = windows.IPPROTO_TCP
	tcpNoDelay      = windows.TCP_NODELAY
	tcpKeepIdle     = windows.TCP_KEEPIDLE
	tcpKeepInterval = windows.TCP_KEEPINTVL
	tcpKeepCount    = windows.TCP_KEEPCNT
	tcpUserTimeout  = 0
	tcpDeferAccept  = 0
	tcpFastOpen     = 0
	tcpQuickAck     = 0
	ipTOS           = 0
	ipv6TClass      = 0
	ipprotoIPv6     = windows.IPPROTO_IPV6
	ipv6Only        = windows.IPV6_V6ONLY
	ipprotoIP       = windows.IPPROTO_IP

	bufferFactor  = 1
	somaxconnName = "SOMAXCONN"
)

// What golang.org/x/sys/windows has no name for (winsock2.h).
const (
	soExclusiveAddrUse = ^4 // ~SO_REUSEADDR
	soError            = 0x1007
	soType             = 0x1008
	fionbio            = 0x8004667e
	fionread           = 0x4004667f
)

var (
	ws2          = windows.NewLazySystemDLL("ws2_32.dll")
	procAccept   = ws2.NewProc("accept")
	procIoctl    = ws2.NewProc("ioctlsocket")
	startWinsock = sync.OnceValue(func() error {
		var data windows.WSAData
		return windows.WSAStartup(0x202, &data) // 2.2; it counts, so that others call it does not matter
	})
)

func somaxconn() int            { return windows.SOMAXCONN }
func bufferLimit(string) string { return "the system's limit" }
func fastOpenOff() string       { return "" }

func (s Socket) handle() windows.Handle { return windows.Handle(uintptr(s)) }

func sysSocket(e endpoint) (Socket, error) {
	h, err := blockingSocket(e)
	if err != nil {
		return None, err
	}
	s := Socket(h)
	if err := ioctl(s, fionbio, 1); err != nil {
		_ = s.Close() // the first error is the one to tell
		return None, err
	}
	if e.datagrams {
		// Without this, the answer to a datagram that nobody took ends the next receive with WSAECONNRESET.
		var off, returned uint32
		if err := windows.WSAIoctl(h, windows.SIO_UDP_CONNRESET, (*byte)(unsafe.Pointer(&off)), 4, nil, 0, &returned, nil,
			0); err != nil {
			_ = s.Close() // the first error is the one to tell
			return None, err
		}
	}
	return s, nil
}

func blockingSocket(e endpoint) (windows.Handle, error) {
	if err := startWinsock(); err != nil {
		return windows.InvalidHandle, err
	}
	domain, typ := windows.AF_INET, windows.SOCK_STREAM
	switch {
	case e.unix:
		domain = windows.AF_UNIX
	case e.v6():
		domain = windows.AF_INET6
	}
	if e.datagrams {
		typ = windows.SOCK_DGRAM
	}
	return windows.WSASocket(int32(domain), int32(typ), 0, nil, 0,
		windows.WSA_FLAG_OVERLAPPED|windows.WSA_FLAG_NO_HANDLE_INHERIT)
}

// ioctl passes value in and returns what the call left there by the pointer.
func ioctl(s Socket, request uint32, value uint32) error {
	_, err := ioctlValue(s, request, value)
	return err
}

func ioctlValue(s Socket, request uint32, value uint32) (uint32, error) {
	if r, _, err := procIoctl.Call(uintptr(s), uintptr(request), uintptr(unsafe.Pointer(&value))); r != 0 {
		return 0, err
	}
	return value, nil
}

// sysOwnPort keeps the port for this socket. SO_REUSEADDR, which elsewhere only makes up for TIME-WAIT, lets
// any program here bind a port in use and take its connections; a port in TIME-WAIT can be bound anyway.
func sysOwnPort(s Socket) error {
	return windows.SetsockoptInt(s.handle(), windows.SOL_SOCKET, soExclusiveAddrUse, 1)
}

func sysBind(s Socket, e endpoint) error    { return windows.Bind(s.handle(), sockaddr(e)) }
func sysListen(s Socket, backlog int) error { return windows.Listen(s.handle(), backlog) }
func sysClose(s Socket) error               { return windows.Closesocket(s.handle()) }
func sysSetInt(s Socket, level, opt, v int) error {
	return windows.SetsockoptInt(s.handle(), level, opt, v)
}

func sysGetInt(s Socket, level, opt int) (int, error) {
	return windows.GetsockoptInt(s.handle(), level, opt)
}

func sysConnect(s Socket, e endpoint) (connected bool, err error) {
	switch err := windows.Connect(s.handle(), sockaddr(e)); err {
	case nil:
		return true, nil
	case windows.WSAEWOULDBLOCK, windows.WSAEINPROGRESS:
		return false, nil
	default:
		return false, err
	}
}

func sysError(s Socket) error {
	v, err := windows.GetsockoptInt(s.handle(), windows.SOL_SOCKET, soError)
	if err == nil && v != 0 {
		err = syscall.Errno(v)
	}
	return err
}

func sysIsDatagram(s Socket) (bool, error) {
	v, err := windows.GetsockoptInt(s.handle(), windows.SOL_SOCKET, soType)
	return v == windows.SOCK_DGRAM, err
}

func sysShutdown(s Socket, read bool) error {
	how, op := windows.SHUT_WR, "close the sending half"
	if read {
		how, op = windows.SHUT_RD, "close the receiving half"
	}
	if err := windows.Shutdown(s.handle(), how); err != nil {
		return &Error{Op: op, Call: "shutdown", Err: err}
	}
	return nil
}

func sysSetLinger(s Socket, on bool, seconds int) error {
	l := windows.Linger{Onoff: int32(toInt(on)), Linger: int32(seconds)}
	return windows.SetsockoptLinger(s.handle(), windows.SOL_SOCKET, windows.SO_LINGER, &l)
}

func sysLinger(s Socket) (on bool, seconds int, err error) {
	var l struct{ on, seconds uint16 } // struct linger has shorts here
	size := int32(unsafe.Sizeof(l))
	err = windows.Getsockopt(s.handle(), windows.SOL_SOCKET, windows.SO_LINGER, (*byte)(unsafe.Pointer(&l)), &size)
	return l.on != 0, int(l.seconds), err
}

func sysUnread(s Socket) (int, error) {
	n, err := ioctlValue(s, fionread, 0)
	if err != nil {
		return 0, &Error{Op: "count unread bytes", Call: "ioctlsocket", Err: err}
	}
	return int(n), nil
}

func sysUnacked(Socket) (int, bool) { return 0, false }

func sysName(s Socket, peer bool) (name, error) {
	get := windows.Getsockname
	if peer {
		get = windows.Getpeername
	}
	sa, err := get(s.handle())
	if err != nil {
		return name{}, err
	}
	return nameOf(sa)
}

func nameOf(sa windows.Sockaddr) (name, error) {
	switch sa := sa.(type) {
	case *windows.SockaddrInet4:
		return name{ip: netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))}, nil
	case *windows.SockaddrInet6:
		return name{v6: true, ip: netip.AddrPortFrom(ipv6(sa.Addr, sa.ZoneId), uint16(sa.Port))}, nil
	case *windows.SockaddrUnix:
		path := strings.TrimPrefix(sa.Name, "@") // how golang.org/x/sys shows an unnamed one
		if path != "" && path[0] != '/' {
			path = "/" + strings.ReplaceAll(path, `\`, "/")
		}
		return name{unix: true, path: path}, nil
	}
	return name{}, errNoFamily
}

func sockaddr(e endpoint) windows.Sockaddr {
	switch ip := e.ip.Addr(); {
	case e.unix:
		return &windows.SockaddrUnix{Name: osPath(e.path)}
	case e.v6():
		return &windows.SockaddrInet6{Port: int(e.ip.Port()), Addr: ip.As16(), ZoneId: zones.id(ip.Zone())}
	default:
		return &windows.SockaddrInet4{Port: int(e.ip.Port()), Addr: ip.Unmap().As4()}
	}
}

// osPath is the path of an address as the system's file calls take it: unix:///C:/run/x.sock is
// C:/run/x.sock.
func osPath(path string) string {
	if len(path) > 2 && path[0] == '/' && path[2] == ':' {
		return path[1:]
	}
	return path
}

func sysLockDir(string) (unlock func()) { return func() {} }
func sysSocketMode(Socket, fs.FileMode) {}

func sysHungUp(Socket) (up, failed bool) { return false, false }
