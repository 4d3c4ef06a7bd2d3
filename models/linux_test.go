//go:build linux

package models

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/sock"
)

// TestThreadsAreBounded: a client beyond the bound waits until a thread is free.
func TestThreadsAreBounded(t *testing.T) {
	few := threads
	few.serve = func(ctx context.Context, j Job) error { return serveAtMost(ctx, j, 2) }
	testWaits(t, few, 2)
}

// TestThreads: each connection has a thread of the system's.
func TestThreads(t *testing.T) {
	before := countThreads()
	const n = 16
	b := serve(t, threads, Job{Service: Echo})
	for range n {
		if err := exchange(b.dial(), "hello", "hello"); err != nil {
			t.Fatal(err)
		}
	}
	if now := countThreads(); now < n || now > before+n+16 {
		t.Errorf("%d connections: %d threads before, %d now", n, before, now)
	}
}

// TestWorkerIsReplaced: a worker that dies takes its client with it, and another one serves the next.
func TestWorkerIsReplaced(t *testing.T) {
	b := serve(t, processes, Job{Service: Echo, Clients: 1})
	c := b.dial()
	if err := exchange(c, "hello", "hello"); err != nil {
		t.Fatal(err)
	}
	workers := children(os.Getpid())
	if len(workers) != 1 {
		t.Fatalf("processes %v, want one worker", workers)
	}
	if err := syscall.Kill(workers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("the killed worker's client: Read = %d, %v; want an end", n, err)
	}
	if err := exchange(b.dial(), "again", "again"); err != nil {
		t.Error(err)
	}
}

// masterKey makes this test binary a process that serves the model processes.
const masterKey = "MODELS_TEST_MASTER"

// beMaster prints the address that it serves on, and runs until it is killed.
func beMaster() int {
	err := processes.Serve(context.Background(), Job{Addr: loopback, Service: Echo, Clients: 3,
		Ready: func(a sock.Addr) { fmt.Println(net.JoinHostPort(a.Host, fmt.Sprint(a.Port))) }})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestWorkersEndWithTheirMaster: also when it had no chance to tell them.
func TestWorkersEndWithTheirMaster(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), masterKey+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()         // it was killed, and says so
	defer cmd.Process.Kill() // likewise
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the master's address: %v", err)
	}
	c, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := exchange(c, "hello", "hello"); err != nil { // one of the workers is busy
		t.Fatal(err)
	}
	workers := children(cmd.Process.Pid)
	if len(workers) != 3 {
		t.Fatalf("the master's workers are %v, want 3", workers)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if left := eventually(func() (left []string) {
		for _, pid := range workers {
			// A process that has ended stays as a zombie until whoever inherited it looks.
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err == nil && !strings.Contains(string(stat), ") Z ") {
				left = append(left, string(stat))
			}
		}
		return left
	}); len(left) > 0 {
		t.Errorf("the master is dead, and these workers live:\n%s", strings.Join(left, "\n"))
	}
}
