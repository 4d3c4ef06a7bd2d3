package sock

import (
	"errors"
	"fmt"
)

// MaxFDs is how many descriptors one SendFD carries at most (SCM_MAX_FD of Linux, the smallest of all).
const MaxFDs = 253

// ErrTooManyFDs is what RecvFD returns when more descriptors came than it was to take, or than this process
// may open. Those that did come are closed.
var ErrTooManyFDs = errors.New("receive descriptors: recvmsg: more came than were asked for, or than this process " +
	"may open (ulimit -n); all of them were closed")

// SendFD sends descriptors over a unix socket, as duplicates that belong to the receiver; the caller's own
// stay open and stay the caller's. data goes with them, and must not be empty, since on a stream descriptors
// travel with a byte. They are sent whole with the first byte of data, of which n were taken: when n is less
// than len(data), send the rest by Send.
//
// With ErrWouldBlock or any other error nothing was sent. A duplicate shares the file's state with the
// original: its position, and whether it is non-blocking.
func (s Socket) SendFD(fds []int, data []byte) (n int, err error) {
	switch {
	case len(data) == 0:
		return 0, &Error{Op: "send descriptors", Err: errors.New("they need at least one byte of data to travel with")}
	case len(fds) > MaxFDs:
		return 0, &Error{Op: "send descriptors", Err: fmt.Errorf("%d are too many for one message, which carries %d",
			len(fds), MaxFDs)}
	case len(fds) == 0:
		return s.Send(data)
	}
	return sysSendFD(s, fds, data)
}

// RecvFD receives data into buf, as Recv does, and the descriptors that came with it, at most most of them (1
// to MaxFDs). They are the caller's, and closed on exec. Plain Recv drops descriptors that come.
//
// If more came, or they cannot all be opened here, all of them are closed and the error is ErrTooManyFDs; n
// bytes of data were read even so. At the end of the stream the error is io.EOF; otherwise ErrWouldBlock or a
// bare errno.
func (s Socket) RecvFD(buf []byte, most int) (fds []int, n int, err error) {
	if most < 1 || most > MaxFDs || len(buf) == 0 {
		return nil, 0, &Error{Op: "receive descriptors",
			Err: fmt.Errorf("room for %d descriptors and %d bytes: it takes 1 to %d, and at least one byte", most, len(buf),
				MaxFDs)}
	}
	return sysRecvFD(s, buf, most, false)
}

// RecvWait receives as RecvFD does, or as Recv does if most is 0, and waits within the call if the socket is set to
// block: for SO_RCVTIMEO at most, if that is set (socket(7)). The goroutine has a thread to itself meanwhile. The error
// is ErrWouldBlock when that time is over, or a signal has ended the wait. All other calls of this package that may
// wait do not, whatever the socket is set to, on Linux.
func (s Socket) RecvWait(buf []byte, most int) (fds []int, n int, err error) {
	if most < 0 || most > MaxFDs || len(buf) == 0 {
		return nil, 0, &Error{Op: "receive",
			Err: fmt.Errorf("room for %d descriptors and %d bytes: it takes 0 to %d, and at least one byte", most, len(buf),
				MaxFDs)}
	}
	return sysRecvFD(s, buf, most, true)
}
