package compare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A callCounter counts the system calls of processes: a counter for each thread there is, which also counts the threads
// that it starts from then on.
type callCounter struct {
	id  uint64 // the tracepoint's
	fds []int
}

// newCounter finds the number of the tracepoint raw_syscalls:sys_enter, which each kernel gives anew.
func newCounter() (*callCounter, error) {
	var errs []error
	for _, root := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		text, err := os.ReadFile(root + "/events/raw_syscalls/sys_enter/id")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		return &callCounter{id: id}, err
	}
	return nil, fmt.Errorf("the tracepoint for system calls (root may read it, with tracefs mounted): %w", errs[0])
}

// canCount is why system calls can't be counted here, or nil.
func canCount() error {
	c, err := newCounter()
	if err != nil {
		return err
	}
	defer c.close()
	return c.addThread(os.Getpid())
}

// countCalls begins to count the calls of the processes.
func countCalls(pids []int) (*callCounter, error) {
	c, err := newCounter()
	if err != nil {
		return nil, err
	}
	for _, p := range pids {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p))
		if err != nil {
			continue // the process has ended
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err == nil {
				err = c.addThread(tid)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) { // that thread has ended
				c.close()
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *callCounter) addThread(tid int) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: c.id, Bits: unix.PerfBitInherit}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("count system calls: perf_event_open: %w (root may, and so may CAP_PERFMON, or everybody with "+
			"kernel.perf_event_paranoid=-1)", err)
	}
	c.fds = append(c.fds, fd)
	return nil
}

// read is how many calls there were so far.
func (c *callCounter) read() (sum uint64, err error) {
	var b [8]byte
	for _, fd := range c.fds {
		if n, err := unix.Read(fd, b[:]); err != nil || n != len(b) {
			return 0, fmt.Errorf("count system calls: read %d bytes: %w", n, err)
		}
		sum += binary.NativeEndian.Uint64(b[:])
	}
	return sum, nil
}

func (c *callCounter) close() {
	for _, fd := range c.fds {
		_ = unix.Close(fd) // there is nothing to lose
	}
}
