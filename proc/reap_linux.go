package proc

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process 1 of a container becomes the parent of every process there whose own parent has ended, and has to wait for
// them (pid_namespaces(7)), else each stays a zombie. Only those are waited for here: a child of this package's has its
// own waiter, and so has one of os/exec's, which is left reapAfter for it.

// reapAfter is how long a child is left to whoever may have started it: a waiter takes it within microseconds.
const reapAfter = time.Second

// ReapOrphans waits for processes that were left to this one by others, if it is process 1, until stop is called; in
// any other process it does nothing. A [Master] does it by itself. A child that ended and that nobody waits for within
// a second counts as left: so call Wait of an exec.Cmd at once.
func ReapOrphans() (stop func()) {
	if os.Getpid() != 1 {
		return func() {}
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() { reap(ended, quit) })
	return func() {
		signal.Stop(ended)
		close(quit)
		done.Wait()
	}
}

func reap(ended <-chan os.Signal, quit <-chan struct{}) {
	for last := 0; ; {
		pid := zombie()
		if pid != 0 && pid == last { // its waiter has had its time
			var status unix.WaitStatus
			_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil) // somebody may have waited for it just now
			last = 0
			continue
		}
		last = pid
		var later <-chan time.Time
		more := ended
		if pid != 0 {
			later, more = time.After(reapAfter), nil
		}
		select {
		case <-more:
		case <-later:
		case <-quit:
			return
		}
	}
}

// zombie is a child that has ended and was not waited for; 0: there is none. It stays one.
func zombie() int {
	pid, _ := zombieOf(unix.P_ALL, 0)
	return pid
}

// hasEnded reports whether a child has ended: it is a zombie, or none any more, since its waiter has just had it.
func hasEnded(pid int) bool {
	got, errno := zombieOf(unix.P_PID, pid)
	return got == pid || errno == unix.ECHILD
}

// zombieOf asks waitid(2), and takes nothing.
func zombieOf(kind, id int) (pid int, errno syscall.Errno) {
	// siginfo_t of SIGCHLD (sigaction(2)): three words of 32 bits, padded to the alignment of a pointer, and then the
	// process.
	var info struct {
		_   [3]int32
		_   [0]uintptr
		pid int32
		_   [128]byte
	}
	_, _, errno = unix.Syscall6(unix.SYS_WAITID, uintptr(kind), uintptr(id), uintptr(unsafe.Pointer(&info)),
		unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
	return int(info.pid), errno // 0: it has not ended, or there is none
}
