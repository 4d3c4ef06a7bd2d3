//go:build linux || darwin || freebsd

package loop_test

import (
	"net/netip"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

type refusal struct {
	peer netip.AddrPort
	err  error
}

type packet struct {
	data      string
	peer      netip.AddrPort
	truncated bool
}

// A post is a datagram socket of a loop. What it is told goes to channels, unless packet is set.
type post struct {
	*rig
	s       *loop.PacketConn
	addr    netip.AddrPort
	packet  func(s *loop.PacketConn, p []byte, peer netip.AddrPort, truncated bool)
	got     chan packet
	refused chan refusal
	closed  chan error
}

func (k *post) Packet(s *loop.PacketConn, p []byte, peer netip.AddrPort, truncated bool) {
	if k.packet != nil {
		k.packet(s, p, peer, truncated)
		return
	}
	k.got <- packet{string(p), peer, truncated}
}

func (k *post) Refused(_ *loop.PacketConn, peer netip.AddrPort, err error) {
	k.refused <- refusal{peer, err}
}
func (k *post) Closed(_ *loop.PacketConn, err error) { k.closed <- err }

// packets binds a datagram socket on the rig's loop.
func (r *rig) packets(host string, o sock.Options) *post {
	r.t.Helper()
	k := &post{rig: r, got: make(chan packet, 10_000), refused: make(chan refusal, 10_000), closed: make(chan error, 10)}
	r.do(func() {
		var err error
		if k.s, err = r.ListenPacket(sock.Addr{Scheme: "udp", Host: host}, o, k); err != nil {
			r.t.Fatalf("ListenPacket: %v", err)
		}
	})
	k.addr, _ = k.s.Addr().AddrPort()
	return k
}
