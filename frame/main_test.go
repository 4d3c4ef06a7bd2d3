package frame

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain looks for goroutines and descriptors that the tests left behind.
func TestMain(m *testing.M) {
	// The runtime's network poller takes descriptors with the first socket, and keeps them.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	fds, goroutines := openFiles(), runtime.NumGoroutine()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // fuzzing leaves its own
	}
	// Goroutines that were told to end may need a moment; so may descriptors of exited children.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if openFiles() <= fds && runtime.NumGoroutine() <= goroutines {
			break
		}
	}
	if n := openFiles(); n > fds {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after\n", fds, n)
		code = 1
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		buf := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines leaked: %d before, %d after\n%s\n", goroutines, n, buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// openFiles counts the process's descriptors where the system shows them, else it is 0.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
