package selector

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll keeps the set of descriptors in the kernel, and there a list of those that became ready: a wait
// costs what is ready, not what is registered (epoll(7)).
//
// The trap: what epoll watches is not a descriptor but the open file behind it, under that descriptor's
// number. Closing a descriptor removes it only if no duplicate of it is left, in this process or in a
// child. Otherwise events go on coming under the old number, and as epoll_ctl finds files by descriptor,
// there is no way to remove it: EBADF, or ENOENT if the number has been taken by another file.
//
// So each registration is marked, in the 64 bits that epoll gives back with an event: descriptor and
// generation. An event whose mark the table does not have is a ghost's (or merely late), and one that is
// in the table can be tried: EPOLL_CTL_MOD with what is set already changes nothing, and fails exactly if
// the descriptor is no longer that file. A ghost is laid by moving everybody else to a new epoll.
//
// Edge-triggered mode is not used. It saves one of epoll's own list operations an event, and makes
// whoever stops before EAGAIN lose the rest.
type epoll struct {
	fd     int
	wait2  bool // the kernel has epoll_pwait2 (Linux 5.11): nanoseconds
	waker  *waker
	room   int
	events []unix.EpollEvent
}

func newEpoll() (backend, error) {
	waker, err := newWaker()
	if err != nil {
		return nil, err
	}
	e := &epoll{waker: waker, fd: -1}
	if e.fd, err = e.create(); err != nil {
		waker.close()
		return nil, err
	}
	// Android ends a process that makes a call it does not expect, so it cannot be tried there.
	if runtime.GOOS != "android" {
		e.wait2 = true
		e.prepare(1)
		_, errno := e.pwait2(0)
		e.wait2 = errno == 0 // ENOSYS before 5.11; EPERM from a seccomp filter that does not know it
	}
	return e, nil
}

// create makes an epoll with the waker in it. The waker is edge-triggered: each kick is one event, and
// nobody needs to read it away.
func (e *epoll) create() (int, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("epoll_create1", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(e.waker.fd), Pad: 0}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, e.waker.fd, &ev); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("epoll_ctl", err)
	}
	return fd, nil
}

func epollEvents(events Events) (mask uint32) {
	if events&Read != 0 {
		mask |= unix.EPOLLIN
	}
	if events&Write != 0 {
		mask |= unix.EPOLLOUT
	}
	return mask // EPOLLERR and EPOLLHUP come unasked
}

// ctl does not tell the scheduler: epoll_ctl takes locks that nobody holds for long, and never waits.
func ctl(epfd, op, fd int, serial uint64, events Events) error {
	ev := unix.EpollEvent{Events: epollEvents(events), Fd: int32(fd), Pad: int32(uint32(serial))}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

func (e *epoll) add(fd int, serial uint64, events Events) error {
	err := ctl(e.fd, unix.EPOLL_CTL_ADD, fd, serial, events)
	if errors.Is(err, unix.EEXIST) {
		// A ghost that got its number back, by dup2 from its duplicate.
		err = ctl(e.fd, unix.EPOLL_CTL_MOD, fd, serial, events)
	}
	return err
}

func (e *epoll) modify(fd int, serial uint64, _, events Events) error {
	return ctl(e.fd, unix.EPOLL_CTL_MOD, fd, serial, events)
}

func (e *epoll) remove(fd int, _ Events) error { return ctl(e.fd, unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (e *epoll) alive(fd int, serial uint64, events Events) bool {
	return ctl(e.fd, unix.EPOLL_CTL_MOD, fd, serial, events) == nil
}

func (e *epoll) rebuild(keys []watch) error {
	fresh, err := e.create()
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := ctl(fresh, unix.EPOLL_CTL_ADD, k.fd, k.serial, k.events); err != nil {
			unix.Close(fresh)
			return err
		}
	}
	// It keeps its number: the lowest free one, which fresh has, may well be the one whose closing made
	// the ghost, and whoever closed that may be about to use it by mistake again.
	err = unix.Dup3(fresh, e.fd, unix.O_CLOEXEC)
	unix.Close(fresh)
	return os.NewSyscallError("dup3", err)
}

func (e *epoll) copies() bool { return false }

// eager: what a look costs does not depend on what is registered.
func (e *epoll) eager() bool { return true }

func (e *epoll) prepare(room int) {
	if len(e.events) < room {
		e.events = make([]unix.EpollEvent, max(room, min(2*len(e.events), 1024)))
	}
	e.room = room
}

func (e *epoll) wait(hits []hit, limit time.Duration) (int, error) {
	var n int
	var errno syscall.Errno
	name := "epoll_pwait"
	if e.wait2 && limit > 0 {
		name = "epoll_pwait2"
		n, errno = e.pwait2(limit)
	} else {
		n, errno = e.pwait(limit)
	}
	switch errno {
	case 0:
	case unix.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError(name, errno)
	}
	found := 0
	for i := range e.events[:n] {
		ev := &e.events[i]
		h := hit{fd: ev.Fd, id: uint32(ev.Pad)}
		if h.id == 0 && int(h.fd) == e.waker.fd {
			continue // serials start at 1: 0 is the waker
		}
		if ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			h.events = all
		} else {
			if ev.Events&unix.EPOLLIN != 0 {
				h.events = Read
			}
			if ev.Events&unix.EPOLLOUT != 0 {
				h.events |= Write
			}
		}
		hits[found] = h
		found++
	}
	return found, nil
}

// pwait is epoll_pwait without a signal mask; the time is in milliseconds. A look does not tell the
// scheduler: it never blocks, and so the loop keeps its P; a wait does, and so others get it.
func (e *epoll) pwait(limit time.Duration) (int, syscall.Errno) {
	var r uintptr
	var errno syscall.Errno
	if limit == 0 {
		r, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd),
			uintptr(unsafe.Pointer(&e.events[0])), uintptr(e.room), 0, 0, 0)
	} else {
		r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd),
			uintptr(unsafe.Pointer(&e.events[0])), uintptr(e.room), uintptr(milliseconds(limit)), 0, 0)
	}
	return int(r), errno
}

// pwait2 is epoll_pwait2: the same, in nanoseconds.
func (e *epoll) pwait2(limit time.Duration) (int, syscall.Errno) {
	// struct __kernel_timespec: 64 bits on every architecture.
	ts := [2]int64{int64(limit / time.Second), int64(limit % time.Second)}
	r, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])),
		uintptr(e.room), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(r), errno
}

func (e *epoll) kick() error { return e.waker.kick() }

func (e *epoll) close() error {
	e.waker.close()
	return os.NewSyscallError("close", unix.Close(e.fd))
}
