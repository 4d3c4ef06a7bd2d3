//go:build linux && !386 && !s390x

package sock

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysName is raw and does without the boxed address of golang.org/x/sys, since a server asks it for every
// connection that it accepts.
func sysName(s Socket, peer bool) (name, error) {
	var from unix.RawSockaddrAny
	length, call := uint32(unix.SizeofSockaddrAny), uintptr(unix.SYS_GETSOCKNAME)
	if peer {
		call = unix.SYS_GETPEERNAME
	}
	if _, _, e := unix.RawSyscall(call, uintptr(s), uintptr(unsafe.Pointer(&from)),
		uintptr(unsafe.Pointer(&length))); e != 0 {
		return name{}, e
	}
	switch from.Addr.Family {
	case unix.AF_INET, unix.AF_INET6:
		ip := peerOf((*unix.RawSockaddrInet6)(unsafe.Pointer(&from)), length)
		return name{v6: from.Addr.Family == unix.AF_INET6, ip: ip}, nil
	case unix.AF_UNIX:
		return name{unix: true, path: unixPath((*unix.RawSockaddrUnix)(unsafe.Pointer(&from)), length)}, nil
	}
	return name{}, errNoFamily
}

// unixPath is the path in the length bytes of a unix socket's name (unix(7), "Address format"): none, one
// that ends at a NUL, or an abstract one, which begins with a NUL, and whose NULs show as @, as tools print
// them.
func unixPath(from *unix.RawSockaddrUnix, length uint32) string {
	const head = uint32(unsafe.Offsetof(from.Path))
	if length <= head {
		return ""
	}
	path := unsafe.Slice((*byte)(unsafe.Pointer(&from.Path[0])), len(from.Path))
	path = path[:min(int(length-head), len(path))]
	if path[0] == 0 {
		return string(bytes.ReplaceAll(path, []byte{0}, []byte{'@'}))
	}
	path, _, _ = bytes.Cut(path, []byte{0})
	return string(path)
}
