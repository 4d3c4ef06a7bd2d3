package natsnode

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock locks f for this process, or says who has it. The lock ends with the file, and so with the process.
func lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrInUse
	}
	return os.NewSyscallError("LockFileEx", err)
}
