//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The cores of the server and of the load, where there are two.
const serverCore, loadCore = 0, 1

// A process is a server's, or a load's, whose lines are read.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string

	worker int    // nginx's; 0: it is asked by lines
	dir    string // nginx's
}

// start starts a program on a core.
func start(core int, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if runtime.NumCPU() < 2 {
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

// startSelf starts this program, told to be something else.
func startSelf(core int, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(core, self, args...)
}

func startServer(name, driver string, tls bool) (*process, error) {
	if name == "nginx" {
		return startNginx()
	}
	p, err := startSelf(serverCore, "-serve", name, "-driver", driver, fmt.Sprintf("-tls=%t", tls))
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(p.out, &p.address); err != nil {
		p.stop()
		return nil, fmt.Errorf("the server %s did not start: %w", name, err)
	}
	return p, nil
}

func startLoad(address string, conns, depth int, d time.Duration) (*process, error) {
	return startSelf(loadCore, "-load", address, "-conns", strconv.Itoa(conns), "-depth", strconv.Itoa(depth), "-d",
		d.String())
}

// startNginx starts nginx on a port that was free a moment ago, which it has to be told.
func startNginx() (*process, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := ln.Addr().String()
	_ = ln.Close()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	conf := filepath.Join(dir, "conf")
	text := strings.NewReplacer("DIR", dir, "PORT", port).Replace(nginxConf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := start(serverCore, "nginx", "-c", conf, "-e", filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	p.address, p.dir = address, dir
	children := fmt.Sprintf("/proc/%d/task/%d/children", p.cmd.Process.Pid, p.cmd.Process.Pid)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, _ := os.ReadFile(children)
		if f := strings.Fields(string(b)); len(f) > 0 {
			if p.worker, err = strconv.Atoi(f[0]); err == nil {
				return p, nil
			}
		}
		if time.Now().After(end) {
			p.stop()
			return nil, errors.New("nginx did not start")
		}
	}
}

// stop ends it: its input ends, and it is killed if that does not do it.
func (p *process) stop() {
	_ = p.in.Close() // which ends it
	if p.worker != 0 {
		_ = p.cmd.Process.Signal(os.Interrupt)
	}
	timer := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // how it ended is no news
	timer.Stop()
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// cpu is the CPU time that the server has used, in nanoseconds.
func (p *process) cpu() (ns int64, err error) {
	if p.worker != 0 { // it has one thread
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", p.worker))
		if err != nil {
			return 0, err
		}
		_, err = fmt.Sscan(string(b), &ns)
		return ns, err
	}
	if _, err := io.WriteString(p.in, "usage\n"); err != nil {
		return 0, err
	}
	_, err = fmt.Fscanln(p.out, &ns)
	return ns, err
}

// resident is the server's resident memory, in KiB.
func (p *process) resident() (float64, error) {
	pid := p.cmd.Process.Pid
	if p.worker != 0 {
		pid = p.worker
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, pages float64
	_, err = fmt.Sscan(string(b), &size, &pages)
	return pages * float64(os.Getpagesize()) / 1024, err
}

// measure loads a server once.
func measure(server, load *process) (r result, err error) {
	before, err := server.cpu()
	if err != nil {
		return r, err
	}
	if _, err := io.WriteString(load.in, "go\n"); err != nil {
		return r, err
	}
	var requests float64
	if _, err := fmt.Fscanln(load.out, &requests, &r.rate); err != nil {
		return r, fmt.Errorf("the load failed: %w", err)
	}
	after, err := server.cpu()
	r.cpu = float64(after-before) / 1e3 / requests
	return r, err
}
