//go:build netbsd || openbsd

package sock

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	soReusePort    = unix.SO_REUSEPORT
	soLinger       = unix.SO_LINGER
	tcpUserTimeout = 0
	tcpDeferAccept = 0
	tcpFastOpen    = 0
	tcpQuickAck    = 0

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

// acceptFD sets the flags in further calls, under the lock that keeps a fork from coming between:
// golang.org/x/sys has no accept4 for these systems.
func acceptFD(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	nfd, _, err := unix.Accept(fd)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(nfd)
	if err := unix.SetNonblock(nfd, true); err != nil {
		_ = unix.Close(nfd) // the first error is the one to tell
		return -1, err
	}
	return nfd, nil
}

func receivedFD(int) {}

const somaxconnName = "kern.somaxconn"

func somaxconn() int {
	n, err := unix.SysctlUint32(somaxconnName)
	if err != nil {
		return 0
	}
	return int(n)
}

func sysUnacked(s Socket) (int, bool) {
	if runtime.GOOS == "openbsd" {
		return 0, false
	}
	const fionwrite = 0x40046679 // _IOR('f', 121, int) in NetBSD's <sys/filio.h>
	n, err := unix.IoctlGetInt(s.FD(), fionwrite)
	return n, err == nil
}
