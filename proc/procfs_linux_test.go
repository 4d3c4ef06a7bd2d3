package proc_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// subreap makes this process the parent of what its masters leave, so that it can look, and wait, for them.
func subreap() {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
}

// A process is what /proc says of one.
type process struct {
	pid, parent int
	state       string
	name        string
}

func processes() (ps []process) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has just gone
		}
		open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		f := strings.Fields(string(stat[end+1:]))
		parent, err := strconv.Atoi(f[1])
		if err != nil {
			panic(err)
		}
		ps = append(ps, process{pid, parent, f[0], string(stat[open+1 : end])})
	}
	return ps
}

// children are the processes that a process has, whichever of its threads started them.
func children(parent int) (pids []int) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		panic(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended just now
		for _, f := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// mine are the processes of a master: those that carry its mark in their environment. A zombie has none.
func (m *running) mine() (ps []process) {
	for _, p := range processes() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err == nil && bytes.Contains(env, []byte(m.id)) {
			ps = append(ps, p)
		}
	}
	return ps
}

// zombies are the dead children of a process.
func zombies(parent int) (n int) {
	for _, p := range processes() {
		if p.parent == parent && p.state == "Z" {
			n++
		}
	}
	return n
}

// clean wants that nothing of the master is left, after a while.
func (m *running) clean() {
	m.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		left := m.mine()
		if orphans := reapOrphans(); len(left) == 0 && orphans == 0 {
			return
		}
		if time.Now().After(end) {
			m.t.Errorf("processes are left behind: %+v", left)
			for _, p := range left {
				_ = unix.Kill(p.pid, unix.SIGKILL)
			}
			return
		}
	}
}

// reapOrphans waits for what masters left when they were killed, or replaced, and has ended, for it is ours. It returns
// how many those are, with those that are about to end: a process gives back its memory first, and with that the
// environment by which mine would know it, then leaves its children to us, and is a zombie last.
func reapOrphans() (n int) {
	starts.Lock()
	defer starts.Unlock()
	for _, p := range processes() {
		if _, waited := masters.Load(p.pid); p.parent != os.Getpid() || waited {
			continue
		}
		if p.state == "Z" {
			_, _ = unix.Wait4(p.pid, nil, 0, nil) // what counts is that it has ended
			n++
		} else if env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid)); len(env) == 0 { // or ESRCH
			n++
		}
	}
	return n
}
