package proc

import "syscall"

// ForkOurs starts a process as a master does, for a test that waits for it itself.
func ForkOurs(path string, args ...string) (pid int, err error) {
	return forkOurs(path, args, &syscall.ProcAttr{})
}

// Reap is ReapOrphans in a process with any number.
func Reap() (stop func()) { return reapAll() }
