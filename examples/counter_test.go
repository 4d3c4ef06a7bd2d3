package examples

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func TestCounter(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to build the examples with")
	}
	bin := filepath.Join(t.TempDir(), "counter")
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "./counter").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command(bin).CombinedOutput()
	const want = "4 workers counted to 1000, and to 1000 under the lock\n"
	if err != nil || string(out) != want {
		t.Errorf("printed %q, %v, want %q", out, err, want)
	}
}
