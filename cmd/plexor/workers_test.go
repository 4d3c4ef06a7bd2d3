//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/load"
)

// TestWorkers: each kind of address by worker processes, on each driver, through a reload, and to the end.
func TestWorkers(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		dir := t.TempDir()
		path, pid := filepath.Join(dir, "sock"), filepath.Join(dir, "pid")
		s := serve(t, 4, command("serve", "--driver="+driver, "--workers=2", "--pid-file="+pid,
			"upper=tcp://127.0.0.1:0", "echo=tcp://127.0.0.1:0?frame=line", "echo=udp://127.0.0.1:0", "echo=unix://"+path))
		if got, err := os.ReadFile(pid); err != nil || string(got) != fmt.Sprintln(s.cmd.Process.Pid) {
			t.Errorf("the pid file has %q, %v; want %d", got, err, s.cmd.Process.Pid)
		}
		all := func() {
			t.Helper()
			for i, network := range []string{"tcp", "tcp", "udp", "unix"} {
				c := dial(t, network, s.host(i))
				want := "hello\n"
				if i == 0 {
					want = "HELLO\n_SB"
				}
				if got := ask(t, c, "hello\n", len(want)); got != want {
					t.Errorf("%s: got %q, want %q", s.addrs[i], got, want)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		s.addrs[1] = strings.TrimSuffix(s.addrs[1], "?frame=line")
		all()
		s.signal(syscall.SIGHUP)
		s.says(`reload done`)
		all()
		s.signal(syscall.SIGTERM)
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d after SIGTERM, want 0", code)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// TestWorkersTLS: all workers show the same certificate, whose fingerprint the master tells.
func TestWorkersTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "--workers=2", "upper=tls://127.0.0.1:0"))
	for range 8 { // both workers, most likely
		code, stdout, stderr := dialled(t, "hello", s.addrs[0]+"?fingerprint="+s.fingerprint())
		ends(t, 0, "", code, stderr)
		if stdout != "HELLO_SB" {
			t.Errorf("got %q", stdout)
		}
	}
	s.terminate()
}

// TestWorkersResume: a client resumes its TLS session at whichever worker it comes to, and after a reload.
func TestWorkersResume(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "--workers=4", "echo=tls://127.0.0.1:0"))
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "x", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	resumed := func() bool {
		t.Helper()
		c := tls.Client(dial(t, "tcp", s.host(0)), cfg)
		ask(t, c, "hello", 5)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		return c.ConnectionState().DidResume
	}
	visits := portion.Fewer(64, 24) // all workers, most likely: each gets about a quarter
	if resumed() {
		t.Error("resumed without a session")
	}
	for i := range 2 * visits {
		if i == visits {
			s.signal(syscall.SIGHUP)
			s.says(`reload done`)
		}
		if !resumed() {
			t.Fatalf("visit %d (a reload came before visit %d) was not resumed", i, visits)
		}
	}
	s.terminate()
}

// TestWorkersLog: what a worker logs names it.
func TestWorkersLog(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "--workers=1", "echo=tcp://127.0.0.1:0?frame=len4"))
	c := dial(t, "tcp", strings.TrimSuffix(s.host(0), "?frame=len4")).(*net.TCPConn)
	if _, err := c.Write([]byte("\xff\xff\xff\xff")); err != nil {
		t.Fatal(err)
	}
	s.says(`(?m)^.*bad frame.* worker=1.*$|^.*worker=1.*bad frame.*$`)
	s.terminate()
}

// TestWorkersDie: one that is killed is replaced, and the master tells of it.
func TestWorkersDie(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "--workers=1", "echo=tcp://127.0.0.1:0"))
	found := s.says(`worker started.*pid=\d+`)
	var pid int
	if _, err := fmt.Sscanf(found[0][strings.Index(found[0], "pid="):], "pid=%d", &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.says(`(?s)worker died.*signal: killed.*worker ready`)
	if got := ask(t, dial(t, "tcp", s.host(0)), "hello", 5); got != "hello" {
		t.Errorf("got %q", got)
	}
	s.terminate()
}

// terminate ends a master, who waits for its workers: killed, it would leave them to somebody else.
func (s *server) terminate() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 {
		s.t.Errorf("exit %d after SIGTERM, want 0", code)
	}
}

// TestWorkersBadCertificate: what is wrong is found by a worker, and said by the master.
func TestWorkersBadCertificate(t *testing.T) {
	out, err := command("serve", "--workers=1", "echo=tls://127.0.0.1:0?cert=/none/there.pem").CombinedOutput()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || e.ExitCode() != exitError || !strings.Contains(string(out), "/none/there.pem") ||
		!strings.Contains(string(out), "could not start") {
		t.Errorf("it ended with %v, want exit %d and the file's name:\n%s", err, exitError, out)
	}
}

// TestWorkersBench: reloads and an upgrade under the load that plexor bench makes, over connections that stay and over
// one for each message: none is refused, and no message is lost.
func TestWorkersBench(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		load load.Options
	}{
		{"connections stay", load.Options{Think: time.Millisecond}},
		{"a connection a message", load.Options{Reconnect: true, Think: time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.load.Think *= time.Duration(portion.Fewer(1, 4)) // by which there is less load
			pid := filepath.Join(t.TempDir(), "pid")
			s := serve(t, 1, command("serve", "--workers=2", "--pid-file="+pid, "--drain=1m", "echo=tcp://127.0.0.1:0"))
			t.Cleanup(func() { // before that of serve, which waits for all who hold the log
				var n int
				if text, _ := os.ReadFile(pid); len(text) > 0 { // it is gone if all went well
					if _, err := fmt.Sscan(string(text), &n); err == nil {
						_ = syscall.Kill(n, syscall.SIGKILL) // likewise
					}
				}
			})
			to, err := parseTarget(s.addrs[0])
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			flows := make(chan bool, 1) // messages were answered since the last look
			o, last := row.load, int64(0)
			o.Address, o.Conns, o.Size, o.Duration, o.Timeout, o.Expect = to.address(), 8, 64, time.Hour, patience, "echo"
			o.Progress = func(p load.Progress) {
				if p.Messages > last {
					last = p.Messages
					select {
					case flows <- true:
					default:
					}
				}
			}
			var r *load.Result
			ended := make(chan error, 1)
			go func() {
				var err error
				r, err = load.Run(ctx, o)
				ended <- err
			}()
			goesOn := func() {
				t.Helper()
				for range 2 { // the first may be of before
					select {
					case <-flows:
					case err := <-ended:
						t.Fatalf("the load has ended: %v", err)
					case <-time.After(patience):
						t.Fatal("no message is answered")
					}
				}
			}
			goesOn()
			for n := 1; n <= portion.Fewer(2, 1); n++ {
				s.signal(syscall.SIGHUP)
				s.says(fmt.Sprintf(`(?s)(reload done.*){%d}`, n))
				goesOn()
			}
			s.signal(syscall.SIGUSR2)
			s.says(`the new master is ready`)
			s.signal(syscall.SIGTERM)
			s.says(`master stops`)
			goesOn()
			stop()
			if err := <-ended; err != nil || r.Messages == 0 || r.LostMessages+r.LostConns+r.NotConnected+r.Wrong != 0 {
				t.Errorf("%v: %+v", err, r)
			}
			young, err := os.ReadFile(pid)
			if err != nil {
				t.Fatal(err)
			}
			var n int
			if _, err := fmt.Sscan(string(young), &n); err != nil || n == s.cmd.Process.Pid {
				t.Fatalf("the pid file has %q, %v; the old master is %d", young, err, s.cmd.Process.Pid)
			}
			s.says(`this one goes on alone`)
			if err := syscall.Kill(n, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			s.says(fmt.Sprintf(`master ended.* pid=%d\b`, n))
			if code := s.exit(); code != 0 {
				t.Errorf("exit %d of the old master, want 0", code)
			}
		})
	}
}
