package sock

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// zones turns the number of an interface, as the kernel has it in an address, into its name and back. Asking
// the kernel for the interfaces is dear (on Linux a netlink conversation), and an address with a zone comes
// with every datagram of a link-local peer, so what was found is kept, in a table that is looked into without a
// lock and that has an entry for each interface.
//
// Interfaces come, go and are renamed meanwhile. A number or name that the table lacks has it made anew, so that
// an interface that has just come is known by its name from the first datagram on. A renamed one is known by its
// old name for up to zonesKept, as it is to package net. Addresses that were given out with that name go on
// leading to the interface for one more table.
var zones = zoneNames{interfaces: net.Interfaces}

const (
	// zonesKept is how long a table is good.
	zonesKept = time.Minute
	// zonesPause is the least time between two questions, whatever is missing: a question takes some 100 µs, so
	// they take a hundredth of one processor at most.
	zonesPause = 10 * time.Millisecond
)

type zoneNames struct {
	interfaces func() ([]net.Interface, error)
	table      atomic.Pointer[zoneTable]
	mu         sync.Mutex // held while the kernel is asked
	tried      time.Time  // when it was asked last
}

// A zoneTable is not changed once it is made.
type zoneTable struct {
	asked  time.Time
	byID   map[uint32]string
	byName map[string]uint32
	former map[string]uint32 // names of the table before, of interfaces that were renamed since
}

// known is the table; one that is too old is made anew first.
func (z *zoneNames) known() *zoneTable {
	t := z.table.Load()
	if t != nil && time.Since(t.asked) < zonesKept {
		return t
	}
	return z.ask(t)
}

// ask makes a table in place of old. It is old that comes back, or an empty one if there is none, when the kernel
// does not tell (EMFILE) or was asked just now.
func (z *zoneNames) ask(old *zoneTable) *zoneTable {
	z.mu.Lock()
	defer z.mu.Unlock()
	if t := z.table.Load(); t != old {
		return t // somebody else has asked
	}
	last := old
	if last == nil {
		last = &zoneTable{}
	}
	now := time.Now()
	if !z.tried.IsZero() && now.Sub(z.tried) < zonesPause && !now.Before(z.tried) {
		return last
	}
	z.tried = now
	all, err := z.interfaces()
	if err != nil {
		return last
	}
	t := &zoneTable{now, map[uint32]string{}, map[string]uint32{}, map[string]uint32{}}
	for _, i := range all {
		t.byID[uint32(i.Index)], t.byName[i.Name] = i.Name, uint32(i.Index)
	}
	for name, id := range last.byName {
		if t.byID[id] != "" && t.byID[id] != name {
			t.former[name] = id
		}
	}
	z.table.Store(t)
	return t
}

// name is the interface's name, or its number in digits when it has none.
func (z *zoneNames) name(id uint32) string {
	t := z.known()
	n, ok := t.byID[id]
	if !ok {
		n, ok = z.ask(z.table.Load()).byID[id]
	}
	if !ok {
		return strconv.FormatUint(uint64(id), 10)
	}
	return n
}

// id is the interface's number, 0 for the empty zone. An unknown name is a number that no interface has, so
// that the kernel refuses it (ENODEV, EINVAL) instead of choosing an interface.
func (z *zoneNames) id(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, ok := z.known().find(zone); ok {
		return n
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if n, ok := z.ask(z.table.Load()).find(zone); ok {
		return n
	}
	return 1<<31 - 1
}

func (t *zoneTable) find(zone string) (id uint32, ok bool) {
	if id, ok = t.byName[zone]; !ok {
		id, ok = t.former[zone]
	}
	return id, ok
}

// ipv6 is the address that the kernel gave: unmapped when it is IPv4, with its zone when it has one.
func ipv6(b [16]byte, zone uint32) netip.Addr {
	ip := netip.AddrFrom16(b).Unmap()
	if zone != 0 && ip.Is6() {
		ip = ip.WithZone(zones.name(zone))
	}
	return ip
}

// AsPeer is ap in the form in which this package gives peers, so that one can be compared with another: an IPv4
// address mapped into IPv6 as IPv4, and the interface's name for a zone that is a number.
func AsPeer(ap netip.AddrPort) netip.AddrPort {
	ip := ap.Addr().Unmap()
	if n, err := strconv.ParseUint(ip.Zone(), 10, 32); err == nil {
		if _, named := zones.known().find(ip.Zone()); !named { // else it is the name of one
			ip = ip.WithZone(zones.name(uint32(n)))
		}
	}
	return netip.AddrPortFrom(ip, ap.Port())
}
