package gohttp

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var keep = flag.String("keep", "", "write the changed tests, and the overlay, to this directory and leave them there")

// build compiles the tests of a side, changed: those of the files, but for what is left out, and of the helpers what is
// wanted. It returns the program.
func (s side) build(t *testing.T, files []string, left func(string) bool, helpers map[string][]string) string {
	dir := *keep
	if dir == "" {
		dir = t.TempDir()
	}
	program := filepath.Join(dir, s.folder+".test")
	args := []string{"test", "-vet=off", "-overlay", s.overlay(t, dir, files, left, helpers), "-c", "-o", program,
		"./" + s.folder}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return program
}

// overlay writes the tests, and returns the file that lays them over the side's package.
func (s side) overlay(t *testing.T, dir string, files []string, left func(string) bool, helpers map[string][]string,
) string {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	replace := make(map[string]string)
	leave := make(map[string]func(string) bool)
	for _, name := range files {
		leave[name] = left
	}
	for name, wanted := range helpers {
		leave[name] = func(f string) bool { return !slices.Contains(wanted, f) }
	}
	for name, leave := range leave {
		b, err := s.rewrite(filepath.Join(runtime.GOROOT(), "src/net/http", name), leave)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, s.folder+"_"+name)
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(here, s.folder, name)] = to
	}
	b, _ := json.Marshal(map[string]any{"Replace": replace})
	to := filepath.Join(dir, s.folder+".json")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestGo runs Go's tests of servers, each way to serve a process of its own. What fails has to be on the list, and what
// is on the list has to fail.
func TestGo(t *testing.T) {
	program := server.build(t, files, left, helpers)
	for _, way := range []string{"goroutines", "inline", "conn"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			runWay(t, program, way, exceptions)
		})
	}
}

// TestGoClient runs Go's tests of clients on web.Client, likewise, but that some on the list pass at times, by what
// they find in the relay.
func TestGoClient(t *testing.T) {
	program := client.build(t, clientFiles, clientLeft, clientHelpers)
	runWay(t, program, "client", clientExceptions)
}

func runWay(t *testing.T, program, way string, exceptions []exception) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	args := []string{"-test.v", "-test.timeout", "7m"}
	if way == "inline" {
		args = append(args, "-test.skip", "^("+strings.Join(inlineLeftOut, "|")+")$")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(runtime.GOROOT(), "src/net/http") // where its testdata is
	cmd.Env = append(os.Environ(), "PLEXOR_WAY="+way)
	out, err := cmd.CombinedOutput()
	failed, passed := make(map[string]bool), make(map[string]bool)
	for line := range strings.SplitSeq(string(out), "\n") {
		switch f := strings.Fields(line); {
		case len(f) < 3 || f[0] != "---":
		case f[1] == "FAIL:":
			failed[f[2]] = true
		case f[1] == "PASS:":
			passed[f[2]] = true
		}
	}
	if len(failed)+len(passed) < 200 || strings.Contains(string(out), "\npanic: ") {
		t.Fatalf("it did not come to its end: %v\n%s", err, out[max(0, len(out)-20_000):])
	}
	for test := range failed {
		if !excepted(exceptions, way, test) && clientUnsteady[test] == "" && !hasFailedPart(failed, test) {
			t.Errorf("%s failed (to see it: go test -run '^%s$' -args -keep DIR; cd GOROOT/src/net/http; "+
				"PLEXOR_WAY=%s DIR/%s -test.run '^%s$')", test, t.Name(), way, filepath.Base(program), test)
		}
	}
	for _, e := range exceptions {
		if passed[e.test] && e.way == way {
			t.Errorf("%s passes, and is on the list of those that fail: %s", e.test, e.why)
		}
	}
	t.Logf("%d tests and parts of tests passed, %d failed as the list has it", len(passed), len(failed))
}

// hasFailedPart reports whether a subtest of test has failed, which is looked at by itself.
func hasFailedPart(failed map[string]bool, test string) bool {
	for name := range failed {
		if strings.HasPrefix(name, test+"/") {
			return true
		}
	}
	return false
}
