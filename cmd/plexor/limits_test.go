package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limited is plexor under a limit of open files.
func limited(t *testing.T, files int, args ...string) *exec.Cmd {
	t.Helper()
	sh := tool(t, "sh")
	plexor := command(args...)
	cmd := exec.Command(sh, append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), plexor.Path},
		args...)...)
	cmd.Env = plexor.Env
	return cmd
}

// crowd connects n clients at once; each sends a word. Those that the server cannot hold yet wait in its backlog.
func crowd(t *testing.T, address string, n int) []net.Conn {
	t.Helper()
	clients, begun := make([]net.Conn, n), time.Now()
	for i := range clients {
		c, err := net.Dial("tcp", address)
		for errors.Is(err, syscall.ECONNRESET) && time.Since(begun) < patience { // refused before it knew of its connection
			c, err = net.Dial("tcp", address)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() }) // most are closed by then
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		clients[i] = c
		_, _ = clients[i].Write([]byte("hello")) // one that is refused may be reset by now: who reads finds that
	}
	return clients
}

// TestNoDescriptors: with 64 descriptors and 200 clients the server serves those that it holds, and the others as
// descriptors come free.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		const most, n = 64, 200
		s := serve(t, 1, limited(t, most, "serve", "--driver="+driver, "echo=tcp://127.0.0.1:0"))
		clients := crowd(t, s.host(0), n)
		reply := make([]byte, 5)
		for i, c := range clients { // in the order in which they came: each that leaves lets another in
			if _, err := c.Read(reply); err != nil {
				t.Fatalf("client %d of %d: %v", i, n, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := ask(t, dial(t, "tcp", s.host(0)), "after", 5); got != "after" {
			t.Errorf("afterwards: %q", got)
		}
		if says := strings.Count(s.text(), "steps back"); says == 0 || says > n {
			t.Errorf("it said %d times that it steps back:\n%s", says, s.text())
		}
	})
}

// TestMoreThanSelectHolds: descriptors beyond FD_SETSIZE are not for select; those that it holds are served.
func TestMoreThanSelectHolds(t *testing.T) {
	t.Parallel()
	const n = 1100
	s := serve(t, 1, command("serve", "--driver=select", "--loops=1", "echo=tcp://127.0.0.1:0"))
	clients := crowd(t, s.host(0), n)
	served, refused, waiting := 0, 0, 0
	reply := make([]byte, 5)
	for i, c := range clients {
		// All that are served are served by the time that the first ones are asked again.
		if i < 900 {
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil { // it was set long ago, on a busy machine
				t.Fatal(err)
			}
			if _, err := c.Read(reply); err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			ask(t, c, "again", 5)
			served++
			continue
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(reply)
		switch e, timeout := err.(net.Error); {
		case err == nil:
			served++
		case timeout && e.Timeout():
			waiting++
		default:
			refused++
		}
	}
	t.Logf("%d served, %d wait in the backlog, %d refused", served, waiting, refused)
	if served >= 1024 || waiting+refused == 0 {
		t.Errorf("select cannot hold them all")
	}
	if !strings.Contains(s.text(), "FD_SETSIZE") {
		t.Errorf("the log does not say what the limit is:\n%s", s.text())
	}
	for _, c := range clients[:200] {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := ask(t, dial(t, "tcp", s.host(0)), "after", 5); got != "after" {
		t.Errorf("after some had gone: %q", got)
	}
}
