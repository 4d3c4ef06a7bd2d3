package sock

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What is too long for an interface is told by Send, and not a second time by RecvError, although the kernel
// queues it there too.
func TestRecvErrorSkipsLocal(t *testing.T) {
	needIPv6(t)
	a, _ := listen(t, "udp://[::1]:0")
	own, err := a.LocalAddrPort()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(a.FD(), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1); err != nil {
		t.Fatal(err)
	}
	batch := NewBatch(4)
	// 65520 bytes are a possible datagram, but with their headers more than the loopback's 65536.
	n, err := batch.Send(a, []Datagram{{Data: make([]byte, 65520), Peer: own}})
	if n != 0 || err != syscall.EMSGSIZE {
		t.Skipf("the loopback took 65520 bytes in one piece: %d, %v", n, err)
	}
	if peer, _, cause, ok := a.RecvError(nil); ok {
		t.Errorf("RecvError: got %v, %v, want nothing, since Send told", peer, cause)
	}
	if n, err := batch.Send(a, []Datagram{{Data: []byte("x"), Peer: own}}); n != 1 || err != nil {
		t.Errorf("Send of the next: got %d, %v, want 1", n, err)
	}
}

// Link-local addresses come with their zone, and go by it.
func TestZones(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs() // an interface that went away has none
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil || !prefix.Addr().Is6() || !prefix.Addr().IsLinkLocalUnicast() {
				continue
			}
			ip := prefix.Addr().WithZone(i.Name)
			s, err := Listen(FromAddrPort("udp", netip.AddrPortFrom(ip, 0)), Options{})
			if err != nil {
				t.Fatalf("Listen on %v: %v", ip, err)
			}
			defer s.Close()
			at, err := s.LocalAddrPort()
			if err != nil || at.Addr() != ip {
				t.Errorf("LocalAddrPort: got %v, %v, want %v and a port", at, err, ip)
			}
			// To itself, which no wire sees.
			if n, err := NewBatch(1).Send(s, []Datagram{{Data: []byte("x"), Peer: at}}); n != 1 || err != nil {
				t.Fatalf("Send to %v: got %d, %v", at, n, err)
			}
			if d := recvBatch(t, NewBatch(1), s, 1, 10)[0]; d.Peer != at {
				t.Errorf("Peer: got %v, want %v", d.Peer, at)
			}
			if _, err := Listen(FromAddrPort("udp", netip.AddrPortFrom(prefix.Addr().WithZone("no-such"), 0)),
				Options{}); err == nil {
				t.Error("Listen with a zone that is no interface: got a socket, want an error")
			}
			return
		}
	}
	t.Skip("no interface here has a link-local IPv6 address")
}

// Where the system has fast open off for servers, the option is refused: the kernel would take it and do
// nothing.
func TestFastOpenOff(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_fastopen")
	if err != nil {
		t.Skip(err)
	}
	bits, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen(Addr{Scheme: "tcp", Host: "127.0.0.1"}, Options{FastOpen: 1})
	if err == nil {
		s.Close()
	}
	if off := bits&2 == 0; (err != nil) != off ||
		off && !strings.Contains(err.Error(), "net.ipv4.tcp_fastopen is "+strconv.Itoa(bits)) {
		t.Errorf("FastOpen with tcp_fastopen=%d: got %v, want an error that says so: %v", bits, err, off)
	}
}

// An abstract address, which is not ours to make, prints.
func TestAbstractName(t *testing.T) {
	l, err := net.Listen("unix", "@plexor-sock-test-"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		a, err := Socket(fd).RemoteAddr()
		if err != nil || a.Path != l.Addr().String() {
			t.Errorf("RemoteAddr: got %q, %v, want %q", a.Path, err, l.Addr())
		}
		a, err = Socket(fd).LocalAddr()
		if err != nil || a.Path != "" {
			t.Errorf("LocalAddr of an unnamed socket: got %q, %v, want no path", a.Path, err)
		}
	})
}
