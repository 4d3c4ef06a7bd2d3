// Package eintr makes system calls again that a signal has interrupted (signal(7)). Those of package os do that
// themselves.
package eintr

import "syscall"

// Again calls f until no signal has interrupted it, as one may on a file system of the network or of FUSE: EINTR. It is
// for any goroutine.
func Again(f func() error) error {
	for {
		if err := f(); err != syscall.EINTR {
			return err
		}
	}
}
