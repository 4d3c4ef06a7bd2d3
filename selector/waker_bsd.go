//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"os"

	"golang.org/x/sys/unix"
)

// waker is what ends a wait from outside: a pipe.
type waker struct{ r, w int }

func newWaker() (*waker, error) {
	p, err := pipe()
	if err != nil {
		return nil, err
	}
	return &waker{p[0], p[1]}, nil
}

// source is the descriptor that becomes readable.
func (w *waker) source() int { return w.r }

func (w *waker) kick() error {
	for {
		switch _, err := unix.Write(w.w, []byte{0}); err {
		case nil, unix.EAGAIN: // full: kicked often enough
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("write", err)
		}
	}
}

// drain empties the pipe.
func (w *waker) drain() {
	var b [64]byte
	for {
		if n, err := unix.Read(w.r, b[:]); n < len(b) && err != unix.EINTR {
			return
		}
	}
}

func (w *waker) close() {
	unix.Close(w.r)
	unix.Close(w.w)
}
