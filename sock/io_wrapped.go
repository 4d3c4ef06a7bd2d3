//go:build (linux && (386 || s390x)) || darwin || freebsd || netbsd || openbsd

package sock

import (
	"io"

	"golang.org/x/sys/unix"
)

// The hot calls where they cannot be raw: through golang.org/x/sys, which on macOS and OpenBSD goes through
// the system's C library as these systems demand, and on 386 and s390x knows socketcall.

func sysRecv(s Socket, p []byte) (int, error) {
	for {
		n, err := unix.Read(s.FD(), p)
		switch {
		case err == nil && n == 0 && len(p) > 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case err != unix.EINTR:
			return 0, bare(err)
		}
	}
}

func sysSend(s Socket, p []byte) (int, error) {
	for {
		n, err := unix.SendmsgN(s.FD(), p, nil, nil, sendFlags)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, bare(err)
		}
	}
}

func sysRecvmsg(s Socket, p, control []byte, wait bool) (n, controlled, flags int, err error) {
	ask := recvFDFlags
	if wait {
		ask = recvWaitFlags
	}
	for {
		n, controlled, flags, _, err = unix.Recvmsg(s.FD(), p, control, ask)
		switch {
		case err == nil:
			return n, controlled, flags, nil
		case err == unix.EINTR && wait:
			return 0, 0, 0, ErrWouldBlock
		case err != unix.EINTR:
			return 0, 0, 0, bare(err)
		}
	}
}

func sysSendV(s Socket, pieces [][]byte) (int, error) {
	full := make([][]byte, 0, min(len(pieces), MaxPieces))
	for _, p := range pieces {
		if len(p) > 0 && len(full) < MaxPieces {
			full = append(full, p)
		}
	}
	if len(full) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.SendmsgBuffers(s.FD(), full, nil, nil, sendFlags)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, bare(err)
		}
	}
}

func sysAccept(s Socket) (Socket, error) {
	for {
		fd, err := acceptFD(s.FD())
		switch err {
		case nil:
			return Socket(fd), nil
		case unix.EINTR:
		default:
			return None, bare(err)
		}
	}
}
