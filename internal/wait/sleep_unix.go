//go:build unix

package wait

import (
	"time"

	"golang.org/x/sys/unix"
)

// systemSleep sleeps for d at least, in the kernel, of which no bubble knows.
func systemSleep(d time.Duration) {
	for {
		t := unix.NsecToTimeval(int64(d))
		if _, err := unix.Select(0, nil, nil, nil, &t); err != unix.EINTR {
			return
		}
	}
}
