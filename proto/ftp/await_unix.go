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
	var one [1]byte
	_ = raw.Read(func(fd uintptr) bool { // a deadline that has passed is the Read's too
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK)
		return err != unix.EAGAIN && err != unix.EINTR
	})
}
