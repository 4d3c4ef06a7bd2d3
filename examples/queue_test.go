package examples

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("its memory is Linux's")
	}
	out, err := exec.Command(build(t, "queue")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []struct {
		line  string
		times int
	}{
		{"a worker is killed\n", 1},
		{"job 500 came again\n", 1},
		{"a worker ended: signal: killed\n", 1},
		{"a worker ended: exit status 0\n", 2},
		{"all 1000 jobs are done\n", 1},
	} {
		if n := strings.Count(string(out), want.line); n != want.times {
			t.Errorf("%q %d times, want %d, in\n%s", want.line, n, want.times, out)
		}
	}
}
