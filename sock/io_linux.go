//go:build linux && !386 && !s390x

package sock

import (
	"io"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The hot calls, as raw system calls.
//
// syscall.Syscall and everything built on it tells the scheduler before and after that this thread may be
// away for long (entersyscall, exitsyscall), so that another thread can take its P meanwhile. These calls
// never are away: the socket is non-blocking and they say MSG_DONTWAIT besides. Announcing them costs some 50
// ns of 500 each (a Recv that finds nothing, on the machine where this was written), and, worse, when the
// monitor thread takes the P of one that looked slow, the loop comes back to find itself queued. RawSyscall
// does neither. The price: the thread cannot be preempted inside, so a collection that stops the world waits
// for the kernel to copy one buffer.
//
// The pointers are converted to uintptr inside the call's argument list, which keeps what they point to alive
// and in place (unsafe.Pointer, rule 4).
//
// 386 and s390x have these calls under one number, socketcall, on kernels before 4.3: io_wrapped.go.

const sendFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT

func sysRecv(s Socket, p []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case e == 0 && n == 0 && len(p) > 0:
			return 0, io.EOF
		case e == 0:
			return int(n), nil
		case e != unix.EINTR:
			return 0, errnoOf(e)
		}
	}
}

func sysSend(s Socket, p []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), sendFlags, 0, 0)
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errnoOf(e)
		}
	}
}

// fewPieces is how many pieces have their iovec on the stack; a corked turn has seldom more. More take an
// array from a pool, since clearing 16 KiB of stack in each call would cost more than the call.
const fewPieces = 16

var manyVectors = sync.Pool{New: func() any { return new([MaxPieces]unix.Iovec) }}

func sysSendV(s Socket, pieces [][]byte) (int, error) {
	if len(pieces) <= fewPieces {
		var few [fewPieces]unix.Iovec
		return sendVectors(s, few[:fillVectors(few[:], pieces)])
	}
	many := manyVectors.Get().(*[MaxPieces]unix.Iovec)
	used := many[:fillVectors(many[:], pieces)]
	n, err := sendVectors(s, used)
	clear(used) // the pool must not hold on to the caller's bytes
	manyVectors.Put(many)
	return n, err
}

// fillVectors describes the pieces that are not empty, as many as fit.
func fillVectors(vectors []unix.Iovec, pieces [][]byte) int {
	n := 0
	for _, p := range pieces {
		if len(p) == 0 {
			continue
		}
		if n == len(vectors) {
			break
		}
		vectors[n].Base = unsafe.SliceData(p)
		vectors[n].SetLen(len(p))
		n++
	}
	return n
}

func sendVectors(s Socket, vectors []unix.Iovec) (int, error) {
	if len(vectors) == 0 {
		return 0, nil
	}
	var msg unix.Msghdr
	msg.Iov = &vectors[0]
	msg.SetIovlen(len(vectors))
	for {
		n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s), uintptr(unsafe.Pointer(&msg)), sendFlags)
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errnoOf(e)
		}
	}
}

// sysRecvmsg receives bytes and control data. One that may wait is announced to the scheduler.
func sysRecvmsg(s Socket, p, control []byte, wait bool) (n, controlled, flags int, err error) {
	var msg unix.Msghdr
	vector := unix.Iovec{Base: unsafe.SliceData(p)}
	vector.SetLen(len(p))
	msg.Iov = &vector
	msg.SetIovlen(1)
	msg.Control = unsafe.SliceData(control)
	msg.SetControllen(len(control))
	for {
		var r uintptr
		var e syscall.Errno
		if wait {
			r, _, e = unix.Syscall(unix.SYS_RECVMSG, uintptr(s), uintptr(unsafe.Pointer(&msg)), recvWaitFlags)
		} else {
			r, _, e = unix.RawSyscall(unix.SYS_RECVMSG, uintptr(s), uintptr(unsafe.Pointer(&msg)), recvFDFlags)
		}
		switch {
		case e == 0:
			return int(r), int(msg.Controllen), int(msg.Flags), nil
		case e == unix.EINTR && wait:
			return 0, 0, 0, ErrWouldBlock
		case e != unix.EINTR:
			return 0, 0, 0, errnoOf(e)
		}
	}
}

func sysAccept(s Socket) (Socket, error) {
	for {
		fd, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(s), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return Socket(fd), nil
		case unix.EINTR:
		default:
			return None, errnoOf(e)
		}
	}
}
