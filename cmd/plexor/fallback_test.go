//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/uring"
)

// What becomes of the program where io_uring is refused or runs out. That can be seen only in a process that is
// restricted so: the command's process restricts itself before anything else, as the environment tells.

const restriction = "PLEXOR_TEST_RESTRICTION"

func init() {
	r := os.Getenv(restriction)
	if r == "" {
		return
	}
	if err := restrict(r); err != nil {
		fmt.Fprintln(os.Stderr, "restrict:", r, err)
		os.Exit(99)
	}
}

// restrict does what r says: "seccomp ERRNO CALL…", "memlock BYTES", "nofile NUMBER".
func restrict(r string) error {
	fields := strings.Fields(r)
	var ns []uint64
	for _, f := range fields[1:] {
		n, err := strconv.ParseUint(f, 10, 32)
		if err != nil {
			return err
		}
		ns = append(ns, n)
	}
	switch fields[0] {
	case "seccomp":
		runtime.LockOSThread()
		if err := seccomp(unix.Errno(ns[0]), ns[1:]); err != nil {
			return err
		}
		// The filter is this thread's. Started anew, the program has it on all of them.
		if err := os.Unsetenv(restriction); err != nil {
			return err
		}
		return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	case "memlock":
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: ns[0], Max: ns[0]}); err != nil {
			return err
		}
		if os.Getuid() != 0 {
			return nil
		}
		return syscall.Setuid(60_000 + os.Getpid()%5000) // root may lock all it wants; this user has locked nothing yet
	case "nofile":
		// Go's own poller ends the program when it finds no descriptors for itself: it has them first.
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		if err := errors.Join(r.Close(), w.Close()); err != nil {
			return err
		}
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: ns[0], Max: ns[0]})
	}
	return errors.New("unknown restriction")
}

// seccomp has the calls of those numbers fail with errno, from now on and after exec (seccomp(2), bpf(4)).
func seccomp(errno unix.Errno, calls []uint64) error {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	prog := []unix.SockFilter{{Code: load, K: 0}} // the call's number
	for i, nr := range calls {
		prog = append(prog, unix.SockFilter{Code: equal, Jt: uint8(len(calls) - i), K: uint32(nr)})
	}
	prog = append(prog, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&fprog)), 0,
		0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	runtime.KeepAlive(prog)
	return nil
}

func restricted(r string, args ...string) *exec.Cmd {
	cmd := command(args...)
	cmd.Env = append(cmd.Env, restriction+"="+r)
	return cmd
}

func needsIOUring(t *testing.T) {
	t.Helper()
	if err := uring.Available(); err != nil {
		t.Skip(err)
	}
}

// output runs a command that ends by itself.
func output(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// echoes has the server's only service echo something over TCP.
func (s *server) echoes(n int) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.host(n))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	const text = "is anybody there?"
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		s.t.Errorf("the echo of %q is %q, %v", text, got, err)
	}
}

// startsOn checks that the server listens with the driver, said at most so many lines more, and echoes.
func (s *server) startsOn(driver string, loops, lines int) {
	s.t.Helper()
	s.echoes(0)
	if want := fmt.Sprintf("driver=%s loops=%d", driver, loops); !strings.Contains(s.text(), want) {
		s.t.Errorf("it printed %q, want %q in it", s.text(), want)
	}
	more := 0
	for line := range strings.Lines(s.text()) {
		if !listening.MatchString(strings.TrimSpace(line)) {
			more++
		}
	}
	if more > lines {
		s.t.Errorf("%d lines besides those of the services, want at most %d:\n%s", more, lines, s.text())
	}
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 {
		s.t.Errorf("exit %d after SIGTERM, want 0", code)
	}
}

// TestRefusedIOUring: under a filter that refuses io_uring, as container runtimes have it, the program serves on epoll
// and makes nothing of it; who asks for io_uring is told why there is none.
func TestRefusedIOUring(t *testing.T) {
	t.Parallel()
	needsIOUring(t)
	setup, enter, register := fmt.Sprint(" ", unix.SYS_IO_URING_SETUP), fmt.Sprint(" ",
		unix.SYS_IO_URING_ENTER), fmt.Sprint(" ", unix.SYS_IO_URING_REGISTER)
	for _, row := range []struct{ name, calls string }{
		{"all", setup + enter + register},
		{"enter", enter},
		{"register", register},
	} {
		for i, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS} {
			if row.name != "all" && (i == 0) != (row.name == "enter") && !portion.Everywhere() {
				continue // the errno and the call hardly depend on each other
			}
			t.Run(row.name+"/"+unix.ErrnoName(errno), func(t *testing.T) {
				t.Parallel()
				filter := fmt.Sprintf("seccomp %d%s", errno, row.calls)
				serve(t, 1, restricted(filter, "serve", "--loops=2", "echo=tcp://127.0.0.1:0")).startsOn("epoll", 2, 0)

				code, stdout, _ := output(t, restricted(filter, "drivers"))
				if !regexp.MustCompile(`(?m)^io_uring no .*the seccomp filter of this process refuses io_uring_\w+`).MatchString(
					stdout) ||
					!regexp.MustCompile(`(?m)^epoll +yes +auto takes this one`).MatchString(stdout) || code != 0 {
					t.Errorf("plexor drivers: exit %d, printed\n%s\nwant the filter as the reason, and epoll for auto", code, stdout)
				}

				code, _, stderr := output(t, restricted(filter, "serve", "--driver=io_uring", "echo=tcp://127.0.0.1:0"))
				if code != exitError || strings.Count(stderr, "\n") != 1 ||
					!strings.Contains(stderr, "the seccomp filter of this process refuses") {
					t.Errorf("serve --driver=io_uring: exit %d, printed %q; want 1, and one line with the reason", code, stderr)
				}
			})
		}
	}
}

// TestLittleLockedMemory: where the memory that may be locked is enough for no ring, or for some of the loops only, all
// loops take epoll, with one line in the log. Who asks for io_uring by name gets it with smaller queues, and one line,
// if there is enough for those, and else is told which limit it was.
func TestLittleLockedMemory(t *testing.T) {
	t.Parallel()
	needsIOUring(t)
	for _, row := range []struct {
		name  string
		kib   int
		says  string
		small bool // it is enough for the smaller queues of all
	}{{"for none", 4, "taking the next best", false}, {"not for one", 40, "taking the next best", false},
		{"for one", 400, "all take the next best", true}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			little := fmt.Sprint("memlock ", row.kib<<10)
			s := serve(t, 1, restricted(little, "serve", "--loops=3", "echo=tcp://127.0.0.1:0"))
			if strings.Contains(s.text(), "driver=io_uring") {
				t.Skip("this kernel does not count the memory of rings") // from 5.12 to 6.13
			}
			if !strings.Contains(s.text(), row.says) {
				t.Errorf("the log does not tell what became of io_uring, by %q:\n%s", row.says, s.text())
			}
			s.startsOn("epoll", 3, 1)

			if row.small {
				var s *server
				for end := time.Now().Add(patience); s == nil || len(s.addrs) == 0 && time.Now().Before(end); {
					// The kernel gives back what the process before had locked some time after its end.
					s = tryServe(t, 1, restricted(little, "serve", "--driver=io_uring", "--loops=3", "echo=tcp://127.0.0.1:0"))
				}
				if len(s.addrs) == 0 || !strings.Contains(s.text(), "smaller queues and buffers") {
					t.Fatalf("the log does not tell that io_uring has less than it likes:\n%s", s.text())
				}
				s.startsOn("io_uring", 3, 1)
				return // drivers tries one ring, for which there is enough
			}
			code, _, stderr := output(t, restricted(little, "serve", "--driver=io_uring", "--loops=3", "echo=tcp://127.0.0.1:0"))
			if code != exitError || strings.Count(stderr, "\n") != 1 ||
				!strings.Contains(stderr, fmt.Sprintf("RLIMIT_MEMLOCK is %d KiB", row.kib)) {
				t.Errorf("serve --driver=io_uring: exit %d, printed %q; want 1, and one line with the limit", code, stderr)
			}
			if _, stdout, _ := output(t,
				restricted(little, "drivers")); !regexp.MustCompile(`(?m)^io_uring no .*RLIMIT_MEMLOCK`).MatchString(stdout) {
				t.Errorf("plexor drivers does not name the limit:\n%s", stdout)
			}
		})
	}
}

// TestFewDescriptors: however few there are, the server either listens, all its loops on one driver, or says in one
// line why not.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	needsIOUring(t)
	started := map[string]int{}
	for n := 4; n <= 24; n += portion.Fewer(1, 2) {
		cmd := restricted(fmt.Sprint("nofile ", n), "serve", "--loops=3", "echo=tcp://127.0.0.1:0")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		text := ""
		var m []string
		for lines := bufio.NewScanner(stderr); m == nil && lines.Scan(); { // or to the end
			text += lines.Text() + "\n"
			m = listening.FindStringSubmatch(lines.Text())
		}
		if m != nil {
			started[m[3]]++
			_ = cmd.Process.Kill() // its exit code is not looked at
			_ = cmd.Wait()
			if m[4] != "3" {
				t.Errorf("with %d descriptors: %q, want 3 loops", n, text)
			}
			continue
		}
		_ = cmd.Wait() // the state tells
		started["none"]++
		if code := cmd.ProcessState.ExitCode(); code != exitError || strings.Count(text, "\n") != 1 ||
			!strings.Contains(text, "too many open files") {
			t.Errorf("with %d descriptors: exit %d, printed %q; want 1, and one line that says so", n, code, text)
		}
	}
	t.Logf("started on %v", started)
	if started["io_uring"] == 0 || started["none"] == 0 {
		t.Errorf("started on %v: want both ends of the range to be seen", started)
	}
}

// TestNoIOUring: an operator can switch it off, by the environment and by a flag.
func TestNoIOUring(t *testing.T) {
	needsIOUring(t)
	byEnvironment := func(args ...string) *exec.Cmd {
		cmd := command(args...)
		cmd.Env = append(cmd.Env, "PLEXOR_NO_IO_URING=1")
		return cmd
	}
	t.Run("environment", func(t *testing.T) {
		serve(t, 1, byEnvironment("serve", "--loops=2", "echo=tcp://127.0.0.1:0")).startsOn("epoll", 2, 0)
		if _, stdout, _ := output(t, byEnvironment("drivers")); !strings.Contains(stdout, "PLEXOR_NO_IO_URING") {
			t.Errorf("plexor drivers does not name the variable:\n%s", stdout)
		}
		code, _, stderr := output(t, byEnvironment("serve", "--driver=io_uring", "echo=tcp://127.0.0.1:0"))
		if code != exitError || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "PLEXOR_NO_IO_URING") {
			t.Errorf("serve --driver=io_uring: exit %d, printed %q; want 1, and one line with the variable", code, stderr)
		}
	})
	t.Run("flag", func(t *testing.T) {
		serve(t, 1, command("serve", "--no-io-uring", "--loops=2", "echo=tcp://127.0.0.1:0")).startsOn("epoll", 2, 0)
		serve(t, 1, command("serve", "--no-io-uring", "--driver=poll", "--loops=1",
			"echo=tcp://127.0.0.1:0")).startsOn("poll", 1, 0)
		if _, stdout, _ := result("drivers",
			"--no-io-uring"); !regexp.MustCompile(`(?m)^io_uring no +switched off by --no-io-uring\nepoll +yes +auto takes this one`).MatchString(stdout) {
			t.Errorf("plexor drivers --no-io-uring printed\n%s", stdout)
		}
		code, _, stderr := result("serve", "--no-io-uring", "--driver=io_uring")
		if code != exitUsage || strings.Count(stderr, "\n") != 1 {
			t.Errorf("both flags: exit %d, printed %q; want 2, and one line", code, stderr)
		}
	})
}
