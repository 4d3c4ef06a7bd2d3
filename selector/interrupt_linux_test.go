package selector

import "golang.org/x/sys/unix"

// interrupter gives what sends a signal to the calling thread.
func interrupter() func() error {
	pid, tid := unix.Getpid(), unix.Gettid()
	return func() error { return unix.Tgkill(pid, tid, unix.SIGUSR1) }
}
