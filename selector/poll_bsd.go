//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pollCall is poll(2), which takes milliseconds.
func pollCall(fds []unix.PollFd, limit time.Duration) (int, error) {
	switch n, err := unix.Poll(fds, milliseconds(limit)); err {
	case nil:
		return n, nil
	case unix.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError("poll", err)
	}
}
