package examples

import (
	"os/exec"
	"testing"
)

func TestCounter(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(build(t, "counter")).CombinedOutput()
	const want = "4 workers counted to 1000, and to 1000 under the lock\n"
	if err != nil || string(out) != want {
		t.Errorf("printed %q, %v, want %q", out, err, want)
	}
}
