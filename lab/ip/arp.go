package ip

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// sendARP sends an ARP packet.
func (i *Interface) sendARP(op wire.ARPOp, to wire.MAC, src netip.Addr, target wire.MAC, dst netip.Addr) {
	h := i.host
	e := wire.Ethernet{Dst: to, Src: i.mac, Type: wire.EtherTypeARP}
	a := wire.ARP{Op: op, SenderMAC: i.mac, SenderIP: src, TargetMAC: target, TargetIP: dst}
	b, err := e.AppendHeader(h.buf[:0], wire.ARPLen)
	if err == nil {
		b, err = a.Append(b)
	}
	if err != nil {
		panic("lab/ip: " + err.Error()) // the addresses are IPv4's: see the callers
	}
	h.emit(i, wire.PadEthernet(b, 0))
}

// arp takes an ARP packet (RFC 826, and RFC 5227 for conflicts).
//
// RFC 826 believes everybody, which is how neighbors are robbed. What is believed here: an answer to a question, the
// first one; and whoever asks for this host's address, so far as nothing is known of him. Another link address for a
// neighbor that is known makes the host ask him, where he was: he loses his place only if he does not answer.
func (h *Host) arp(now time.Duration, i *Interface, b []byte) {
	var a wire.ARP
	if a.Parse(b) != nil {
		h.Dropped.Malformed++
		return
	}
	if a.Op != wire.ARPRequest && a.Op != wire.ARPReply {
		h.Dropped.Strange++
		return
	}
	if a.SenderMAC == i.mac {
		return // one's own, doubled or sent back
	}
	if a.SenderMAC.IsMulticast() || a.SenderIP.IsMulticast() || a.SenderIP.IsLoopback() || i.broadcast(a.SenderIP) {
		h.Dropped.Martian++
		return
	}
	target := i.own(a.TargetIP)
	if sender := i.own(a.SenderIP); sender != nil {
		i.conflict(now, sender)
		return
	}
	if a.SenderIP.IsUnspecified() && target != nil && target.State == Tentative {
		i.conflict(now, target) // somebody probes for the same address at the same time (RFC 5227, section 2.1.1)
		return
	}
	mine := target != nil && target.usable()
	if !a.SenderIP.IsUnspecified() {
		h.heard(now, i, &a, mine)
	}
	if mine && a.Op == wire.ARPRequest {
		i.sendARP(wire.ARPReply, a.SenderMAC, a.TargetIP, a.SenderMAC, a.SenderIP)
	}
}

// own is the interface's address with this value.
func (i *Interface) own(addr netip.Addr) *address {
	for _, a := range i.addrs {
		if a.addr() == addr {
			return a
		}
	}
	return nil
}

// heard takes what an ARP packet says about its sender; mine says that it was for this host.
func (h *Host) heard(now time.Duration, i *Interface, a *wire.ARP, mine bool) {
	n := h.neighbors.table[neighborKey{i, a.SenderIP}]
	// An answer counts too where the address that asked was taken away since: a DHCPRELEASE may wait for it.
	answer := a.Op == wire.ARPReply && (mine || a.TargetMAC == i.mac)
	switch {
	case n == nil && mine && a.Op == wire.ARPRequest && i.onLink(a.SenderIP):
		n = h.enter(now, i, a.SenderIP)
		n.MAC = a.SenderMAC
		h.turn(n, Stale, now+staleTime)
	case n == nil:
	case n.State == Incomplete && (answer || mine):
		n.MAC = a.SenderMAC
		if answer {
			h.confirmed(now, n)
			return
		}
		h.turn(n, Stale, now+staleTime)
		h.release(n)
	case n.State == Incomplete:
	case n.MAC != a.SenderMAC:
		if n.State != Probe {
			n.asked = 0
			h.turn(n, Probe, now+i.auto.retrans)
			h.askNeighbor(now, n)
		}
	case answer && n.State != Stale:
		h.confirmed(now, n)
	}
}

// onLink reports whether an address is one of a neighbor.
func (i *Interface) onLink(addr netip.Addr) bool {
	for n := range i.host.routes {
		r := &i.host.routes[n]
		if r.Interface == i && !r.Via.IsValid() && r.Prefix.Contains(addr) {
			return true
		}
	}
	return false
}
