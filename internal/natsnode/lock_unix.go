//go:build unix && !solaris && !aix

package natsnode

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks f for this process, or says who has it. The lock ends with the file, and so with the process.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return ErrInUse
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}
