//go:build unix

package main

import (
	"os"
	"syscall"
)

// segment is the largest segment of the attacker's connections, in both directions, in bytes: an Ethernet's.
//
// Loopback's own are of 32 KiB with these buffers, and a receiver of 32 KiB that holds anything has no room for one: it
// drops it, and the acknowledgement in it too. When both ends are full, each drops what the other sends, and both
// retransmit ever more seldom (tcp_input.c, tcp_timer.c). On Linux 6.18 a connection then stood still for 100 s and
// longer, under package net and crypto/tls as under this engine: ss -tinm showed at both ends "timer:(on,12sec,6)
// rto:13056 backoff:6 unacked:1 lost:1" over "skmem:(r34816,rb32768,…,d58)". With small segments none of 20 did.
const segment = 1400

// smallSegments is net.Dialer's Control.
func smallSegments(_, _ string, c syscall.RawConn) (err error) {
	controlled := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG,
			segment))
	})
	if err == nil {
		err = controlled
	}
	return err
}
