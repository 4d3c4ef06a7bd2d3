//go:build unix

package ftp

import (
	"net"

	"golang.org/x/sys/unix"
)

// sendUrgent sends b as urgent data, waiting for room as a Write does. The system keeps the order.
func sendUrgent(nc *net.TCPConn, b byte) error {
	raw, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Write(func(fd uintptr) bool {
		for sent = unix.EINTR; sent == unix.EINTR; {
			sent = unix.Sendto(int(fd), []byte{b}, unix.MSG_OOB, nil)
		}
		return sent != unix.EAGAIN
	}); err != nil {
		return err
	}
	return sent
}
