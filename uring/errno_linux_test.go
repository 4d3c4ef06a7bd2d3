package uring

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What io_uring_enter(2) answers in need can hardly be brought about: no memory (EAGAIN), completions that overflowed
// (EBUSY, which newer kernels do not say any more), a signal at the right moment (EINTR). So a child is its own
// supervisor: a seccomp filter on the ring's thread asks it for each such call (SECCOMP_RET_USER_NOTIF), and another
// thread answers with an errno, or lets the call go on.

// A supervisor answers the next call with the errno in next, once, and lets all others go on.
type supervisor struct {
	fd   int
	next atomic.Int32
	bad  atomic.Pointer[error]
}

// seccompNotif and seccompResp are struct seccomp_notif and struct seccomp_notif_resp.
type seccompNotif struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type seccompResp struct {
	id    uint64
	val   int64
	errno int32 // negative
	flags uint32
}

// supervise puts the calling thread's calls of io_uring_enter under supervision.
func supervise() (*supervisor, error) {
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_IO_URING_ENTER},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl: %w", err)
	}
	const setModeFilter = 1
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return nil, fmt.Errorf("seccomp: %w", errno)
	}
	s := &supervisor{fd: int(fd)}
	go s.answer()
	return s, nil
}

func (s *supervisor) answer() {
	for {
		var asked seccompNotif
		if errno := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&asked)); errno == unix.EINTR ||
			errno == unix.ENOENT {
			continue
		} else if errno != 0 {
			err := fmt.Errorf("ioctl SECCOMP_IOCTL_NOTIF_RECV: %w", errno)
			s.bad.Store(&err)
			return
		}
		said := s.next.Swap(0)
		resp := seccompResp{id: asked.id, errno: -said}
		if said == 0 {
			resp.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		}
		if errno := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&resp)); errno != 0 {
			s.next.Store(said) // a signal came between, and the call is made again
		}
	}
}

func (s *supervisor) ioctl(code uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), code, uintptr(arg))
	return errno
}

// childErrnos prints what is wrong, or "all well".
func childErrnos() int {
	// The ring's thread stands in a raw system call until the supervisor has answered: nobody may wait for it meanwhile.
	runtime.GOMAXPROCS(4)
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	for _, o := range []Options{{Entries: 4},
		{Entries: 4, Flags: SetupSingleIssuer | SetupDeferTaskrun, RegisterRing: true}} {
		r, err := New(o)
		if err != nil {
			fmt.Println(err)
			return 2
		}
		s, err := supervise()
		if err != nil {
			fmt.Println("skip:", err)
			return 0
		}
		for _, call := range []struct {
			name string
			do   func() error
		}{
			{"Submit", func() error { _, err := r.Submit(); return err }},
			{"SubmitAndPoll", func() error { _, err := r.SubmitAndPoll(); return err }},
			{"SubmitAndWait", func() error { _, err := r.SubmitAndWait(4, 10*time.Second); return err }},
			{"SubmitAndWaitMin", func() error { _, err := r.SubmitAndWaitMin(4, 0, 10*time.Second); return err }},
			{"Wait", func() error { _, err := r.Wait(4, 10*time.Second); return err }},
			{"NextSQE", func() error {
				e, err := r.NextSQE()
				if err == nil {
					e.UserData = 4
				}
				return err
			}},
		} {
			for _, row := range []struct {
				errno unix.Errno
				want  error
			}{{unix.EINTR, nil}, {unix.EAGAIN, ErrAgain}, {unix.EBUSY, ErrBusy}, {unix.EBADR, ErrLost}, {unix.EIO, unix.EIO}} {
				if err := r.refused(s, call.do, row.errno, row.want, call.name == "Wait"); err != nil {
					fmt.Printf("%s, flags %v, %v: %v\n", call.name, o.Flags.Names(), unix.ErrnoName(row.errno), err)
					return 1
				}
			}
		}
		if err := s.bad.Load(); err != nil {
			fmt.Println(*err)
			return 1
		}
		if err := r.Close(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Println("all well")
	return 0
}

// refused fills the queue, has the kernel answer with errno once, and looks that what is prepared is submitted
// then, or later, and completes in its order, once.
func (r *Ring) refused(s *supervisor, do func() error, errno unix.Errno, want error, may bool) error {
	for i := range uint64(4) {
		r.SQE().UserData = i
	}
	s.next.Store(int32(errno))
	err := do()
	if !errors.Is(err, want) || want != nil && !errors.Is(err, errno) {
		return fmt.Errorf("error %v, want %v", err, want)
	}
	if s.next.Load() != 0 {
		return errors.New("the supervisor was not asked")
	}
	total := uint64(4)
	if left := r.Prepared(); want != nil && left != 4 || want == nil && left >= 4 && !may {
		return fmt.Errorf("%d prepared afterwards", left)
	} else if want == nil && left == 1 { // NextSQE's own
		total = 5
	}
	for i := uint64(0); i < total; {
		if _, err := r.SubmitAndWait(1, 10*time.Second); err != nil {
			return fmt.Errorf("then %w", err)
		}
		for ; r.Peek() != nil; i++ {
			if c := *r.Peek(); c.UserData != i || c.Res != 0 {
				return fmt.Errorf("completion %+v, want that of %d", c, i)
			}
			r.Advance(1)
		}
	}
	if _, err := r.SubmitAndPoll(); err != nil || r.Len() != 0 || r.Prepared() != 0 {
		return fmt.Errorf("more than was to be: %d completions, %d prepared, %v", r.Len(), r.Prepared(), err)
	}
	return nil
}

// TestRefusedEnter: a signal is as if nothing had been; for want of memory, or when completions overflowed, what was
// prepared stays prepared, and is submitted once.
func TestRefusedEnter(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	t.Setenv("GODEBUG", "asyncpreemptoff=1") // a signal to a thread that is being supervised has it ask again
	out := runChild(t, "errnos")
	if strings.HasPrefix(out, "skip: ") {
		t.Skip(out)
	}
	if out != "all well\n" {
		t.Error(out)
	}
}
