//go:build linux

package proc_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/proc"
)

var killTime = flag.Duration("kill", 0,
	"how long each test that kills processes at random goes on (a minute for the long run; 0: what is usual)")

// killFor is how long a test that kills at random goes on: a third of a second, and in CI, where rare moments are
// looked for, more than four times that.
func killFor() time.Duration {
	switch {
	case *killTime > 0:
		return *killTime
	case portion.All():
		return 1500 * time.Millisecond
	}
	return 350 * time.Millisecond
}

// killSeed is the seed of a test that kills.
func killSeed(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("the killer's seed is %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestKillWorkers: workers are killed at random under load, between reloads; each call is answered or fails at once,
// and the master brings every worker back.
func TestKillWorkers(t *testing.T) {
	r := killSeed(t)
	s := fresh()
	s.Workers, s.Backoff, s.Deaths = 3, time.Millisecond, 1<<30
	s.PIDFile = filepath.Join(socketDir(t), "pid")
	m := s.ready(t)
	l := startLoad(t, m.addrs[0], 8)
	kills := 0
	for end := time.Now().Add(killFor()); time.Now().Before(end); {
		time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond) // the moments are what is random
		if r.IntN(10) == 0 {
			m.signal([]syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU}[r.IntN(3)])
			continue
		}
		if workers := children(m.cmd.Process.Pid); len(workers) > 0 && syscall.Kill(workers[r.IntN(len(workers))],
			syscall.SIGKILL) == nil {
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

// TestKillMaster: the master is killed at random under load, in the midst of what it does; its workers end, and the
// next one takes the address, the socket's file and the pid file.
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
	for end := time.Now().Add(killFor()); time.Now().Before(end); kills++ {
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

// TestKillPool: the workers of a pool are killed at random under load, thousands of times in a long run, and each call
// is accounted for: it has its result, or, if it was tried as often as it may be, the reason.
func TestKillPool(t *testing.T) {
	r := killSeed(t)
	for _, tries := range []int{1 << 30, 2} {
		t.Run(fmt.Sprintf("tries %d", tries), func(t *testing.T) {
			p := newPool(t, proc.PoolOptions{Workers: 3, Tries: tries, Queue: 16})
			end := make(chan struct{})
			var callers sync.WaitGroup
			var right, lost, wrong atomic.Int64
			for i := range 6 {
				callers.Go(func() {
					for n := i; ; n += 6 {
						select {
						case <-end:
							return
						default:
						}
						got, err := square.Call(t.Context(), p, n)
						e, isLost := errors.AsType[*proc.LostError](err)
						switch {
						case err == nil && got == n*n:
							right.Add(1)
						case isLost && e.Tries == tries:
							lost.Add(1)
						default:
							wrong.Add(1)
							t.Errorf("square(%d) = %d, %v", n, got, err)
							return
						}
					}
				})
			}
			kills := 0
			for stop := time.Now().Add(killFor() / 2); time.Now().Before(stop); {
				time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond) // the moments are what is random
				for _, pid := range children(os.Getpid()) {
					if r.IntN(3) == 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
						kills++
					}
				}
			}
			close(end)
			callers.Wait()
			s := p.Stats()
			t.Logf("%d kills; of %d calls %d were answered and %d lost: %+v", kills, s.Done, right.Load(), lost.Load(), s)
			if n := right.Load() + lost.Load() + wrong.Load(); s.Done != n || s.Left != 0 {
				t.Errorf("the pool counts %+v, and the callers %d", s, n)
			}
			if tries > 2 && lost.Load() > 0 {
				t.Errorf("%d calls were lost", lost.Load())
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if left := children(os.Getpid()); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
		})
	}
}

// TestPoolStopped: a worker that has stopped to read holds up neither its call, when that is long, nor the pool's end.
func TestPoolStopped(t *testing.T) {
	long := strings.Repeat("x", 4<<20) // more than lies between two processes
	stopped := func(t *testing.T, o proc.PoolOptions) *proc.Pool {
		o.Workers, o.Queue = 1, 1
		p := newPool(t, o)
		pid, err := whoami.Call(t.Context(), p, struct{ N int }{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(unix.Kill(pid, unix.SIGSTOP),
			unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	// begun submits the long call, and another behind it, for which there is room only when the first has been begun.
	begun := func(t *testing.T, p *proc.Pool) (first, second *proc.Future[int]) {
		t.Helper()
		first, err := refuse.Submit(t.Context(), p, long)
		if err != nil {
			t.Fatal(err)
		}
		if second, err = square.Submit(t.Context(), p, 3); err != nil {
			t.Fatal(err)
		}
		return first, second
	}
	t.Run("limit", func(t *testing.T) {
		p := stopped(t, proc.PoolOptions{Limit: time.Second})
		first, second := begun(t, p)
		if _, err := first.Wait(t.Context()); !errors.As(err, new(*proc.LimitError)) {
			t.Errorf("got %v, want a LimitError", err)
		}
		if got, err := second.Wait(t.Context()); got != 9 || err != nil {
			t.Errorf("afterwards: %d, %v; want 9 from another worker", got, err)
		}
		if s := p.Stats(); s.Deaths != 1 || s.Again != 0 {
			t.Errorf("%+v, want one death, and no call begun again", s)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		p := stopped(t, proc.PoolOptions{Grace: time.Millisecond})
		cause := errors.New("enough")
		// Some time has to pass until the call has begun, how much depends on the machine.
		for after := 20 * time.Millisecond; p.Stats().Deaths == 0; after *= 2 {
			if after > patience {
				t.Fatal("the worker has not been replaced")
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), after, cause)
			_, err := refuse.Call(ctx, p, long)
			late := errors.Is(err, cause) || errors.Is(err, context.DeadlineExceeded)
			if replaced := p.Stats().Deaths > 0; !replaced && !late {
				t.Errorf("got %v, want the cause", err)
			}
			cancel()
		}
		if got, err := square.Call(t.Context(), p, 3); got != 9 || err != nil {
			t.Errorf("afterwards: %d, %v; want 9 from another worker", got, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		p := stopped(t, proc.PoolOptions{})
		first, second := begun(t, p)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, f := range []*proc.Future[int]{first, second} {
			if _, err := f.Wait(t.Context()); !errors.Is(err, proc.ErrPoolClosed) {
				t.Errorf("got %v, want ErrPoolClosed", err)
			}
		}
	})
}

// TestKilledInReload: a worker that is killed while a reload runs, an old one or a new one, leaves the master with all
// its workers, and it reloads again when it is told to.
func TestKilledInReload(t *testing.T) {
	r := killSeed(t)
	s := fresh()
	s.Backoff, s.Deaths = time.Millisecond, 1<<30
	m := s.ready(t)
	for range 20 {
		started := m.count(`worker started`)
		m.signal(syscall.SIGHUP)
		m.saysTimes(started+1, `worker started`)
		time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond) // the moments are what is random
		for _, pid := range children(m.cmd.Process.Pid) {
			if r.IntN(3) == 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended just now
			}
		}
	}
	done := m.count(`reload done`)
	m.signal(syscall.SIGHUP)
	m.saysTimes(done+1, `reload done`)
	for end := time.Now().Add(patience); len(children(m.cmd.Process.Pid)) != s.Workers; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the master has the processes %v, want %d workers", children(m.cmd.Process.Pid), s.Workers)
		}
	}
	m.once()
	m.ends(syscall.SIGTERM)
}

// TestKilledThenAsked: a connection made just after a worker was killed is served, though nobody else comes. (A ring of
// the dead may be woken for it; without a remedy two of 300 waited until the next one came.)
func TestKilledThenAsked(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			s := fresh()
			if scheme == "unix" {
				s.Addrs[0] = "unix://" + filepath.Join(socketDir(t), "s")
			}
			s.Workers, s.Deaths, s.Backoff, s.Steady = 1, 1<<30, time.Millisecond, time.Nanosecond
			m := s.ready(t)
			asked := 0
			for end := time.Now().Add(killFor()); time.Now().Before(end); asked++ {
				if err := syscall.Kill(m.once().pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				m.saysTimes(asked+2, `worker ready`)
			}
			t.Logf("asked %d times", asked)
			m.ends(syscall.SIGTERM)
		})
	}
}
