package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/compare"
	"github.com/plexor-go/plexor/internal/portion"
)

// TestCompareUsage: a wrong command line is told in one line, before anything is run or written.
func TestCompareUsage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	for _, row := range []struct {
		name string
		args []string
		code int
		want string // a regular expression for standard error
	}{
		{"unknown model", []string{"--models=epoll,fork"}, 2, `--models: unknown model "fork": there are blocking, busy, `},
		{"unknown service", []string{"--service=lower"}, 2, `--service: unknown service "lower": there are echo, upper`},
		{"no connections", []string{"--conns=1,0"}, 2, `--conns: 0 is out of range: want 1 to 20000`},
		{"too many connections", []string{"--conns=20001"}, 2, `--conns: 20001 is out of range`},
		{"connections in words", []string{"--conns=ten"}, 2, `--conns: .*ten`},
		{"too short", []string{"-d", "100ms"}, 2, `-d 100ms: want at least 200ms`},
		{"no duration", []string{"-d", "soon"}, 2, `soon`},
		{"an argument", []string{"tcp://127.0.0.1:9000"}, 2, `unexpected argument`},
		{"a file is in the way", []string{"--out=" + file}, 1, `make the directory .*file for the report`},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := result(append([]string{"compare", "--out=" + out}, row.args...)...)
			if code != row.code || !regexp.MustCompile(row.want).MatchString(stderr) || strings.Count(stderr, "\n") != 1 ||
				stdout != "" {
				t.Errorf("plexor compare %q: exit %d, want %d; standard error %q, want one line that matches %q; standard "+
					"output %q",
					row.args, code, row.code, stderr, row.want, stdout)
			}
			if _, err := os.Stat(out); !os.IsNotExist(err) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
	if os.Getuid() != 0 && runtime.GOOS != "windows" { // root may write anywhere
		if code, _, stderr := result("compare", "--out=/proc/none"); code != 1 || !strings.Contains(stderr, "/proc/none") {
			t.Errorf("--out=/proc/none: exit %d, %q", code, stderr)
		}
	}
}

// TestCompareModel: the hidden command serves until its standard input ends, and leaves nothing.
func TestCompareModel(t *testing.T) {
	cmd := command("compare-model", "goroutines", "--service=upper")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // it may have ended, as the test wants
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "serving tcp://127.0.0.1:") {
		t.Errorf("it says %q (%v), want where it serves, on this machine", line, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestCompare measures two models for real.
func TestCompare(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	cmd := command("compare", "--models=blocking,goroutines", "--conns=1,4", "-d",
		fmt.Sprint(portion.Fewer(400, 200), "ms"), "--service=upper", "--out", dir)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, want := range []string{"4 connections, service upper", "blocking    – it serves one client at a time",
		"\n  best "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("standard output does not have %q:\n%s", want, stdout.String())
		}
	}
	if strings.Contains(stdout.String()+stderr.String(), "\x1b") {
		t.Errorf("colour, and this is no terminal: %q, %q", stdout.String(), stderr.String())
	}
	all := portion.Fewer(6, 3) // half as many rounds in half the time
	for _, want := range []string{fmt.Sprintf(`(?m)^1/%d, \d+s left: \w+ × 1, round 1: \d+ messages a second$`, all),
		fmt.Sprintf(`(?m)^%d/%[1]d, 0s left: `, all), `(?m)^report .*report.html$`} {
		if !regexp.MustCompile(want).MatchString(stderr.String()) {
			t.Errorf("standard error has no match for %q:\n%s", want, stderr.String())
		}
	}
	r := results(t, dir)
	if v := r.Cell("goroutines", 4).Values["rate"]; v.Median <= 0 || r.EndedEarly != "" {
		t.Errorf("results.json: %+v, ended early %q", v, r.EndedEarly)
	}
	for _, name := range []string{"report.html", "rate.svg", "p99.svg"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func results(t *testing.T, dir string) *compare.Report {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &compare.Report{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCompareInterrupted: an interrupt ends it early, and what was measured is reported.
func TestCompareInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := command("compare", "--models=goroutines", "--conns=1,2", "-d", "600ms", "--out", dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(io.TeeReader(stderr, &said))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "1/6") {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, said.String())
	}
	if !strings.Contains(stdout.String(), "ended early: ") {
		t.Errorf("standard output does not say that it ended early:\n%s", stdout.String())
	}
	if r := results(t, dir); r.EndedEarly == "" || r.Cell("goroutines", 1).Values["rate"].Median <= 0 {
		t.Errorf("results.json: ended early %q, %+v", r.EndedEarly, r.Cell("goroutines", 1))
	}
}
