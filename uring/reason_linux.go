package uring

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Why io_uring is refused. The errno alone does not tell: EPERM is what a setting of the kernel gives, and what a
// seccomp filter gives; ENOSYS is an old kernel, or a filter that plays one. So the system is asked.

// facts are what there is to know about the process.
type facts struct {
	disabled string // /proc/sys/kernel/io_uring_disabled; "" if there is none (before Linux 6.6)
	group    string // /proc/sys/kernel/io_uring_group
	seccomp  bool   // a filter is in force
	release  string // of the kernel
}

func gather() (f facts) {
	read := func(name string) string {
		b, _ := os.ReadFile(name) // what cannot be read is not known
		return strings.TrimSpace(string(b))
	}
	f.disabled = read("/proc/sys/kernel/io_uring_disabled")
	f.group = read("/proc/sys/kernel/io_uring_group")
	for line := range strings.Lines(read("/proc/thread-self/status")) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			f.seccomp = strings.TrimSpace(mode) == "2"
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		f.release = unix.ByteSliceToString(u.Release[:])
	}
	return f
}

// because explains EPERM and ENOSYS.
func because(errno unix.Errno, call string) string { return gather().because(errno, call) }

func (f facts) because(errno unix.Errno, call string) string {
	const filter = "; container runtimes' default profiles do that: allow io_uring_setup, io_uring_enter and " +
		"io_uring_register in it"
	switch {
	case errno == unix.EPERM && f.disabled == "2":
		return "kernel.io_uring_disabled is 2, which forbids it to everyone; sysctl kernel.io_uring_disabled=0 allows it"
	case errno == unix.EPERM && f.disabled == "1" && !f.seccomp:
		return fmt.Sprintf("kernel.io_uring_disabled is 1, which forbids it to processes without CAP_SYS_ADMIN that are "+
			"not in "+
			"the group kernel.io_uring_group (%s); sysctl kernel.io_uring_disabled=0 allows it", f.group)
	case errno == unix.EPERM && f.disabled == "1":
		return fmt.Sprintf("kernel.io_uring_disabled is 1 (for the group %s only), or the seccomp filter of this process "+
			"refuses %s", f.group, call)
	case errno == unix.EPERM && f.seccomp:
		return "the seccomp filter of this process refuses " + call + filter
	case errno == unix.EPERM:
		return "something refuses " + call + ": a security module, or a seccomp filter"
	case errno == unix.ENOSYS && f.seccomp:
		return fmt.Sprintf("the seccomp filter of this process refuses %s, or this kernel (%s) was built without io_uring",
			call, f.release) + filter
	case errno == unix.ENOSYS:
		return fmt.Sprintf("this kernel (%s) has no io_uring: it is older than Linux 5.1, or was built without "+
			"CONFIG_IO_URING", f.release)
	}
	return ""
}

// memlockHint explains ENOMEM.
func memlockHint() string {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l) != nil {
		return ""
	}
	if l.Cur == unix.RLIM_INFINITY {
		return "out of memory"
	}
	return fmt.Sprintf("RLIMIT_MEMLOCK is %d KiB for all rings, buffer rings and registered buffers of this user "+
		"together: raise it "+
		"(ulimit -l, LimitMEMLOCK=), make them smaller, or grant CAP_IPC_LOCK; or the system is out of memory", l.Cur>>10)
}

func setupError(o Options, errno unix.Errno) error {
	e := &Error{Op: "set up a ring", Call: "io_uring_setup", Err: errno}
	switch errno {
	case unix.EPERM, unix.ENOSYS:
		e.Err, e.Hint = unavailable{errno}, because(errno, "io_uring_setup")
	case unix.ENOMEM:
		e.Hint = memlockHint()
	case unix.EMFILE:
		e.Hint = "this process has no descriptors left (RLIMIT_NOFILE)"
	case unix.ENFILE:
		e.Hint = "the system has no descriptors left (fs.file-max)"
	case unix.EINVAL:
		e.Hint = fmt.Sprintf("the kernel (%s) does not take flags %v with %d and %d entries", gather().release,
			o.Flags.Names(), o.Entries, o.CQEntries)
		if o.Flags != 0 {
			e.Err = errors.Join(ErrNotSupported, errno)
		}
	}
	return e
}
