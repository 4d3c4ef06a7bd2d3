package sock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func sysBreakOff(s Socket) error {
	if kind, err := unix.GetsockoptInt(s.FD(), unix.SOL_SOCKET, unix.SO_TYPE); err == nil && kind == unix.SOCK_DGRAM {
		return connectToItself(s)
	}
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

// connectToItself leaves a datagram socket one peer, which will send nothing: the socket. To all others the system
// answers that nobody has the port.
func connectToItself(s Socket) error {
	own, err := unix.Getsockname(s.FD())
	if err != nil {
		return &Error{Op: "break off", Call: "getsockname", Err: err}
	}
	if err := unix.Connect(s.FD(), own); err != nil {
		return &Error{Op: "break off", Call: "connect", Err: err}
	}
	return nil
}

func putInPlace(s, of Socket) error { return unix.Dup3(s.FD(), of.FD(), unix.O_CLOEXEC) }
