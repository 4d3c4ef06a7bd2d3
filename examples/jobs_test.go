package examples

import (
	"os/exec"
	"strings"
	"testing"
)

// TestJobs: the same program on each broker that needs no other program.
func TestJobs(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ backend, url string }{
		{"mem", "mem://"}, {"mem", "mem://shared"}, {"nats+embedded", "nats+embedded://" + t.TempDir()},
	} {
		for range 2 { // the second time with what the first one left
			out, err := exec.Command(build(t, "jobs"), row.url).CombinedOutput()
			want := row.backend + ": 10 jobs done, 1 dead: no such address\n"
			if err != nil || !strings.HasSuffix(string(out), want) {
				t.Errorf("%s: %v\n%s, want %s", row.url, err, out, want)
			}
		}
	}
	if out, err := exec.Command(build(t, "jobs"), "kafka://x").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), `unknown scheme "kafka"`) {
		t.Errorf("an unknown scheme: %v\n%s", err, out)
	}
}
