package selector

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A seccomp filter, as container runtimes have them: what it refuses is not used, and it is the reason.
// (epoll_pwait cannot be refused here: the Go runtime uses it on any thread.)
func TestFilter(t *testing.T) {
	for _, row := range []struct {
		name   string
		deny   []uint32
		errno  unix.Errno
		best   string // Default's
		usable string
	}{
		{"epoll_pwait2 is not known", []uint32{unix.SYS_EPOLL_PWAIT2}, unix.ENOSYS, "epoll", "epoll poll select"},
		{"epoll_pwait2 is forbidden", []uint32{unix.SYS_EPOLL_PWAIT2}, unix.EPERM, "epoll", "epoll poll select"},
		{"epoll is forbidden", []uint32{unix.SYS_EPOLL_CREATE1}, unix.EPERM, "poll", "poll select"},
		{"epoll cannot be changed", []uint32{unix.SYS_EPOLL_CTL}, unix.EACCES, "poll", "poll select"},
		{"epoll and poll are forbidden", []uint32{unix.SYS_EPOLL_CREATE1, unix.SYS_PPOLL}, unix.EPERM, "select", "select"},
		{"select is forbidden", []uint32{unix.SYS_PSELECT6}, unix.EPERM, "epoll", "epoll poll"},
		{"nothing to wake with", []uint32{unix.SYS_EVENTFD2}, unix.EPERM, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := make(chan error)
			go func() { // on a thread that ends with it, and takes the filter along
				runtime.LockOSThread()
				done <- deny(row.deny, row.errno)
				var usable []string
				for _, a := range Available() {
					switch {
					case a.Err == nil:
						usable = append(usable, a.Name)
					case a.Name != "kqueue" && !errors.Is(a.Err, row.errno):
						t.Errorf("%s: %v, want %v", a.Name, a.Err, row.errno)
					}
				}
				if got := strings.Join(usable, " "); got != row.usable {
					t.Errorf("usable: %s; want %s", got, row.usable)
				}
				s, err := Default()
				switch {
				case row.best == "":
					if !errors.Is(err, row.errno) {
						t.Errorf("Default(): %v, want %v", err, row.errno)
					}
				case err != nil || s.Name() != row.best:
					t.Errorf("Default(): %v, %v; want %s", s, err, row.best)
				default:
					start := time.Now()
					if _, err := s.Select(time.Millisecond/2, nil); err != nil || time.Since(start) < time.Millisecond/2 {
						t.Errorf("Select: %v after %v", err, time.Since(start))
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
				close(done)
			}()
			if err := <-done; err != nil {
				<-done
				t.Skipf("no filter: %v", err)
			}
			<-done
		})
	}
}

// deny makes the calling thread's system calls of these numbers fail with errno.
func deny(numbers []uint32, errno unix.Errno) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	// struct seccomp_data begins with the number.
	code := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for _, nr := range numbers {
		code = append(code,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	}
	code = append(code, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
