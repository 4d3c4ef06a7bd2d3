package loop_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/plexor-go/plexor/internal/ownnet"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Peers with a link-local address are the same values on every driver, with the interface's name for their zone, as
// Go's net has them: of datagrams and of connections, accepted and dialled. io_uring gave the peers of datagrams a
// number for their zone.
func TestPeerZones(t *testing.T) {
	if !ownnet.Enter(t) {
		return
	}
	host := ownnet.LinkLocal + "%lo"
	each(t, func(t *testing.T, driver string) {
		t.Run("datagrams", func(t *testing.T) {
			c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.ParseIP(ownnet.LinkLocal), Zone: "lo"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, at := range []string{host, ""} {
				r := run(t, loop.Options{Driver: driver})
				k := r.packets(at, sock.Options{})
				to := netip.AddrPortFrom(netip.MustParseAddr(host), k.addr.Port())
				if _, err := c.WriteToUDPAddrPort([]byte("x"), to); err != nil {
					t.Fatal(err)
				}
				if got := recv(t, "the datagram", k.got); got.peer != addrPort(c) {
					t.Errorf("on %q the peer is %v, want %v", at, got.peer, addrPort(c))
				}
			}
		})
		t.Run("connections", func(t *testing.T) {
			r := run(t, loop.Options{Driver: driver})
			type ends struct{ local, remote netip.AddrPort }
			accepted, dialled := make(chan ends, 1), make(chan ends, 1)
			tell := func(ch chan ends) func(c *loop.Conn) {
				return func(c *loop.Conn) {
					var e ends
					e.local, _ = c.Socket().LocalAddrPort()
					e.remote, _ = c.Socket().RemoteAddrPort()
					ch <- e
				}
			}
			r.do(func() {
				ln, err := r.Listen(sock.Addr{Scheme: "tcp", Host: host}, sock.Options{},
					func(*loop.Conn) loop.Handler { return &watcher{t: t, opened: tell(accepted)} })
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Dial(ln.Addr(), sock.Options{}, 0, &watcher{t: t, opened: tell(dialled)}); err != nil {
					t.Fatal(err)
				}
			})
			a, d := recv(t, "the accepted connection", accepted), recv(t, "the dialled one", dialled)
			named := a.local.Addr().String() == host && a.remote.Addr().String() == host
			if a.local != d.remote || a.remote != d.local || !named {
				t.Errorf("accepted %v, dialled %v: want the addresses of %s, crosswise", a, d, host)
			}
		})
	})
}
