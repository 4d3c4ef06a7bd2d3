package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestReapsAlone: plexor serve without workers, as process 1 of a container, waits for processes that are not its own,
// for all of them together: for each alone, a second each, this test has no patience.
func TestReapsAlone(t *testing.T) {
	inside := func(c *exec.Cmd) {
		script := fmt.Sprintf(`mount --make-rprivate / && mount -t proc proc /proc && i=0 &&
			while [ $i -lt %d ]; do sleep 0.1 & i=$((i+1)); done && exec "$0" "$@"`, 2*patience/time.Second)
		c.Args = append([]string{"sh", "-c", script, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	}
	probe := exec.Command("true")
	inside(probe)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("no namespace of processes can be made here: %v %s", err, out)
	}
	cmd := command("serve", "--loops=1", "echo=tcp://127.0.0.1:0")
	inside(cmd)
	s := serve(t, 1, cmd)
	children := func() (pids [][]byte) {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			text, _ := os.ReadFile(list) // the thread may have ended just now
			pids = append(pids, bytes.Fields(text)...)
		}
		return pids
	}
	for end := time.Now().Add(patience); len(children()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s are left", bytes.Join(children(), []byte(" ")))
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}
