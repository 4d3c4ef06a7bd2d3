//go:build linux

package shm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/leak"
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
	files := rings()
	os.Exit(leak.Main(m, func() string {
		if now := rings(); now != files {
			return "files: " + now
		}
		return ""
	}))
}

func play(part string) error {
	mostSlots = 2 // so that what takes several holdings of the lock does so with few slots
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

func rings() string {
	names, _ := filepath.Glob(Dir + "/plexor-test-*") // the pattern is a good one
	return strings.Join(names, " ")
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
