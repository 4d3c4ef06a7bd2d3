//go:build darwin || freebsd || netbsd || openbsd

package sock

import "golang.org/x/sys/unix"

// These systems keep a buffer's size as it was asked for, and refuse (ENOBUFS) what is more than they grant.
const bufferFactor = 1

func bufferLimit(string) string { return "kern.ipc.maxsockbuf" }

func fastOpenOff() string { return "" }

// wantErrors does nothing: these systems tell an unconnected udp socket nothing of ICMP errors.
func wantErrors(Socket, bool) error { return nil }

func sysUnread(s Socket) (int, error) {
	const fionread = 0x4004667f // _IOR('f', 127, int) in <sys/filio.h>
	n, err := unix.IoctlGetInt(s.FD(), fionread)
	if err != nil {
		return 0, &Error{Op: "count unread bytes", Call: "ioctl", Err: err}
	}
	return n, nil
}
