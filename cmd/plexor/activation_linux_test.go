package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestActivationAlone: without workers too, plexor serve takes the sockets of a service manager, and tells it how it
// is.
func TestActivationAlone(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here to set LISTEN_PID by")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err == nil {
		err = ln.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	if err == nil {
		err = manager.SetReadDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	hears := func(want string) {
		t.Helper()
		buf := make([]byte, 1000)
		n, err := manager.Read(buf)
		if err != nil || !strings.Contains(string(buf[:n]), want) {
			t.Fatalf("the manager hears %q, %v; want %s", buf[:n], err, want)
		}
	}
	cmd := command("serve", "upper=tcp://"+ln.Addr().String())
	cmd.Args = append([]string{sh, "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = sh
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "NOTIFY_SOCKET="+manager.LocalAddr().String())
	s := serve(t, 1, cmd)
	hears("READY=1")
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "HELLO_SB" {
		t.Errorf("got %q, %v; want HELLO_SB", got, err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hears("STOPPING=1")
	<-s.ended
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// TestActivationOfModel: a model opens its own sockets, so those of a service manager are refused, with exit code 1,
// and before anything is served; a variable that is meant for another process changes nothing.
func TestActivationOfModel(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here to set LISTEN_PID by")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	handed := func(pid string, args ...string) *exec.Cmd {
		cmd := command(append([]string{"serve", "--model=threads"}, args...)...)
		cmd.Args = append([]string{sh, "-c", `LISTEN_PID=` + pid + ` exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path, cmd.ExtraFiles, cmd.Env = sh, []*os.File{f}, append(cmd.Env, "LISTEN_FDS=1")
		return cmd
	}
	out, err := handed("$$", "echo=tcp://"+ln.Addr().String()).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitError ||
		!strings.Contains(string(out), "--model=threads: 1 sockets were handed over (LISTEN_FDS)") ||
		strings.Contains(string(out), "listening") {
		t.Errorf("it ended with %v, and wrote %q; want code %d, and that a socket was handed over", err, out, exitError)
	}
	s := serve(t, 1, handed("1", "echo=tcp://127.0.0.1:0"))
	if got := ask(t, dial(t, "tcp", s.host(0)), "hello", len("hello")); got != "hello" {
		t.Errorf("%q, want hello", got)
	}
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != exitOK {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}
