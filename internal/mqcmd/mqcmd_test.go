package mqcmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/mqcmd"
	"github.com/plexor-go/plexor/mq"
)

func TestMain(m *testing.M) {
	if s := os.Getenv(serveVariable); s != "" {
		os.Exit(serveHere(s))
	}
	os.Exit(leak.Main(m))
}

// serveVariable has the test's program serve: it is a Serve as JSON.
const serveVariable = "PLEXOR_MQ_SERVE"

func serveHere(text string) (code int) {
	var s mqcmd.Serve
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.Run(&mqcmd.World{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// embedded is a broker in a folder of the test.
func embedded(t *testing.T) mqcmd.Target {
	t.Helper()
	return mqcmd.Target{URL: "nats+embedded://" + filepath.ToSlash(filepath.Join(t.TempDir(), "jobs"))}
}

// A command is one of plexor mq's.
type command interface{ Run(w *mqcmd.World) error }

// run runs one, and returns what it printed.
func run(t *testing.T, c command, stdin string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = c.Run(&mqcmd.World{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return out.String(), errs.String(), err
}

// must is run of what succeeds.
func must(t *testing.T, c command, stdin string) (stdout string) {
	t.Helper()
	stdout, stderr, err := run(t, c, stdin)
	if err != nil {
		t.Fatalf("%T: %v\n%s", c, err, stderr)
	}
	return stdout
}

// sub does count jobs.
func sub(at mqcmd.Target, count int) *mqcmd.Sub {
	return &mqcmd.Sub{Target: at, Queue: "q", Group: "default", InFlight: 1, Tries: 1, Count: count,
		Visibility: 10 * time.Second, Limit: time.Minute, Drain: time.Minute}
}

// TestPubSub: a text, lines and all of standard input are jobs, which come in their order.
func TestPubSub(t *testing.T) {
	t.Parallel()
	at := embedded(t)
	text := "one"
	must(t, &mqcmd.Pub{Target: at, Queue: "q", Text: &text}, "")
	ids := must(t, &mqcmd.Pub{Target: at, Queue: "q", Lines: true, IDs: true}, "two\r\nthree\n\nfive")
	if n := len(strings.Fields(ids)); n != 4 {
		t.Errorf("%d IDs, of 4: %q", n, ids)
	}
	must(t, &mqcmd.Pub{Target: at, Queue: "q"}, "all\nof it")
	if list := must(t, &mqcmd.Ls{Target: at}, ""); !strings.Contains(list, "\nq      6 ") {
		t.Errorf("the list is\n%s", list)
	}
	if got, want := must(t, sub(at, 6), ""), "one\ntwo\nthree\n\nfive\nall\nof it\n"; got != want {
		t.Errorf("printed was %q, want %q", got, want)
	}
	// The last acknowledgement may be on its way to a server that ends with the command: then its job is in flight still.
	if list := must(t, &mqcmd.Ls{Target: at, JSON: true}, ""); !strings.Contains(list, `"waiting":0,`) {
		t.Errorf("the list is\n%s", list)
	}
	must(t, &mqcmd.Rm{Target: at, Queue: "q", Yes: true}, "")
	if list := must(t, &mqcmd.Ls{Target: at, JSON: true}, ""); list != "" {
		t.Errorf("after rm the list is\n%s", list)
	}
}

// TestExec: a command's exit says what becomes of the job; the dead are listed, redriven and dropped.
func TestExec(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no shell to run commands with")
	}
	at := embedded(t)
	must(t, &mqcmd.Pub{Target: at, Queue: "q", Lines: true}, "good\nbad\nugly\ngood again\n")
	s := sub(at, 2)
	s.Exec = `read line; echo "$PLEXOR_JOB_TRY $PLEXOR_JOB_QUEUE $line"; case $line in bad) exit 65;; ugly) exit 3;; esac`
	if got, want := must(t, s, ""), "1 q good\n1 q bad\n1 q ugly\n1 q good again\n"; got != want {
		t.Errorf("printed was %q, want %q", got, want)
	}
	dead := must(t, &mqcmd.Dead{Target: at, Queue: "q", Most: 10}, "")
	for _, want := range []string{"bad", "exit status 65", "ugly", "exit status 3"} {
		if !strings.Contains(dead, want) {
			t.Errorf("the dead are\n%s\nwithout %q", dead, want)
		}
	}
	ref := strings.Fields(strings.Split(dead, "\n")[1])[0]
	choice := mqcmd.Choice{Target: at, Queue: "q", Refs: []string{ref}}
	must(t, &mqcmd.Drop{Choice: choice}, "")
	if _, _, err := run(t, &mqcmd.Redrive{Choice: choice}, ""); !errors.Is(err, mq.ErrNoJob) {
		t.Errorf("redrive of one that was dropped: %v", err)
	}
	must(t, &mqcmd.Redrive{Choice: mqcmd.Choice{Target: at, Queue: "q", All: true}}, "")
	if got := must(t, sub(at, 1), ""); got != "ugly\n" {
		t.Errorf("redriven was %q", got)
	}
}

// A broken writer is a pipe that nobody reads any more.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestBrokenPipe: a job that could not be printed is not done.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	at := embedded(t)
	text := "precious"
	must(t, &mqcmd.Pub{Target: at, Queue: "q", Text: &text}, "")
	err := sub(at, 0).Run(&mqcmd.World{In: strings.NewReader(""), Out: broken{}, Err: io.Discard})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("sub ended with %v", err)
	}
	if got := must(t, sub(at, 1), ""); got != "precious\n" {
		t.Errorf("then came %q", got)
	}
}

// TestBench: the measurement runs, and leaves nothing.
func TestBench(t *testing.T) {
	t.Parallel()
	at := embedded(t)
	out := must(t, &mqcmd.Bench{Target: at, Jobs: 50, Size: 20, Publishers: 5, InFlight: 5}, "")
	for _, want := range []string{"synced", "stored by 5", "done, 5 at once", "both at once", "p50"} {
		if !strings.Contains(out, want) {
			t.Errorf("printed was\n%s\nwithout %q", out, want)
		}
	}
	if list := must(t, &mqcmd.Ls{Target: at, JSON: true}, ""); list != "" {
		t.Errorf("left is\n%s", list)
	}
}

// TestMemory: a job in the command's own memory would be gone with it, and who publishes it is told so. A measurement
// needs nobody else.
func TestMemory(t *testing.T) {
	t.Parallel()
	text := "precious"
	at := mqcmd.Target{URL: "mem:"}
	for _, c := range []command{&mqcmd.Pub{Target: at, Queue: "q", Text: &text}, sub(at, 1), &mqcmd.Ls{Target: at},
		&mqcmd.Dead{Target: mqcmd.Target{URL: "mem://shared"}, Queue: "q", Most: 1}} {
		_, _, err := run(t, c, "")
		if !errors.As(err, new(mqcmd.UsageError)) || !strings.Contains(err.Error(), "write nats+embedded:///FOLDER") {
			t.Errorf("%T: %v, want a UsageError that says what to write", c, err)
		}
	}
	must(t, &mqcmd.Bench{Target: at, Jobs: 5, Size: 20, Publishers: 1, InFlight: 1}, "")
}

// TestUsage: mistakes on the command line are told from what went wrong, and a password is in no error.
func TestUsage(t *testing.T) {
	t.Parallel()
	text := "x"
	at := mqcmd.Target{URL: "mem://"}
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		c    command
		want string
	}{
		{"unknown scheme", &mqcmd.Ls{Target: mqcmd.Target{URL: "tpc://u:hunter2@h"}}, `unknown scheme "tpc": there are amqp`},
		{"no URL", &mqcmd.Ls{Target: mqcmd.Target{URL: "localhost"}}, "is no URL of a broker"},
		{"a bad URL", &mqcmd.Ls{Target: mqcmd.Target{URL: "redis://u:hunter2@h:x y"}}, "the broker's URL is wrong"},
		{"text and lines", &mqcmd.Pub{Target: at, Queue: "q", Text: &text, Lines: true}, "--lines"},
		{"a bad header", &mqcmd.Pub{Target: at, Queue: "q", Text: &text, Header: []string{"x"}}, "want NAME: VALUE"},
		{"no jobs at once", &mqcmd.Sub{Target: at, Queue: "q", Tries: 1}, "--in-flight"},
		{"exec and json", &mqcmd.Sub{Target: at, Queue: "q", Tries: 1, InFlight: 1, Exec: "x", JSON: true}, "--json"},
		{"rm without a yes", &mqcmd.Rm{Target: at, Queue: "q"}, "add --yes"},
		{"redrive of nothing", &mqcmd.Redrive{Choice: mqcmd.Choice{Target: at, Queue: "q"}}, "--all"},
		{"no size", &mqcmd.Bench{Target: at, Jobs: 1, Publishers: 1, InFlight: 1, Size: 1}, "--size"},
		{"serve to all", &mqcmd.Serve{Dir: dir, Listen: ":0", Store: 1, Memory: 1}, "others than this machine can reach :0"},
		{"routes alone", &mqcmd.Serve{Dir: dir, Listen: "127.0.0.1:0", Store: 1, Memory: 1, Route: []string{"x:1"}},
			"--cluster"},
		{"an authority alone", &mqcmd.Serve{Dir: dir, Listen: "127.0.0.1:0", Store: 1, Memory: 1, Cluster: "127.0.0.1:0",
			Route: []string{"x:1"}, CA: short}, "they go together"},
		{"a certificate for no cluster", &mqcmd.Serve{Dir: dir, Listen: "127.0.0.1:0", Store: 1, Memory: 1, Cert: short,
			CA: short}, "with --cluster"},
		{"a key alone", &mqcmd.Serve{Dir: dir, Listen: "127.0.0.1:0", Store: 1, Memory: 1, TLSKey: short}, "with --cert"},
		{"a short secret", &mqcmd.Serve{Dir: dir, Listen: ":0", Store: 1, Memory: 1, Token: short}, "has 6 bytes"},
	} {
		_, _, err := run(t, row.c, "")
		if !errors.As(err, new(mqcmd.UsageError)) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want a UsageError with %q", row.name, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in %q", row.name, err)
		}
	}
	_, _, err := run(t, &mqcmd.Dead{Target: embedded(t), Queue: "q", Most: 1}, "")
	if !errors.Is(err, mq.ErrNoQueue) || errors.As(err, new(mqcmd.UsageError)) {
		t.Errorf("the dead of no queue: %v", err)
	}
	if !slices.Contains(mq.Schemes(), "amqp") {
		t.Error("the command does not have all brokers")
	}
}
