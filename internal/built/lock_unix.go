//go:build unix && !solaris && !aix

package built

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/eintr"
)

// lock waits until no other process has f locked, and locks it for as long as it is open.
func lock(f *os.File) error {
	return eintr.Again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) })
}
