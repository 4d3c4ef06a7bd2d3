package leak

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// childEnv has the test binary be a process that is left behind.
const childEnv = "LEAK_TEST_CHILD"

// TestMain is a child that only stands there, or runs the tests.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		time.Sleep(time.Hour) // until it is killed
	}
	os.Exit(Main(m))
}

// TestCompare: each kind is told of, and with its number.
func TestCompare(t *testing.T) {
	Check(t)
	before := Take()
	if left := before.compare(take()); len(left) > 0 {
		t.Fatalf("at once there is %q", left)
	}
	for _, row := range []struct {
		name, want string
		linux      bool // only there it is known
		leave      func(t *testing.T)
	}{
		{"goroutine", "goroutines: ", false, func(t *testing.T) {
			end, ended := make(chan struct{}), make(chan struct{})
			go func() { <-end; close(ended) }()
			t.Cleanup(func() { close(end); <-ended })
		}},
		{"descriptor", "descriptors: ", true, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); w.Close() })
		}},
		{"process", "processes: ", true, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"=1")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.linux && runtime.GOOS != "linux" {
				t.Skip("only Linux tells")
			}
			before := Take()
			row.leave(t)
			left := strings.Join(before.compare(take()), "\n")
			if !strings.Contains(left, row.want) {
				t.Errorf("left: %q, want %q in it", left, row.want)
			}
		})
	}
	if left := before.left([]func() string{func() string { return "" }}); left != "" {
		t.Errorf("when all is gone there is %q", left)
	}
}

// TestRemovedStore: a file of nats-server's that was removed may stay open, and any other one may not.
func TestRemovedStore(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a descriptor is of is known on Linux alone")
	}
	for _, row := range []struct {
		name    string
		removed bool
		lines   int
	}{{"1.blk", true, 0}, {"1.blk", false, 1}, {"1.idx", true, 1}} {
		dir := filepath.Join(t.TempDir(), "msgs")
		before := Take()
		err := os.Mkdir(dir, 0o700)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(dir, row.name))
		if err != nil {
			t.Fatal(err)
		}
		if row.removed {
			err = os.Remove(f.Name())
		}
		lines := before.compare(take())
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || len(lines) != row.lines {
			t.Errorf("%+v: %q, %v", row, lines, err)
		}
	}
}
