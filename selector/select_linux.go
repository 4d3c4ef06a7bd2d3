package selector

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// instead is what a refused caller is told to use.
const instead = "poll or epoll"

// call is pselect6(2), which takes nanoseconds, without a signal mask. As in epoll, a look does not tell
// the scheduler, and a wait does. The kernel writes what is left into the time, so that it is set anew.
func (s *selecter) call(limit time.Duration) (int, error) {
	var ts *unix.Timespec
	if limit >= 0 {
		t := unix.NsecToTimespec(int64(limit))
		ts = &t
	}
	var r uintptr
	var errno syscall.Errno
	if limit == 0 {
		r, _, errno = unix.RawSyscall6(unix.SYS_PSELECT6, uintptr(s.nfds), uintptr(unsafe.Pointer(&s.live[0])),
			uintptr(unsafe.Pointer(&s.live[1])), 0, uintptr(unsafe.Pointer(ts)), 0)
	} else {
		r, _, errno = unix.Syscall6(unix.SYS_PSELECT6, uintptr(s.nfds), uintptr(unsafe.Pointer(&s.live[0])),
			uintptr(unsafe.Pointer(&s.live[1])), 0, uintptr(unsafe.Pointer(ts)), 0)
	}
	switch errno {
	case 0:
		return int(r), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}
