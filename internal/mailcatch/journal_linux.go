package mailcatch

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/eintr"
)

// canJournal is that there are syncfs and flock.
const canJournal = true

// lockFile locks a file for this process, until it is closed, if nobody else has.
func lockFile(f *os.File) bool {
	return eintr.Again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }) == nil
}

// syncAll syncs all that was written to the file system of a folder.
func syncAll(dir *os.File) error {
	return os.NewSyscallError("syncfs", eintr.Again(func() error { return unix.Syncfs(int(dir.Fd())) }))
}

// datasync syncs what is in a file.
func datasync(f *os.File) error {
	return os.NewSyscallError("fdatasync", eintr.Again(func() error { return unix.Fdatasync(int(f.Fd())) }))
}
