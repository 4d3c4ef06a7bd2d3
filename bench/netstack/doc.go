// Command netstack puts the lab's TCP/IP (packages lab/tcp, lab/ip) next to gVisor's, over the same kind of TAP device
// to the same kernel, in network namespaces of its own:
//
//	cd bench/netstack && go run .            as root, on Linux
//	go run . -rounds 11 -d 2s
//
// In each round each stack sends to the kernel for some time and then receives from it, on one connection with buffers
// of 8 MiB, one stack after the other in a process of its own, and in another order in each round, so that what else
// the machine does falls on all alike. It tells the throughput and the processor's time for a byte, of the whole
// process: the stack, the kernel's TCP at the other end and the program; then the medians of the ratios to gVisor in
// the same round. gVisor's link to a TAP device has no offloads, so what counts is plexor without them; plexor with
// them stands beside it.
package main
