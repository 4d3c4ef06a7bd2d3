package ip

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// An Interface is a host's side of a network card: its link address, and its addresses of IP.
type Interface struct {
	Name string

	host  *Host
	mac   wire.MAC
	mtu   int
	addrs []*address
	due   time.Duration // when advance has something to do; may be early
	auto  autoconf
	lease *Lease
}

// A State is that of an address (RFC 4862, section 2; RFC 5227 for IPv4):
//
//	Tentative ── nobody else has it ──> Preferred ── its preferred lifetime is over ──> Deprecated ── valid one ──> gone
//	    └────── somebody has it ──────> Duplicate
type State uint8

// The states of an address.
const (
	Tentative  State = 1 + iota // others are asked whether they have it; nothing is sent from it or taken for it
	Preferred                   //
	Deprecated                  // taken, but not chosen for what is new
	Duplicate                   // somebody else has it; it is not used
)

// String is the name as RFC 4862 has it.
func (s State) String() string {
	return [...]string{"", "tentative", "preferred", "deprecated", "duplicate"}[s]
}

// An Address is one of an interface, as Addresses tells.
type Address struct {
	Prefix netip.Prefix // the address, and the length of its network's prefix
	State  State
	Auto   bool // made from a router advertisement, or the link-local one of Autoconfigure
}

type address struct {
	Address
	asks       int           // probes that are still to be sent
	at         time.Duration // when the next probe, or the decision, is due
	preferred  time.Duration // when the lifetimes end
	valid      time.Duration
	defended   time.Duration // when another's claim was answered last
	everBefore bool          // defended is a time
}

func (a *address) addr() netip.Addr { return a.Prefix.Addr() }

// usable reports whether packets to the address are this host's.
func (a *address) usable() bool { return a.State == Preferred || a.State == Deprecated }

// NewInterface adds an interface. An MTU of 0 is 1500; one below 68 is made 68 (RFC 791), and below 1280 there is no
// IPv6 (RFC 8200, section 5).
func (h *Host) NewInterface(name string, mac wire.MAC, mtu int) *Interface {
	if mtu == 0 {
		mtu = 1500
	}
	mtu = min(max(mtu, leastMTU4), 65535)
	i := &Interface{Name: name, host: h, mac: mac, mtu: mtu, due: off}
	i.auto.init(mtu)
	h.interfaces = append(h.interfaces, i)
	return i
}

// Addr is the interface's link address.
func (i *Interface) Addr() wire.MAC { return i.mac }

// Addresses are those of the interface, in the order in which they were added.
func (i *Interface) Addresses() []Address {
	list := make([]Address, len(i.addrs))
	for n, a := range i.addrs {
		list[n] = a.Address
	}
	return list
}

// Add gives the interface an address that is usable at once, and announces it: RFC 4862's DupAddrDetectTransmits of 0.
// The address's network is reached through the interface. A second one of the same kind is ErrInUse; what is no
// address of one host, or IPv6 where the MTU is below 1280, is ErrAddress.
func (i *Interface) Add(now time.Duration, prefix netip.Prefix) error {
	a, err := i.add(prefix, true)
	if err != nil {
		return err
	}
	i.settle(now, a)
	return nil
}

// Probe gives the interface an address, and asks first whether somebody else has it: some seconds for IPv4 (RFC 5227,
// section 2.1.1), one for IPv6 (RFC 4862, section 5.4). Addresses tells the outcome. Its errors are those of Add.
func (i *Interface) Probe(now time.Duration, prefix netip.Prefix) error {
	a, err := i.add(prefix, true)
	if err != nil {
		return err
	}
	i.ask(now, a)
	return nil
}

// add makes an address. linked says that its network is on the link: a prefix that a router tells is so only where the
// router says that as well (RFC 5942, section 4).
func (i *Interface) add(prefix netip.Prefix, linked bool) (*address, error) {
	addr := prefix.Addr()
	if !prefix.IsValid() || addr.IsMulticast() || addr.IsUnspecified() || addr.IsLoopback() || addr.Is4In6() ||
		addr.Zone() != "" || addr == everybody || addr.Is6() && i.mtu < leastMTU6 {
		return nil, ErrAddress
	}
	if i.host.own(addr) != nil {
		return nil, ErrInUse
	}
	a := &address{Address: Address{Prefix: prefix, State: Tentative}, at: off, preferred: off, valid: off}
	i.addrs = append(i.addrs, a)
	if linked {
		i.host.addRoute(Route{Prefix: prefix.Masked(), Interface: i, local: true})
	}
	return a, nil
}

// Remove takes an address from the interface. What is open on it stays, and reaches nobody any more.
func (i *Interface) Remove(addr netip.Addr) {
	n := slices.IndexFunc(i.addrs, func(a *address) bool { return a.addr() == addr })
	if n < 0 {
		return
	}
	prefix := i.addrs[n].Prefix.Masked()
	i.addrs = slices.Delete(i.addrs, n, n+1)
	same := func(a *address) bool { return a.Prefix.Masked() == prefix }
	if !slices.ContainsFunc(i.addrs, same) {
		i.host.dropRoutes(func(r *Route) bool { return r.local && r.Interface == i && r.Prefix == prefix })
	}
}

// ask begins to look for others with the address.
func (i *Interface) ask(now time.Duration, a *address) {
	a.State, a.asks = Tentative, 1
	if a.addr().Is4() {
		a.asks = probes4
	}
	// Not at once: hosts that are switched on together do not ask together (RFC 5227, 2.1.1; RFC 4862, 5.4.2).
	a.at = now + i.host.spread(probeTime)
	i.due = min(i.due, a.at)
}

// settle makes an address usable, and tells the neighbors.
func (i *Interface) settle(now time.Duration, a *address) {
	a.State, a.at = Preferred, off
	if a.preferred <= now {
		a.State = Deprecated
	}
	i.due = min(i.due, a.preferred, a.valid)
	i.announce(now, a)
}

// announce tells the neighbors whose address it is.
func (i *Interface) announce(now time.Duration, a *address) {
	if a.addr().Is4() {
		i.sendARP(wire.ARPRequest, wire.Broadcast, a.addr(), wire.MAC{}, a.addr())
	} else {
		i.advertise(now, a.addr(), allNodes, wire.NeighborOverride)
	}
}

// conflict notes that somebody else uses an address. A tentative one is not used then. One in use is kept, and defended
// once in a while: RFC 5227, section 2.4 (c), for a host that others rely on.
func (i *Interface) conflict(now time.Duration, a *address) {
	i.host.Conflicts++
	switch {
	case a.State == Tentative:
		a.State, a.at = Duplicate, off
	case a.usable() && (!a.everBefore || now-a.defended >= defendTime):
		a.defended, a.everBefore = now, true
		i.announce(now, a)
	}
}

// advance does what is due with the interface's addresses.
func (i *Interface) advance(now time.Duration) {
	for n := 0; n < len(i.addrs); n++ {
		a := i.addrs[n]
		if a.at <= now {
			i.step(now, a)
		}
		if a.State == Preferred && a.preferred <= now {
			a.State = Deprecated
		}
		if a.valid <= now {
			i.Remove(a.addr())
			n--
		}
	}
	i.advanceAuto(now)
	if l := i.lease; l != nil && l.at <= now {
		l.advance(now)
	}
	i.due = i.auto.due()
	if i.lease != nil {
		i.due = min(i.due, i.lease.at)
	}
	for _, a := range i.addrs {
		i.due = min(i.due, a.at, a.valid)
		if a.State == Preferred {
			i.due = min(i.due, a.preferred)
		}
	}
}

// step is the next of looking for others with a tentative address.
func (i *Interface) step(now time.Duration, a *address) {
	if a.asks == 0 {
		i.settle(now, a)
		return
	}
	a.asks--
	a.at = now + retransTime
	if a.addr().Is4() {
		a.at = now + announceWait
		if a.asks > 0 {
			a.at = now + probeTime + i.host.spread(probeTime)
		}
		i.sendARP(wire.ARPRequest, wire.Broadcast, netip.IPv4Unspecified(), wire.MAC{}, a.addr())
		return
	}
	i.solicit(now, netip.IPv6Unspecified(), a.addr(), solicited(a.addr()))
}

// spread is a time by chance, below d.
func (h *Host) spread(d time.Duration) time.Duration { return time.Duration(h.random() % uint64(d)) }

// own is the host's address with this value, in whatever state.
func (h *Host) own(addr netip.Addr) *address {
	for _, i := range h.interfaces {
		for _, a := range i.addrs {
			if a.addr() == addr {
				return a
			}
		}
	}
	return nil
}

// mine reports whether a packet to this address of one host is for this host. Which interface it came by does not
// matter: RFC 1122's weak end system, as Linux is.
func (h *Host) mine(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	a := h.own(addr)
	return a != nil && a.usable()
}

// everybody is the limited broadcast address.
var everybody = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// broadcast reports whether an IPv4 address means all hosts of a network of this interface.
func (i *Interface) broadcast(addr netip.Addr) bool {
	if addr == everybody {
		return true
	}
	for _, a := range i.addrs {
		if a.addr().Is4() && a.Prefix.Bits() < 31 && a.Prefix.Contains(addr) && addr == last4(a.Prefix) {
			return true
		}
	}
	return false
}

// last4 is the last address of an IPv4 network: its broadcast address.
func last4(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for n := p.Bits(); n < 32; n++ {
		b[n/8] |= 0x80 >> (n % 8)
	}
	return netip.AddrFrom4(b)
}
