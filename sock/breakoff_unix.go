//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import "golang.org/x/sys/unix"

// sysDetach takes a socket that was never connected: receiving and accepting fail on it, and sending too. One that has
// reached its end would be readable for ever.
func sysDetach(s Socket) error {
	place, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return &Error{Op: "detach", Call: "socket", Err: err}
	}
	err = putInPlace(place, s)
	_ = place.Close() // s has it
	if err != nil {
		return &Error{Op: "detach", Call: "dup2", Err: err}
	}
	return nil
}
