package ip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A NeighborState is that of a neighbor's entry (RFC 4861, section 7.3.2), for IPv6, and for IPv4 too:
//
//	Incomplete ── answer ──> Reachable ── 30 s ──> Stale ── a packet to it ──> Delay ── 5 s ──> Probe
//	    │ 3 questions            ^──────────────── answer ───────────────────────┴───────────────┤
//	    └── gone                                                               gone ── 3 questions ┘
type NeighborState uint8

// The states of a neighbor.
const (
	Incomplete NeighborState = 1 + iota // its link address is asked for
	Reachable                           // it has answered a short time ago
	Stale                               // it may not be there any more; nobody has asked
	Delay                               // a packet was sent to it; if nothing tells that it arrived, it is asked
	Probe                               // it is asked, at the address that is known
)

// String is the name as RFC 4861 has it.
func (s NeighborState) String() string {
	return [...]string{"", "INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE"}[s]
}

// A Neighbor is an entry of a host's caches of ARP and NDP.
type Neighbor struct {
	Interface *Interface
	Addr      netip.Addr
	MAC       wire.MAC // the zero MAC while it is Incomplete
	State     NeighborState
	Router    bool // it has said that it is one
}

type neighbor struct {
	Neighbor
	at      time.Duration // when the state's time is over
	asked   int
	used    time.Duration // by a packet
	waiting [][]byte      // frames without addresses
}

type neighborKey struct {
	i    *Interface
	addr netip.Addr
}

// neighbors are the entries: in a table to find them, and in a list, since a table has no order.
type neighbors struct {
	table map[neighborKey]*neighbor
	list  []*neighbor
	most  int
	due   time.Duration // when the first state's time is over; may be early
}

func (t *neighbors) init(most int) { t.table, t.most, t.due = map[neighborKey]*neighbor{}, most, off }

// Neighbors are the entries of the host's caches, in the order in which they came.
func (h *Host) Neighbors() []Neighbor {
	list := make([]Neighbor, len(h.neighbors.list))
	for n, e := range h.neighbors.list {
		list[n] = e.Neighbor
	}
	return list
}

// enter makes an entry. Where there are too many, it takes the place of the one that was not used for the longest time,
// of those that nobody has confirmed if there is one: so who invents neighbors pushes out his own.
func (h *Host) enter(now time.Duration, i *Interface, addr netip.Addr) *neighbor {
	t := &h.neighbors
	if len(t.list) >= t.most {
		oldest := t.list[0]
		settled := func(n *neighbor) bool { return n.State == Reachable || n.State == Delay || n.State == Probe }
		for _, n := range t.list[1:] {
			if settled(oldest) && !settled(n) || settled(oldest) == settled(n) && n.used < oldest.used {
				oldest = n
			}
		}
		h.Dropped.Neighbors += len(oldest.waiting)
		h.forget(oldest)
	}
	n := &neighbor{Neighbor: Neighbor{Interface: i, Addr: addr}, at: off, used: now}
	t.table[neighborKey{i, addr}] = n
	t.list = append(t.list, n)
	return n
}

func (h *Host) forget(n *neighbor) {
	t := &h.neighbors
	delete(t.table, neighborKey{n.Interface, n.Addr})
	if at := slices.Index(t.list, n); at >= 0 {
		t.list = slices.Delete(t.list, at, at+1)
	}
}

// turn changes a neighbor's state until a time.
func (h *Host) turn(n *neighbor, s NeighborState, at time.Duration) {
	n.State, n.at = s, at
	h.neighbors.due = min(h.neighbors.due, at)
}

// reachable is how long an answer counts: by chance, so that not all neighbors are asked at one time (RFC 4861, section
// 6.3.2).
func (h *Host) reachable(i *Interface) time.Duration {
	return i.auto.reachable/2 + h.spread(i.auto.reachable)
}

// transmit sends a packet to a neighbor, or keeps it until its link address is known. b is a frame whose Ethernet
// header is still to be written.
func (h *Host) transmit(now time.Duration, i *Interface, next netip.Addr, b []byte) {
	if mac, ok := i.groupMAC(next); ok {
		i.address(b, mac, next.Is4())
		h.emit(i, b)
		return
	}
	n := h.neighbors.table[neighborKey{i, next}]
	if n == nil {
		n = h.enter(now, i, next)
		h.turn(n, Incomplete, now+i.auto.retrans)
		n.used = now
		n.waiting = append(n.waiting, slices.Clone(b))
		h.askNeighbor(now, n)
		return
	}
	n.used = now
	switch n.State {
	case Incomplete:
		if len(n.waiting) >= h.limits.Waiting { // the newest is kept: RFC 1122, section 2.3.2.2, and RFC 4861, 7.2.2
			n.waiting = slices.Delete(n.waiting, 0, 1)
			h.Dropped.Neighbors++
		}
		n.waiting = append(n.waiting, slices.Clone(b))
		return
	case Stale:
		n.asked = 0
		h.turn(n, Delay, now+delayTime)
	}
	i.address(b, n.MAC, next.Is4())
	h.emit(i, b)
}

// address writes a frame's Ethernet header.
func (i *Interface) address(b []byte, to wire.MAC, four bool) {
	copy(b, to[:])
	copy(b[6:], i.mac[:])
	b[12], b[13] = byte(wire.EtherTypeIPv6>>8), byte(wire.EtherTypeIPv6&0xff)
	if four {
		b[12], b[13] = byte(wire.EtherTypeIPv4>>8), byte(wire.EtherTypeIPv4&0xff)
	}
}

// groupMAC is where a packet to several goes (RFC 1112, section 6.4; RFC 2464, section 7).
func (i *Interface) groupMAC(next netip.Addr) (m wire.MAC, ok bool) {
	switch {
	case next.Is4() && i.broadcast(next):
		return wire.Broadcast, true
	case !next.IsMulticast():
		return m, false
	case next.Is4():
		b := next.As4()
		return wire.MAC{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}, true
	}
	b := next.As16()
	return wire.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}, true
}

// askNeighbor asks for a neighbor: all where its link address is not known, and itself where it is.
func (h *Host) askNeighbor(now time.Duration, n *neighbor) {
	n.asked++
	i := n.Interface
	src := i.source(n.Addr, n.Addr)
	if n.Addr.Is4() {
		to := wire.Broadcast
		if n.State == Probe {
			to = n.MAC
		}
		if !src.IsValid() {
			src = netip.IPv4Unspecified()
		}
		i.sendARP(wire.ARPRequest, to, src, wire.MAC{}, n.Addr)
		return
	}
	if !src.IsValid() {
		return // RFC 4861, section 7.2.2: from an address of the interface
	}
	dst := solicited(n.Addr)
	if n.State == Probe {
		dst = n.Addr
	}
	i.solicit(now, src, n.Addr, dst)
}

// confirmed takes the answer of a neighbor that was asked for.
func (h *Host) confirmed(now time.Duration, n *neighbor) {
	n.asked = 0
	h.turn(n, Reachable, now+h.reachable(n.Interface))
	h.release(n)
}

// release sends what has waited for a link address.
func (h *Host) release(n *neighbor) {
	list := n.waiting
	n.waiting = nil
	for _, b := range list {
		n.Interface.address(b, n.MAC, n.Addr.Is4())
		h.emit(n.Interface, b)
	}
}

// advanceNeighbors goes on with those whose state's time is over.
func (h *Host) advanceNeighbors(now time.Duration) {
	t := &h.neighbors
	if t.due > now {
		return
	}
	t.due = off
	var gone []*neighbor
	for _, n := range t.list {
		if n.at <= now && !h.advanceNeighbor(now, n) {
			gone = append(gone, n)
			continue
		}
		t.due = min(t.due, n.at)
	}
	for _, n := range gone {
		list := n.waiting
		n.waiting = nil
		h.forget(n)
		for _, b := range list {
			h.Dropped.Neighbors++
			h.undeliverable(now, n.Interface, b[wire.EthernetLen:])
		}
	}
}

// advanceNeighbor is the next state; false where the neighbor is to be forgotten.
func (h *Host) advanceNeighbor(now time.Duration, n *neighbor) bool {
	most := multicastAsks
	switch n.State {
	case Reachable:
		n.State, n.at = Stale, now+staleTime
		return true
	case Stale:
		if n.at = n.used + staleTime; n.at > now {
			return true
		}
		return false
	case Delay:
		n.State, n.asked = Probe, 0
	}
	if n.State == Probe {
		most = unicastAsks
	}
	if n.asked >= most {
		return false
	}
	n.at = now + n.Interface.auto.retrans
	h.askNeighbor(now, n)
	return true
}
