//go:build linux

package shm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// childEnv names the part that this program plays when a test starts it anew.
const childEnv = "PLEXOR_SHM_CHILD"

// children are the parts: the ring is descriptor 3.
var children = map[string]func(r *Ring) error{}

// TestMain plays a child's part, or runs the tests and then looks for what they left behind: goroutines, descriptors,
// children, files.
func TestMain(m *testing.M) {
	if part := os.Getenv(childEnv); part != "" {
		if err := play(part); err != nil {
			fmt.Fprintln(os.Stderr, part+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Under the race detector each process waits a second before it ends, unless told otherwise.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	if r, w, err := os.Pipe(); err == nil { // with which the runtime opens what it keeps
		_, _ = r.Close(), w.Close()
	}
	before, files := openFiles(), rings()
	code := m.Run()
	if code == 0 {
		code = leaks(before, files)
	}
	os.Exit(code)
}

func play(part string) error {
	armSteps()
	f := os.NewFile(3, "ring")
	r, err := OpenFile(f)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := children[part](r); err != nil {
		return err
	}
	return r.Close()
}

func openFiles() int {
	fds, _ := os.ReadDir("/proc/self/fd") // none: then there is nothing to compare
	return len(fds)
}

func rings() string {
	names, _ := filepath.Glob(Dir + "/plexor-test-*") // the pattern is a good one
	return strings.Join(names, " ")
}

func leaks(before int, files string) (code int) {
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		left := goroutines()
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			fmt.Printf("goroutines left behind:\n%s\n", strings.Join(left, "\n\n"))
			return 1
		}
	}
	if after := openFiles(); after > before {
		fmt.Printf("descriptors left behind: %d before the tests, %d after\n", before, after)
		code = 1
	}
	if after := rings(); after != files {
		fmt.Printf("files left behind: %s\n", after)
		code = 1
	}
	stat, _ := filepath.Glob("/proc/self/task/*/children") // likewise
	for _, s := range stat {
		if b, _ := os.ReadFile(s); len(b) > 0 { // gone: so is its thread
			fmt.Printf("children left behind: %s\n", b)
			code = 1
		}
	}
	return code
}

// goroutines are the stacks of those of this package, but the caller's.
func goroutines() (stacks []string) {
	buf := make([]byte, 4<<20)
	for i, st := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if i > 0 && strings.Contains(st, "plexor/ipc/shm") && !strings.Contains(st, "testing.(*T).Run") {
			stacks = append(stacks, st)
		}
	}
	return stacks
}

// child is a process to play a part on the ring. Its standard error comes out with the test's.
func child(t testing.TB, r *Ring, part string, env ...string) *exec.Cmd {
	t.Helper()
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // the child has it
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(append(os.Environ(), childEnv+"="+part), env...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	return cmd
}

// start starts a child.
func start(t testing.TB, r *Ring, part string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := child(t, r, part, env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func make1(t testing.TB, o Options) *Ring {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// another opens the ring once more.
func another(t testing.TB, r *Ring) *Ring {
	t.Helper()
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it is opened anew
	o, err := OpenFile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return o
}
