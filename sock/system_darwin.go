package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var system = features{reusePort: true, keepTimes: true, mode: true, dualStack: true, trafficClass: true}

const (
	soReusePort     = unix.SO_REUSEPORT
	soLinger        = unix.SO_LINGER_SEC // SO_LINGER counts clock ticks here
	tcpKeepIdle     = unix.TCP_KEEPALIVE
	tcpKeepInterval = unix.TCP_KEEPINTVL
	tcpKeepCount    = unix.TCP_KEEPCNT
	tcpUserTimeout  = 0
	tcpDeferAccept  = 0
	tcpFastOpen     = 0
	tcpQuickAck     = 0

	sendFlags = 0 // SO_NOSIGPIPE, set at birth, is what MSG_NOSIGNAL is elsewhere
)

var aborted = []syscall.Errno{syscall.ECONNABORTED, syscall.EPROTO}

// newSocket makes it non-blocking and closed on exec in further calls, since socket(2) takes no flags here,
// under the lock that keeps a fork from coming between.
func newSocket(domain, typ int) (Socket, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(domain, typ, 0)
	if err != nil {
		return None, err
	}
	if err := tame(fd); err != nil {
		_ = unix.Close(fd) // the first error is the one to tell
		return None, err
	}
	return Socket(fd), nil
}

func acceptFD(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	nfd, _, err := unix.Accept(fd)
	if err != nil {
		return -1, err
	}
	if err := tame(nfd); err != nil {
		_ = unix.Close(nfd) // the first error is the one to tell
		return -1, err
	}
	return nfd, nil
}

func newPair() ([2]Socket, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return [2]Socket{}, err
	}
	for _, fd := range p {
		if err := tame(fd); err != nil {
			_, _ = unix.Close(p[0]), unix.Close(p[1]) // the first error is the one to tell
			return [2]Socket{}, err
		}
	}
	return [2]Socket{Socket(p[0]), Socket(p[1])}, nil
}

// tame sets what Linux sets at birth. SO_NOSIGPIPE fails with EINVAL on a connection that the peer has reset
// already, which Recv will tell.
func tame(fd int) error {
	unix.CloseOnExec(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1); err != nil && err != unix.EINVAL {
		return err
	}
	return unix.SetNonblock(fd, true)
}

// receivedFDs closes the descriptors that came over a socket on exec, since recvmsg has no flag for it here.
const (
	recvFDFlags   = 0
	recvWaitFlags = 0
)

func receivedFD(fd int) { unix.CloseOnExec(fd) }

const somaxconnName = "kern.ipc.somaxconn"

func somaxconn() int {
	n, err := unix.SysctlUint32(somaxconnName)
	if err != nil {
		return 0
	}
	return int(n)
}

func sysUnacked(s Socket) (int, bool) {
	n, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_NWRITE)
	return n, err == nil
}
