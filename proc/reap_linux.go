package proc

import (
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Process 1 of a container becomes the parent of every process there whose own parent has ended, and has to wait for
// them (pid_namespaces(7)), else each stays a zombie. Only those are waited for here: a child of this package's has its
// own waiter and is known (ours), and one of os/exec's has a waiter too, for which it is left for reapAfter.
//
// The trap: waitid(2) for any child shows one zombie, and the same one for as long as it is there. Whoever gives that
// one its time before it asks for the next reaps one a second, and more come than go. So all processes that /proc lists
// are asked for by their numbers, and each zombie has a time of its own. The price is a system call for each process of
// the container, reapLooks times a second, and only while there is a zombie. Without such a list (/proc is not mounted,
// or is that of other processes, or there is no descriptor to open it) it is one a second still.
//
// That no child ended for a second, and so all zombies are older, was no way round it: one that ends just then looks as
// old, and its waiter has no time.

const (
	// reapAfter is how long a child is left to whoever may have started it: a waiter takes it within microseconds.
	reapAfter = time.Second
	// reapLooks is into how many looks that time is cut. A moment in which this process itself is stopped, and its waiters
	// with it, counts as no more than one of them.
	reapLooks = 4
)

// ReapOrphans waits for processes that were left to this one by others, if it is process 1, until stop is called; in
// any other process it does nothing. A [Master] does it by itself. A child that ended and that nobody waits for within
// a second counts as left, unless this package has started it: so call Wait of an exec.Cmd at once. All that are left
// are waited for together, a moment after that second; in a container whose /proc is not its own, one a second.
func ReapOrphans() (stop func()) {
	if os.Getpid() != 1 {
		return func() {}
	}
	return reapAll()
}

func reapAll() (stop func()) {
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
	var r reaper
	for {
		more, later := ended, (<-chan time.Time)(nil)
		if r.look(zombies()) { // then the clock alone says when to look again, however many more end
			more, later = nil, time.After(reapAfter/reapLooks)
		}
		select {
		case <-more:
		case <-later:
		case <-quit:
			return
		}
	}
}

// A reaper counts at how many looks in a row a process was a zombie.
type reaper struct{ looks map[int]int }

// look waits for those of the zombies whose waiters have had their time, and reports whether others are left.
func (r *reaper) look(zombies []int) (left bool) {
	before := r.looks
	r.looks = make(map[int]int, len(zombies)) // one that is no zombie any more is forgotten, for its number comes again
	for _, pid := range zombies {
		if n := before[pid]; n < reapLooks || !takeOrphan(pid) {
			r.looks[pid] = n + 1
		}
	}
	return len(r.looks) > 0
}

// takeOrphan waits for a zombie, unless it is ours.
func takeOrphan(pid int) bool {
	ours.Lock()
	defer ours.Unlock()
	if ours.pids[pid] > 0 {
		return false
	}
	_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // somebody may have waited for it just now
	return true
}

// zombies are the children that have ended and were not waited for, or one of them where /proc does not list them. They
// stay zombies.
func zombies() (pids []int) {
	first, _ := zombieOf(unix.P_ALL, 0)
	if first == 0 {
		return nil
	}
	pids = append(pids, first)
	proc, err := os.Open("/proc")
	if err != nil {
		return pids
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1) // what there was before an error
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == first {
			continue
		}
		if got, _ := zombieOf(unix.P_PID, pid); got == pid {
			pids = append(pids, pid)
		}
	}
	return pids
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
