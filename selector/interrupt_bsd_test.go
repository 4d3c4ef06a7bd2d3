//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import "golang.org/x/sys/unix"

// interrupter gives what sends a signal to the process; which thread takes it is the system's choice.
func interrupter() func() error {
	pid := unix.Getpid()
	return func() error { return unix.Kill(pid, unix.SIGUSR1) }
}

// fine says whether the wait takes microseconds or less.
func fine(s *Selector) bool { return s.Name() != "poll" }
