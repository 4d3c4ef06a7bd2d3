//go:build !linux

package ipc

import "github.com/plexor-go/plexor/sock"

// prepare makes a socket one that recvLingering can be used on.
func prepare(uintptr) error { return nil }

// recvLingering does not linger on this system.
func recvLingering(uintptr, []byte, int) (fds []int, n int, err error) {
	return nil, 0, sock.ErrWouldBlock
}
