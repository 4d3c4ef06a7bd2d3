package ipc

import (
	"io"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/sock"
)

// Lingering on Linux is a receive that blocks, which takes a system call less than poll(2) before a receive that does not, and
// less of the kernel's work for waking up. For that the socket is set to block, for a bounded time (SO_RCVTIMEO, socket(7)).
// All other calls of package sock say MSG_DONTWAIT, so this concerns none of them; Go's poller looks at no such flag.

// prepare makes a socket one that recvLingering can be used on.
func prepare(fd uintptr) error {
	tv := unix.NsecToTimeval(int64(lingerTime))
	if err := unix.SetsockoptTimeval(int(fd), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	return unix.SetNonblock(int(fd), false)
}

// recvLingering is RecvFD, or Recv if most is 0, that waits for lingerTime, which the kernel rounds up to its ticks.
func recvLingering(fd uintptr, buf []byte, most int) (fds []int, n int, err error) {
	if most == 0 {
		n, err := unix.Read(int(fd), buf) // it allocates nothing, as Recvfrom does
		switch {
		case err == unix.EINTR:
			return nil, 0, sock.ErrWouldBlock
		case err != nil:
			return nil, 0, err
		case n == 0:
			return nil, 0, io.EOF
		}
		return nil, n, nil
	}
	var room [96]byte // on the stack, for as many as are usual
	var control []byte
	if need := unix.CmsgSpace(4 * most); need <= len(room) {
		control = room[:need]
	} else {
		control = make([]byte, need)
	}
	n, controlled, flags, _, err := unix.Recvmsg(int(fd), buf, control, unix.MSG_CMSG_CLOEXEC)
	switch {
	case err == unix.EINTR:
		return nil, 0, sock.ErrWouldBlock
	case err != nil:
		return nil, 0, err
	}
	if controlled > 0 {
		if fds, err = rights(control[:controlled]); err == nil && flags&unix.MSG_CTRUNC != 0 {
			err = sock.ErrTooManyFDs
		}
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		closeFDs(fds)
		fds = nil
	}
	return fds, n, err
}

// rights are the descriptors in control data (unix(7), SCM_RIGHTS).
func rights(control []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		some, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, err
		}
		fds = append(fds, some...)
	}
	return fds, nil
}
