// Package examples holds one small program a folder; this builds and runs them.
package examples

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/built"
)

var scratch string // the folder with the programs, once there is one

// programs builds all of them: together they take half the time.
var programs = sync.OnceValue(func() (err error) {
	if scratch, err = os.MkdirTemp("", "plexor-examples"); err != nil {
		return err
	}
	return built.Into("..", scratch, "./examples/...")
})

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "6") // the tests wait more than they work; it is a flag of package testing's
	}
	code := m.Run()
	if scratch != "" {
		_ = os.RemoveAll(scratch)
	}
	os.Exit(code)
}

// build builds the program in a folder, with all others, and returns its file.
func build(t *testing.T, folder string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to build the examples with")
	}
	if err := programs(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(scratch, folder)
}

// start builds the program in a folder, runs it, and returns the address that it logs.
func start(t *testing.T, folder string, args ...string) string {
	t.Helper()
	return run(t, build(t, folder), args...)
}

// run is start of a program that was built.
func run(t *testing.T, bin string, args ...string) string {
	t.Helper()
	address, _, _ := runNode(t, bin, args...)
	return address
}

// runNode is run for a program that says at which address other nodes find it. kill kills it.
func runNode(t *testing.T, bin string, args ...string) (address, node string, kill func()) {
	t.Helper()
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
		// An interrupt ends each of them, and lets the one that has workers wait for those.
		if cmd.Process.Signal(os.Interrupt) != nil {
			_ = cmd.Process.Kill() // a system without
		}
		late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait() // it was interrupted
	})
	listens := regexp.MustCompile(`listening on \w+://(\S+)`)
	found := regexp.MustCompile(`other nodes find this one at (\S+)`)
	for lines.Scan() {
		if m := found.FindStringSubmatch(lines.Text()); m != nil {
			node = m[1]
		}
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // until it is killed
			return m[1], node, func() { _ = cmd.Process.Kill() }
		}
	}
	t.Fatalf("%s ended without listening: %v", bin, lines.Err())
	return "", "", nil
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
	t.Parallel()
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

// say writes a line.
func say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// hear reads a line.
func hear(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

func TestEcho(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, "echo", "tcp://127.0.0.1:0")).(*net.TCPConn)
	sent := strings.Repeat("hello ", 10_000)
	go func() {
		_, _ = io.WriteString(c, sent) // what comes back tells
		_ = c.CloseWrite()             // likewise
	}()
	if got, err := io.ReadAll(c); err != nil || string(got) != sent {
		t.Errorf("got %d bytes, want %d: %v", len(got), len(sent), err)
	}
}

func TestTLSProxy(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // the test is over
	// The server behind says something, ends its half, reads to the end of the other, and reports what it was.
	heard := make(chan string, 1)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "welcome") // what the client reads tells
			_ = c.(*net.TCPConn).CloseWrite()   // likewise
			b, _ := io.ReadAll(c)
			_ = c.Close()
			heard <- string(b)
		}
	}()
	address := start(t, "tlsproxy", "tls://127.0.0.1:0", "tcp://"+ln.Addr().String())
	c := tls.Client(dial(t, address), &tls.Config{InsecureSkipVerify: true}) // the certificate is made at start
	sent := strings.Repeat("good day ", 100_000)
	if _, err := io.WriteString(c, "first "); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "welcome" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := io.WriteString(c, sent); err != nil { // behind the end of the other half
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "first "+sent {
		t.Errorf("the server got %d bytes, want %d", len(got), len("first "+sent))
	}
}

func TestWorker(t *testing.T) {
	t.Parallel()
	address := start(t, "worker", "tcp://127.0.0.1:0")
	busy, other := dial(t, address), dial(t, address)
	say(t, busy, "work")
	for range 10 { // while that is at work
		say(t, other, "ping")
		if got := hear(t, bufio.NewReader(other)); got != "pong" {
			t.Errorf("got %q", got)
		}
	}
	if err := busy.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := busy.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the work was done before the others were served")
	}
	if err := busy.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// The SHA-256 of "work", and 5,000,000 times more that of the last: so much work that it is not done here once more.
	const want = "4b22e3257db212a58b50eb75ae93572b80be2199b181387c85cc90dc8b55d985"
	if got := hear(t, bufio.NewReader(busy)); got != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

// TestPrefork: two worker processes answer, and one that is killed is replaced.
func TestPrefork(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("worker processes are for Unix")
	}
	address := start(t, "prefork", "tcp://127.0.0.1:0")
	who := func() (worker, pid int, err error) {
		c := dial(t, address)
		say(t, c, "hello")
		line, err := bufio.NewReader(c).ReadString('\n')
		if err == nil {
			_, err = fmt.Sscanf(line, "worker %d, process %d: hello\n", &worker, &pid)
		}
		return worker, pid, err
	}
	worker, pid, err := who()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		w, is, err := who()
		if err != nil {
			continue // it was accepted by the one that died
		}
		if w == worker && is != pid {
			return
		}
	}
	t.Errorf("worker %d has not come back", worker)
}
