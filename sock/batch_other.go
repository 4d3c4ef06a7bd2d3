//go:build !linux

package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
)

// sysBatch where there are no batches: one system call a datagram.
type sysBatch struct{ most int }

func (b *sysBatch) init(n int) { b.most = n }

func (b *sysBatch) recv(s Socket, ds []Datagram) (int, error) {
	for i := range ds[:min(len(ds), b.most)] {
		d := &ds[i]
		n, peer, truncated, err := sysRecvFrom(s, d.Data)
		switch {
		case err != nil && i > 0:
			return i, nil // an error that lasts comes again
		case err != nil:
			return 0, err
		}
		d.N, d.Peer, d.Truncated = n, peer, truncated
	}
	return min(len(ds), b.most), nil
}

func (b *sysBatch) recvLocal(s Socket, ds []Datagram) (n int, err error) {
	n, err = b.recv(s, ds)
	for i := range ds[:n] {
		ds[i].Local = netip.Addr{}
	}
	return n, err
}

func sysTellLocal(Socket) error {
	return fmt.Errorf("sock: have local addresses told: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}

func (b *sysBatch) send(s Socket, ds []Datagram) (int, error) {
	if len(ds) == 0 {
		return 0, nil
	}
	own, err := sysName(s, false)
	if err != nil {
		return 0, err
	}
	for i := range ds {
		if err := sysSendTo(s, ds[i].Data, inFamily(ds[i].Peer, own)); err != nil {
			return i, err
		}
	}
	return len(ds), nil
}

// inFamily maps an IPv4 peer into IPv6 for a socket that is IPv6, which these systems want.
func inFamily(peer netip.AddrPort, own name) netip.AddrPort {
	ip := peer.Addr().Unmap()
	if ip.Is4() && own.v6 {
		ip = netip.AddrFrom16(ip.As16())
	}
	return netip.AddrPortFrom(ip, peer.Port())
}

func sysRecvError(Socket, []byte) (netip.AddrPort, int, error, bool) {
	return netip.AddrPort{}, 0, nil, false
}
