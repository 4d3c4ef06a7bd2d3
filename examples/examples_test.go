// Package examples holds one small program a folder; this builds and runs them.
package examples

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// start builds the program in a folder, runs it, and returns the address that it logs.
func start(t *testing.T, folder string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to build the examples with")
	}
	bin := filepath.Join(t.TempDir(), folder)
	if out, err := exec.Command("go", "build", "-o", bin, "./"+folder).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, as it should be
	})
	address := regexp.MustCompile(`listening on \w+://(\S+)`)
	for lines.Scan() {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // until it is killed
			return m[1]
		}
	}
	t.Fatalf("%s ended without listening: %v", folder, lines.Err())
	return ""
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSelectors(t *testing.T) {
	address := start(t, "selectors", "tcp://127.0.0.1:0")
	conns := []net.Conn{dial(t, address), dial(t, address)}
	for range 2 {
		for _, c := range conns {
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			reply := make([]byte, 8)
			if _, err := io.ReadFull(c, reply); err != nil || string(reply) != "HELLO_SB" {
				t.Fatalf("got %q, %v", reply, err)
			}
		}
	}
}
