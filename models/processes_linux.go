package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/sock"
)

// The descriptors of a worker.
const (
	workerListener = 3
	workerLifeline = 4 // a pipe whose other end the master holds: its end is the master's
	workerCounter  = 5 // only if somebody counts
)

// countKey is the environment variable by which a worker knows that it has a counter.
const countKey = "PLEXOR_MODELS_COUNT"

// checkProcesses also keeps a program that forgot RunWorker from starting itself again and again.
func checkProcesses() error {
	if os.Getenv(workerKey) != "" {
		return errors.New("this process is a worker itself: its program must call models.RunWorker first thing in main")
	}
	return nil
}

// RunWorker turns this process into a worker of the model processes, and does not return, if a master started it as
// one; otherwise it returns at once. A program that serves that model calls it first thing in main.
//
// A worker ends when its master has ended, however that was, kill -9 included.
func RunWorker() {
	name := os.Getenv(workerKey)
	if name == "" {
		return
	}
	s, err := FindService(name)
	if err == nil && os.Getenv(countKey) != "" {
		var c *Counter
		if c, err = OpenCounter(os.NewFile(workerCounter, "counter")); err == nil {
			s.count = c.n
		}
	}
	if err == nil {
		go endWithMaster()
		err = work(s)
	}
	fmt.Fprintf(os.Stderr, "models: worker: %v\n", err)
	os.Exit(1)
}

// endWithMaster waits, in a blocking call as all of a worker does: a file of package os would bring Go's poller along,
// and with it system calls that are none of the model's.
func endWithMaster() {
	for {
		if _, err := unix.Read(workerLifeline, make([]byte, 1)); err != unix.EINTR { // nothing is ever written to it
			os.Exit(0)
		}
	}
}

func work(s Service) error {
	unix.CloseOnExec(workerListener)
	unix.CloseOnExec(workerLifeline)
	r, err := newRawServer(context.Background(), sock.Socket(workerListener))
	if err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString("."); err != nil { // ready
		return err
	}
	if err := r.oneAtATime(s); err != nil {
		return err
	}
	return errors.New("accept: the listener ended before the master")
}

// A master keeps workers alive.
type master struct {
	exe      string
	service  Service
	listener *os.File
	lifeline *os.File // the workers' end
	counter  *Counter
}

func serveProcesses(ctx context.Context, j Job) error {
	ln, err := sock.Listen(j.Addr, sock.Options{})
	if err != nil {
		return err
	}
	m := master{service: j.Service, counter: j.Counter, listener: os.NewFile(uintptr(ln), "listener")}
	defer m.listener.Close()
	addr, err := ln.LocalAddr()
	if err != nil {
		return err
	}
	if m.exe, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program, for the workers: %w", err)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make the workers' lifeline: %w", err)
	}
	defer theirs.Close()
	m.lifeline = theirs
	if j.Clients == 0 {
		j.Clients = mostWorkers
	}
	return m.serve(ctx, j, addr, ours)
}

// serve starts the workers, and ends them by closing hold.
func (m *master) serve(ctx context.Context, j Job, addr sock.Addr, hold *os.File) error {
	told := ctx // by the caller to end, with whatever cause: no failure
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := context.AfterFunc(ctx, func() { hold.Close() })
	var ready, ended sync.WaitGroup
	for range j.Clients {
		ready.Add(1)
		ended.Go(func() {
			if err := m.keep(ctx, sync.OnceFunc(ready.Done)); err != nil {
				fail(err)
			}
		})
	}
	ready.Wait()
	if ctx.Err() == nil {
		j.ready(addr)
	}
	ended.Wait()
	if stop() {
		hold.Close()
	}
	if err := context.Cause(ctx); err != context.Cause(told) {
		return err
	}
	return nil
}

// keep starts a worker, and another when it has ended, until ctx is done. Only one that could not even begin is an
// error, for the next one could not either. ready is called when the first serves, or never will.
func (m *master) keep(ctx context.Context, ready func()) error {
	defer ready()
	for ctx.Err() == nil {
		cmd := exec.Command(m.exe)
		// A worker serves one client at a time; more threads that run Go code would be of no use to it.
		cmd.Env = append(os.Environ(), workerKey+"="+m.service.Name, "GOMAXPROCS=1")
		cmd.ExtraFiles = []*os.File{m.listener, m.lifeline}
		if m.counter != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, m.counter.File())
			cmd.Env = append(cmd.Env, countKey+"=1")
		}
		// What a terminal sends to the foreground is for the master, which ends its workers itself: one that is
		// interrupted before it serves would look like one that can't.
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			return fmt.Errorf("start a worker: %w", err)
		}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start a worker: %w", err)
		}
		_, begun := io.ReadFull(out, make([]byte, 1))
		if begun == nil {
			ready()
		}
		err = cmd.Wait()
		if begun != nil && ctx.Err() == nil {
			return fmt.Errorf("a worker ended before it served: %w", errors.Join(begun, err))
		}
	}
	return nil
}
