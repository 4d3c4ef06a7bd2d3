package proc_test

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/proc"
)

// orphans serves after it has left processes without a parent.
func orphans(w *proc.Worker) error {
	for range 3 {
		if err := exec.Command("sh", "-c", "sleep 0.1 & exit 0").Run(); err != nil {
			return err
		}
	}
	return echo(w)
}

func registerOrphans() { proc.Register("orphans", orphans) }

// TestReapOrphans: a master that is process 1 waits for processes that others have left to it.
func TestReapOrphans(t *testing.T) {
	t.Parallel()
	s := fresh()
	s.Entry = "orphans"
	probe := exec.Command("true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	starts.RLock()
	err := probe.Run()
	starts.RUnlock()
	if err != nil {
		t.Skipf("no namespace of processes can be made here: %v", err)
	}
	m := s.ready(t, func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID} })
	for end := time.Now().Add(patience); len(children(m.cmd.Process.Pid)) > s.Workers; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the master has the processes %v, want its %d workers alone", children(m.cmd.Process.Pid), s.Workers)
		}
	}
	m.ends(syscall.SIGTERM)
}
