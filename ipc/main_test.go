package ipc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/leak"
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
	// Package os/exec opens with the first child what it keeps.
	warm := exec.Command(os.Args[0])
	warm.Env = append(os.Environ(), childVariable+"=nothing")
	if err := warm.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "can't start a child:", err)
		os.Exit(1)
	}
	os.Exit(leak.Main(m))
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
			leak.Check(t)
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
