package selector

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// waker is what ends a wait from outside: an eventfd(2), which is one descriptor where a pipe is two.
type waker struct{ fd int }

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd2", err)
	}
	return &waker{fd}, nil
}

// source is the descriptor that becomes readable.
func (w *waker) source() int { return w.fd }

// kick adds one to the counter. Each write is an edge for epoll, whether the counter was zero or not.
func (w *waker) kick() error {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	for {
		switch _, err := unix.Write(w.fd, one[:]); err {
		case nil:
			return nil
		case unix.EAGAIN: // the counter is full: a write that adds nothing would be no edge
			w.drain()
		case unix.EINTR:
		default:
			return os.NewSyscallError("write", err)
		}
	}
}

// drain sets the counter to zero.
func (w *waker) drain() {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:]) // EAGAIN: it is zero
}

func (w *waker) close() { unix.Close(w.fd) }
