//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// A child is a process of ours: a worker or a successor. Its fields belong to the master's goroutine.
type child struct {
	name    string
	number  int // a worker's
	proc    *os.Process
	pid     int
	started time.Time
	readyAt time.Time // zero: it is not
	leaving bool      // it was told to end
	failed  string    // what it said of its failure
	timer   *time.Timer
	control *os.File // for its goroutines

	out  chan message  // to tell it
	gone chan struct{} // closed when it has ended

	mu     sync.Mutex
	killed string // why we killed it
}

// mostTold is how many messages may wait for a child to read them: it is told of its start and at most of three ways
// to end, and of new keys for session tickets, hours apart.
const mostTold = 8

// A start is how a child is started.
type start struct {
	name   string
	number int
	job    job
	env    []string
	files  []uintptr // from firstFD on
	stdin  uintptr
	hello  message
	path   string

	heard func(c *child, m message)          // on a goroutine of its own, as are the other two
	ended func(c *child, s *os.ProcessState) // after the last heard
}

// begin starts the child. It does not block; the functions of s are called from then on.
func (s start) begin() (*child, error) {
	pair, err := sock.Pair()
	if err != nil {
		return nil, fmt.Errorf("proc: start %s: %w", s.name, err)
	}
	files := append([]uintptr{s.stdin, 1, 2}, s.files...)
	s.job.Control, s.job.Sockets = len(files), len(s.files)
	if s.job.Next != nil {
		s.job.Next.Control, s.job.Next.Sockets = s.job.Control, s.job.Sockets
	}
	files = append(files, uintptr(pair[1].FD()))
	text, err := json.Marshal(s.job)
	var pid int
	if err == nil {
		// Not by package os/exec: an os.File over a listener would be watched by Go's own poller, and so wake the master
		// for each connection.
		pid, err = forkOurs(s.path, os.Args, &syscall.ProcAttr{Env: append(s.env, jobVariable+"="+string(text)),
			Files: files})
	}
	_ = pair[1].Close() // the child has it
	if err != nil {
		_ = pair[0].Close() // err is the one to tell
		return nil, fmt.Errorf("proc: start %s: exec %s: %w", s.name, s.path, err)
	}
	proc, err := os.FindProcess(pid) // nobody else waits for it, so the number is still its own
	if err != nil {
		return nil, fmt.Errorf("proc: start %s: %w", s.name, err) // it never fails on Unix
	}
	c := &child{name: s.name, number: s.number, proc: proc, pid: pid, started: time.Now(),
		out: make(chan message, mostTold), gone: make(chan struct{})}
	c.out <- s.hello
	control := os.NewFile(uintptr(pair[0].FD()), "control") // non-blocking, so that a read ends when it is closed
	var talk sync.WaitGroup
	c.control = control
	talk.Go(func() { c.tell(control) })
	talk.Go(func() { c.hear(control, s.heard) })
	go func() {
		state, _ := proc.Wait() // there is no error while the child is ours
		notOurs(pid)
		close(c.gone)
		// What it wrote before it ended is read; what its own children hold of the pipe is not waited for.
		_ = control.SetReadDeadline(time.Now().Add(lastWords))
		talk.Wait()
		_ = control.Close() // nothing of it is needed any more
		s.ended(c, state)
	}()
	return c, nil
}

// ours counts the processes that forkOurs started and that were not waited for yet: no orphan is among them. It counts
// because a number may be given anew before notOurs is called for the process that had it.
var ours = struct {
	sync.Mutex
	pids map[int]int
}{pids: make(map[int]int)}

// forkOurs starts a process that is never taken for an orphan, from its start on. Who has waited for it calls notOurs.
func forkOurs(path string, args []string, attr *syscall.ProcAttr) (pid int, err error) {
	ours.Lock()
	defer ours.Unlock()
	if pid, err = syscall.ForkExec(path, args, attr); err == nil {
		ours.pids[pid]++
	}
	return pid, err
}

// notOurs is for a process of forkOurs that has been waited for.
func notOurs(pid int) {
	ours.Lock()
	defer ours.Unlock()
	if ours.pids[pid]--; ours.pids[pid] == 0 {
		delete(ours.pids, pid)
	}
}

// over reports whether the child has ended, though the master may not have heard of it.
func (c *child) over() bool {
	select {
	case <-c.gone:
		return true
	default:
		return hasEnded(c.pid)
	}
}

// lastWords bounds how long a process that has ended may still be heard.
const lastWords = 100 * time.Millisecond

// tell writes what the child is to know.
func (c *child) tell(w *os.File) {
	enc := json.NewEncoder(w)
	for {
		select {
		case m := <-c.out:
			if err := w.SetWriteDeadline(time.Now().Add(tellTime)); err != nil {
				return
			}
			if enc.Encode(m) != nil {
				return // it has ended, or hangs: its time limits see to it
			}
		case <-c.gone:
			return
		}
	}
}

// hear reads what the child says.
func (c *child) hear(r io.Reader, heard func(*child, message)) {
	dec := json.NewDecoder(io.LimitReader(r, mostHeard))
	for {
		var m message
		if dec.Decode(&m) != nil {
			return
		}
		heard(c, m)
	}
}

// mostHeard bounds what is read from a child in its life, in bytes: it says that it is ready, and why it failed.
const mostHeard = 1 << 20

// say puts a message for the child on its way. One that reads nothing is killed by its time limits.
func (c *child) say(m message) {
	select {
	case c.out <- m:
	default:
	}
}

// kill ends the child at once, and notes why, unless that is "". Any goroutine may call it.
func (c *child) kill(why string) {
	c.mu.Lock()
	if c.killed == "" {
		c.killed = why
	}
	c.mu.Unlock()
	_ = c.proc.Kill() // it may have ended just now
}

// slain reports that a signal has ended the child which this process did not send.
func (c *child) slain(s *os.ProcessState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil || c.killed != "" {
		return false
	}
	w, ok := s.Sys().(syscall.WaitStatus)
	return ok && w.Signaled()
}

// after sets the child's time limit.
func (c *child) after(d time.Duration, f func()) {
	c.stopTimer()
	c.timer = time.AfterFunc(d, f)
}

func (c *child) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

// why says how the child ended.
func (c *child) why(s *os.ProcessState) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.killed != "":
		return c.killed
	case c.failed != "":
		return c.failed
	case s == nil:
		return "it is gone"
	case s.Success():
		return "it ended by itself"
	}
	return s.String() // "signal: killed", "exit status 2"
}
