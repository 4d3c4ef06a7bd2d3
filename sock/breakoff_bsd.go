//go:build darwin || freebsd || netbsd || openbsd

package sock

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func sysBreakOff(s Socket) error { return errors.Join(s.CloseRead(), s.CloseWrite()) }

func putInPlace(s, of Socket) error {
	syscall.ForkLock.RLock() // a child must not get it in between
	defer syscall.ForkLock.RUnlock()
	if err := unix.Dup2(s.FD(), of.FD()); err != nil {
		return err
	}
	unix.CloseOnExec(of.FD())
	return nil
}
