//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"os"

	"golang.org/x/sys/unix"
)

// somethingReady gives a descriptor that is ready, for what, and how to give it back.
func somethingReady() (fd int, events Events, done func(), err error) {
	p, err := pipe()
	if err != nil {
		return 0, 0, nil, err
	}
	done = func() { unix.Close(p[0]); unix.Close(p[1]) }
	if _, err := unix.Write(p[1], []byte{1}); err != nil {
		done()
		return 0, 0, nil, os.NewSyscallError("write", err)
	}
	return p[0], Read, done, nil
}
