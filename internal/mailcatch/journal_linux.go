package mailcatch

import (
	"os"

	"golang.org/x/sys/unix"
)

// canJournal is that there are syncfs and flock.
const canJournal = true

// lockFile locks a file for this process, until it is closed, if nobody else has.
func lockFile(f *os.File) bool {
	return again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }) == nil
}

// syncAll syncs all that was written to the file system of a folder.
func syncAll(dir *os.File) error {
	return os.NewSyscallError("syncfs", again(func() error { return unix.Syncfs(int(dir.Fd())) }))
}

// datasync syncs what is in a file.
func datasync(f *os.File) error {
	return os.NewSyscallError("fdatasync", again(func() error { return unix.Fdatasync(int(f.Fd())) }))
}

// again calls f until no signal has interrupted it, as one may on a file system of the network or of FUSE (EINTR).
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
