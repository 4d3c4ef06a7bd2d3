package uring

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Entering the kernel.
//
// io_uring_enter(2) submits and waits in one call. From Go there are two ways to make a system call, and neither is
// right for this one. The ordinary way (Syscall6) tells the scheduler, which costs some 50 ns, and more when the
// scheduler's monitor finds the call to last and gives the thread's P to another thread: getting one back takes
// microseconds, and two loops on two CPUs go on stealing each other's. The raw way tells nobody, so a call that waits
// holds its P, and other goroutines and the garbage collector wait with it (golang/go#76290).
//
// So SubmitAndWait makes two calls. The first is raw, submits, and asks only for what has completed by now. A busy loop
// finds something, always, and never gives up its P. Only if nothing is there a second one, of the ordinary kind,
// waits; then there is time for it.
//
// The raw call does run the operations that are submitted, up to where they would wait: a send over the loopback runs
// the receiver's half of TCP as well. With a very long queue that is milliseconds in which the goroutine cannot be
// stopped for a garbage collection.
//
// The kernel's answers:
//
//	EINTR     a signal (Go sends them to itself) ended the wait: no error, a wait may end early
//	ETIME     the time is over, and there is no completion: ErrTimeout
//	EAGAIN    no memory for operations: ErrAgain; what was prepared stays prepared
//	EBUSY     completions overflowed and must be read first: ErrBusy; what was prepared stays prepared
//	EBADR     completions were lost for lack of memory: ErrLost
//	EEXIST    not the thread that the ring is bound to: ErrWrongThread
//	EBADFD    the ring was made with SetupDisabled, and Enable has not been called: ErrDisabled
//	others    surface as *Error

const (
	enterGetevents      = 1 << 0
	enterSQWakeup       = 1 << 1
	enterSQWait         = 1 << 2
	enterExtArg         = 1 << 3
	enterRegisteredRing = 1 << 4
	enterNoIOWait       = 1 << 7
)

var (
	// ErrTimeout: the wait's time is over, and there is no completion. It is also an [unix.ETIME] and an
	// os.ErrDeadlineExceeded.
	ErrTimeout error = &alias{"uring: the wait timed out", []error{unix.ETIME, os.ErrDeadlineExceeded}}
	// ErrAgain: the kernel has no memory or no room for submissions now; they stay prepared. It is also a [unix.EAGAIN].
	ErrAgain error = &alias{"uring: the kernel cannot take submissions now; read completions and submit again",
		[]error{unix.EAGAIN}}
	// ErrBusy: completions overflowed, and the kernel takes no submissions until they are read; these stay prepared. It
	// is also a [unix.EBUSY].
	ErrBusy error = &alias{"uring: completions overflowed; read them and submit again", []error{unix.EBUSY}}
	// ErrLost: completions were lost, as the kernel had no memory to keep them. It is also a [unix.EBADR].
	ErrLost error = &alias{"uring: completions were lost for lack of memory", []error{unix.EBADR}}
	// ErrWrongThread: a ring with SetupSingleIssuer was used from another OS thread than the one that set it up (or
	// enabled it). It is also a [unix.EEXIST].
	ErrWrongThread error = &alias{"the ring is bound to another OS thread: it must be used by the goroutine that set " +
		"it up, " +
		"with runtime.LockOSThread called before", []error{unix.EEXIST}}
	// ErrDisabled: the ring was made with SetupDisabled and [Ring.Enable] has not been called. It is also a [unix.EBADFD].
	ErrDisabled error = &alias{"the ring is disabled; call Enable", []error{unix.EBADFD}}
)

// waitArg is struct io_uring_getevents_arg, and the time that it points to. It lies in the ring's scratch memory.
type waitArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWait     uint32 // microseconds
	timeout     uint64 // address of a Timespec, or 0
	ts          Timespec
}

const waitArgSize = 24

// Submit hands what is prepared to the kernel, and returns how much it took. Operations that need not wait are done in
// the call; their completions are there afterwards, except with SetupDeferTaskrun for those that are deferred. It
// neither waits nor looks for completions. A failing operation has a completion of its own and is no error here.
func (r *Ring) Submit() (int, error) { return r.submit(0) }

// SubmitAndPoll is Submit, and makes what has completed by now appear in the completion queue: deferred work is run,
// overflowed completions are fetched. It does not wait, and the Go scheduler is not told of the call. It returns how
// many completions can be read.
//
// Of deferred work, one call runs no more than 20 pieces, on Linux 6.13 and newer: with 100 sockets readable, five
// calls find 20 completions each. [Ring.Pending] tells whether there is more. SubmitAndWait is no different;
// [Ring.Wait] runs as many as it waits for.
func (r *Ring) SubmitAndPoll() (ready int, err error) {
	_, err = r.submit(enterGetevents)
	return r.Len(), err
}

// SubmitAndWait is SubmitAndPoll, and then, if fewer than n completions can be read, waits for n or for the time to
// pass; a negative timeout is none. It returns how many can be read. If the time is over and there are none, the error
// is [ErrTimeout]. It may be fewer than n without an error: if there are some when the time is over, and as a
// signal, or the expiry of a [SQE.Timeout], ends a wait early.
func (r *Ring) SubmitAndWait(n int, timeout time.Duration) (ready int, err error) {
	if _, err := r.submit(enterGetevents); err != nil {
		return r.Len(), err
	}
	if ready := r.Len(); ready >= n {
		return ready, nil
	}
	if timeout == 0 {
		return r.Len(), r.timedOut()
	}
	return r.wait(n, 0, timeout)
}

// SubmitAndWaitMin is SubmitAndWait that is content with one completion after atLeast has passed (Linux 6.12): it waits
// for n that long, for one from then on, and ends at the timeout. It trades latency for fewer turns. atLeast is
// rounded down to microseconds and is at most an hour.
func (r *Ring) SubmitAndWaitMin(n int, atLeast, timeout time.Duration) (ready int, err error) {
	if r.features&FeatMinTimeout == 0 {
		return r.Len(), &Error{Op: "wait with a least time", Err: ErrNotSupported, Hint: "it came with Linux 6.12"}
	}
	if _, err := r.submit(enterGetevents); err != nil {
		return r.Len(), err
	}
	if ready := r.Len(); ready >= n {
		return ready, nil
	}
	if timeout == 0 {
		return r.Len(), r.timedOut()
	}
	return r.wait(n, min(max(atLeast, 0), time.Hour), timeout)
}

// Wait waits for n completions, or for the time to pass, without the raw call before: for a loop that has found out by
// SubmitAndPoll, or that knows, that there are none. What is prepared is submitted by the same call. It returns as
// SubmitAndWait does, but when it had something to submit, the kernel does not tell that the time is over: the error
// is nil then. A signal may end it before anything is submitted; what is prepared then stays so.
func (r *Ring) Wait(n int, timeout time.Duration) (ready int, err error) {
	return r.wait(n, 0, timeout)
}

// submit makes raw calls until everything prepared is taken.
func (r *Ring) submit(flags uint32) (total int, err error) {
	if r.fd < 0 {
		return 0, r.enterError(unix.EBADF)
	}
	for {
		pending := r.publish()
		f := flags
		if r.flags&SetupSQPoll != 0 {
			if atomic.LoadUint32(r.kSQFlags)&sqNeedWakeup != 0 && pending != 0 {
				f |= enterSQWakeup
			} else if f == 0 {
				return int(pending), nil // the thread takes them
			}
		} else if pending == 0 && f == 0 {
			return total, nil
		}
		fd, more := r.enterFD, r.enterFlags
		if pending == 0 {
			if fd, more, err = r.entrance(); err != nil {
				return total, err
			}
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(pending), 0, uintptr(f|more), 0, 0)
		if errno != 0 {
			if errno == unix.EINTR {
				continue
			}
			return total, r.enterError(errno)
		}
		if r.flags&SetupSQPoll != 0 {
			return int(pending), nil
		}
		if err := r.took(uint32(n), pending); err != nil {
			return total, err
		}
		// Fewer than pending: a submission was bad (it has completed so), and the kernel stopped behind it.
		if total += int(n); n == uintptr(pending) {
			return total, nil
		}
	}
}

// entrance is by what a call enters that may submit nothing. A number in the thread's table may be another ring's on
// another thread, and nothing that the kernel takes would show it. By the descriptor the kernel itself refuses that
// where the ring's work is done by its thread alone (SetupDeferTaskrun), for less than asking for the thread costs.
func (r *Ring) entrance() (fd int, flags uint32, err error) {
	switch {
	case !r.registered:
	case r.flags&SetupDeferTaskrun != 0:
		return r.fd, r.enterFlags &^ enterRegisteredRing, nil
	case unix.Gettid() != r.tid:
		return -1, 0, r.enterError(unix.EEXIST)
	}
	return r.enterFD, r.enterFlags, nil
}

// publish makes everything prepared visible to the kernel and returns how much that is.
func (r *Ring) publish() uint32 {
	for _, b := range r.bufRings {
		b.Publish()
	}
	if r.flags&SetupSQPoll != 0 {
		pending := r.sqTail - *r.kSQTail // ours to write alone
		atomic.StoreUint32(r.kSQTail, r.sqTail)
		return pending
	}
	pending := r.sqTail - r.sqHead
	if pending != 0 {
		atomic.StoreUint32(r.kSQTail, r.sqTail)
	}
	return pending
}

// took notes that the kernel took n entries. The kernel counts as well: if that differs, the call went to another
// ring, which has this one's number in the table of another thread.
func (r *Ring) took(n, pending uint32) error {
	if n > pending {
		panic(fmt.Sprintf("uring: the kernel took %d submissions of %d", n, pending))
	}
	head := atomic.LoadUint32(r.kSQHead)
	if head-r.sqHead != n || n == 0 && pending != 0 {
		return r.enterError(unix.EEXIST)
	}
	r.sqHead = head
	return nil
}

// wait makes the ordinary call, which submits and blocks.
func (r *Ring) wait(n int, atLeast, timeout time.Duration) (ready int, err error) {
	if r.fd < 0 {
		return 0, r.enterError(unix.EBADF)
	}
	fd, flags, err := r.entrance()
	if err != nil {
		return r.Len(), err
	}
	if r.flags&SetupSQPoll != 0 {
		if _, err := r.submit(0); err != nil {
			return r.Len(), err
		}
	}
	var arg uintptr
	size := uintptr(0)
	flags |= enterGetevents | r.waitFlags
	if timeout >= 0 || atLeast > 0 {
		a := (*waitArg)(unsafe.Pointer(unsafe.SliceData(r.scratch.data)))
		*a = waitArg{minWait: uint32(atLeast / time.Microsecond)}
		if timeout >= 0 {
			a.ts.Set(timeout)
			a.timeout = uint64(uintptr(unsafe.Pointer(&a.ts)))
		}
		arg, size, flags = uintptr(unsafe.Pointer(a)), waitArgSize, flags|enterExtArg
	}
	for {
		pending := r.publish()
		if r.flags&SetupSQPoll != 0 {
			pending = 0
		}
		took, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(pending), uintptr(uint(max(n, 0))),
			uintptr(flags), arg, size)
		if errno != 0 {
			if errno == unix.EINTR {
				return r.Len(), nil
			}
			return r.Len(), r.enterError(errno)
		}
		if err := r.took(uint32(took), pending); pending != 0 && err != nil {
			return r.Len(), err
		}
		// The kernel does not wait if it stopped at a bad submission, so the rest goes in another round.
		if took == uintptr(pending) {
			return r.Len(), nil
		}
	}
}

// timedOut is what a wait returns whose time is over, by the kernel's rule.
func (r *Ring) timedOut() error {
	if r.Len() > 0 {
		return nil
	}
	return ErrTimeout
}

// waitRoom waits until the SetupSQPoll thread has taken an entry.
func (r *Ring) waitRoom() error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), 0, 0, uintptr(enterSQWait|r.enterFlags), 0,
		0)
	if errno != 0 && errno != unix.EINTR {
		return r.enterError(errno)
	}
	return nil
}

// enterError translates. What is no accident costs no allocation.
func (r *Ring) enterError(errno unix.Errno) error {
	switch errno {
	case unix.ETIME:
		return ErrTimeout
	case unix.EAGAIN:
		return ErrAgain
	case unix.EBUSY:
		return ErrBusy
	case unix.EBADR:
		return ErrLost
	}
	e := &Error{Op: "submit or wait", Call: "io_uring_enter", Err: errno}
	switch errno {
	case unix.EEXIST:
		e.Err = ErrWrongThread
	case unix.EBADFD:
		e.Err = ErrDisabled
	case unix.EOWNERDEAD:
		e.Hint = "the kernel's submission thread is gone; the ring cannot be used any more"
	case unix.EPERM, unix.ENOSYS:
		e.Err = unavailable{errno}
		e.Hint = because(errno, "io_uring_enter")
	}
	switch {
	case r.fd < 0:
		e.Err, e.Hint = ErrClosed, ""
	case r.bound() && unix.Gettid() != r.tid:
		// A number of a registered ring means nothing on another thread: EBADF, EINVAL.
		e.Err, e.Hint = ErrWrongThread, ""
	}
	return e
}
