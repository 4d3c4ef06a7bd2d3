//go:build unix

package plexor

import (
	"os"
	"syscall"

	"github.com/plexor-go/plexor/sock"
)

// takeSocket is a duplicate of a file's descriptor, non-blocking and closed on exec, as a loop needs it.
func takeSocket(f *os.File) (sock.Socket, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return sock.None, err
	}
	s, dupErr := sock.None, error(nil)
	err = raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		n, err := syscall.Dup(int(fd))
		if err != nil {
			dupErr = os.NewSyscallError("dup", err)
			return
		}
		syscall.CloseOnExec(n)
		if err := syscall.SetNonblock(n, true); err != nil {
			dupErr = os.NewSyscallError("fcntl", err)
			_ = syscall.Close(n) // the error above is the one to tell
			return
		}
		s = sock.Socket(n)
	})
	if err == nil {
		err = dupErr
	}
	return s, err
}
