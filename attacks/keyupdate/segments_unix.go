//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// Linux's TCP_RTO_MAX_MS, since 6.15: in how many ms the system sends again at most, however often it did. It gives a
// connection up whose peer's window is shut and of which it heard nothing for twice as long (tcp_timer.c), which at the
// least that it takes, a second, happened in one of some hundred.
const rtoMax, rtoLong = 44, 10_000

// smallSegments is net.Dialer's Control. Where the system can, it also sends again every ten seconds.
func smallSegments(_, _ string, c syscall.RawConn) (err error) {
	controlled := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG,
			segment))
		if err == nil && runtime.GOOS == "linux" {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, rtoMax, rtoLong) // an older system has it not
		}
	})
	if err == nil {
		err = controlled
	}
	return err
}
