//go:build linux || darwin || freebsd

package plexor_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor"
)

func init() { children["stepback"] = stepBackChild }

// stepBackChild is an echo server with 64 descriptors. It prints its address, and, when its standard input ends, its
// counts.
func stepBackChild(driver string) int {
	fail := func(err error) int { fmt.Fprintln(os.Stderr, err); return 1 }
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return fail(err)
	}
	srv := &plexor.Server{Driver: driver, Loops: 2, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	a, err := srv.Open("tcp://127.0.0.1:0", echo)
	if err != nil {
		return fail(err)
	}
	fmt.Println(a)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fail(err)
	}
	s := srv.Stats()
	if err := srv.Close(); err != nil {
		return fail(err)
	}
	fmt.Printf("accepted %d refused %d stepped back %v\n", s.Accepted, s.RefusedConns+s.RefusedPeer+s.RefusedDriver,
		s.StepBacks > 0)
	return 0
}

// TestStepBacks: a server without a free descriptor counts that its listeners step back, serves those that it has, and
// refuses nobody.
func TestStepBacks(t *testing.T) {
	const clients = 100
	eachDriver(t, func(t *testing.T, driver string) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"=stepback "+driver)
		log := &logBook{more: make(chan struct{})}
		cmd.Stderr = log
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stdin.Close()
			if err := cmd.Wait(); err != nil {
				t.Errorf("the server: %v", err)
			}
			if t.Failed() {
				t.Logf("the server's log:\n%s", log.text())
			}
		})
		var at string
		lines := bufio.NewReader(stdout)
		if _, err := fmt.Fscanln(lines, &at); err != nil {
			t.Fatalf("the server printed no address: %v", err)
		}
		a, err := net.ResolveTCPAddr("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		var conns []io.ReadWriteCloser
		for range clients {
			c := dial(t, a)
			send(t, c, "hello")
			conns = append(conns, c)
		}
		for _, c := range conns {
			want(t, c, "hello")
			c.Close()
		}
		stdin.Close()
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("accepted %d refused 0 stepped back true\n", clients); line != want || err != nil {
			t.Errorf("the server says %q, %v; want %q", line, err, want)
		}
	})
}
