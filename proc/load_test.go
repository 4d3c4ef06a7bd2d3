//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A load is clients that connect, ask a few times, and leave, again and again. Each call is accounted for: answered or
// failed.
type load struct {
	scheme, host string
	single       bool // one call a connection, without waiting
	stop         chan struct{}
	clients      sync.WaitGroup
	answered     atomic.Int64
	stuck        atomic.Int64 // failed because no answer came in time

	mu     sync.Mutex
	failed []error
	by     map[answer]int
}

// startLoad starts n clients.
func startLoad(t testing.TB, address string, n int, single ...bool) *load {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("the clients' seed is %d", seed)
	l := &load{stop: make(chan struct{}), by: make(map[answer]int), single: len(single) > 0}
	l.scheme, l.host, _ = strings.Cut(address, "://")
	for i := range n {
		l.clients.Go(func() { l.client(rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) client(r *rand.Rand) {
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		if err := l.visit(r, n); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				l.stuck.Add(1)
			}
			l.mu.Lock()
			l.failed = append(l.failed, err)
			l.mu.Unlock()
			time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond) // nobody is there, so it is no use to insist
		}
	}
}

// visit is one connection.
func (l *load) visit(r *rand.Rand, n int) error {
	c, err := net.Dial(l.scheme, l.host)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	calls := 1 + r.IntN(4)
	if l.single {
		calls = 1
	}
	for i := range calls {
		if r.IntN(4) == 0 && !l.single {
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond) // the connection waits, as many do
		}
		a, err := ask(c, fmt.Sprintf("%d.%d", n, i))
		if err != nil {
			return fmt.Errorf("call %d of connection %d: %w", i, n, err)
		}
		l.answered.Add(1)
		l.mu.Lock()
		l.by[a]++
		l.mu.Unlock()
	}
	return nil
}

// awaits waits until n more calls have been answered.
func (l *load) awaits(t testing.TB, n int64) {
	t.Helper()
	until := l.answered.Load() + n
	for end := time.Now().Add(patience); l.answered.Load() < until; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d more calls were answered within %v", n-(until-l.answered.Load()), n, patience)
		}
	}
}

// awaitsWorkers waits until processes that ok accepts have answered.
func (l *load) awaitsWorkers(t *testing.T, what string, ok func(by map[answer]int) bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		found := ok(l.by)
		l.mu.Unlock()
		if found {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
}

// flawless ends the load, and wants that all calls were answered.
func (l *load) flawless(t *testing.T) {
	t.Helper()
	l.end()
	t.Logf("%d calls were answered, by %d processes", l.answered.Load(), len(l.by))
	for i, err := range l.failed {
		if i == 5 {
			break
		}
		t.Errorf("a call failed: %v", err)
	}
	if n := len(l.failed); n > 0 {
		t.Errorf("%d calls failed, and %d were answered; want none lost", n, l.answered.Load())
	}
}

// eachStream runs f at a tcp and a unix address, on the best driver and on epoll.
func eachStream(t *testing.T, f func(t *testing.T, s setup)) {
	for _, driver := range []string{"auto", "epoll"} {
		for _, scheme := range []string{"tcp", "unix"} {
			t.Run(driver+" "+scheme, func(t *testing.T) {
				s := fresh()
				s.Driver = driver
				dir := socketDir(t)
				s.PIDFile = filepath.Join(dir, "pid")
				if scheme == "unix" {
					s.Addrs[0] = "unix://" + filepath.Join(dir, "s")
				}
				f(t, s)
				if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			})
		}
	}
}

// TestReload: HUP under load replaces every worker, and loses nothing.
func TestReload(t *testing.T) {
	eachStream(t, func(t *testing.T, s setup) {
		m := s.ready(t)
		l := startLoad(t, m.addrs[0], 8)
		for n := 1; n <= 3; n++ {
			l.awaits(t, 200)
			before := m.pids()
			m.signal(syscall.SIGHUP)
			m.saysTimes(n, `reload done`)
			l.awaits(t, 100)
			for pid := range before {
				m.says(fmt.Sprintf(`worker ended.*pid=%d\b`, pid))
			}
		}
		l.flawless(t)
		m.ends(syscall.SIGTERM)
	})
}

// TestReloadsAtOnce: HUP while a reload runs makes one more, however often it comes.
func TestReloadsAtOnce(t *testing.T) {
	t.Parallel()
	m := fresh().ready(t)
	l := startLoad(t, m.addrs[0], 4)
	l.awaits(t, 50)
	m.signal(syscall.SIGHUP)
	m.says(`msg=reload `)
	m.signal(syscall.SIGHUP)
	m.saysTimes(2, `reload done`)
	l.flawless(t)
	m.ends(syscall.SIGTERM)
}

// pids are the workers that were started.
func (m *running) pids() map[int]bool {
	pids := make(map[int]bool)
	for _, found := range regexp.MustCompile(`worker started.*pid=(\d+)`).FindAllStringSubmatch(m.text(), -1) {
		pid, err := strconv.Atoi(found[1])
		if err != nil {
			m.t.Fatal(err)
		}
		pids[pid] = true
	}
	return pids
}

// TestMoreAndFewerUnderLoad: TTIN and TTOU at random lose nothing.
func TestMoreAndFewerUnderLoad(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	eachStream(t, func(t *testing.T, s setup) {
		m := s.ready(t)
		l := startLoad(t, m.addrs[0], 8)
		for n, want := 0, 2; n < 10; n++ {
			l.awaits(t, 50)
			if r.IntN(2) == 0 && want < 5 || want == 1 {
				want++
				before := m.count(`worker ready`)
				m.signal(syscall.SIGTTIN)
				m.saysTimes(before+1, `worker ready`)
			} else {
				want--
				before := m.count(`one worker fewer`)
				m.signal(syscall.SIGTTOU)
				m.saysTimes(before+1, `one worker fewer`)
			}
		}
		l.flawless(t)
		m.ends(syscall.SIGTERM)
	})
}

// TestUpgrade: USR2 under load starts the program that stands in the file by now, on the same sockets; TERM then ends
// the old master, and nothing is lost.
func TestUpgrade(t *testing.T) {
	eachStream(t, func(t *testing.T, s setup) {
		program := filepath.Join(t.TempDir(), "program")
		install(t, program)
		m := s.ready(t, func(c *exec.Cmd) { c.Path, c.Args[0] = program, program })
		old := m.cmd.Process.Pid
		l := startLoad(t, m.addrs[0], 8)
		l.awaits(t, 200)
		install(t, program) // the old one's file is gone: it must not need it
		m.signal(syscall.SIGHUP)
		m.says(`reload done`)
		m.signal(syscall.SIGUSR2)
		m.says(`the new master is ready`)
		if got, err := os.ReadFile(s.PIDFile + ".oldbin"); err != nil || string(got) != fmt.Sprintln(old) {
			t.Errorf("the old master's pid file has %q, %v; want %d", got, err, old)
		}
		text, err := os.ReadFile(s.PIDFile)
		if err != nil {
			t.Fatal(err)
		}
		young, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || young == old {
			t.Fatalf("the pid file has %q; the old master is %d", text, old)
		}
		m.signal(syscall.SIGUSR2)
		m.says(`no upgrade: there is a second master already`)
		answered := func(by map[answer]int) bool {
			for a := range by {
				if a.master == young {
					return true
				}
			}
			return false
		}
		l.awaitsWorkers(t, "an answer of the new master's workers", answered)
		m.ends(syscall.SIGTERM)
		l.awaits(t, 200)
		m.says(`this one goes on alone`)
		if exists(s.PIDFile + ".oldbin") {
			t.Error("the old master's pid file is still there")
		}
		l.flawless(t)
		if file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", young)); err == nil && file != program {
			t.Errorf("the new master runs %q, want %q", file, program)
		}
		if err := syscall.Kill(young, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		m.says(fmt.Sprintf(`master ended.* pid=%d\b`, young))
	})
}

// TestUpgradeFails: a new program that does not work changes nothing, and one that is ended gives the files back.
func TestUpgradeFails(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		file string // the new program; "": a good one
		says string
	}{
		{"no program", "this is none", `the new master has ended; this one goes on.*exec`},
		{"one that exits", "#!/bin/sh\nexit 3\n", `the new master has ended; this one goes on.*exit status 3`},
		{"a good one that is ended", "", `the new master has ended; this one goes on`},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := socketDir(t)
			s := fresh()
			s.PIDFile = filepath.Join(dir, "pid")
			s.Addrs[0] = "unix://" + filepath.Join(dir, "s")
			program := filepath.Join(t.TempDir(), "program")
			install(t, program)
			m := s.ready(t, func(c *exec.Cmd) { c.Path, c.Args[0] = program, program })
			l := startLoad(t, m.addrs[0], 4)
			if row.file == "" {
				install(t, program)
			} else {
				replace(t, program, strings.NewReader(row.file))
			}
			m.signal(syscall.SIGUSR2)
			if row.file == "" {
				m.says(`the new master is ready`)
				text, err := os.ReadFile(s.PIDFile)
				if err != nil {
					t.Fatal(err)
				}
				young, err := strconv.Atoi(strings.TrimSpace(string(text)))
				if err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(young, syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			m.says(row.says)
			if got, err := os.ReadFile(s.PIDFile); err != nil || string(got) != fmt.Sprintln(m.cmd.Process.Pid) {
				t.Errorf("the pid file has %q, %v; want %d", got, err, m.cmd.Process.Pid)
			}
			l.awaits(t, 100)
			l.flawless(t)
			if n := zombies(m.cmd.Process.Pid); n != 0 {
				t.Errorf("the master has %d zombies", n)
			}
			m.ends(syscall.SIGTERM)
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// install puts this test binary where it replaces what stands there.
func install(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	replace(t, path, f)
}

func replace(t *testing.T, path string, content io.Reader) {
	t.Helper()
	// A process that another test starts meanwhile has the file open for writing until it executes its own program, and
	// until then nobody can execute this one (ETXTBSY, execve(2)).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err == nil {
		_, err = io.Copy(f, content)
		err = errors.Join(err, f.Close(), os.Rename(path+".new", path))
	}
	if err != nil {
		t.Fatal(err)
	}
}
