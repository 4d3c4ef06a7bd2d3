package tap

import "net/netip"

// Options say how a device is.
type Options struct {
	Name  string         // of the interface; the kernel takes the next of tap0, tap1 … where it is empty
	MTU   int            // bytes behind the Ethernet header: 1500 at 0
	Addrs []netip.Prefix // of the kernel's side, of either family. They are usable at once, and nobody is asked first
}

// defaultMTU is Ethernet's.
const defaultMTU = 1500
