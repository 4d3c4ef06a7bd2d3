//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"io"

	"golang.org/x/sys/unix"
)

func sysDup(s Socket) (Socket, error) {
	fd, err := unix.FcntlInt(uintptr(s), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return None, &Error{Op: "duplicate a descriptor", Call: "fcntl", Err: err}
	}
	return Socket(fd), nil
}

func sysSendFD(s Socket, fds []int, data []byte) (int, error) {
	rights := unix.UnixRights(fds...)
	for {
		n, err := unix.SendmsgN(s.FD(), data, rights, nil, sendFlags)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, bare(err)
		}
	}
}

func sysRecvFD(s Socket, buf []byte, most int, wait bool) (fds []int, n int, err error) {
	var room [96]byte // on the stack, for as many as are usual
	control := room[:0]
	if most > 0 {
		if need := unix.CmsgSpace(4 * most); need <= len(room) {
			control = room[:need]
		} else {
			control = make([]byte, need)
		}
	}
	n, controlled, flags, err := sysRecvmsg(s, buf, control, wait)
	if err != nil {
		return nil, 0, err
	}
	if controlled == 0 && flags&unix.MSG_CTRUNC == 0 {
		if n == 0 {
			err = io.EOF
		}
		return nil, n, err
	}
	fds, err = ControlFDs(control[:controlled])
	for _, fd := range fds {
		receivedFD(fd)
	}
	switch {
	case err != nil:
		err = &Error{Op: "receive descriptors", Call: "recvmsg", Err: err}
	case most == 0: // as Recv drops them
	case flags&unix.MSG_CTRUNC != 0 || len(fds) > most:
		// Also when the kernel could not open one more here: it says so in the same way.
		err = ErrTooManyFDs
	case n == 0 && len(buf) > 0:
		err = io.EOF
	}
	if err != nil {
		for _, fd := range fds {
			_ = unix.Close(fd) // what is closed was never used
		}
		return nil, n, err
	}
	return fds, n, nil
}

// ControlFDs collects the descriptors out of the control data of a message (SCM_RIGHTS, unix(7)), for who receives such
// data by other means than RecvFD. They are the caller's to close. Data that can't be parsed is an error; the
// descriptors before that are returned all the same.
func ControlFDs(control []byte) (fds []int, err error) {
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
