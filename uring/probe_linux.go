package uring

import (
	"errors"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Available is nil if io_uring can be used here, else the reason, which is an [ErrUnavailable] where the system refuses
// it. It sets up a small ring, asks it for its operations, and submits one and sees it completed, so that each of
// the three system calls has been made: a seccomp filter may refuse any of them. It costs about 0.1 ms; what it
// found holds until the filter or the limits of the process change.
func Available() error {
	_, err := try()
	return err
}

// Probe finds out what io_uring can do here, by doing it, in about 1 ms. Its error is that of [Available].
func Probe() (*Support, error) {
	s, err := try()
	if err != nil {
		return nil, err
	}
	// On a thread of its own, which ends with it, as some of the rings are bound to the thread.
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		tryFlags(s)
	}()
	<-done
	return s, nil
}

func try() (*Support, error) {
	r, err := New(Options{Entries: 4})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s, err := r.Support()
	if err != nil {
		return nil, err
	}
	const mark = 0x706c65786f72
	sqe := r.SQE()
	sqe.Nop()
	sqe.UserData = mark
	if _, err := r.SubmitAndWait(1, time.Second); err != nil {
		return nil, err
	}
	if c := r.Peek(); c == nil || c.UserData != mark || c.Res != 0 {
		return nil, &Error{Op: "try a ring", Err: ErrUnavailable,
			Hint: "an operation that does nothing was submitted and did not complete"}
	}
	r.Advance(1)
	return s, nil
}

func tryFlags(s *Support) {
	for _, f := range []SetupFlags{SetupClamp, SetupDisabled, SetupSubmitAll, SetupCoopTaskrun, SetupSingleIssuer,
		SetupSQPoll,
		SetupCoopTaskrun | SetupTaskrunFlag, SetupSingleIssuer | SetupDeferTaskrun} {
		if r, err := New(Options{Entries: 4, Flags: f}); err == nil {
			s.Setup |= f
			if f == SetupSingleIssuer {
				s.RegisterRing = r.Register() == nil
			}
			r.Close()
		}
	}
	r, err := New(Options{Entries: 4})
	if err != nil {
		return
	}
	defer r.Close()
	if r.flags&setupNoSQArray != 0 {
		s.Setup |= setupNoSQArray
	}
	for group, have := range []*bool{&s.BufRings, &s.Incremental} {
		_, err := r.NewBufRing(BufRingOptions{Group: uint16(group), Entries: 1, Size: 64, Incremental: group == 1})
		*have = err == nil
	}
}

// Support is what the kernel's io_uring has, as far as this ring can tell without others: features, operations
// (IORING_REGISTER_PROBE, Linux 5.6), and its own set-up flags.
func (r *Ring) Support() (*Support, error) {
	if r.support != nil {
		return r.support, nil
	}
	var probe struct {
		lastOp, n uint8
		_         uint16
		_         [3]uint32
		ops       [256]struct {
			op    uint8
			_     uint8
			flags uint16
			_     uint32
		}
	}
	if _, err := r.register("probe", "5.6", registerProbe, unsafe.Pointer(&probe), len(probe.ops)); err != nil {
		return nil, err
	}
	s := &Support{Features: r.features, Setup: r.flags &^ setupCQSize}
	for _, o := range probe.ops[:probe.n] {
		if o.flags&1 != 0 {
			s.setOp(o.op)
		}
	}
	r.support = s
	return s, nil
}

// Supports reports whether the kernel has the operation.
func (r *Ring) Supports(op Op) bool {
	s, err := r.Support()
	return err == nil && s.Op(op)
}

// Features lists by name what this ring's kernel has: see [Support.Names].
func (r *Ring) Features() []string {
	s, err := r.Support()
	if err != nil {
		return r.features.Names()
	}
	return s.Names()
}

// unavailable is ErrUnavailable and the errno, in the errno's words.
type unavailable struct{ errno unix.Errno }

func (u unavailable) Error() string   { return "io_uring is unavailable: " + u.errno.Error() }
func (u unavailable) Unwrap() []error { return []error{ErrUnavailable, errors.ErrUnsupported, u.errno} }
