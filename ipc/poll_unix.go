//go:build unix

package ipc

import "golang.org/x/sys/unix"

// pollIn waits up to a millisecond until there is something to receive. What goes wrong with it the receiving tells.
func pollIn(fd uintptr) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(fds[:], 1)
}
