package sock

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests and then looks for goroutines and descriptors that they left behind. With childKey
// in the environment the test binary plays a part in another test instead (see children).
func TestMain(m *testing.M) {
	if child := children[os.Getenv(childKey)]; child != nil {
		child()
		return
	}
	before := openFDs()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

const childKey = "SOCK_TEST_CHILD"

// children are what the test binary can be asked to be: a process with limits of its own.
var children = map[string]func(){}

func leaks(before []string) (code int) {
	deadline := time.Now().Add(time.Minute)
	for len(goroutines()) > 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	for _, g := range goroutines() {
		fmt.Printf("a goroutine is left: %s\n", g)
		code = 1
	}
	known := strings.Join(before, "\n")
	for _, fd := range openFDs() {
		if !strings.Contains(known, fd) {
			fmt.Printf("a descriptor is left: %s\n", fd)
			code = 1
		}
	}
	return code
}

// goroutines are the stacks of all but the calling one and those that the standard library keeps (the fuzzer
// listens to signals).
func goroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, g := range all[1:] {
		if !strings.Contains(g, "os/signal.") {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// openFDs lists the sockets and files that the process has open, "number -> what", where the system can tell.
// The Go runtime's own (an epoll instance and an eventfd) come and stay whenever they like.
func openFDs() (list []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		what, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(what, "anon_inode") && !strings.Contains(what, "/proc/") {
			list = append(list, e.Name()+" -> "+what)
		}
	}
	sort.Strings(list)
	return list
}
