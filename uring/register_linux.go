package uring

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The codes of io_uring_register(2).
const (
	registerBuffers        = 0
	unregisterBuffers      = 1
	registerFiles          = 2
	unregisterFiles        = 3
	registerEventfd        = 4
	unregisterEventfd      = 5
	registerFilesUpdate    = 6
	registerProbe          = 8
	registerEnableRings    = 12
	registerFiles2         = 13
	registerBuffers2       = 15
	registerBuffersUpdate  = 16
	registerIOWQAff        = 17
	unregisterIOWQAff      = 18
	registerIOWQMaxWorkers = 19
	registerRingFDs        = 20
	unregisterRingFDs      = 21
	registerPbufRing       = 22
	unregisterPbufRing     = 23
	registerSyncCancel     = 24
	registerFileAllocRange = 25
	registerPbufStatus     = 26
	registerNAPI           = 27
	unregisterNAPI         = 28
	registerSendMsgRing    = 31
	registerResizeRings    = 33

	registerSparse = 1
)

func register(fd int, code uint, arg unsafe.Pointer, n int) (int, unix.Errno) {
	for {
		r, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(code), uintptr(arg), uintptr(n), 0, 0)
		if errno != unix.EINTR {
			return int(r), errno
		}
	}
}

// register makes the call for this ring. since is the kernel that brought it: EINVAL may mean an older one.
func (r *Ring) register(op, since string, code uint, arg unsafe.Pointer, n int) (int, error) {
	if r.fd < 0 {
		return 0, &Error{Op: op, Err: ErrClosed}
	}
	res, errno := register(r.fd, code, arg, n)
	if errno == 0 {
		return res, nil
	}
	e := &Error{Op: op, Call: "io_uring_register", Err: errno}
	switch errno {
	case unix.EEXIST:
		if r.bound() && unix.Gettid() != r.tid {
			e.Err = ErrWrongThread
		}
	case unix.EINVAL:
		e.Hint = "an argument is wrong, or the kernel is older than Linux " + since
	case unix.ENOMEM:
		e.Hint = memlockHint()
	case unix.ENXIO:
		e.Hint = "there is nothing registered of the kind"
	case unix.EBUSY:
		e.Hint = "there is something registered already; unregister it first"
	case unix.EPERM, unix.ENOSYS:
		e.Err, e.Hint = unavailable{errno}, because(errno, "io_uring_register")
	}
	return 0, e
}

// Enable starts a ring that was made with SetupDisabled (Linux 5.10). With SetupSingleIssuer the ring is bound to the
// OS thread that calls it.
func (r *Ring) Enable() error {
	_, err := r.register("enable a ring", "5.10", registerEnableRings, nil, 0)
	if err == nil {
		r.tid = unix.Gettid()
	}
	return err
}

type rsrcUpdate struct {
	offset, _ uint32
	data      uint64
}

// Register gives the ring a number in the table of the calling OS thread (Linux 5.18), as [Options.RegisterRing] does.
func (r *Ring) Register() error {
	if r.registered {
		return &Error{Op: "register a ring", Err: unix.EBUSY, Hint: "it is registered already"}
	}
	if !r.bound() {
		return &Error{Op: "register a ring", Err: unix.EINVAL,
			Hint: "it needs SetupSingleIssuer: the number means nothing on another thread"}
	}
	u := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	if _, err := r.register("register a ring", "5.18", registerRingFDs, unsafe.Pointer(&u), 1); err != nil {
		return err
	}
	r.enterFD, r.enterFlags, r.registered = int(u.offset), r.enterFlags|enterRegisteredRing, true
	return nil
}

func (r *Ring) unregisterRing() error {
	u := rsrcUpdate{offset: uint32(r.enterFD)}
	r.enterFD, r.enterFlags, r.registered = r.fd, r.enterFlags&^enterRegisteredRing, false
	_, err := r.register("unregister a ring", "5.18", unregisterRingFDs, unsafe.Pointer(&u), 1)
	return err
}

type rsrcRegister struct {
	nr, flags  uint32
	_          uint64
	data, tags uint64
}

type rsrcUpdate2 struct {
	offset, _  uint32
	data, tags uint64
	nr, _      uint32
}

// RegisterFiles makes the table of direct descriptors: slot i is the file behind fds[i], or empty if that is -1 (Linux
// 5.1). The files stay open in their slots after the descriptors are closed. There is one table a ring.
func (r *Ring) RegisterFiles(fds []int32) error {
	_, err := r.register(fmt.Sprintf("register %d files", len(fds)), "5.1", registerFiles,
		unsafe.Pointer(unsafe.SliceData(fds)), len(fds))
	return err
}

// RegisterFilesSparse makes a table of n empty slots (Linux 5.19). n is bounded by RLIMIT_NOFILE.
func (r *Ring) RegisterFilesSparse(n int) error {
	a := rsrcRegister{nr: uint32(n), flags: registerSparse}
	_, err := r.register(fmt.Sprintf("register %d slots for files", n), "5.19", registerFiles2, unsafe.Pointer(&a),
		int(unsafe.Sizeof(a)))
	return err
}

// UpdateFiles puts files into slots, from slot on (Linux 5.5). -1 empties one. It returns how many were done.
func (r *Ring) UpdateFiles(from int, fds []int32) (int, error) {
	if len(fds) == 0 {
		return 0, nil
	}
	a := struct {
		offset, _ uint32
		fds       uint64
	}{offset: uint32(from), fds: uint64(uintptr(unsafe.Pointer(&fds[0])))}
	pin := pinFor(&fds[0])
	defer pin.Unpin()
	return r.register(fmt.Sprintf("update %d files from slot %d", len(fds), from), "5.5", registerFilesUpdate,
		unsafe.Pointer(&a), len(fds))
}

// SetFileRange bounds where SlotAuto looks for a free slot: n slots from slot on (Linux 6.0).
func (r *Ring) SetFileRange(from, n int) error {
	a := struct {
		off, len uint32
		_        uint64
	}{off: uint32(from), len: uint32(n)}
	_, err := r.register(fmt.Sprintf("set the range %d+%d for new files", from, n), "6.0", registerFileAllocRange,
		unsafe.Pointer(&a), 0)
	return err
}

// UnregisterFiles drops the table. Files that are in use stay open until that is over.
func (r *Ring) UnregisterFiles() error {
	_, err := r.register("unregister files", "5.1", unregisterFiles, nil, 0)
	return err
}

// RegisterBuffers makes the table of registered buffers (Linux 5.1), whose pages are held by the kernel, so that an
// operation on them need not. They count towards RLIMIT_MEMLOCK, and must be memory that stays.
func (r *Ring) RegisterBuffers(bufs ...[]byte) error {
	list := iovecs(bufs)
	pin := pinFor(unsafe.SliceData(list))
	defer pin.Unpin()
	_, err := r.register(fmt.Sprintf("register %d buffers", len(bufs)), "5.1", registerBuffers,
		unsafe.Pointer(unsafe.SliceData(list)), len(list))
	return err
}

// RegisterBuffersSparse makes a table of n empty places (Linux 5.19).
func (r *Ring) RegisterBuffersSparse(n int) error {
	a := rsrcRegister{nr: uint32(n), flags: registerSparse}
	_, err := r.register(fmt.Sprintf("register %d places for buffers", n), "5.19", registerBuffers2, unsafe.Pointer(&a),
		int(unsafe.Sizeof(a)))
	return err
}

// UpdateBuffers puts buffers into the table, from place on (Linux 5.13). An empty slice empties a place. It returns how
// many were done.
func (r *Ring) UpdateBuffers(from int, bufs ...[]byte) (int, error) {
	list := iovecs(bufs)
	if len(list) == 0 {
		return 0, nil
	}
	pin := pinFor(&list[0])
	defer pin.Unpin()
	a := rsrcUpdate2{offset: uint32(from), data: uint64(uintptr(unsafe.Pointer(&list[0]))), nr: uint32(len(list))}
	return r.register(fmt.Sprintf("update %d buffers from place %d", len(list), from), "5.13", registerBuffersUpdate,
		unsafe.Pointer(&a), int(unsafe.Sizeof(a)))
}

// UnregisterBuffers drops the table.
func (r *Ring) UnregisterBuffers() error {
	_, err := r.register("unregister buffers", "5.1", unregisterBuffers, nil, 0)
	return err
}

func iovecs(bufs [][]byte) []Iovec {
	list := make([]Iovec, len(bufs))
	for i, b := range bufs {
		if len(b) > 0 {
			list[i].Set(b)
		}
	}
	return list
}

// RegisterEventfd makes every completion add to an eventfd(2) (Linux 5.2).
func (r *Ring) RegisterEventfd(fd int) error {
	n := int32(fd)
	_, err := r.register("register an eventfd", "5.2", registerEventfd, unsafe.Pointer(&n), 1)
	return err
}

// UnregisterEventfd ends that.
func (r *Ring) UnregisterEventfd() error {
	_, err := r.register("unregister the eventfd", "5.2", unregisterEventfd, nil, 0)
	return err
}

// SetMaxWorkers bounds the worker threads for bounded work (files) and unbounded work (sockets and the like), and
// returns the bounds before (Linux 5.15). 0 leaves one as it is. Sockets need workers only with SQEAsync.
func (r *Ring) SetMaxWorkers(bounded, unbounded int) (oldBounded, oldUnbounded int, err error) {
	n := [2]uint32{uint32(bounded), uint32(unbounded)}
	_, err = r.register("bound the workers", "5.15", registerIOWQMaxWorkers, unsafe.Pointer(&n), 2)
	return int(n[0]), int(n[1]), err
}

// SetWorkerCPUs says where worker threads run (Linux 5.14); nil is anywhere.
func (r *Ring) SetWorkerCPUs(set *unix.CPUSet) (err error) {
	if set == nil {
		_, err = r.register("free the workers' CPUs", "5.14", unregisterIOWQAff, nil, 0)
	} else {
		_, err = r.register("set the workers' CPUs", "5.14", registerIOWQAff, unsafe.Pointer(set), int(unsafe.Sizeof(*set)))
	}
	return err
}

// BusyPoll makes waits poll the network devices for up to that long before they sleep, to the microsecond (Linux 6.9).
// 0 ends it. It uses a CPU to save an interrupt's latency, and does nothing for the loopback.
func (r *Ring) BusyPoll(d time.Duration, prefer bool) error {
	a := struct {
		timeout uint32
		prefer  uint8
		_       [3]uint8
		_       uint64
	}{timeout: uint32(min(d/time.Microsecond, 1<<31))}
	if prefer {
		a.prefer = 1
	}
	code, op := uint(registerNAPI), "set busy polling"
	if d <= 0 {
		code, op = unregisterNAPI, "end busy polling"
	}
	_, err := r.register(op, "6.9", code, unsafe.Pointer(&a), 1)
	return err
}

// CancelNow cancels the operation with that user data and waits until it can no longer touch its memory (Linux 6.0),
// for up to the timeout; a negative one is none. Its completion comes as ever. The error is an [unix.ENOENT] if there
// is no such operation. With CancelAll it is all of them.
func (r *Ring) CancelNow(userData uint64, flags CancelFlags, timeout time.Duration) error {
	return r.cancelNow(-1, userData, flags&CancelAll, timeout)
}

// CancelFDNow is CancelNow of operations on a descriptor.
func (r *Ring) CancelFDNow(fd int, flags CancelFlags, timeout time.Duration) error {
	return r.cancelNow(fd, 0, flags&CancelAll|cancelFD, timeout)
}

// CancelAnyNow is CancelNow of everything in flight.
func (r *Ring) CancelAnyNow(timeout time.Duration) error {
	return r.cancelNow(-1, 0, cancelAny|CancelAll, timeout)
}

func (r *Ring) cancelNow(fd int, userData uint64, flags CancelFlags, timeout time.Duration) error {
	a := struct {
		addr  uint64
		fd    int32
		flags CancelFlags
		ts    Timespec
		_     [4]uint64
	}{addr: userData, fd: int32(fd), flags: flags, ts: Timespec{-1, -1}}
	if timeout >= 0 {
		a.ts.Set(timeout)
	}
	_, err := r.register("cancel", "6.0", registerSyncCancel, unsafe.Pointer(&a), 1)
	if errors.Is(err, unix.ETIME) {
		err = ErrTimeout
	}
	return err
}

// SendMessage puts a completion with that Res and UserData into a ring, known by its descriptor, from any goroutine and
// without a ring of its own (Linux 6.13): a wake-up that needs no eventfd. It fails with [unix.EOVERFLOW] if the
// completion queue is full, and with [unix.EBADFD] if the ring is disabled.
func SendMessage(ring int, res int32, userData uint64) error {
	var s SQE
	s.MsgRing(ring, res, userData)
	_, errno := register(-1, registerSendMsgRing, unsafe.Pointer(&s), 1)
	if errno == 0 {
		return nil
	}
	e := &Error{Op: "send a message to a ring", Call: "io_uring_register", Err: errno}
	if errno == unix.EINVAL || errno == unix.EBADF {
		e.Hint = "this is no ring, or the kernel is older than Linux 6.13"
	}
	return e
}

// Resize changes the sizes of both queues, as Entries and CQEntries of [Options] (Linux 6.13, with SetupDeferTaskrun
// only). What is in them stays, and must fit, else EOVERFLOW. Nothing may be prepared that is not submitted, and slices
// and entries got from Ready, Peek and SQE are void.
func (r *Ring) Resize(entries, cqEntries int) error {
	o := Options{Entries: entries, CQEntries: cqEntries}
	if err := o.check(); err != nil {
		return err
	}
	op := fmt.Sprintf("resize a ring to %d and %d entries", entries, cqEntries)
	if r.flags&setupNoSQArray == 0 {
		// The kernel does not tell where the array has gone to. All that can resize (6.13) can do without it (6.6).
		return &Error{Op: op, Err: ErrNotSupported, Hint: "it came with Linux 6.13"}
	}
	if r.Prepared() > 0 {
		return &Error{Op: op, Err: unix.EBUSY, Hint: "submit what is prepared first"}
	}
	p := params{sqEntries: uint32(entries), cqEntries: uint32(cqEntries)}
	if cqEntries != 0 {
		p.flags = setupCQSize
	}
	scratch, err := Map(scratchArgs + scratchSize*maxEntries) // not written to, so not there
	if err != nil {
		return err
	}
	if _, err := r.register(op, "6.13", registerResizeRings, unsafe.Pointer(&p), 1); err != nil {
		return errors.Join(err, scratch.Free())
	}
	old := r.scratch
	r.scratch = scratch
	p.flags |= setupNoSQArray
	// From here on the old mappings are of memory that the kernel no longer looks at.
	if err := errors.Join(old.Free(), r.unmapRings()); err != nil {
		return err
	}
	return r.mapRings(&p)
}
