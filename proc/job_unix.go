//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// jobVariable tells a process that one of its own kind started it, and what for. Main takes it out of the environment,
// so that it is not handed down.
const jobVariable = "PLEXOR_PROC"

// A job is what stands in that variable.
type job struct {
	Role    string // roleWorker and so on
	Entry   string `json:",omitempty"` // of a worker
	Control int    // the descriptor of our end of the pipe to the one that started us
	Sockets int    // how many there are, from firstFD on

	Owned  []string `json:",omitempty"` // of a successor: the names of sockets whose files it is to remove one day
	Notify string   `json:",omitempty"` // of a successor: the service manager's socket

	Path string `json:",omitempty"` // of roleExec: what to become
	Next *job   `json:",omitempty"` // and what for
}

const (
	roleWorker    = "worker"
	rolePool      = "pool"      // a worker of a Pool
	roleSuccessor = "successor" // a master that is to take another's place
	roleExec      = "exec"      // sets LISTEN_PID, which only the process itself knows, and becomes another program
)

// A message goes between a process and its child, as a line of JSON each.
type message struct {
	Kind string

	Number int      `json:",omitempty"` // msgHello: of the worker
	Config []byte   `json:",omitempty"`
	Addrs  []string `json:",omitempty"`
	Size   int      `json:",omitempty"` // of a pool's worker: the greatest message

	Tickets *tickets `json:",omitempty"` // msgHello, of a successor too; msgTickets

	Mode  Mode          `json:",omitempty"` // msgStop
	Limit time.Duration `json:",omitempty"` // of msgHello: for a worker that is told by nobody

	Text string `json:",omitempty"` // msgReady: the status; msgFailed: the error
}

const (
	msgHello   = "hello"
	msgTickets = "tickets" // new keys
	msgStop    = "stop"
	msgReady   = "ready"
	msgFailed  = "failed"
)

// mine is what this process was started for; nil if by no one of its kind.
var mine *job

// readJob finds it, before anything else of the program runs, and hides it.
func init() {
	text, ok := os.LookupEnv(jobVariable)
	if !ok {
		return
	}
	_ = os.Unsetenv(jobVariable) // it fails for bad names alone
	mine = new(job)
	if err := json.Unmarshal([]byte(text), mine); err != nil {
		fmt.Fprintf(os.Stderr, "proc: %s=%q is for the use of this program alone: %v\n", jobVariable, text, err)
		os.Exit(1)
	}
	for fd := firstFD; fd <= max(mine.Control, firstFD+mine.Sockets-1); fd++ {
		if mine.Role != roleExec {
			syscall.CloseOnExec(fd)
		}
	}
}

// begin is what Main does.
func begin() {
	if mine == nil {
		return
	}
	switch mine.Role {
	case roleWorker:
		_ = os.Setenv(listenPID, strconv.Itoa(os.Getpid())) // for others who look for it; it fails for bad names alone
		os.Exit(work(mine))
	case rolePool:
		os.Exit(poolWork(mine))
	case roleExec:
		err := become(mine)
		if json.NewEncoder(os.NewFile(uintptr(mine.Control), "control")).Encode(message{Kind: msgFailed,
			Text: err.Error()}) != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	case roleSuccessor:
		// Its main goes on, and comes to Run.
	default:
		fmt.Fprintf(os.Stderr, "proc: this program does not know the role %q: it was started by a newer one\n", mine.Role)
		os.Exit(1)
	}
}

// become turns this process into another program. It only returns if that fails.
func become(j *job) error {
	next, err := json.Marshal(j.Next)
	if err != nil {
		return fmt.Errorf("proc: %w", err)
	}
	for _, set := range [][2]string{{listenPID, strconv.Itoa(os.Getpid())}, {jobVariable, string(next)}} {
		if err := os.Setenv(set[0], set[1]); err != nil {
			return fmt.Errorf("proc: %w", err)
		}
	}
	return fmt.Errorf("proc: exec %s: %w", j.Path, syscall.Exec(j.Path, os.Args, os.Environ()))
}

// The program's file, as it was called: an upgrade starts what stands there by then.
var calledAs = func() string {
	p, err := exec.LookPath(os.Args[0])
	if err == nil {
		p, err = filepath.Abs(p)
	}
	self, selfErr := os.Executable()
	if err != nil || selfErr == nil && !sameFile(p, self) {
		return self // os.Args[0] says something else
	}
	return p
}()

// running is the program that runs, even if its file has been replaced or removed since: so all workers of a master
// are of its own kind, and only an upgrade brings a new one.
func running() (string, error) {
	const self = "/proc/self/exe"
	if sameFile(self, calledAs) {
		return calledAs, nil // so that the process has its right name in lists
	}
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
