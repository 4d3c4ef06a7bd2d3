package sock

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var system = features{
	reusePort: true, userTimeout: true, deferAccept: true, fastOpen: true, keepTimes: true, mode: true,
	dualStack: true, inherits: true, trafficClass: true, quickAck: true,
}

const (
	soReusePort     = unix.SO_REUSEPORT
	soLinger        = unix.SO_LINGER
	tcpKeepIdle     = unix.TCP_KEEPIDLE
	tcpKeepInterval = unix.TCP_KEEPINTVL
	tcpKeepCount    = unix.TCP_KEEPCNT
	tcpUserTimeout  = unix.TCP_USER_TIMEOUT
	tcpDeferAccept  = unix.TCP_DEFER_ACCEPT
	tcpFastOpen     = unix.TCP_FASTOPEN
	tcpQuickAck     = unix.TCP_QUICKACK

	// Linux sets a buffer to twice what it is asked for, to make room for its own overhead, and reports that
	// (socket(7), SO_RCVBUF).
	bufferFactor = 2

	recvFDFlags   = unix.MSG_CMSG_CLOEXEC | unix.MSG_DONTWAIT
	recvWaitFlags = unix.MSG_CMSG_CLOEXEC
)

// aborted are the errnos with which accept(2) reports what happened to the connection in the queue: Linux
// passes pending network errors on. EOPNOTSUPP is in the manual's list too, but left out: it also means that
// the socket is no listener, and then passing over it would never end. EPERM is a firewall's refusal.
var aborted = []syscall.Errno{
	syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN, syscall.ENOPROTOOPT,
	syscall.EHOSTDOWN, syscall.ENONET, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
}

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

// wantErrors has ICMP errors queued with the address that they are about (ip(7), IP_RECVERR). An IPv6 socket
// sends to IPv4 peers too, so it needs both. Without IPv6 in it, the first would be refused.
func wantErrors(s Socket, v6 bool) error {
	if v6 {
		if err := unix.SetsockoptInt(s.FD(), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1); err != nil {
			return err
		}
	}
	return unix.SetsockoptInt(s.FD(), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
}

func receivedFD(int) {}

const somaxconnName = "net.core.somaxconn"

// somaxconn is the most that listen(2) takes, 0 when it cannot be known. It is a namespace's own and can
// change while we run, so it is read each time.
func somaxconn() int { return readSysctl("/proc/sys/net/core/somaxconn") }

func readSysctl(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}

func bufferLimit(key string) string {
	if key == "rcvbuf" {
		return "net.core.rmem_max"
	}
	return "net.core.wmem_max"
}

// fastOpenOff says why TCP_FASTOPEN would have no effect on a listener: bit 1 of the sysctl is for servers
// (ip-sysctl.rst).
func fastOpenOff() string {
	const path = "/proc/sys/net/ipv4/tcp_fastopen"
	text, err := os.ReadFile(path)
	if err == nil && readSysctl(path)&2 == 0 {
		return "it is off for servers: net.ipv4.tcp_fastopen is " + strings.TrimSpace(string(text)) + ", and needs the bit 2"
	}
	return ""
}

func sysUnread(s Socket) (int, error) {
	n, err := unix.IoctlGetInt(s.FD(), unix.SIOCINQ)
	if err != nil {
		return 0, &Error{Op: "count unread bytes", Call: "ioctl", Err: err}
	}
	return n, nil
}

func sysUnacked(s Socket) (int, bool) {
	n, err := unix.IoctlGetInt(s.FD(), unix.SIOCOUTQ)
	return n, err == nil
}
