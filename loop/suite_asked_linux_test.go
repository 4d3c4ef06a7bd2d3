package loop_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/ownnet"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// askers are addresses that a client asks on a socket bound to all, by the socket's host, with the address that the
// answer is to come from where that is another one.
var askers = []struct{ bound, asked, from string }{
	{"0.0.0.0", "127.0.0.1", ""},
	{"0.0.0.0", "127.0.0.2", ""},
	{"0.0.0.0", "127.255.255.255", "127.0.0.1"}, // a broadcast
	{"", "127.0.0.2", ""},
	{"", "127.255.255.255", "127.0.0.1"},
	{"", "::1", ""},
	{"", "fd00::7", ""},
	{"", "fe80::1%lo", ""},
	{"127.0.0.1", "127.0.0.1", ""},
	{"::1", "::1", ""},
	{"fe80::1%lo", "fe80::1%lo", ""},
}

// asker is a client's socket, which may broadcast.
func asker(t *testing.T, to netip.Addr) *net.UDPConn {
	t.Helper()
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if to.Is6() {
		at = netip.AddrPortFrom(netip.IPv6Loopback(), 0)
	}
	if to.IsLinkLocalUnicast() {
		at = netip.AddrPortFrom(to, 0)
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Answers leave from the address that was asked, on every driver: at once, in a batch of many, and later; and Local
// tells which it was.
func TestAnswersFromAsked(t *testing.T) {
	if !ownnet.Enter(t) {
		return
	}
	if err := ownnet.Add("fd00::7"); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, driver string) {
		for _, row := range askers {
			t.Run(fmt.Sprintf("%q asked at %s", row.bound, row.asked), func(t *testing.T) {
				r := run(t, loop.Options{Driver: driver, PacketBatch: 4})
				k := r.packets(row.bound, sock.Options{})
				to := netip.AddrPortFrom(netip.MustParseAddr(row.asked), k.addr.Port())
				want := to
				if row.from != "" {
					want = netip.AddrPortFrom(netip.MustParseAddr(row.from), to.Port())
				}
				later := make(chan func(), 100)
				k.do(func() {
					k.packet = func(s *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) {
						local := s.Local()
						if local != want {
							t.Errorf("Local is %v, want %v", local, want)
						}
						s.WriteTo(append(p, " at once"...), peer)
						text := string(p) + " later"
						later <- func() { s.WriteFrom([]byte(text), local.Addr(), peer) }
					}
				})
				c := asker(t, to.Addr())
				expect := func(n int) {
					t.Helper()
					buf := make([]byte, 100)
					for range n {
						size, from, err := c.ReadFromUDPAddrPort(buf)
						if from = sock.AsPeer(from); err != nil || from != want {
							t.Fatalf("an answer of %q from %v, %v; want one from %v", buf[:size], from, err, want)
						}
					}
				}
				const n = 10 // of which more than one is in a batch
				hold, held := make(chan struct{}), make(chan struct{})
				r.Post(func() { close(held); <-hold })
				<-held
				for i := range n {
					if _, err := c.WriteToUDPAddrPort(fmt.Append(nil, i), to); err != nil {
						t.Fatal(err)
					}
				}
				close(hold)
				expect(n)
				for range n {
					r.do(recv(t, "a later answer", later))
				}
				expect(n)
				if len(k.refused) > 0 {
					t.Errorf("refused: %v", <-k.refused)
				}
			})
		}
	})
}

// What is sent to others than the peer that asked is not bound to the address that was asked; and an address that the
// machine does not have, or of the other family, is refused, and the others go on.
func TestWriteFrom(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, host := range []string{"0.0.0.0", ""} {
			r := run(t, loop.Options{Driver: driver})
			k := r.packets(host, sock.Options{})
			other := udpPeer(t, "127.0.0.1")
			k.do(func() {
				if got := k.s.Local(); got != k.addr {
					t.Errorf("Local outside Packet is %v, want %v", got, k.addr)
				}
				k.packet = func(s *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) {
					s.WriteTo([]byte("to another"), addrPort(other))
					s.WriteFrom([]byte("none"), netip.MustParseAddr("192.0.2.77"), peer)
					s.WriteFrom([]byte("family"), netip.MustParseAddr("::1"), peer)
					s.WriteFrom([]byte("third"), netip.MustParseAddr("127.0.0.3"), peer)
					s.WriteFrom([]byte("any"), netip.IPv4Unspecified(), peer)
				}
			})
			c := udpPeer(t, "127.0.0.1")
			port := k.addr.Port()
			at := func(ip string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(ip), port) }
			if _, err := c.WriteToUDPAddrPort([]byte("x"), at("127.0.0.2")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			for _, want := range []struct {
				c    datagramPeer
				text string
				from netip.AddrPort
			}{{other, "to another", at("127.0.0.1")}, {c, "third", at("127.0.0.3")}, {c, "any", at("127.0.0.1")}} {
				n, from, err := want.c.ReadFromUDPAddrPort(buf)
				if from = sock.AsPeer(from); err != nil || string(buf[:n]) != want.text || from != want.from {
					t.Errorf("bound to %q: got %q from %v, %v; want %q from %v",
						host, buf[:n], from, err, want.text, want.from)
				}
			}
			for _, errs := range [][]error{{syscall.EINVAL, syscall.ENETUNREACH}, {syscall.EINVAL}} {
				if got := recv(t, "a refusal", k.refused); got.peer != addrPort(c) || !slices.Contains(errs, got.err) {
					t.Errorf("bound to %q: refused %v, %v; want %v, one of %v", host, got.peer, got.err, addrPort(c), errs)
				}
			}
		}
	})
}
