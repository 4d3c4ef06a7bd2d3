package tcp_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/lab/tap"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// kernel is the kernel's TCP as a judge.
type kernel struct {
	cable
	setup    setup
	dev      *tap.Device
	start    time.Time
	out      chan sent
	listener int // the socket; -1: none
}

// networks counts those of the judges: each has another.
var networks atomic.Int32

func newKernel(t testing.TB, o setup, six bool) *kernel {
	j := &kernel{cable: newCable(t, byte(networks.Add(1)), six), setup: o, start: time.Now(), out: make(chan sent, 4096),
		listener: -1}
	var err error
	j.dev, err = tap.Open(tap.Options{Addrs: j.prefixes()})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENODEV) {
		t.Skipf("no TAP device can be had here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	j.localMAC = j.dev.MAC()
	j.put = func(frame []byte) {
		if _, err := j.dev.Write(frame); err != nil {
			t.Errorf("the kernel took no frame: %v", err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 1<<16)
		for {
			n, err := j.dev.Read(b)
			if err != nil {
				return
			}
			if h, ok := j.took(b[:n], j.now()); ok {
				j.out <- h
			}
		}
	}()
	t.Cleanup(func() {
		if j.listener >= 0 {
			unix.Close(j.listener)
		}
		j.dev.Close()
		<-ended
	})
	j.meet()
	return j
}

// meet waits until the kernel answers for its address: a new interface's takes some time to be up, for IPv6 above all.
func (j *kernel) meet() {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		j.hello()
		late := time.NewTimer(20 * time.Millisecond)
		select {
		case <-j.known:
			late.Stop()
			return
		case <-late.C:
		}
	}
	j.t.Fatal("the kernel does not answer for its address")
}

func (j *kernel) now() time.Duration { return time.Since(j.start) }

// slack gives a busy machine a second more, and what was late before what is measured a part less.
func (j *kernel) slack(d time.Duration, up bool) time.Duration {
	if up {
		return d + d/4 + soon
	}
	if d == 0 {
		return -soon // what several calls cause may have come before the last of them returned
	}
	return d * 6 / 10
}

func (j *kernel) next(within time.Duration) (h sent, ok bool) {
	select {
	case h = <-j.out:
		return h, true
	default:
	}
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case h = <-j.out:
		return h, true
	case <-late.C:
		return h, false
	}
}

func (j *kernel) must(what string, err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatal(os.NewSyscallError(what, err))
	}
}

// socket makes one as the setup has it.
func (j *kernel) socket() int {
	j.t.Helper()
	family := unix.AF_INET
	if j.local.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	j.must("socket", err)
	set := func(level, name, value int) {
		j.must(fmt.Sprintf("setsockopt %d %d", level, name), unix.SetsockoptInt(fd, level, name, value))
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if j.setup.receive > 0 {
		set(unix.SOL_SOCKET, unix.SO_RCVBUF, j.setup.receive)
	}
	if n := int(j.setup.ttl); n > 0 && j.local.Is6() {
		set(unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, n)
	} else if n > 0 {
		set(unix.IPPROTO_IP, unix.IP_TTL, n)
	}
	if d := int(j.setup.keepAlive / time.Second); d > 0 {
		set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, d)
		set(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, d)
		set(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 8)
	}
	return fd
}

// at is an address as the system's calls have it.
func at(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is6() {
		return &unix.SockaddrInet6{Port: int(port), Addr: a.As16()}
	}
	return &unix.SockaddrInet4{Port: int(port), Addr: a.As4()}
}

func (j *kernel) listen(backlog int) {
	j.t.Helper()
	if backlog == 0 {
		backlog = 128
	}
	j.listener = j.socket()
	j.must("bind", unix.Bind(j.listener, at(j.local, 80)))
	j.must("listen", unix.Listen(j.listener, backlog))
}

func (j *kernel) inUse() error {
	fd := j.socket()
	defer unix.Close(fd)
	err := unix.Bind(fd, at(j.local, 80))
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	return oursOf(err)
}

func (j *kernel) refused(to netip.Addr) error {
	fd := j.socket()
	defer unix.Close(fd)
	if err := unix.Connect(fd, at(to, 80)); err != unix.EINPROGRESS {
		return err
	}
	return nil
}

func (j *kernel) accept() socket {
	fd, _, err := unix.Accept4(j.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return nil
	}
	// A new connection acknowledges at once for a while, and scripts are of what comes after that.
	j.must("TCP_QUICKACK", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
	return j.own(fd)
}

func (j *kernel) dial(from netip.AddrPort, port uint16, via ...netip.Addr) socket {
	j.t.Helper()
	s := j.own(j.socket())
	if from.Addr().IsValid() {
		j.must("bind", unix.Bind(s.fd, at(from.Addr(), from.Port())))
	}
	if len(via) > 0 {
		s.route(via...)
	}
	if err := unix.Connect(s.fd, at(j.remote, port)); err != unix.EINPROGRESS {
		j.t.Fatal(os.NewSyscallError("connect", err))
	}
	return s
}

func (j *kernel) own(fd int) *kernelSocket {
	s := &kernelSocket{j: j, fd: fd}
	j.t.Cleanup(func() {
		if s.fd >= 0 {
			unix.Close(s.fd)
		}
	})
	return s
}

// state looks into the kernel's table, which has connections that no socket has any more.
func (j *kernel) state(local, remote uint16) string {
	j.t.Helper()
	table := "/proc/thread-self/net/tcp"
	if j.local.Is6() {
		table += "6"
	}
	text, err := os.ReadFile(table)
	if err != nil {
		j.t.Fatal(err)
	}
	side := func(a netip.Addr, port uint16) (text string) {
		for b := a.AsSlice(); len(b) > 0; b = b[4:] {
			text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b))
		}
		return fmt.Sprintf("%s:%04X", text, port)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[1] != side(j.local, local) || f[2] != side(j.remote, remote) {
			continue
		}
		n, err := strconv.ParseUint(f[3], 16, 8)
		states := [...]tcp.State{unix.BPF_TCP_ESTABLISHED: tcp.Established, unix.BPF_TCP_SYN_SENT: tcp.SynSent,
			unix.BPF_TCP_SYN_RECV: tcp.SynReceived, unix.BPF_TCP_FIN_WAIT1: tcp.FinWait1,
			unix.BPF_TCP_FIN_WAIT2: tcp.FinWait2, unix.BPF_TCP_TIME_WAIT: tcp.TimeWait, unix.BPF_TCP_CLOSE: tcp.Closed,
			unix.BPF_TCP_CLOSE_WAIT: tcp.CloseWait, unix.BPF_TCP_LAST_ACK: tcp.LastAck, unix.BPF_TCP_LISTEN: tcp.Closed,
			unix.BPF_TCP_CLOSING: tcp.Closing, unix.BPF_TCP_NEW_SYN_RECV: tcp.SynReceived}
		if err != nil || int(n) >= len(states) {
			j.t.Fatalf("state %q", f[3])
		}
		return states[n].String()
	}
	return tcp.Closed.String()
}

// oursOf is an error of the kernel's as this package has it.
func oursOf(err error) error {
	for errno, ours := range map[unix.Errno]error{unix.ECONNRESET: tcp.ErrReset, unix.ECONNREFUSED: tcp.ErrRefused,
		unix.ETIMEDOUT: tcp.ErrTimeout, unix.EPIPE: tcp.ErrClosed, unix.EADDRINUSE: tcp.ErrInUse,
		unix.EHOSTUNREACH: tcp.ErrUnreachable, unix.ENETUNREACH: tcp.ErrUnreachable} {
		if errors.Is(err, errno) {
			return ours
		}
	}
	return err
}

type kernelSocket struct {
	j  *kernel
	fd int // -1: closed
}

func (s *kernelSocket) write(b []byte) (int, error) { return s.send(b, 0) }

func (s *kernelSocket) writeUrgent(b []byte) (int, error) { return s.send(b, unix.MSG_OOB) }

func (s *kernelSocket) send(b []byte, flags int) (int, error) {
	n, err := unix.SendmsgN(s.fd, b, nil, nil, flags|unix.MSG_NOSIGNAL)
	if err == unix.EAGAIN {
		err = nil
	}
	return max(n, 0), oursOf(err)
}

func (s *kernelSocket) read(b []byte) (n int, end bool, err error) {
	n, err = unix.Read(s.fd, b)
	switch {
	case err == unix.EAGAIN:
		return 0, false, nil
	case err != nil:
		return 0, false, oursOf(err)
	}
	return n, n == 0, nil
}

func (s *kernelSocket) closeWrite() { s.j.must("shutdown", unix.Shutdown(s.fd, unix.SHUT_WR)) }

func (s *kernelSocket) close() {
	s.j.must("close", unix.Close(s.fd))
	s.fd = -1
}

func (s *kernelSocket) abort() {
	s.j.must("SO_LINGER", unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	s.close()
}

func (s *kernelSocket) failed() error {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	s.j.must("SO_ERROR", err)
	if n == 0 {
		return nil
	}
	return oursOf(unix.Errno(n))
}

func (s *kernelSocket) urgent() bool {
	p := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLPRI}}
	n, err := unix.Poll(p, int(soon/time.Millisecond))
	for err == unix.EINTR { // the Go runtime has signals of its own
		n, err = unix.Poll(p, int(soon/time.Millisecond))
	}
	s.j.must("poll", err)
	return n == 1 && p[0].Revents&unix.POLLPRI != 0
}

func (s *kernelSocket) noDelay(on bool) {
	s.set(unix.IPPROTO_TCP, unix.TCP_NODELAY, map[bool]int{true: 1}[on])
}

func (s *kernelSocket) tos(tos uint8) {
	if s.j.local.Is6() {
		s.set(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(tos))
		return
	}
	s.set(unix.IPPROTO_IP, unix.IP_TOS, int(tos))
}

// reports has errors that end nothing be told by SO_ERROR.
func (s *kernelSocket) reports() {
	if s.j.local.Is6() {
		s.set(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		return
	}
	s.set(unix.IPPROTO_IP, unix.IP_RECVERR, 1)
}

func (s *kernelSocket) advised() bool { return s.failed() != nil }

func (s *kernelSocket) stalled() bool {
	info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	s.j.must("TCP_INFO", err)
	return info.Retransmits >= 3
}

func (s *kernelSocket) keepAlive() time.Duration {
	s.set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	n, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
	s.j.must("TCP_KEEPIDLE", err)
	return time.Duration(n) * time.Second
}

// urgentLeft is what there is up to the mark, which no read goes over, and the byte at it: the kernel's mark is at the
// last urgent byte.
func (s *kernelSocket) urgentLeft() int {
	s.set(unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	at, err := unix.IoctlGetInt(s.fd, unix.SIOCATMARK)
	s.j.must("SIOCATMARK", err)
	if at == 1 {
		return 1
	}
	n, _, err := unix.Recvfrom(s.fd, make([]byte, 1<<16), unix.MSG_PEEK)
	s.j.must("recvfrom", err)
	return n + 1
}

func (s *kernelSocket) route(via ...netip.Addr) {
	o := []byte{byte(wire.IPv4OptLooseRoute), byte(3 + 4*len(via)), 4}
	for _, a := range via {
		o = append(o, a.AsSlice()...)
	}
	s.j.must("IP_OPTIONS", unix.SetsockoptString(s.fd, unix.IPPROTO_IP, unix.IP_OPTIONS, string(append(o, 0))))
}

func (s *kernelSocket) userTimeout(d time.Duration) {
	s.set(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d/time.Millisecond))
}

func (s *kernelSocket) set(level, name, value int) {
	s.j.must("setsockopt", unix.SetsockoptInt(s.fd, level, name, value))
}
