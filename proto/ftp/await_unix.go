//go:build unix

package ftp

import (
	"net"

	"golang.org/x/sys/unix"
)

// awaitBytes waits until nc has something to read, or an end, or its read deadline: so nobody holds a buffer
// meanwhile. It reports nothing, for the Read behind it does. For connections that are not of package net it does not
// wait.
func awaitBytes(nc net.Conn) {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool { // a deadline that has passed is the Read's too
		// Not by recv with MSG_PEEK: it would take an error, such as a reset, away from the Read, which then finds an end.
		look := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(look, 0)
		for err == unix.EINTR {
			n, err = unix.Poll(look, 0)
		}
		return n != 0 // or an error, which the Read tells
	})
}
