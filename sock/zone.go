package sock

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// zones turns the number of an interface, as the kernel has it in an address, into its name and back. Asking
// the kernel for the interfaces is dear (on Linux a netlink conversation), and an address with a zone comes
// with every datagram of a link-local peer, so what was found is kept for a minute.
var zones zoneNames

type zoneNames struct {
	mu     sync.Mutex
	asked  time.Time
	byID   map[int]string
	byName map[string]int
}

// fresh asks for the interfaces if they were never asked for, or lately not. The lock is held.
func (z *zoneNames) freshLocked() {
	if !z.asked.IsZero() && time.Since(z.asked) < time.Minute {
		return
	}
	z.asked, z.byID, z.byName = time.Now(), map[int]string{}, map[string]int{}
	all, err := net.Interfaces()
	if err != nil {
		return // the numbers themselves are good zones too
	}
	for _, i := range all {
		z.byID[i.Index], z.byName[i.Name] = i.Name, i.Index
	}
}

// name is the interface's name, or its number in digits when it has none any more.
func (z *zoneNames) name(id uint32) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.freshLocked()
	if n, ok := z.byID[int(id)]; ok {
		return n
	}
	return strconv.FormatUint(uint64(id), 10)
}

// id is the interface's number, 0 for the empty zone. An unknown name is a number that no interface has, so
// that the kernel refuses it (ENODEV, EINVAL) instead of choosing an interface.
func (z *zoneNames) id(zone string) uint32 {
	if zone == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.freshLocked()
	if n, ok := z.byName[zone]; ok {
		return uint32(n)
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	return 1<<31 - 1
}

// ipv6 is the address that the kernel gave: unmapped when it is IPv4, with its zone when it has one.
func ipv6(b [16]byte, zone uint32) netip.Addr {
	ip := netip.AddrFrom16(b).Unmap()
	if zone != 0 && ip.Is6() {
		ip = ip.WithZone(zones.name(zone))
	}
	return ip
}
