package proc_test

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// noFiles lets a master open no more descriptors until the function that it returns is called.
func (m *running) noFiles() (again func()) {
	m.t.Helper()
	var was unix.Rlimit
	pid := m.cmd.Process.Pid
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		m.t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: was.Max}, nil); err != nil {
		m.t.Fatal(err)
	}
	return func() {
		m.t.Helper()
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil); err != nil {
			m.t.Fatal(err)
		}
	}
}

// TestStartFails: a worker that can't be started is told of at once and tried again for ever while another one serves.
func TestStartFails(t *testing.T) {
	s := fresh()
	s.Deaths, s.Backoff = 3, time.Millisecond
	m := s.ready(t)
	again := m.noFiles()
	if err := syscall.Kill(m.once().pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.saysTimes(2*s.Deaths, `worker not started.*too many open files`)
	m.once()
	again()
	m.saysTimes(3, `worker ready`)
	m.once()
	m.ends(syscall.SIGTERM)
	if n := m.count(`gives up|times in a row`); n > 0 {
		t.Errorf("the master gave up a healthy worker")
	}
}

// TestNobodyStarts: a master that has no worker, and can't start one, ends and says so.
func TestNobodyStarts(t *testing.T) {
	s := fresh()
	s.Workers, s.Deaths, s.Backoff = 1, 3, time.Millisecond
	m := s.ready(t)
	m.noFiles()
	if err := syscall.Kill(m.once().pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := m.exit(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	m.says(`^ERROR .*worker 1 could not be started, 3 times in a row.*too many open files`)
}
