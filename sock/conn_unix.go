//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrWouldBlock is what a call returns that cannot do its work now (EAGAIN, on Windows WSAEWOULDBLOCK): wait
// until the socket is ready. Compare it with ==, or by errors.Is.
const ErrWouldBlock = syscall.EAGAIN

// The errnos that the portable files look for.
const (
	errInUse      = syscall.EADDRINUSE
	errNotAvail   = syscall.EADDRNOTAVAIL
	errAccess     = syscall.EACCES
	errNoFamily   = syscall.EAFNOSUPPORT
	errNetUnreach = syscall.ENETUNREACH
	errNotExist   = syscall.ENOENT
	errNotDir     = syscall.ENOTDIR
	errReadOnly   = syscall.EROFS
	errRefused    = syscall.ECONNREFUSED
	errNotConn    = syscall.ENOTCONN
	errInProgress = syscall.EINPROGRESS
)

var exhausted = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// The options that have the same name on all these systems.
const (
	solSocket    = unix.SOL_SOCKET
	soKeepAlive  = unix.SO_KEEPALIVE
	soRecvBuffer = unix.SO_RCVBUF
	soSendBuffer = unix.SO_SNDBUF
	ipprotoTCP   = unix.IPPROTO_TCP
	tcpNoDelay   = unix.TCP_NODELAY
	ipprotoIPv6  = unix.IPPROTO_IPV6
	ipv6Only     = unix.IPV6_V6ONLY
	ipv6TClass   = unix.IPV6_TCLASS
	ipprotoIP    = unix.IPPROTO_IP
	ipTOS        = unix.IP_TOS
)

func sysSocket(e endpoint) (Socket, error) {
	domain, typ := unix.AF_INET, unix.SOCK_STREAM
	switch {
	case e.unix:
		domain = unix.AF_UNIX
	case e.v6():
		domain = unix.AF_INET6
	}
	if e.datagrams {
		typ = unix.SOCK_DGRAM
	}
	s, err := newSocket(domain, typ)
	if err != nil {
		return None, err
	}
	if e.datagrams && !e.unix {
		if err := wantErrors(s, e.v6()); err != nil {
			_ = s.Close() // the first error is the one to tell
			return None, err
		}
	}
	return s, nil
}

// sysOwnPort lets a tcp port be bound while connections of an earlier server are in TIME-WAIT. It does not
// let two servers listen on one port on any of these systems.
func sysOwnPort(s Socket) error {
	return unix.SetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

func sysBind(s Socket, e endpoint) error          { return unix.Bind(s.FD(), sockaddr(e)) }
func sysListen(s Socket, backlog int) error       { return unix.Listen(s.FD(), backlog) }
func sysClose(s Socket) error                     { return unix.Close(s.FD()) }
func sysSetInt(s Socket, level, opt, v int) error { return unix.SetsockoptInt(s.FD(), level, opt, v) }

func sysGetInt(s Socket, level, opt int) (int, error) {
	return unix.GetsockoptInt(s.FD(), level, opt)
}

func sysConnect(s Socket, e endpoint) (connected bool, err error) {
	switch err := unix.Connect(s.FD(), sockaddr(e)); err {
	case nil:
		return true, nil
	case unix.EINPROGRESS, unix.EINTR: // connect(2): interrupted, it goes on all the same
		return false, nil
	default:
		return false, err
	}
}

func sysError(s Socket) error {
	v, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && v != 0 {
		err = syscall.Errno(v)
	}
	return err
}

func sysIsDatagram(s Socket) (bool, error) {
	v, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_TYPE)
	return v == unix.SOCK_DGRAM, err
}

func sysShutdown(s Socket, read bool) error {
	how, op := unix.SHUT_WR, "close the sending half"
	if read {
		how, op = unix.SHUT_RD, "close the receiving half"
	}
	if err := unix.Shutdown(s.FD(), how); err != nil {
		return &Error{Op: op, Call: "shutdown", Err: err}
	}
	return nil
}

func sysSetLinger(s Socket, on bool, seconds int) error {
	l := unix.Linger{Onoff: int32(toInt(on)), Linger: int32(seconds)}
	return unix.SetsockoptLinger(s.FD(), unix.SOL_SOCKET, soLinger, &l)
}

func sysLinger(s Socket) (on bool, seconds int, err error) {
	l, err := unix.GetsockoptLinger(s.FD(), unix.SOL_SOCKET, soLinger)
	return l.Onoff != 0, int(l.Linger), err
}

// sockaddr is the endpoint as golang.org/x/sys takes it.
func sockaddr(e endpoint) unix.Sockaddr {
	switch ip := e.ip.Addr(); {
	case e.unix:
		return &unix.SockaddrUnix{Name: e.path}
	case e.v6():
		return &unix.SockaddrInet6{Port: int(e.ip.Port()), Addr: ip.As16(), ZoneId: zones.id(ip.Zone())}
	default:
		return &unix.SockaddrInet4{Port: int(e.ip.Port()), Addr: ip.Unmap().As4()}
	}
}

func sysPair() ([2]Socket, error) {
	p, err := newPair()
	if err != nil {
		return [2]Socket{None, None}, &Error{Op: "make a pair of sockets", Call: "socketpair", Err: err}
	}
	return p, nil
}

// bare turns what a wrapper returned into the plain errno that the contract asks for; it is one already.
func bare(err error) error {
	if e, ok := err.(syscall.Errno); ok && e == ErrWouldBlock {
		return ErrWouldBlock
	}
	return err
}

func sysHungUp(s Socket) (up, failed bool) {
	fds := []unix.PollFd{{Fd: int32(s.FD())}}
	for {
		if _, err := unix.Poll(fds, 0); err != unix.EINTR {
			r := fds[0].Revents
			return r&unix.POLLHUP != 0, r&unix.POLLERR != 0
		}
	}
}
