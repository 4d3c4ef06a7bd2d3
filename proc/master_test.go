//go:build linux || darwin || freebsd || netbsd || openbsd

package proc_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
)

// TestServe: every kind of address on every driver, and nothing is left at the end.
func TestServe(t *testing.T) {
	t.Parallel()
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			dir := socketDir(t)
			s := fresh()
			s.Driver = d.Name
			s.PIDFile = filepath.Join(dir, "pid")
			path := filepath.Join(dir, "s")
			s.Addrs = []string{"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "unix://" + path, "udp://127.0.0.1:0"}
			m := s.ready(t)
			if got, err := os.ReadFile(s.PIDFile); err != nil || string(got) != fmt.Sprintln(m.cmd.Process.Pid) {
				t.Errorf("the pid file has %q, %v; want %d", got, err, m.cmd.Process.Pid)
			}
			for i := range s.Addrs {
				c := m.dial(i)
				for range 3 {
					if a := m.ask(c); a.master != m.cmd.Process.Pid || a.worker < 1 || a.worker > 2 {
						t.Errorf("%s: %+v answers, want a worker of master %d", m.addrs[i], a, m.cmd.Process.Pid)
					}
				}
				_ = c.Close() // it was answered
			}
			m.ends(syscall.SIGTERM)
			if exists(path) || exists(s.PIDFile) {
				t.Errorf("the socket's file is there: %v, the pid file: %v", exists(path), exists(s.PIDFile))
			}
		})
	}
}

// TestRestart: a worker that dies is started again, and leaves no zombie.
func TestRestart(t *testing.T) {
	s := fresh()
	s.Workers = 1
	s.Backoff = time.Millisecond
	m := s.ready(t)
	files := leak.FilesOf(m.cmd.Process.Pid)
	for n := range 3 {
		was := m.once()
		if err := syscall.Kill(was.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.saysTimes(n+2, `worker ready`)
		is := m.once()
		if is.pid == was.pid || is.worker != 1 {
			t.Errorf("after worker %+v was killed, %+v answers", was, is)
		}
	}
	if n := zombies(m.cmd.Process.Pid); n != 0 {
		t.Errorf("the master has %d zombies", n)
	}
	m.says(`worker died.*signal: killed`)
	for end := time.Now().Add(patience); leak.FilesOf(m.cmd.Process.Pid) > files; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the master has %d descriptors open, and had %d before its workers died", leak.FilesOf(m.cmd.Process.Pid),
				files)
		}
	}
	m.ends(syscall.SIGTERM)
}

// TestGiveUp: a master whose workers can't be kept alive says why, and ends with 1.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		setup setup
		says  string
		tries int
	}{
		{"they fail to start", setup{Entry: "fails"}, `worker 1 could not start: there is no such planet`, 1},
		{"they die again and again", setup{Entry: "dies", Deaths: 4, Backoff: time.Millisecond},
			`worker 1 died 4 times in a row.*exit status 7`, 4},
		{"they are never ready", setup{Entry: "never ready", ReadyTimeout: 50 * time.Millisecond, Deaths: 2,
			Backoff: time.Millisecond},
			`died 2 times in a row.*not ready within 50ms, and was killed`, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := socketDir(t)
			row.setup.Workers = 1
			row.setup.PIDFile = filepath.Join(dir, "pid")
			row.setup.Addrs = []string{"unix://" + filepath.Join(dir, "s")}
			m := row.setup.start(t)
			if code := m.exit(); code != 1 {
				t.Errorf("exit %d, want 1", code)
			}
			m.says(`^ERROR .*` + row.says)
			if n := m.count(`worker started`); n != row.tries {
				t.Errorf("%d workers were started, want %d", n, row.tries)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestMoreAndFewer: TTIN and TTOU.
func TestMoreAndFewer(t *testing.T) {
	m := fresh().ready(t)
	m.signal(syscall.SIGTTIN)
	m.saysTimes(3, `worker ready`)
	for n := 2; n >= 1; n-- {
		m.signal(syscall.SIGTTOU)
		m.says(fmt.Sprintf(`one worker fewer.* workers=%d`, n))
	}
	m.saysTimes(2, `worker ended`)
	m.signal(syscall.SIGTTOU)
	m.says(`there is only one`)
	if a := m.once(); a.worker != 1 {
		t.Errorf("worker %d answers, want 1, the only one", a.worker)
	}
	m.ends(syscall.SIGTERM)
}

// TestStop: the ways to end.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		setup   setup
		signals []syscall.Signal
		code    int
		cut     bool
	}{
		{"TERM closes quiet connections", setup{Entry: "echo", Drain: time.Hour}, []syscall.Signal{syscall.SIGTERM}, 0,
			false},
		{"INT is quick", setup{Entry: "echo", Drain: time.Hour}, []syscall.Signal{syscall.SIGINT}, 0, true},
		{"QUIT is quick", setup{Entry: "echo", Drain: time.Hour}, []syscall.Signal{syscall.SIGQUIT}, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.setup.Workers, row.setup.Addrs = 2, []string{"tcp://127.0.0.1:0"}
			m := row.setup.ready(t)
			c := m.dial(0)
			m.ask(c)
			for _, sig := range row.signals {
				m.signal(sig)
			}
			if code := m.exit(); code != row.code {
				t.Errorf("exit %d, want %d", code, row.code)
			}
			_, err := c.Read(make([]byte, 1))
			if wasCut := err != nil && strings.Contains(err.Error(), "reset"); wasCut != row.cut {
				t.Errorf("the client's connection ended with %v; cut = %v, want %v", err, wasCut, row.cut)
			}
		})
	}
	t.Run("a worker that does not end is killed", func(t *testing.T) {
		s := setup{Entry: "deaf", Workers: 1, Drain: time.Millisecond}
		m := s.ready(t)
		m.signal(syscall.SIGTERM)
		if code := m.exit(); code != 1 {
			t.Errorf("exit %d, want 1", code)
		}
		m.says(`^ERROR .*did not come to its end`)
	})
	t.Run("a second TERM does not wait", func(t *testing.T) {
		s := fresh()
		s.Drain = time.Hour
		m := s.ready(t)
		c := m.dial(0)
		clog(t, c)
		m.signal(syscall.SIGTERM)
		m.says(`master stops`)
		m.signal(syscall.SIGTERM)
		if code := m.exit(); code != 1 {
			t.Errorf("exit %d, want 1", code)
		}
		m.says(`^ERROR .*second signal`)
	})
}

// clog writes and does not read until the server stops reading.
func clog(t *testing.T, c net.Conn) {
	t.Helper()
	piece := []byte(strings.Repeat(strings.Repeat("x", 900)+"\n", 1000))
	for rest := piece; ; {
		if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Write(rest)
		if n == 0 && os.IsTimeout(err) {
			return
		} else if err != nil && !os.IsTimeout(err) {
			t.Fatal(err)
		}
		if rest = rest[n:]; len(rest) == 0 { // a line goes on where it was cut
			rest = piece
		}
	}
}

// TestMasterDies: its workers end, and the address is free for another.
func TestMasterDies(t *testing.T) {
	t.Parallel()
	dir := socketDir(t)
	s := fresh()
	s.PIDFile = filepath.Join(dir, "pid")
	s.Addrs = append(s.Addrs, "unix://"+filepath.Join(dir, "s"))
	m := s.ready(t)
	c := m.dial(0)
	m.ask(c)
	m.signal(syscall.SIGKILL)
	m.exit()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes, want the end: the worker drains", n)
	}
	m.clean()
	s.Addrs[0] = m.addrs[0]
	again := s.ready(t) // what the dead one left is taken over: the address, the pid file, the socket's file
	again.ask(again.dial(1))
	again.ends(syscall.SIGTERM)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPIDFileTaken: a second master with the same pid file is refused, and the first one is left alone.
func TestPIDFileTaken(t *testing.T) {
	s := fresh()
	s.PIDFile = filepath.Join(socketDir(t), "pid")
	m := s.ready(t)
	second := s.start(t)
	if code := second.exit(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	second.says(fmt.Sprintf(`^ERROR .*it is held by process %d`, m.cmd.Process.Pid))
	m.once()
	if !exists(s.PIDFile) {
		t.Error("the first one's pid file is gone")
	}
	m.ends(syscall.SIGTERM)
}

// TestWorkerTerm: SIGTERM to a worker drains it, and another takes its place.
func TestWorkerTerm(t *testing.T) {
	s := fresh()
	s.Workers, s.Backoff = 1, time.Millisecond
	m := s.ready(t)
	was := m.once()
	if err := syscall.Kill(was.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.saysTimes(2, `worker ready`)
	if is := m.once(); is.pid == was.pid {
		t.Errorf("the same worker answers: %+v", is)
	}
	m.ends(syscall.SIGTERM)
}

// TestStopBeforeReady: workers that are told to end before they have begun to serve end in good order.
func TestStopBeforeReady(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := fresh()
		s.Entry = "echo late"
		m := s.start(t)
		m.saysTimes(2, `worker started`)
		m.ends(sig)
		if n := m.count(`cut off`); n > 0 {
			t.Errorf("after %v %d workers were cut off", sig, n)
		}
	}
}

// TestDeadBeforeTold: a worker that was killed from outside before the master was told to drain is no worker that it
// cut off, whichever of the two it hears of first. The master is stopped meanwhile, so that it hears of both at once.
func TestDeadBeforeTold(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip(err)
	}
	// is waits until all of these files of /proc, each a thread's or process's stat, are as that says.
	is := func(pattern string, as func(state string, threads string) bool) {
		for end := time.Now().Add(patience); ; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%s is not as wanted", pattern)
			}
			files, err := filepath.Glob(pattern)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(files, func(file string) bool {
				stat, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
				return !as(fields[0], fields[17])
			}) {
				return
			}
		}
	}
	for range 5 {
		m := fresh().ready(t)
		was := m.once()
		m.signal(syscall.SIGSTOP)
		// All of its threads: one that waits for a worker would still hear of its end.
		is(fmt.Sprintf("/proc/%d/task/*/stat", m.cmd.Process.Pid), func(state, _ string) bool { return state == "T" })
		if err := syscall.Kill(was.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// Its other threads may end after the first, and only then has it ended. The folder task lists them no more earlier.
		is(fmt.Sprintf("/proc/%d/stat", was.pid), func(state, threads string) bool { return state == "Z" && threads == "1" })
		m.signal(syscall.SIGTERM)
		m.ends(syscall.SIGCONT)
		if n := m.count(`cut off`); n > 0 {
			t.Errorf("%d workers were cut off:\n%s", n, m.text())
		}
	}
}

// TestSlainInDrain: a worker that was told to end, and that somebody else kills, has died, and is not one that
// took too long.
func TestSlainInDrain(t *testing.T) {
	t.Parallel()
	m := fresh().ready(t)
	was := m.once()
	if err := syscall.Kill(was.pid, syscall.SIGSTOP); err != nil { // it does not end by itself
		t.Fatal(err)
	}
	m.signal(syscall.SIGTERM)
	m.says(`master stops`)
	if err := syscall.Kill(was.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	code := m.exit()
	m.says(`worker died`)
	if code != 0 || m.count(`cut off`) > 0 {
		t.Errorf("exit %d:\n%s", code, m.text())
	}
}

// TestBackoff: the wait before a worker is started again doubles with each death in a row.
func TestBackoff(t *testing.T) {
	t.Parallel()
	s := setup{Entry: "dies", Workers: 1, Addrs: []string{"tcp://127.0.0.1:0"}, Deaths: 5, Backoff: 40 * time.Millisecond}
	begun := time.Now()
	m := s.start(t)
	if code := m.exit(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if took, least := time.Since(begun), (1+2+4+8)*s.Backoff; took < least {
		t.Errorf("it gave up after five deaths in %v, want at least %v", took, least)
	}
	m.says(`^ERROR .*worker 1 died 5 times in a row`)
}

// TestSteady: only a worker that was ready for less than Steady dies in a row.
func TestSteady(t *testing.T) {
	t.Parallel()
	s := fresh()
	s.Workers, s.Deaths, s.Backoff, s.Steady = 1, 2, time.Millisecond, time.Nanosecond
	kill := func(m *running) {
		if err := syscall.Kill(m.once().pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	m := s.ready(t)
	for n := range 5 {
		kill(m)
		m.saysTimes(n+2, `worker ready`)
	}
	m.ends(syscall.SIGTERM)
	s.Steady = time.Hour
	m = s.ready(t)
	kill(m)
	m.saysTimes(2, `worker ready`)
	kill(m)
	if code := m.exit(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	m.says(`^ERROR .*worker 1 died 2 times in a row.*signal: killed`)
}

// TestReloadFails: when a new worker can't begin, the old ones serve on, and the next reload may do better.
func TestReloadFails(t *testing.T) {
	s := fresh()
	s.Entry = "echo unless"
	stop := filepath.Join(socketDir(t), "stop")
	m := s.ready(t, func(c *exec.Cmd) { c.Env = append(c.Env, unlessThere+"="+stop) })
	l := startLoad(t, m.addrs[0], 4)
	l.awaits(t, 50)
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := m.pids()
	m.signal(syscall.SIGHUP)
	m.says(`reload failed: the workers that have not been replaced stay.*somebody put`)
	l.awaits(t, 50)
	for pid := range before {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("worker %d is gone: %v", pid, err)
		}
	}
	if err := os.Remove(stop); err != nil {
		t.Fatal(err)
	}
	m.signal(syscall.SIGHUP)
	m.says(`reload done`)
	l.flawless(t)
	m.ends(syscall.SIGTERM)
}
