package ipc

import "golang.org/x/sys/unix"

// Lingering on Linux is a receive that blocks (sock.Socket.RecvWait), which takes a system call less than poll(2)
// before a receive that does not, and less of the kernel's work for waking up. For that the socket is set to block, for
// a bounded time. All other calls of package sock say MSG_DONTWAIT, so this concerns none of them; Go's poller looks at
// no such flag.

// prepare makes a socket one on which RecvWait waits for lingerTime, which the kernel rounds up to its ticks.
func prepare(fd uintptr) error {
	tv := unix.NsecToTimeval(int64(lingerTime))
	if err := unix.SetsockoptTimeval(int(fd), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	return unix.SetNonblock(int(fd), false)
}
