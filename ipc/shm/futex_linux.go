package shm

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// futex(2). FUTEX_PRIVATE_FLAG (128) is left out, since the word is shared by processes.
const (
	futexWait = 0
	futexWake = 1
)

// sleep waits until the word is woken, for at most d, if it still has that value when the kernel looks. It tells
// whether the time was up; anything else that ended it may have been nothing at all. The system call is an ordinary
// one: Go's scheduler takes the P of a goroutine that stays in it.
func sleep(word *atomic.Uint32, value uint32, d time.Duration) (timeUp bool) {
	ts := unix.NsecToTimespec(int64(d))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	return errno == unix.ETIMEDOUT // EAGAIN: another value; EINTR: a signal
}

// wake wakes up to n who sleep on the word.
func wake(word *atomic.Uint32, n int) {
	// It fails for an address that is none, which a word in mapped memory is not.
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, uintptr(n), 0, 0, 0)
}
