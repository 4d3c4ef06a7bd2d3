package sock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func sysBreakOff(s Socket) error {
	// A unix socket refuses the first with EINVAL, and loses nothing by it.
	none := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(s.FD()), uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
	if errno == 0 {
		return nil
	}
	if err := unix.Shutdown(s.FD(), unix.SHUT_RDWR); err != nil {
		return &Error{Op: "break off", Call: "shutdown", Err: err}
	}
	return nil
}
