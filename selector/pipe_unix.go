//go:build linux || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipe makes a pipe of two non-blocking descriptors that no child inherits.
func pipe() (p [2]int, err error) {
	err = unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	return p, os.NewSyscallError("pipe2", err)
}
