package selector

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollCall is ppoll(2), which takes nanoseconds, without a signal mask. As in epoll, a look does not tell the
// scheduler, and a wait does.
func pollCall(fds []unix.PollFd, limit time.Duration) (int, error) {
	var ts *unix.Timespec
	if limit >= 0 {
		t := unix.NsecToTimespec(int64(limit))
		ts = &t
	}
	var r uintptr
	var errno syscall.Errno
	if limit == 0 {
		r, _, errno = unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))),
			uintptr(len(fds)), uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	} else {
		r, _, errno = unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))),
			uintptr(len(fds)), uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	}
	switch errno {
	case 0:
		return int(r), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("ppoll", errno)
}
