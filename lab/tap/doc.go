// Package tap lets a host of lab/ip speak with the kernel of the machine, in real time, through a TAP device: a network
// card whose cable ends in this process (Linux, Documentation/networking/tuntap.rst).
//
//	dev, err := tap.Open(tap.Options{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}})
//	host, err := tap.NewHost(dev, tap.HostOptions{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
//	l, err := host.Listen(netip.MustParseAddrPort("10.0.0.2:80"))
//	err = http.Serve(l, handler)     // and curl http://10.0.0.2/ on this machine reaches it
//
// The device has the kernel's addresses, and the host has its own: the kernel knows nothing of the host's connections,
// and would answer the segments of their peers with resets if the address were its own.
//
// # Whose network it is
//
// Open makes the device in the network namespace of the calling thread. A program or a test makes one for itself first
// (unshare -n, or a child with CLONE_NEWNET), as the device's addresses and routes are the whole namespace's. It takes
// CAP_NET_ADMIN there, which a user namespace gives, and /dev/net/tun, which some systems keep for root.
//
// # Time and chance
//
// The machines of lab/ip and lab/tcp take the time and random numbers as arguments. Here they are the system's: time is
// the monotonic clock since NewHost, and numbers come from crypto/rand. There is no seed: whoever knew it could guess
// sequence numbers and ports.
//
// # Goroutines
//
// A Host has one goroutine, which reads frames and waits for timers. Every call of the host, its listeners and its
// connections may come from any goroutine: a lock lets one at a time work on the host, and what it has to send goes out
// before the lock is released. The kernel takes a frame without waiting.
//
// # Faults and captures
//
// Both are wrappers round a [link.Line]: HostOptions has a line for each direction. [Capture.Line] writes what passes
// as pcapng, with the names of interfaces, times in nanoseconds, and what lab/link's faults did as comments.
package tap
