package proc_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/proc"
)

// manyOrphans is how many a worker leaves: more than its patience allows for if each had its second by itself.
const manyOrphans = 40

// orphans serves after it has left processes without a parent.
func orphans(w *proc.Worker) error { return leaving(w, "") }

// moreOrphans does so too, and more of them come all the time.
func moreOrphans(w *proc.Worker) error {
	return leaving(w, "while sleep 0.2; do (sleep 0.01 &); done &")
}

func leaving(w *proc.Worker, more string) error {
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 0.1 & i=$((i+1)); done; %s", manyOrphans, more)
	if err := exec.Command("sh", "-c", script).Run(); err != nil {
		return err
	}
	return echo(w)
}

// beReaper has this program be the one that TestReapNotOurs starts.
const beReaper = "PROC_TEST_REAPER"

func registerOrphans() {
	proc.Register("orphans", orphans)
	proc.Register("more orphans", moreOrphans)
	if os.Getenv(beReaper) != "" {
		if err := reapsAndWaits(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// reapsAndWaits waits for a child of its own only after a stranger that ended later was waited for.
func reapsAndWaits() error {
	defer proc.Reap()()
	own, err := proc.ForkOurs("/bin/sh", "sh", "-c", "exit 7")
	if err != nil {
		return err
	}
	if err := unix.Waitid(unix.P_PID, own, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return fmt.Errorf("until our own has ended: %w", err)
	}
	stranger, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 0"}, &syscall.ProcAttr{})
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); syscall.Kill(stranger, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("nobody has waited for the stranger")
		}
	}
	var status unix.WaitStatus
	if pid, err := unix.Wait4(own, &status, unix.WNOHANG, nil); pid != own || status.ExitStatus() != 7 {
		return fmt.Errorf("our own is %d, its status 7: we get %d, %d, %w", own, pid, status.ExitStatus(), err)
	}
	return nil
}

// TestReapNotOurs: a child that this package has started is left to its waiter, however late that comes.
func TestReapNotOurs(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), beReaper+"=1")
	starts.RLock()
	out, err := cmd.CombinedOutput()
	starts.RUnlock()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReapOrphans: a master that is process 1 waits for processes that others have left to it, for all of them
// together, also while more of them come all the time.
func TestReapOrphans(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"orphans", "more orphans"} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			inside := func(c *exec.Cmd) {
				script := `mount --make-rprivate / && mount -t proc proc /proc && exec "$0"`
				c.Path, c.Args = "/bin/sh", []string{"sh", "-c", script, c.Path}
				c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
			}
			probe := exec.Command("true")
			inside(probe)
			starts.RLock()
			out, err := probe.CombinedOutput()
			starts.RUnlock()
			if err != nil {
				t.Skipf("no namespace of processes can be made here: %v %s", err, out)
			}
			s := fresh()
			s.Entry = entry
			m := s.ready(t, inside)
			end := time.Now().Add(patience)
			for first := children(m.cmd.Process.Pid); ; time.Sleep(10 * time.Millisecond) {
				now := children(m.cmd.Process.Pid)
				left := slices.DeleteFunc(slices.Clone(first), func(pid int) bool { return !slices.Contains(now, pid) })
				if len(left) <= 2*s.Workers { // themselves, and what leaves more
					break
				}
				if time.Now().After(end) {
					t.Fatalf("of the processes %v the master has %v still, want its %d workers and what they run", first, left,
						s.Workers)
				}
			}
			m.ends(syscall.SIGTERM)
		})
	}
}
