package ipc

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 30 * time.Second

// A child of a test is this program anew, with the name of a function in its environment.
const childVariable = "PLEXOR_IPC_TEST_CHILD"

// children are those functions. What they return ends the child: nil well, an error with status 1.
var children = map[string]func(args []string) error{"nothing": func([]string) error { return nil }}

// TestMain looks for what the tests as a whole left behind.
func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		f := children[name]
		if f == nil {
			fmt.Fprintf(os.Stderr, "no child %q\n", name)
			os.Exit(2)
		}
		if err := f(os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "child %s: %v\n", name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Under the race detector each process waits a second before it ends, unless told otherwise.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	// The runtime's network poller takes descriptors with the first socket, and os/exec one with the first child; both
	// keep them.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	warm := exec.Command(os.Args[0])
	warm.Env = append(os.Environ(), childVariable+"=nothing")
	if err := warm.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "can't start a child:", err)
		os.Exit(1)
	}
	before := take()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // fuzzing leaves its own
	}
	if left := before.left(); left != "" {
		fmt.Fprintln(os.Stderr, left)
		code = 1
	}
	os.Exit(code)
}

// An inventory is what must not grow. Coroutines are goroutines to the runtime.
type inventory struct{ goroutines, files int }

func take() inventory { return inventory{runtime.NumGoroutine(), openFiles()} }

// left says what there is more than before. What was told to end may need a moment.
func (before inventory) left() string {
	var now inventory
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if now = take(); now.goroutines <= before.goroutines && now.files <= before.files {
			return ""
		}
	}
	buf := make([]byte, 1<<20)
	return fmt.Sprintf("left behind: goroutines %d, were %d; descriptors %d, were %d\n%s", now.goroutines, before.goroutines,
		now.files, before.files, buf[:runtime.Stack(buf, true)])
}

// openFiles counts the process's descriptors where the system shows them, else it is 0.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// tidy fails the test if it leaves a goroutine or descriptor behind.
func tidy(t testing.TB) {
	t.Helper()
	before := take()
	t.Cleanup(func() {
		if left := before.left(); left != "" {
			t.Error(left)
		}
	})
}

// socketPath is where a test's socket may be: shorter than t.TempDir, for the length is bounded. No file may be left.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("the socket's file is left: %v", err)
			os.RemoveAll(dir)
		}
	})
	return filepath.Join(dir, "s")
}

// child is the command of a child, with what it says on standard error shown.
func child(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// start starts a child and makes sure that it ends, and is waited for, with the test.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
}

// limited is a context that ends when the test has waited too long.
func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eachCaller runs f as a goroutine, and as a coroutine on a loop.
func eachCaller(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	for _, caller := range []string{"goroutine", "coroutine"} {
		t.Run(caller, func(t *testing.T) {
			tidy(t)
			runAs(t, caller, func(ctx context.Context) error {
				f(t, ctx)
				return nil
			})
		})
	}
}

// runAs runs f as this goroutine, or as a coroutine on a loop of its own.
func runAs(t *testing.T, caller string, f func(ctx context.Context) error) {
	t.Helper()
	run := f
	if caller == "coroutine" {
		run = func(ctx context.Context) error { return plexor.Run(ctx, f) }
	}
	if err := run(limited(t)); err != nil {
		t.Error(err)
	}
}

// plexorClosed is what a second Close of a Manager returns.
var plexorClosed = plexor.ErrServerClosed

// A logBook is what is logged.
type logBook struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logBook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// receive waits for what a goroutine reports.
func receive[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("waited for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		panic("not reached")
	}
}
