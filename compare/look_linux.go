package compare

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A usage is what a server's processes have used up to a moment: the main process and all that it started.
type usage struct {
	pids     []int
	cpu      time.Duration
	switches int64
	threads  int
	files    int
	resident int64 // bytes, with the program itself
	own      int64 // bytes of memory that are no file's
	mainOwn  int64 // those of the main process
}

// look looks at the processes, of which the main one comes first. It is to be quick: where the machine is full of load,
// the time for it is dear.
func look(pids []int) (u usage, err error) {
	u.pids = pids
	for i, p := range pids {
		cpu, err := cpuTime(p)
		if err != nil {
			return u, err
		}
		u.cpu += cpu
		if err := u.addStatus(p); err != nil {
			return u, err
		}
		if i == 0 {
			u.mainOwn = u.own
		}
	}
	u.files, err = countFiles(pids)
	return u, err
}

// family is the process with its children, of which each thread has a list of those that it started
// (proc_tid_children(5)). No model's children have children.
func family(pid int) (pids []int, err error) {
	pids = []int{pid}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("list the server's threads: %w", err)
	}
	for _, t := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for _, f := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids, nil
}

// cpuTime reads a process's CPU clock. Its number is made of the process's as clock_getcpuclockid(3) makes it: all bits
// turned, three places up, and 2 for the scheduler's own count, in nanoseconds.
func cpuTime(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, fmt.Errorf("read the server's CPU clock: clock_gettime: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// addStatus adds memory, threads and switches of a process (proc_pid_status(5)).
func (u *usage) addStatus(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return fmt.Errorf("read the server's status: %w", err)
	}
	u.resident += field(status, "VmRSS:") << 10
	u.own += (field(status, "RssAnon:") + field(status, "RssShmem:")) << 10
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return fmt.Errorf("list the server's threads: %w", err)
	}
	for _, t := range tasks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, t.Name()))
		if err != nil {
			continue // the thread has ended
		}
		u.threads++
		u.switches += field(status, "voluntary_ctxt_switches:") + field(status, "nonvoluntary_ctxt_switches:")
	}
	return nil
}

// field is the number behind a name at the beginning of a line, or 0.
func field(status []byte, name string) int64 {
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64) // or 0
			return n
		}
	}
	return 0
}

// countFiles is how many descriptors the processes have open.
func countFiles(pids []int) (n int, err error) {
	for i, p := range pids {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p))
		if err != nil && i == 0 {
			return 0, fmt.Errorf("list the server's descriptors: %w", err)
		}
		n += len(files)
	}
	return n, nil
}

// look fills in what the system tells of itself.
func (m *Machine) look() {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.OS = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	info, _ := os.ReadFile("/proc/cpuinfo") // or no name
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	memory, _ := os.ReadFile("/proc/meminfo") // or nothing
	if kib := field(memory, "MemTotal:"); kib > 0 {
		m.Memory = fmt.Sprintf("%.1f GiB", float64(kib)/(1<<20))
	}
}
