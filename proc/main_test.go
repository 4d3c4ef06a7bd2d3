//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/proc"
	"github.com/plexor-go/plexor/sock"
)

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 30 * time.Second

// The tests' masters are this test binary, told so by their environment, and its workers are what they start.
const beMaster = "PROC_TEST_MASTER"

// unlessThere names a file that keeps workers of the entry "echo unless" from beginning.
const unlessThere = "PROC_TEST_UNLESS"

// A setup is what such a master is to do.
type setup struct {
	Entry   string
	Workers int
	Addrs   []string
	PIDFile string
	Driver  string

	ReadyTimeout, Drain, Backoff, Steady time.Duration
	Deaths                               int
}

func TestMain(m *testing.M) {
	proc.Register("echo", echo)
	proc.Register("echo unless", func(w *proc.Worker) error {
		if exists(os.Getenv(unlessThere)) {
			return errors.New("somebody put a stop to it")
		}
		return echo(w)
	})
	proc.Register("echo late", func(w *proc.Worker) error { <-w.Stopping(); return echo(w) })
	proc.Register("fails", func(*proc.Worker) error { return errors.New("there is no such planet") })
	proc.Register("never ready", func(w *proc.Worker) error { <-w.Stopping(); return nil })
	proc.Register("dies", func(w *proc.Worker) error { _ = w.Ready(""); os.Exit(7); return nil })
	proc.Register("deaf", func(w *proc.Worker) error { _ = w.Ready(""); select {} })
	proc.Register("notifies", notifies)
	registerOrphans()
	registerTickets()
	proc.Main()
	if text := os.Getenv(beMaster); text != "" {
		os.Exit(runMaster(text))
	}
	if os.Getenv(beEcho) != "" {
		os.Exit(runEcho())
	}
	subreap()
	// Under the race detector each process waits a second before it ends, unless told otherwise.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	os.Exit(leak.Main(m))
}

func runMaster(text string) int {
	var s setup
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	if begun, ok := strings.CutPrefix(s.Entry, "pool "); ok {
		return poolMaster(begun)
	}
	if s.Entry == "tickets" {
		turnOnSignal()
	}
	m := &proc.Master{Entry: s.Entry, Workers: s.Workers, Addrs: s.Addrs, PIDFile: s.PIDFile, Config: []byte(s.Driver),
		ReadyTimeout: s.ReadyTimeout, Drain: s.Drain, Backoff: s.Backoff, Steady: s.Steady, Deaths: s.Deaths,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("master", os.Getpid()),
		OnReady: func(addrs []sock.Addr, status string) {
			fmt.Fprintf(os.Stderr, "READY %d %s %v\n", os.Getpid(), status, addrs)
		}}
	if err := m.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "ERROR", err)
		return 1
	}
	return 0
}

// echo answers each line, and datagram, with who answers: master, worker, process.
func echo(w *proc.Worker) error {
	who := fmt.Sprintf("%d %d %d ", os.Getppid(), w.Number, os.Getpid())
	srv := &plexor.Server{Driver: string(w.Config), Loops: 1,
		Handler: plexor.Messages(frame.Line{Max: 1000}, func(c *plexor.Conn, line []byte) error {
			return c.Send(append([]byte(who), line...))
		}),
		Packets: plexor.PacketFunc(func(p *plexor.Packet) { _ = p.Reply(append([]byte(who), p.Data...)) })}
	return w.Serve(srv)
}

// notifies says that it is ready as any program does that knows systemd, and no more of package proc.
func notifies(w *proc.Worker) error {
	if sent, err := proc.Notify("READY=1"); !sent || err != nil {
		return fmt.Errorf("sent=%v: %v", sent, err)
	}
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") != strconv.Itoa(len(w.Addrs)) {
		return fmt.Errorf("LISTEN_PID=%s LISTEN_FDS=%s in process %d", os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"),
			os.Getpid())
	}
	<-w.Stopping()
	return nil
}

// masters are the processes that somebody waits for. Who starts one holds starts until it is there, for a test beside
// this one waits for what masters have left.
var (
	masters sync.Map
	starts  sync.RWMutex
)

// A running is a master under test.
type running struct {
	t     testing.TB
	cmd   *exec.Cmd
	addrs []string
	id    string
	ended chan struct{}

	mu   sync.Mutex
	log  []string
	more chan struct{} // closed, and made anew, with each line
}

// start starts a master; the program is this test binary unless told otherwise.
func (s setup) start(t testing.TB, change ...func(*exec.Cmd)) *running {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	m := &running{t: t, id: fmt.Sprintf("PROC_TEST_ID=%d-%d", os.Getpid(), time.Now().UnixNano()),
		ended: make(chan struct{}), more: make(chan struct{})}
	m.cmd = exec.Command(os.Args[0])
	m.cmd.Env = append(os.Environ(), beMaster+"="+string(text), m.id)
	for _, c := range change {
		c(m.cmd)
	}
	// A pipe of our own, for Wait is not to wait for the workers.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m.cmd.Stderr = w
	starts.RLock()
	err = m.cmd.Start()
	if err == nil {
		masters.Store(m.cmd.Process.Pid, true)
	}
	starts.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close() // the master has it
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			m.mu.Lock()
			m.log = append(m.log, lines.Text())
			close(m.more)
			m.more = make(chan struct{})
			m.mu.Unlock()
		}
	}()
	go func() {
		_ = m.cmd.Wait() // the test looks at ProcessState
		masters.Delete(m.cmd.Process.Pid)
		close(m.ended)
	}()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill() // it may have ended, as the test wanted
		<-m.ended
		m.clean()
		select {
		case <-read:
		case <-time.After(patience):
			t.Error("somebody still holds the log open")
		}
		_ = r.Close() // read to its end
		if t.Failed() {
			t.Logf("the log:\n%s", m.text())
		}
	})
	return m
}

// ready starts a master and waits until it says that it is.
func (s setup) ready(t testing.TB, change ...func(*exec.Cmd)) *running {
	t.Helper()
	m := s.start(t, change...)
	line := m.says(`READY .*`)
	m.addrs = strings.Fields(line[strings.Index(line, "[")+1 : strings.Index(line, "]")])
	return m
}

func (m *running) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.log, "\n")
}

// saysTimes waits until the log matches n times, and returns the last match.
func (m *running) saysTimes(n int, re string) string {
	m.t.Helper()
	limit := time.After(patience)
	for {
		m.mu.Lock()
		more := m.more
		m.mu.Unlock()
		if found := regexp.MustCompile("(?m)"+re).FindAllString(m.text(), -1); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-more:
		case <-limit:
			m.t.Fatalf("the log does not say %q %d times:\n%s", re, n, m.text())
		}
	}
}

func (m *running) says(re string) string {
	m.t.Helper()
	return m.saysTimes(1, re)
}

func (m *running) count(re string) int {
	return len(regexp.MustCompile("(?m)"+re).FindAllString(m.text(), -1))
}

func (m *running) signal(sig syscall.Signal) {
	m.t.Helper()
	if err := m.cmd.Process.Signal(sig); err != nil {
		m.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (m *running) exit() int {
	m.t.Helper()
	select {
	case <-m.ended:
	case <-time.After(patience):
		m.t.Fatalf("the master still runs %v later:\n%s", patience, m.text())
	}
	return m.cmd.ProcessState.ExitCode()
}

// ends ends the master by a signal, and wants it to be content.
func (m *running) ends(sig syscall.Signal) {
	m.t.Helper()
	m.signal(sig)
	if code := m.exit(); code != 0 {
		m.t.Errorf("exit %d after %v, want 0", code, sig)
	}
}

// An answer is who answered.
type answer struct{ master, worker, pid int }

func (m *running) dial(n int) net.Conn {
	m.t.Helper()
	scheme, host, _ := strings.Cut(m.addrs[n], "://")
	c, err := net.Dial(scheme, host)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = c.Close() }) // most tests have closed it
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	return c
}

// ask has a connection answer.
func (m *running) ask(c net.Conn) answer {
	m.t.Helper()
	a, err := ask(c, "hello")
	if err != nil {
		m.t.Fatal(err)
	}
	return a
}

func ask(c net.Conn, text string) (a answer, err error) {
	if _, err := c.Write([]byte(text + "\n")); err != nil {
		return a, err
	}
	buf := make([]byte, 0, 200)
	for len(buf) == 0 || buf[len(buf)-1] != '\n' {
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return a, fmt.Errorf("after %q: %w", buf, err)
		}
		buf = buf[:len(buf)+n]
	}
	var got string
	if _, err := fmt.Sscanf(string(buf), "%d %d %d %s\n", &a.master, &a.worker, &a.pid, &got); err != nil || got != text {
		return a, fmt.Errorf("got %q for %q: %v", buf, text, err)
	}
	return a, nil
}

// once connects, asks, and is gone.
func (m *running) once() answer {
	m.t.Helper()
	c := m.dial(0)
	a := m.ask(c)
	_ = c.Close() // it was answered
	return a
}

// fresh is a master with two workers at a tcp address.
func fresh() setup {
	return setup{Entry: "echo", Workers: 2, Addrs: []string{"tcp://127.0.0.1:0"}, Drain: 5 * time.Second}
}

// socketDir is a directory whose path is short enough for a socket's.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "proc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // the test looked at what matters
	return dir
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
