package plexor_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// An answer leaves from the address that was asked, of a server on all addresses, at once or after a wait: so that a
// client takes it whose socket is connected. The system chose 127.0.0.1.
func TestPacketLocal(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		other, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		v6, noV6 := net.ListenPacket("udp", "[::1]:0")
		if noV6 == nil {
			v6.Close()
		}
		b := place{driver: driver}.serve(t, &plexor.Server{}, nil)
		for _, host := range []string{"0.0.0.0", "", "127.0.0.2"} {
			addr, err := b.OpenPackets("udp://"+host+":0", plexor.PacketFunc(func(p *plexor.Packet) {
				text := fmt.Sprintf("%s to %v", p.Data, p.Local)
				if err := p.Reply([]byte(text)); err != nil {
					t.Error(err)
				}
				if _, err := coro.Await(p.Context(), func() (int, error) { return 0, nil }); err != nil {
					t.Error(err)
				}
				if err := p.Reply([]byte("later " + text)); err != nil {
					t.Error(err)
				}
				if err := p.WriteTo([]byte("another"), other.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
					t.Error(err)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			port := addr.(*net.UDPAddr).AddrPort().Port()
			for _, ip := range []string{"127.0.0.2", "127.0.0.1", "::1"} {
				asked := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
				if asked.Addr().Is6() && (host != "" || noV6 != nil) || host == "127.0.0.2" && ip != host {
					continue
				}
				c := dial(t, net.UDPAddrFromAddrPort(asked))
				send(t, c, "asked")
				for _, want := range []string{"asked to " + asked.String(), "later asked to " + asked.String()} {
					buf := make([]byte, 100)
					if n, err := c.Read(buf); err != nil || string(buf[:n]) != want {
						t.Fatalf("on %q: got %q, %v; want %q", host, buf[:n], err, want)
					}
				}
				if n, _, err := other.ReadFrom(make([]byte, 100)); err != nil || n != len("another") {
					t.Errorf("on %q: another got %d bytes, %v", host, n, err)
				}
			}
		}
	})
}
