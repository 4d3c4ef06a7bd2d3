package uring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What io_uring does when it is refused can only be seen in a process to which it is refused: the test binary, run
// again with childRole set.

const childRole = "PLEXOR_URING_TEST_CHILD"

func child(role string) int {
	what, arg, _ := strings.Cut(role, " ")
	switch what {
	case "seccomp":
		return childSeccomp(arg)
	case "memlock":
		return childMemlock()
	case "clients":
		return childClients(arg)
	case "errnos":
		return childErrnos()
	case "files":
		return childFiles()
	}
	fmt.Println("unknown role", role)
	return 2
}

func runChild(t *testing.T, role string) string {
	t.Helper()
	exe, err := os.Executable()
	ok(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("child %q: %v\n%s", role, err, out)
	}
	return string(out)
}

// filter installs a seccomp filter for all threads (seccomp(2)) that answers the given calls with the errno.
func filter(errno unix.Errno, calls ...uint32) error {
	const (
		load  = 0x20 // BPF_LD | BPF_W | BPF_ABS
		equal = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
		ret   = 0x06 // BPF_RET | BPF_K
	)
	prog := []unix.SockFilter{{Code: load, K: 0}} // the call's number
	for i, nr := range calls {
		prog = append(prog, unix.SockFilter{Code: equal, Jt: uint8(len(calls) - i), K: nr})
	}
	prog = append(prog, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	const setModeFilter = 1
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// childSeccomp prints what the package says under a filter: arg is the errno, then the calls.
func childSeccomp(arg string) int {
	runtime.LockOSThread()
	var calls []uint32
	fields := strings.Fields(arg)
	for _, f := range fields[1:] {
		n, _ := strconv.ParseUint(f, 10, 32)
		calls = append(calls, uint32(n))
	}
	errno, _ := strconv.Atoi(fields[0])
	if err := filter(unix.Errno(errno), calls...); err != nil {
		fmt.Println(err)
		return 2
	}
	report := func(name string, err error) {
		fmt.Printf("%s: %v; unavailable %v, unsupported %v, errno %v\n", name, err, errors.Is(err, ErrUnavailable),
			errors.Is(err, errors.ErrUnsupported), errors.Is(err, unix.Errno(errno)))
	}
	report("Available", Available())
	_, err := Probe()
	report("Probe", err)
	r, err := New(loopOptions())
	if err == nil {
		r.Close()
	} else {
		report("New", err)
	}
	if n := known.len(); n != 0 {
		fmt.Println("mappings left:", n)
		return 2
	}
	return 0
}

func TestSeccomp(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	call := func(nr int) string { return fmt.Sprint(" ", nr) }
	all := call(unix.SYS_IO_URING_SETUP) + call(unix.SYS_IO_URING_ENTER) + call(unix.SYS_IO_URING_REGISTER)
	for _, row := range []struct{ name, calls, want string }{
		{"all", all, "io_uring_setup"},
		{"setup", call(unix.SYS_IO_URING_SETUP), "io_uring_setup"},
		{"enter", call(unix.SYS_IO_URING_ENTER), "io_uring_enter"},
		{"register", call(unix.SYS_IO_URING_REGISTER), "io_uring_register"},
	} {
		for _, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS} {
			t.Run(row.name+"/"+unix.ErrnoName(errno), func(t *testing.T) {
				t.Parallel()
				out := runChild(t, fmt.Sprintf("seccomp %d%s", errno, row.calls))
				for _, f := range []string{"Available", "Probe"} {
					if !strings.Contains(out, f+": uring: ") {
						t.Errorf("%s says nothing:\n%s", f, out)
					}
				}
				for line := range strings.Lines(out) {
					for _, want := range []string{"unavailable true, unsupported true, errno true",
						"the seccomp filter of this process refuses " + row.want} {
						if !strings.Contains(line, want) {
							t.Errorf("got %q, want it to contain %q", line, want)
						}
					}
				}
			})
		}
	}
}

// childMemlock takes the privilege and the limit away and sets up rings until that fails.
func childMemlock() int {
	runtime.LockOSThread()
	limit := unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		fmt.Println(err)
		return 2
	}
	// As nobody, on this thread alone, which ends with the process.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETUID, 65534, 0, 0); errno != 0 {
		fmt.Println("skip: setuid:", errno)
		return 0
	}
	for range 100 {
		_, err := New(Options{Entries: 1024})
		if err == nil {
			continue
		}
		fmt.Printf("New: %v; ENOMEM %v\n", err, errors.Is(err, unix.ENOMEM))
		return 0
	}
	fmt.Println("skip: this kernel does not count rings")
	return 0
}

func TestMemlock(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	if os.Getuid() != 0 {
		t.Skip("it takes root to become somebody who has no locked memory left")
	}
	out := runChild(t, "memlock")
	if strings.HasPrefix(out, "skip: ") {
		t.Skip(out)
	}
	for _, want := range []string{"ENOMEM true", "RLIMIT_MEMLOCK is 64 KiB"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %q, want it to contain %q", out, want)
		}
	}
}

// childFiles sets up rings until there are no descriptors.
func childFiles() int {
	limit := unix.Rlimit{Cur: 32, Max: 32}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		return 2
	}
	for range 100 {
		if _, err := New(Options{Entries: 4}); err != nil {
			fmt.Printf("New: %v; EMFILE %v\n", err, errors.Is(err, unix.EMFILE))
			return 0
		}
	}
	return 2
}

func TestNoDescriptors(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	out := runChild(t, "files")
	for _, want := range []string{"EMFILE true", "RLIMIT_NOFILE"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %q, want it to contain %q", out, want)
		}
	}
}

// TestBecause holds what is made of what is known.
func TestBecause(t *testing.T) {
	for _, row := range []struct {
		name  string
		facts facts
		errno unix.Errno
		want  string
	}{
		{"forbidden to all", facts{disabled: "2"}, unix.EPERM, "kernel.io_uring_disabled is 2"},
		{"forbidden to all, and a filter", facts{disabled: "2", seccomp: true}, unix.EPERM, "kernel.io_uring_disabled is 2"},
		{"forbidden to most", facts{disabled: "1", group: "27"}, unix.EPERM, "not in the group kernel.io_uring_group (27)"},
		{"forbidden to most, and a filter", facts{disabled: "1", group: "27", seccomp: true}, unix.EPERM,
			"or the seccomp filter of this process"},
		{"filter", facts{disabled: "0", seccomp: true}, unix.EPERM,
			"the seccomp filter of this process refuses io_uring_setup"},
		{"who knows", facts{disabled: "0"}, unix.EPERM, "security module"},
		{"old", facts{release: "4.19"}, unix.ENOSYS, "this kernel (4.19) has no io_uring"},
		{"filter that plays old", facts{seccomp: true, release: "6.1"}, unix.ENOSYS,
			"the seccomp filter of this process refuses io_uring_setup, or this kernel (6.1)"},
		{"another error", facts{}, unix.EIO, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := row.facts.because(row.errno, "io_uring_setup")
			if row.want == "" && got != "" || !strings.Contains(got, row.want) {
				t.Errorf("because(%v) of %+v = %q, want %q", row.errno, row.facts, got, row.want)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	s, err := Probe()
	if err != nil {
		skipUnless(t, err)
	}
	t.Log(strings.Join(s.Names(), " "))
	if s.Features&featNeeded != featNeeded || !s.Op(OpNop) || s.Op(200) || len(s.Ops()) < 40 {
		t.Errorf("Probe = %+v", s)
	}
	r := newRing(t, loopOptions())
	names := strings.Join(r.Features(), " ") + " "
	for _, want := range []string{"nodrop ", "ext_arg ", "single_issuer ", "defer_taskrun ", "op:recv "} {
		if !strings.Contains(names, want) {
			t.Errorf("Features = %q, want %q in it", names, want)
		}
	}
	for _, op := range s.Ops() {
		if op >= opEnd {
			t.Logf("%v is newer than this package", op)
		} else if op.Since() == "" || op.String() == "" {
			t.Errorf("operation %d has no name or version", op)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, row := range []struct {
		name string
		o    Options
		want string
	}{
		{"flags that would change the entries", Options{Flags: 1 << 10}, "not among those"},
		{"entries", Options{Entries: 32769}, "32769 entries"},
		{"negative entries", Options{Entries: -1}, "-1 entries"},
		{"completions", Options{CQEntries: 65537}, "65537 completion entries"},
		{"few completions", Options{Entries: 64, CQEntries: 32}, "fewer than"},
		{"defer alone", Options{Flags: SetupDeferTaskrun}, "needs SetupSingleIssuer"},
		{"defer and poll", Options{Flags: SetupDeferTaskrun | SetupSingleIssuer | SetupSQPoll}, "exclude each other"},
		{"flag alone", Options{Flags: SetupTaskrunFlag}, "needs SetupCoopTaskrun"},
		{"affinity alone", Options{Flags: SetupSQAff}, "needs SetupSQPoll"},
		{"idle alone", Options{SQThreadIdle: 1}, "need SetupSQPoll"},
		{"cpu alone", Options{Flags: SetupSQPoll, SQThreadCPU: 1}, "needs SetupSQAff"},
		{"registered, any thread", Options{RegisterRing: true}, "needs SetupSingleIssuer"},
		{"registered, disabled", Options{RegisterRing: true, Flags: SetupSingleIssuer | SetupDisabled}, "exclude each other"},
		{"attach alone", Options{Attach: 3}, "needs SetupAttachWQ"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := New(row.o)
			if err == nil {
				r.Close()
			}
			if !errors.Is(err, os.ErrInvalid) || !strings.Contains(fmt.Sprint(err), row.want) {
				t.Errorf("New(%+v): %v, want %q", row.o, err, row.want)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for _, row := range []struct {
		name   string
		o      Options
		sq, cq int
	}{
		{"default", Options{}, 256, 512},
		{"rounded", Options{Entries: 5, CQEntries: 9}, 8, 16},
		{"one", Options{Entries: 1}, 1, 2},
		{"clamped", Options{Entries: 1 << 20, Flags: SetupClamp}, 32768, 65536},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRing(t, row.o)
			if r.Entries() != row.sq || r.CQEntries() != row.cq {
				t.Errorf("%d and %d entries, want %d and %d", r.Entries(), r.CQEntries(), row.sq, row.cq)
			}
			get(t, r, 1).Nop()
			wantRes(t, r, 1, 0)
		})
	}
	t.Run("shared workers", func(t *testing.T) {
		first := newRing(t, Options{Entries: 4})
		r := newRing(t, Options{Entries: 4, Flags: SetupAttachWQ, Attach: first.FD()})
		s := get(t, r, 2)
		s.Nop()
		s.Flags |= SQEAsync
		wantRes(t, r, 2, 0)
	})
	t.Run("kernel thread on a CPU", func(t *testing.T) {
		r := newRing(t, Options{Entries: 4, Flags: SetupSQPoll | SetupSQAff, SQThreadCPU: 0, SQThreadIdle: 1})
		get(t, r, 1).Nop()
		wantRes(t, r, 1, 0)
	})
	t.Run("no iowait", func(t *testing.T) {
		o := loopOptions()
		o.NoIOWait = true
		r := newRing(t, o)
		s := get(t, r, 1)
		s.Timeout(r.Timespec(time.Millisecond), 0, 0)
		wantRes(t, r, 1, -int(unix.ETIME))
	})
	start := time.Now()
	ok(t, Available())
	t.Logf("Available takes %v", time.Since(start))
}
