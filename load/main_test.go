package load

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 30 * time.Second

// TestMain looks for what the tests as a whole left behind.
func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // the runtime's poller keeps some descriptors
		l.Close()
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines || openFiles() > files; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "left behind: goroutines %d, were %d; descriptors %d, were %d\n%s", runtime.NumGoroutine(), goroutines,
				openFiles(), files, buf[:runtime.Stack(buf, true)])
			code = 1
			break
		}
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
