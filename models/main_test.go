package models

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain looks for goroutines, descriptors and processes that the tests left behind. As the program of the workers of
// the model processes it is a worker, and with masterKey a master in a process of its own.
func TestMain(m *testing.M) {
	RunWorker()
	if os.Getenv(masterKey) != "" {
		os.Exit(beMaster())
	}
	before := openFiles()
	code := m.Run()
	if left := leaks(before); code == 0 && len(left) > 0 {
		fmt.Printf("left behind:\n%s\n", strings.Join(left, "\n"))
		code = 1
	}
	os.Exit(code)
}

// patience is how long a test waits for what must come; nothing takes that long when all is well.
const patience = 30 * time.Second

// eventually waits until what returns nothing, and returns what it still returned when patience was over.
func eventually(what func() []string) []string {
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		left := what()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// leaks are the goroutines, the files beyond those before, and the child processes of this process.
func leaks(before []string) []string {
	return eventually(func() (left []string) {
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] {
			if !strings.Contains(g, "testing.(*T).Run") && !strings.Contains(g, "os/signal.") && !strings.Contains(g, "testing.(*M)") {
				left = append(left, "goroutine: "+g)
			}
		}
		for _, f := range openFiles() {
			if !slices.Contains(before, f) {
				left = append(left, "descriptor: "+f)
			}
		}
		for _, pid := range children(os.Getpid()) {
			left = append(left, fmt.Sprintf("process: %d", pid))
		}
		return left
	})
}

// openFiles lists the sockets and files that are open, "number -> what", where the system tells. Go's runtime has an
// epoll instance and an eventfd, which come and stay when they like.
func openFiles() (list []string) {
	entries, _ := os.ReadDir("/proc/self/fd") // elsewhere nobody tells
	for _, e := range entries {
		what, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(what, "anon_inode") && !strings.Contains(what, "/proc/") {
			list = append(list, e.Name()+" -> "+what)
		}
	}
	return list
}

// children are the processes that this one started and that have not been waited for.
func children(pid int) (pids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // elsewhere nobody tells
	for _, t := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name())) // the task may have ended
		for _, f := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(f, &child); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
