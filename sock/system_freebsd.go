package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var system = features{reusePort: true, fastOpen: true, keepTimes: true, mode: true, dualStack: true,
	trafficClass: true}

const (
	soReusePort     = unix.SO_REUSEPORT_LB // SO_REUSEPORT gives everything to one of the sockets here
	soLinger        = unix.SO_LINGER
	tcpKeepIdle     = unix.TCP_KEEPIDLE
	tcpKeepInterval = unix.TCP_KEEPINTVL
	tcpKeepCount    = unix.TCP_KEEPCNT
	tcpUserTimeout  = 0
	tcpDeferAccept  = 0
	tcpFastOpen     = unix.TCP_FASTOPEN
	tcpQuickAck     = 0

	sendFlags     = unix.MSG_NOSIGNAL
	recvFDFlags   = unix.MSG_CMSG_CLOEXEC
	recvWaitFlags = recvFDFlags
)

var aborted = []syscall.Errno{syscall.ECONNABORTED, syscall.EPROTO}

func newSocket(domain, typ int) (Socket, error) {
	fd, err := unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return None, err
	}
	return Socket(fd), nil
}

func newPair() ([2]Socket, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return [2]Socket{Socket(p[0]), Socket(p[1])}, err
}

func acceptFD(fd int) (int, error) {
	nfd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return nfd, err
}

func receivedFD(int) {}

const somaxconnName = "kern.ipc.soacceptqueue"

func somaxconn() int {
	n, err := unix.SysctlUint32(somaxconnName)
	if err != nil {
		return 0
	}
	return int(n)
}

func sysUnacked(s Socket) (int, bool) {
	const fionwrite = 0x40046677 // _IOR('f', 119, int) in <sys/filio.h>
	n, err := unix.IoctlGetInt(s.FD(), fionwrite)
	return n, err == nil
}
