package selector

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipe makes a pipe of two non-blocking descriptors that no child inherits. There is no pipe2: the lock
// keeps a fork from coming between.
func pipe() (p [2]int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(p[:]); err != nil {
		return p, os.NewSyscallError("pipe", err)
	}
	for _, fd := range p {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(p[0])
			unix.Close(p[1])
			return p, os.NewSyscallError("fcntl", err)
		}
	}
	return p, nil
}
