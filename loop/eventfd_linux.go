package loop

import (
	"os"
	"sync"

	"github.com/plexor-go/plexor/uring"
	"golang.org/x/sys/unix"
)

// An eventfd wakes a ring: the ring reads it, and anybody writes to it.
type eventfd struct {
	mu     sync.Mutex    // a wake may come late: it must not meet the close, nor another's descriptor of this number
	fd     int           // -1: closed
	memory *uring.Memory // what is read: eight bytes that nobody looks at
}

func newEventfd() (*eventfd, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd2", err)
	}
	m, err := uring.Map(8)
	if err != nil {
		_ = unix.Close(fd) // err is the one to tell
		return nil, err
	}
	return &eventfd{fd: fd, memory: m}, nil
}

// wake adds one to the counter. Any goroutine may call it.
func (e *eventfd) wake() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd < 0 {
		return os.ErrClosed
	}
	one := [8]byte{1} // in either byte order far from what the counter holds, at which the write would wait
	_, err := unix.Write(e.fd, one[:])
	return os.NewSyscallError("write", err)
}

func (e *eventfd) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := os.NewSyscallError("close", unix.Close(e.fd))
	e.fd = -1
	if e.memory != nil {
		_ = e.memory.Free() // it can't fail for what Map gave
	}
	return err
}

// armWaker waits for the next wake.
func (d *completion) armWaker() error {
	e, err := d.ring.NextSQE()
	if err != nil {
		return err
	}
	e.Read(d.waker.fd, d.waker.memory.Bytes()[:8], 0)
	e.UserData = uint64(opWake) << 32
	return nil
}

func (d *completion) woken(*uring.CQE) {
	if err := d.armWaker(); err != nil {
		e := d.patience(err)
		e.Read(d.waker.fd, d.waker.memory.Bytes()[:8], 0)
		e.UserData = uint64(opWake) << 32
	}
}
