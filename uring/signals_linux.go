package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signals and what the kernel does for a ring.
//
// With SetupDeferTaskrun the kernel runs its part of an operation, the receive behind an armed poll, say, inside
// io_uring_enter(2), on the thread of the ring. A signal that is pending on that thread then counts as one that
// interrupts the operation. For one of them that loses a wake-up: TCP's receive stops at urgent data, and if it has
// nothing yet and a signal is pending it says EAGAIN, though there is data behind (tcp_recvmsg, net/ipv4/tcp.c, the
// same in all kernels up to 6.18 at least). io_uring takes EAGAIN for "nothing there" and waits for the next event. If
// the peer has sent all that it will, there is none. Go sends signals to its threads all the time: SIGURG, to have a
// goroutine stop that has run for 10 ms.
//
// So signals wait while the kernel runs such work. A blocked signal is not pending in that sense, and comes when it is
// unblocked, which is at the end of the call. The price is two system calls of some 50 ns each a turn, not a message.

// signalSetSize is the kernel's sigset_t, in bytes.
const signalSetSize = 8

var allSignals = ^uint64(0)

// A SignalBlock keeps signals away from a thread while the kernel works for a ring. Its zero value is ready for use.
type SignalBlock struct {
	was  uint64
	held bool
}

// Block blocks all signals of the calling thread, but for those that can't be (SIGKILL, SIGSTOP), until Unblock, which
// the same thread has to call: the goroutine must be locked to it. In between nothing may run but calls of the ring:
// Go's scheduler stops goroutines by signals. Without an error to tell (sigprocmask(2) fails only for bad addresses).
func (b *SignalBlock) Block() {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&allSignals)), uintptr(unsafe.Pointer(&b.was)), signalSetSize, 0, 0)
	b.held = errno == 0
}

// Unblock sets the thread's signals to what they were before Block. Those that came meanwhile come now.
func (b *SignalBlock) Unblock() {
	if b.held {
		b.held = false
		unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&b.was)), 0, signalSetSize, 0, 0)
	}
}
