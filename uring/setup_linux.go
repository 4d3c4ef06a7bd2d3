package uring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// params is struct io_uring_params, 120 bytes.
type params struct {
	sqEntries, cqEntries uint32
	flags                SetupFlags
	sqThreadCPU          uint32
	sqThreadIdle         uint32
	features             FeatureFlags
	wqFD                 uint32
	_                    [3]uint32
	sq                   struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// Flags that the package sets by itself, and those that a caller may set.
const (
	setupCQSize    SetupFlags = 1 << 3
	setupNoSQArray SetupFlags = 1 << 16
	setupAllowed              = SetupIOPoll | SetupSQPoll | SetupSQAff | SetupClamp | SetupAttachWQ | SetupDisabled |
		SetupSubmitAll |
		SetupCoopTaskrun | SetupTaskrunFlag | SetupSingleIssuer | SetupDeferTaskrun | SetupHybridIOPoll
)

const (
	offRings = 0
	offSQEs  = 0x10000000

	// What every ring of this package relies on: Linux 5.11.
	featNeeded = FeatSingleMmap | FeatNoDrop | FeatSubmitStable | FeatExtArg

	maxEntries   = 32768
	maxCQEntries = 2 * maxEntries
)

// extraSetup is what is tried for every ring first, and done without if the kernel does not know it (before 6.6).
var extraSetup = setupNoSQArray

// New sets up a ring. With SetupSingleIssuer the calling OS thread becomes the only one that may use it (with
// SetupDisabled: the one that calls [Ring.Enable]), so call [runtime.LockOSThread] first.
//
// Where io_uring cannot be used at all the error is an [ErrUnavailable], and says whether it is the kernel, a seccomp
// filter or a setting. Options that contradict each other are refused. What the kernel lacks is an
// [ErrNotSupported]. -ENOMEM may be RLIMIT_MEMLOCK, and the error says so.
func New(o Options) (*Ring, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p := params{
		sqEntries: uint32(o.Entries), cqEntries: uint32(o.CQEntries), flags: o.Flags | extraSetup,
		sqThreadCPU: o.SQThreadCPU, sqThreadIdle: o.SQThreadIdle, wqFD: uint32(o.Attach),
	}
	if p.sqEntries == 0 {
		p.sqEntries = 256
	}
	if p.cqEntries != 0 {
		p.flags |= setupCQSize
	}
	asked := p
	fd, errno := setup(&p)
	if errno == unix.EINVAL {
		p = asked
		p.flags &^= extraSetup
		fd, errno = setup(&p)
	}
	if errno != 0 {
		return nil, setupError(o, errno)
	}
	r := &Ring{fd: fd, enterFD: fd, flags: p.flags, features: p.features}
	if r.flags&SetupDisabled == 0 { // else it belongs to the thread that enables it
		r.tid = unix.Gettid()
	}
	if err := r.start(o, &p); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (o Options) check() error {
	refuse := func(why string) error {
		return &Error{Op: "set up a ring", Err: os.ErrInvalid, Hint: why}
	}
	has := func(f SetupFlags) bool { return o.Flags&f != 0 }
	clamp := has(SetupClamp)
	switch {
	case o.Flags&^setupAllowed != 0:
		return refuse(fmt.Sprintf("flags %#x are not among those that this package can use", uint32(o.Flags&^setupAllowed)))
	case o.Entries < 0 || o.Entries > maxEntries && !clamp:
		return refuse(fmt.Sprintf("%d entries; the kernel takes 1 to %d, or more with SetupClamp", o.Entries, maxEntries))
	case o.CQEntries < 0 || o.CQEntries > maxCQEntries && !clamp:
		return refuse(fmt.Sprintf("%d completion entries; the kernel takes up to %d, or more with SetupClamp", o.CQEntries,
			maxCQEntries))
	case o.CQEntries != 0 && o.CQEntries < o.Entries:
		return refuse(fmt.Sprintf("%d completion entries are fewer than the %d entries", o.CQEntries, o.Entries))
	case has(SetupDeferTaskrun) && !has(SetupSingleIssuer):
		return refuse("SetupDeferTaskrun needs SetupSingleIssuer")
	case has(SetupDeferTaskrun) && has(SetupSQPoll):
		return refuse("SetupDeferTaskrun and SetupSQPoll exclude each other")
	case has(SetupTaskrunFlag) && !has(SetupCoopTaskrun|SetupDeferTaskrun):
		return refuse("SetupTaskrunFlag needs SetupCoopTaskrun or SetupDeferTaskrun")
	case has(SetupSQAff) && !has(SetupSQPoll):
		return refuse("SetupSQAff needs SetupSQPoll")
	case (o.SQThreadIdle != 0 || o.SQThreadCPU != 0) && !has(SetupSQPoll):
		return refuse("SQThreadIdle and SQThreadCPU need SetupSQPoll")
	case o.SQThreadCPU != 0 && !has(SetupSQAff):
		return refuse("SQThreadCPU needs SetupSQAff")
	case o.RegisterRing && !has(SetupSingleIssuer):
		return refuse("RegisterRing needs SetupSingleIssuer: the number means nothing on another thread")
	case o.RegisterRing && has(SetupDisabled):
		return refuse("RegisterRing and SetupDisabled exclude each other: Enable decides on the thread; call " +
			"Ring.Register after it")
	case o.Attach != 0 && !has(SetupAttachWQ):
		return refuse("Attach needs SetupAttachWQ")
	}
	return nil
}

func setup(p *params) (int, unix.Errno) {
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(p.sqEntries), uintptr(unsafe.Pointer(p)), 0)
	return int(fd), errno
}

// start maps the rings and does what else the options ask for.
func (r *Ring) start(o Options, p *params) error {
	unix.CloseOnExec(r.fd) // it is so already; said here since a ring in a child would be shared
	if lack := featNeeded &^ p.features; lack != 0 {
		return &Error{Op: "set up a ring", Err: ErrUnavailable,
			Hint: fmt.Sprintf("Linux 5.11 or newer is needed: this kernel lacks %v", lack.Names())}
	}
	if err := r.mapRings(p); err != nil {
		return err
	}
	var err error
	if r.scratch, err = Map(scratchArgs + scratchSize*int(r.sqEntries)); err != nil {
		return err
	}
	if o.NoIOWait {
		if p.features&FeatNoIOWait == 0 {
			return &Error{Op: "set up a ring with NoIOWait", Err: ErrNotSupported, Hint: "it came with Linux 6.15"}
		}
		r.waitFlags |= enterNoIOWait
	}
	if o.RegisterRing {
		return r.Register()
	}
	return nil
}

// mapRings maps both queues and the entries, as laid out in p.
func (r *Ring) mapRings(p *params) error {
	size := max(p.cq.cqes+p.cqEntries*cqeSize, p.sq.tail+4, p.sq.flags+4, p.sq.dropped+4, p.cq.overflow+4)
	if p.flags&setupNoSQArray == 0 {
		size = max(size, p.sq.array+4*p.sqEntries)
	}
	var err error
	const rw, shared = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.ringMap, err = unix.Mmap(r.fd, offRings, int(size), rw, shared); err != nil {
		return &Error{Op: "map the queues of a ring", Call: "mmap", Err: err}
	}
	if r.sqeMap, err = unix.Mmap(r.fd, offSQEs, int(p.sqEntries*sqeSize), rw, shared); err != nil {
		return &Error{Op: "map the entries of a ring", Call: "mmap", Err: err}
	}
	base := unsafe.Pointer(unsafe.SliceData(r.ringMap))
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Add(base, off)) }
	r.sqes = unsafe.Pointer(unsafe.SliceData(r.sqeMap))
	r.kSQHead, r.kSQTail, r.kSQFlags, r.kSQDropped = word(p.sq.head), word(p.sq.tail), word(p.sq.flags), word(p.sq.dropped)
	r.sqEntries, r.sqMask = p.sqEntries, p.sqEntries-1
	r.cqes = unsafe.Add(base, p.cq.cqes)
	r.kCQHead, r.kCQTail, r.kCQOverflow = word(p.cq.head), word(p.cq.tail), word(p.cq.overflow)
	r.cqEntries, r.cqMask = p.cqEntries, p.cqEntries-1
	r.sqHead, r.sqTail = atomic.LoadUint32(r.kSQHead), atomic.LoadUint32(r.kSQTail)
	r.cqHead = atomic.LoadUint32(r.kCQHead)
	if p.flags&setupNoSQArray == 0 {
		// The kernel looks entries up by way of this array; entry i is always in place i.
		for i := range p.sqEntries {
			*word(p.sq.array + 4*i) = i
		}
	}
	return nil
}

func (r *Ring) unmapRings() (err error) {
	r.sqes, r.sqEntries, r.sqHead, r.sqTail = nil, 0, 0, 0
	r.kSQHead, r.kSQTail, r.kSQFlags, r.kSQDropped = nil, nil, nil, nil
	r.kCQHead, r.kCQTail, r.kCQOverflow = nil, nil, nil
	for _, m := range []*[]byte{&r.ringMap, &r.sqeMap} {
		if *m != nil {
			err = errors.Join(err, unix.Munmap(*m))
			*m = nil
		}
	}
	return err
}

// Close ends the ring. It first cancels what is in flight and waits for that, for up to a second, so that afterwards
// the kernel no longer touches memory that it was given, then frees all that belongs to the ring, its [BufRing]s among
// it: bytes got from them must not be touched any more. Completions not yet read are lost, prepared submissions are
// not submitted.
//
// A ring with SetupSingleIssuer is closed by its own OS thread, or after that thread has ended. On another thread
// Close fails with [ErrWrongThread] and leaves the ring as it is. A second Close does nothing.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	if r.bound() && unix.Gettid() != r.tid {
		if unix.Tgkill(unix.Getpid(), r.tid, 0) != unix.ESRCH {
			return &Error{Op: "close a ring", Err: ErrWrongThread}
		}
		r.enterFD, r.registered = r.fd, false // its table went with the thread
	}
	if r.ringMap != nil {
		// Nothing in flight, a disabled ring, a kernel before 6.0: all fine. What the closing of the
		// descriptor would do later is done now.
		_ = r.cancelNow(-1, 0, cancelAny|CancelAll, time.Second)
	}
	var errs []error
	if r.registered {
		errs = append(errs, r.unregisterRing())
	}
	errs = append(errs, r.unmapRings())
	if r.scratch != nil {
		errs = append(errs, r.scratch.Free())
	}
	fd := r.fd
	r.fd, r.enterFD = -1, -1
	errs = append(errs, unix.Close(fd))
	for _, b := range r.bufRings { // nothing is left that would use them, so they need not be unregistered one by one
		errs = append(errs, b.free())
	}
	r.bufRings = nil
	if err := errors.Join(errs...); err != nil {
		return &Error{Op: "close a ring", Err: err}
	}
	return nil
}

// bound reports whether the ring belongs to one OS thread.
func (r *Ring) bound() bool {
	return r.flags&SetupSingleIssuer != 0 && r.tid != 0
}
