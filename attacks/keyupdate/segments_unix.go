//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// Linux's TCP_RTO_MAX_MS, since 6.15: in how many ms the system sends again at most, however often it did; 1000 is the
// least.
const rtoMax, rtoLeast = 44, 1000

// smallSegments is net.Dialer's Control. Where the system can, it also sends again each second.
func smallSegments(_, _ string, c syscall.RawConn) (err error) {
	controlled := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG,
			segment))
		if err == nil && runtime.GOOS == "linux" {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, rtoMax, rtoLeast) // an older system has it not
		}
	})
	if err == nil {
		err = controlled
	}
	return err
}
