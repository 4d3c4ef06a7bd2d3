package loop_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// refused reports what its socket hears of.
type refused struct {
	loop.PacketFunc
	told chan error
}

func (r *refused) Refused(_ *loop.PacketConn, _ netip.AddrPort, err error) { r.told <- err }

// TestRefusalsAreRead: refusals that nobody reads keep a datagram socket ready for ever, and its loop turning.
func TestRefusalsAreRead(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{Driver: d.Name}, Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			addr := sock.Addr{Scheme: "udp", Host: "127.0.0.1"}
			gone, err := sock.Listen(addr, sock.Options{})
			if err != nil {
				t.Fatal(err)
			}
			nobody, err := gone.LocalAddrPort()
			if err != nil {
				t.Fatal(err)
			}
			if err := gone.Close(); err != nil {
				t.Fatal(err)
			}
			h := &refused{loop.PacketFunc(func(*loop.PacketConn, []byte, netip.AddrPort, bool) {}), make(chan error, 10)}
			p, err := g.ListenPacket(addr, sock.Options{}, h)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Loop().Do(func() { _, err = p.WriteTo([]byte("anybody?"), nobody) }); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := <-h.told; !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("refused with %v, want ECONNREFUSED", err)
			}
		})
	}
}
