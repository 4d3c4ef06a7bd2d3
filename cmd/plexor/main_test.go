package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/models"
	"github.com/plexor-go/plexor/proc"
)

// The tests run the command as a process of its own: this test binary, told by its environment to be plexor.
func TestMain(m *testing.M) {
	models.RunWorker()
	proc.Main()
	if os.Getenv("BE_PLEXOR") == "1" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(leak.Main(m))
}

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 60 * time.Second

// command is plexor with these arguments, not started.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "BE_PLEXOR=1")
	return cmd
}

// A server is a running plexor serve.
type server struct {
	t     *testing.T
	cmd   *exec.Cmd
	addrs []string // as printed, in the order of the command line
	ended chan struct{}

	mu   sync.Mutex
	log  []string      // what it printed
	more chan struct{} // closed, and made anew, with each line
}

var listening = regexp.MustCompile(`^listening (\w+) (\S+) (?:model=\w+|driver=(\w+) loops=(\d+))(?: fingerprint=([0-9A-F:]+))?(?: workers=\d+)?$`)

// serve starts cmd and waits until its n services listen.
func serve(t *testing.T, n int, cmd *exec.Cmd) *server {
	t.Helper()
	s := tryServe(t, n, cmd)
	if len(s.addrs) < n {
		t.Fatalf("%q ended before it listened, with %v:\n%s", cmd.Args, cmd.ProcessState, s.text())
	}
	return s
}

// tryServe is serve, but that cmd may end before its services listen: addrs is short then.
func tryServe(t *testing.T, n int, cmd *exec.Cmd) *server {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, cmd: cmd, ended: make(chan struct{}), more: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addrs := make(chan string, n)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				addrs <- m[2]
			}
		}
		_ = cmd.Wait() // the test looks at ProcessState
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended, as the test wanted
		<-s.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", cmd.Args, s.text())
		}
	})
	for range n {
		select {
		case a := <-addrs:
			s.addrs = append(s.addrs, a)
		case <-s.ended:
			return s
		case <-time.After(patience):
			t.Fatalf("%q: only %d of %d services listen after %v:\n%s", cmd.Args, len(s.addrs), n, patience, s.text())
		}
	}
	return s
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// says waits until the log matches, and returns all that does.
func (s *server) says(re string) []string {
	s.t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		more := s.more
		s.mu.Unlock()
		if found := regexp.MustCompile(re).FindAllString(s.text(), -1); found != nil {
			return found
		}
		select {
		case <-more:
		case <-limit:
			s.t.Errorf("the log does not say %q", re)
			return nil
		}
	}
}

// host is the n-th address without its scheme.
func (s *server) host(n int) string {
	_, host, _ := strings.Cut(s.addrs[n], "://")
	return host
}

func (s *server) port(n int) string {
	a := s.addrs[n]
	return a[strings.LastIndex(a, ":")+1:]
}

// fingerprint is that of the server's own certificate.
func (s *server) fingerprint() string {
	s.t.Helper()
	found := s.says(`fingerprint=[0-9A-F:]+`)
	if found == nil {
		s.t.FailNow()
	}
	return strings.TrimPrefix(found[0], "fingerprint=")
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (s *server) exit() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("plexor still runs %v later", patience)
	}
	return s.cmd.ProcessState.ExitCode()
}

// result runs the command in this process, for command lines that end by themselves.
func result(args ...string) (code int, stdout, stderr string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// resident is the server's resident memory in bytes.
func (s *server) resident() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skipf("resident memory is read from /proc: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	s.t.Fatalf("no VmRSS in:\n%s", status)
	return 0
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(b), err)
	}
	return string(b)
}
