package tap

import "net/netip"

// Options say how a device is.
type Options struct {
	Name string // of the interface; the kernel takes the next of tap0, tap1 … where it is empty
	MTU  int    // bytes behind the Ethernet header: 1500 at 0
	// Offload has the kernel's TCP hand over, and take, up to 64 KiB of text as one frame, with its checksum left out
	// (IFF_VNET_HDR): a tenth of the calls. A capture then shows such frames, and a fault hits one as a whole. It is for a
	// Host: Read and Write have struct virtio_net_hdr before each frame.
	Offload bool
	Addrs   []netip.Prefix // of the kernel's side, of either family. They are usable at once, and nobody is asked first
}

// defaultMTU is Ethernet's.
const defaultMTU = 1500
