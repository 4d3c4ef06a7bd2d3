// Package leak looks, for tests, for what they left behind: goroutines, coroutines, descriptors, child processes. A
// TestMain is
//
//	func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
//
// and a test that is to be clean by itself calls [Check].
package leak

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/standstill"
)

// patience is how long what was told to end may take: only a test that fails waits for that long.
const patience = time.Minute

// mostStacks bounds the goroutines' part of a report, in bytes.
const mostStacks = 4 << 20

// mostAtOnce is how many parallel tests run at the same time unless -parallel says otherwise: they are parallel because
// they wait, and the number of processors, which is the usual bound, has nothing to do with that.
const mostAtOnce = "12"

// Main runs the tests, and fails the run if they succeed and leave something behind. also are looks for what else a
// package must not leave: each says what there is, or nothing. Meanwhile [standstill.Watch] tells what the tests wait
// for should they wait for ever. It returns what os.Exit is to be given.
func Main(m *testing.M, also ...func() string) (code int) {
	if !flag.Parsed() {
		flag.Parse()
	}
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", mostAtOnce) // a flag of package testing's, which takes it
	}
	stop := standstill.Watch()
	defer stop()
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt) // which starts a goroutine that stays
	signal.Stop(c)
	before := Take()
	code = m.Run()
	if f := flag.Lookup("test.fuzz"); code != 0 || f != nil && f.Value.String() != "" {
		return code // a test that fails may leave its own, and so does fuzzing
	}
	if left := before.left(also); left != "" {
		fmt.Fprintln(os.Stderr, left)
		return 1
	}
	return 0
}

// Check fails the test if it leaves something behind. Call it first: the cleanups of what the test makes later have run
// when it looks.
func Check(t testing.TB) {
	t.Helper()
	before := Take()
	t.Cleanup(func() {
		if left := before.Left(); left != "" {
			t.Error(left)
		}
	})
}

// An Inventory is what must not grow. Coroutines are goroutines to the runtime.
type Inventory struct {
	goroutines int
	files      int
	children   []string
}

// Take counts what there is now.
func Take() Inventory {
	warm()
	return take()
}

func take() Inventory { return Inventory{runtime.NumGoroutine(), Files(), children()} }

// warm has the runtime open what it keeps: its poller takes descriptors with the first socket.
func warm() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
}

// Left says what there is more than before, or nothing. What was told to end may need a moment.
func (before Inventory) Left() string { return before.left(nil) }

func (before Inventory) left(also []func() string) string {
	// Often at first, for nearly always all is over at once, and a moment later it is.
	for end, pause := time.Now().Add(patience), time.Duration(0); ; pause = min(pause+100*time.Microsecond,
		10*time.Millisecond) {
		now := take()
		lines := before.compare(now)
		for _, look := range also {
			if what := look(); what != "" {
				lines = append(lines, what)
			}
		}
		if len(lines) == 0 {
			return ""
		}
		if time.Now().After(end) {
			if now.goroutines > before.goroutines {
				buf := make([]byte, mostStacks)
				lines = append(lines, string(buf[:runtime.Stack(buf, true)]))
			}
			return "left behind: " + strings.Join(lines, "\n")
		}
		time.Sleep(pause)
	}
}

func (before Inventory) compare(now Inventory) (lines []string) {
	if now.goroutines > before.goroutines && now.goroutines-others() > before.goroutines {
		lines = append(lines, fmt.Sprintf("goroutines: %d before, %d now", before.goroutines, now.goroutines))
	}
	if now.files > before.files && now.files-otherFiles() > before.files {
		lines = append(lines, fmt.Sprintf("descriptors: %d before, %d now: %q", before.files, now.files, FileNames()))
	}
	for _, pid := range now.children {
		if !slices.Contains(before.children, pid) {
			lines = append(lines, "processes: "+pid)
		}
	}
	return lines
}

// others counts goroutines that are not ours to end: of a store that nats-server has stopped, the one that flushes a
// file stays at times (2.15).
func others() int {
	buf := make([]byte, mostStacks)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("nats-server/v2/server.(*msgBlock).flushLoop("))
}

// otherFiles counts descriptors that are not ours to close: a file of such a store stays open at times, after it was
// removed with its stream.
func otherFiles() int {
	return len(slices.DeleteFunc(FileNames(), func(name string) bool {
		return !strings.Contains(name, "/msgs/") || !strings.HasSuffix(name, ".blk (deleted)")
	}))
}

// Files counts the process's descriptors. It is 0 where nobody tells.
func Files() int {
	// Since Linux 6.2 the folder's size is their number (proc_pid_fd(5)); before, and elsewhere, it is 0 or any.
	if info, err := os.Stat("/proc/self/fd"); err == nil && info.Size() > 0 && runtime.GOOS == "linux" {
		return int(info.Size())
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		return len(entries) - 1 // the list's own
	}
	return countFiles()
}

// FilesOf is Files of another process, which only Linux tells.
func FilesOf(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // elsewhere nobody tells
	return len(entries)
}

// FileNames lists the descriptors as "number -> what", on Linux.
func FileNames() (list []string) {
	entries, _ := os.ReadDir("/proc/self/fd") // elsewhere nobody tells
	for _, e := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // else it was the list's own
			list = append(list, e.Name()+" -> "+what)
		}
	}
	return list
}

// children are the numbers of the processes that this one started and has not waited for, on Linux (proc(5)).
func children() (pids []string) {
	if childless() {
		return nil
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is a good one
	for _, t := range tasks {
		text, _ := os.ReadFile(t) // the thread may have ended
		pids = append(pids, strings.Fields(string(text))...)
	}
	return pids
}
