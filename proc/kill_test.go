//go:build linux

package proc_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var killTime = flag.Duration("kill", 4*time.Second, "how long each test that kills processes at random goes on (a minute for the long run)")

// killSeed is the seed of a test that kills.
func killSeed(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("the killer's seed is %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestKillWorkers: workers are killed at random under load, between reloads; each call is answered or fails at once, and the
// master brings every worker back.
func TestKillWorkers(t *testing.T) {
	r := killSeed(t)
	s := fresh()
	s.Workers, s.Backoff, s.Deaths = 3, time.Millisecond, 1<<30
	s.PIDFile = filepath.Join(socketDir(t), "pid")
	m := s.ready(t)
	l := startLoad(t, m.addrs[0], 8)
	kills := 0
	for end := time.Now().Add(*killTime); time.Now().Before(end); {
		time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond) // the moments are what is random
		if r.IntN(10) == 0 {
			m.signal([]syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU}[r.IntN(3)])
			continue
		}
		if workers := children(m.cmd.Process.Pid); len(workers) > 0 && syscall.Kill(workers[r.IntN(len(workers))], syscall.SIGKILL) == nil {
			kills++
		}
	}
	l.awaits(t, 200) // it has recovered, or does
	l.end()
	t.Logf("%d kills, %d calls answered, %d failed", kills, l.answered.Load(), len(l.failed))
	if n := l.stuck.Load(); n > 0 {
		t.Errorf("%d calls were stuck", n)
	}
	if len(l.failed) > 8*kills { // each of the clients has one connection at a time
		t.Errorf("%d calls failed by %d kills; want at most 8 for each", len(l.failed), kills)
	}
	for end := time.Now().Add(patience); zombies(m.cmd.Process.Pid) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the master has %d zombies", zombies(m.cmd.Process.Pid))
		}
	}
	m.ends(syscall.SIGTERM)
	if exists(s.PIDFile) {
		t.Error("the pid file is left behind")
	}
}

// TestKillMaster: the master is killed at random under load, in the midst of what it does; its workers end, and the next
// one takes the address, the socket's file and the pid file.
func TestKillMaster(t *testing.T) {
	r := killSeed(t)
	dir := socketDir(t)
	s := fresh()
	s.Addrs[0] = "unix://" + filepath.Join(dir, "s")
	s.PIDFile = filepath.Join(dir, "pid")
	s.Backoff = time.Millisecond
	m := s.ready(t)
	l := startLoad(t, m.addrs[0], 4)
	kills := 0
	for end := time.Now().Add(*killTime); time.Now().Before(end); kills++ {
		if r.IntN(2) == 0 {
			m.signal([]syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU}[r.IntN(3)])
		}
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond) // likewise
		m.signal(syscall.SIGKILL)
		m.exit()
		m.clean() // none of its workers stays
		m = s.ready(t)
		l.awaits(t, 20)
	}
	l.end()
	t.Logf("%d kills, %d calls answered, %d failed", kills, l.answered.Load(), len(l.failed))
	if n := l.stuck.Load(); n > 0 {
		t.Errorf("%d calls were stuck", n)
	}
	m.ends(syscall.SIGTERM)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
