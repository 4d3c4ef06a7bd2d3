//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The cores of the server and of the load, where they are pinned.
const serverCore, loadCore = 0, 1

// A process is a server's, or a load's, whose lines are read.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
}

// start starts this program, told to be something else, on one core if it is pinned.
func start(core int, place string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, args...)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if place != "pinned" || runtime.NumCPU() < 2 {
		return p, p.cmd.Start()
	}
	// It inherits its core from the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("sched_setaffinity: %w", err)
	}
	return p, errors.Join(p.cmd.Start(), unix.SchedSetaffinity(0, &before))
}

func startServer(name, service, place, driver string) (*process, error) {
	p, err := start(serverCore, place, "-serve", name, "-services", service, "-driver", driver)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(p.out, &p.address); err != nil {
		p.stop()
		return nil, fmt.Errorf("the server %s did not start: %w", name, err)
	}
	return p, nil
}

// stop ends it: its input ends, and it is killed if that does not do it.
func (p *process) stop() {
	_ = p.in.Close() // which ends it
	timer := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // how it ended is no news
	timer.Stop()
}

// usage asks the server for what it has used: nanoseconds of CPU time, and context switches.
func (p *process) usage() (cpu, switches int64, err error) {
	if _, err := io.WriteString(p.in, "usage\n"); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Fscanln(p.out, &cpu, &switches)
	return cpu, switches, err
}

// startLoad starts the load of a server.
func startLoad(server *process, service, place string, conns int, d time.Duration) (*process, error) {
	return start(loadCore, place, "-load", server.address, "-services", service, "-conns", fmt.Sprint(conns),
		"-d", d.String())
}

// measure loads a server once. The load tells when it begins and when it ends.
func measure(server, load *process) (r result, err error) {
	if _, err := io.WriteString(load.in, "go\n"); err != nil {
		return r, err
	}
	if _, err := load.out.ReadString('\n'); err != nil {
		return r, fmt.Errorf("the load did not begin: %w", err)
	}
	cpu, switches, err := server.usage()
	if err != nil {
		return r, err
	}
	var requests, took, p99 int64
	if _, err := fmt.Fscanln(load.out, &requests, &took, &p99); err != nil {
		return r, fmt.Errorf("the load did not end: %w", err)
	}
	cpu2, switches2, err := server.usage()
	if err != nil {
		return r, err
	}
	n := float64(requests)
	r.cpu = float64(cpu2-cpu) / 1e3 / n
	r.switches = float64(switches2-switches) / n
	r.rate = n / (float64(took) / 1e9)
	r.p99 = float64(p99) / 1e3
	return r, nil
}
