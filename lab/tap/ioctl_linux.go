package tap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl is a call with a structure that package unix does not have.
func ioctl[T any](fd int, request uintptr, arg *T) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(arg)))
	return errno
}
