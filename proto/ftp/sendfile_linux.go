package ftp

import (
	"context"
	"net"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// How a download leaves fast. Go's poller has a goroutine parked, and later a thread woken, whenever the socket is
// full, which at a gigabyte a second is a fifth of all the CPU time. A sendfile(2) that waits inside the kernel, as
// vsftpd's does, costs none of that, but it holds a thread. So it is for clients that take what comes: who has not
// taken anything for takeTime is left to the poller, and may come back a piece later. And it is for few at once: a
// thread that waits in a system call keeps its processor of Go's until the runtime takes that away, for as long as
// ten milliseconds.

// takeTime is how long a client may take nothing, in microseconds, before it has no thread any more. It is for each
// of the pieces of 64 KiB that the kernel makes of a sendfile, and so bounds how late a piece hears of an ABOR: 1.3
// s.
const takeTime = 10_000

// waiting is how many threads wait in sendfile.
var waiting atomic.Int32

// mostWaiting is how many may, of Go's processors.
func mostWaiting(processors int) int32 { return int32(processors / 2) }

// sendWaiting sends f while the client takes it at once. whole: that was all of it.
func (t *transfer) sendWaiting(nc net.Conn, f *os.File) (whole bool, err error) {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return false, nil
	}
	defer waiting.Add(-1)
	if waiting.Add(1) > mostWaiting(runtime.GOMAXPROCS(0)) {
		return false, nil
	}
	for {
		_ = nc.SetWriteDeadline(t.deadline(0)) // a connection that is over says so at the write
		if t.ctx.Err() != nil {
			return false, context.Cause(t.ctx) // it may have moved the deadline before
		}
		n, err := sendfileWaiting(tc, f)
		t.moved.Add(int64(max(n, 0)))
		switch err {
		case nil:
			if n == 0 {
				return true, nil
			}
		case unix.EINTR: // a signal with nothing sent
		case unix.EAGAIN, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EOVERFLOW:
			return false, nil // it takes nothing, or sendfile is not for this file
		case unix.EIO:
			return false, localError{os.NewSyscallError("sendfile", err)}
		default:
			return false, err
		}
	}
}

// sendfileWaiting is one sendfile, of mostPiece bytes at most, for which nc waits in the system call. Nobody else
// reads or writes nc meanwhile: a call of theirs would wait too.
func sendfileWaiting(nc *net.TCPConn, f *os.File) (n int, err error) {
	to, err := nc.SyscallConn()
	if err != nil {
		return 0, err
	}
	from, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	gone := to.Write(func(fd uintptr) bool {
		wait := unix.Timeval{Usec: takeTime}
		if err = unix.SetsockoptTimeval(int(fd), unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
			return true
		}
		if err = unix.SetNonblock(int(fd), false); err != nil {
			return true
		}
		closed := from.Control(func(src uintptr) { n, err = unix.Sendfile(int(fd), int(src), nil, mostPiece) })
		if e := unix.SetNonblock(int(fd), true); e != nil && err == nil {
			err = e // the poller could not do with it any more
		}
		if closed != nil {
			err = localError{closed}
		}
		return true
	})
	if gone != nil {
		err = gone
	}
	return n, err
}
