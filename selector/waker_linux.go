package selector

import (
	"os"

	"golang.org/x/sys/unix"
)

// waker is what ends a wait from outside: an eventfd(2), which is one descriptor where a pipe is two,
// and never full.
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

var one = [8]byte{0: 1, 7: 1} // above zero in either byte order

func (w *waker) kick() error {
	for {
		switch _, err := unix.Write(w.fd, one[:]); err {
		case nil, unix.EAGAIN: // EAGAIN: the counter is at its limit, so that the kick is pending
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("write", err)
		}
	}
}

func (w *waker) drain() {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:]) // EAGAIN: somebody drained it already
}

func (w *waker) close() { unix.Close(w.fd) }
