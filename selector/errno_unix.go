//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// milliseconds rounds up, so that a wait is never too short; negative, for ever, becomes -1.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Millisecond - 1) / time.Millisecond)
}

// errDead is what a descriptor that was found closed is refused with.
var errDead = os.NewSyscallError("it was closed before it was unregistered", unix.EBADF)

// gone says whether err is a kernel's way to say that a descriptor is not what was registered: it is
// closed (EBADF), or is another file that is not registered (ENOENT) or cannot be (EPERM).
func gone(err error) bool {
	return errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM)
}
