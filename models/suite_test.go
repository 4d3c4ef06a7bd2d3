package models

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/sock"
)

// loopback is any free port of this machine.
var loopback = sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}

// TestModels is what holds on every model.
func TestModels(t *testing.T) {
	for _, m := range All() {
		t.Run(m.Name, func(t *testing.T) {
			if err := m.Check(); err != nil {
				t.Skipf("%s does not work here: %v", m.Name, err)
			}
			t.Run("echo", func(t *testing.T) { testOneClient(t, m, Echo, "hello, WORLD\x00\xff", "hello, WORLD\x00\xff") })
			t.Run("upper", func(t *testing.T) { testOneClient(t, m, Upper, "hello, WORLD\x00\xff", "HELLO, WORLD\x00\xff_SB") })
			t.Run("one after the other", func(t *testing.T) { testSequence(t, m) })
			t.Run("several at once", func(t *testing.T) { testSeveral(t, m) })
			t.Run("count", func(t *testing.T) { testCount(t, m) })
			t.Run("half-close", func(t *testing.T) { testHalfClose(t, m) })
			t.Run("slow reader", func(t *testing.T) { testSlowReader(t, m) })
			t.Run("reset", func(t *testing.T) { testReset(t, m) })
			t.Run("stop", func(t *testing.T) { testStop(t, m) })
			t.Run("address in use", func(t *testing.T) { testInUse(t, m) })
		})
	}
}

// A bed is a model that serves for a test.
type bed struct {
	t    *testing.T
	addr string
	stop func() // and wait
}

func serve(t *testing.T, m Model, j Job) *bed {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	ready, ended := make(chan sock.Addr, 1), make(chan error, 1)
	j.Addr, j.Ready = loopback, func(a sock.Addr) { ready <- a }
	go func() { ended <- m.Serve(ctx, j) }()
	b := &bed{t: t}
	b.stop = sync.OnceFunc(func() {
		cancel(errors.New("a signal, say")) // a cause, as signal.NotifyContext gives one: the end is no failure for that
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Fatalf("Serve has not returned %v after its context was cancelled", patience)
		}
	})
	t.Cleanup(b.stop)
	select {
	case a := <-ready:
		b.addr = net.JoinHostPort(a.Host, fmt.Sprint(a.Port))
	case err := <-ended:
		ended <- nil
		t.Fatalf("Serve ended before it was ready: %v", err)
	case <-time.After(patience):
		t.Fatalf("not ready after %v", patience)
	}
	return b
}

func (b *bed) dial() *net.TCPConn {
	b.t.Helper()
	c, err := net.DialTimeout("tcp", b.addr, patience)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// exchange sends one piece and wants its reply.
func exchange(c net.Conn, send, want string) error {
	if _, err := io.WriteString(c, send); err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		return fmt.Errorf("sent %q, got %q (%v), want %q", send, got[:n], err, want)
	}
	return nil
}

func testOneClient(t *testing.T, m Model, s Service, send, want string) {
	c := serve(t, m, Job{Service: s, Clients: 1}).dial()
	for range 3 {
		if err := exchange(c, send, want); err != nil {
			t.Fatal(err)
		}
	}
}

// testSequence: whoever has been served leaves place for the next one.
func testSequence(t *testing.T, m Model) {
	b := serve(t, m, Job{Service: Echo, Clients: 1})
	for range 20 {
		c := b.dial()
		if err := exchange(c, "hello", "hello"); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// testSeveral: each of several clients is answered while the others stay connected.
func testSeveral(t *testing.T, m Model) {
	n := 8
	if ok, reason := m.Limit.Takes(n); !ok {
		t.Skip(reason)
	}
	b := serve(t, m, Job{Service: Upper, Clients: n})
	var conns []net.Conn
	for range n {
		conns = append(conns, b.dial())
	}
	for round := range 3 {
		for i := range conns {
			c := conns[(i*3+round)%n]
			if err := exchange(c, fmt.Sprintf("client %d", i), fmt.Sprintf("CLIENT %d_SB", i)); err != nil {
				t.Fatalf("round %d, client %d of %d: %v", round, i, n, err)
			}
		}
	}
}

// testCount: whoever measures sees each answer, at the latest when it has come.
func testCount(t *testing.T, m Model) {
	count, err := NewCounter()
	if err != nil {
		t.Skip(err)
	}
	b := serve(t, m, Job{Service: Echo, Clients: 1, Counter: count})
	t.Cleanup(func() {
		b.stop()
		if err := count.Close(); err != nil {
			t.Error(err)
		}
	})
	c := b.dial()
	for want := range uint64(5) {
		if got := count.Load(); got != want {
			t.Errorf("after %d answers the counter has %d", want, got)
		}
		if err := exchange(c, "hello", "hello"); err != nil {
			t.Fatal(err)
		}
	}
}

const eightMiB = 8 << 20

func noise(t *testing.T, n int) []byte {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	_, _ = r.Read(p) // it has no error to give
	return p
}

// pump sends p and closes the half.
func pump(c *net.TCPConn, p []byte) chan error {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(p)
		sent <- errors.Join(err, c.CloseWrite())
	}()
	return sent
}

// testHalfClose: whoever has said all and closed its half still gets all of the reply, and then its end.
func testHalfClose(t *testing.T, m Model) {
	c := serve(t, m, Job{Service: Echo, Clients: 1}).dial()
	want := noise(t, eightMiB)
	sent := pump(c, want)
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes (%v), want the %d that were sent", len(got), err, len(want))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// testSlowReader: a reply that does not fit into the kernel's buffers is not lost, and
// does not grow in the server either.
func testSlowReader(t *testing.T, m Model) {
	c := serve(t, m, Job{Service: Echo, Clients: 1}).dial()
	want := noise(t, eightMiB)
	sent := pump(c, want)
	// Nothing is read until the sender is held up, or has sent all into buffers of the kernels.
	select {
	case err := <-sent:
		sent <- err
	case <-time.After(100 * time.Millisecond):
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes (%v), want the %d that were sent", len(got), err, len(want))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// testReset: a client that breaks off harms nobody but itself.
func testReset(t *testing.T, m Model) {
	b := serve(t, m, Job{Service: Echo, Clients: 1})
	for range 5 {
		c := b.dial()
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if err := exchange(b.dial(), "still there?", "still there?"); err != nil {
		t.Error(err)
	}
}

// listens reports whether this process has a socket that listens at the address (proc(5)).
func listens(t *testing.T, addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port) // it is that of a listener
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			return runtime.GOOS != "linux" // nobody tells; or there is no IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
				continue
			}
			if strings.Contains(strings.Join(leak.FileNames(), " "), "socket:["+f[9]+"]") {
				return true
			}
		}
	}
	return false
}

// testStop: the end of the context ends everything, also with clients that are in the middle of something.
func testStop(t *testing.T, m Model) {
	files, threads := leak.FileNames(), countThreads()
	n := 8
	if ok, _ := m.Limit.Takes(n); !ok {
		n = m.Limit.Conns
	}
	b := serve(t, m, Job{Service: Echo, Clients: n})
	var conns []net.Conn
	for range n + 1 { // one of them may have to wait in the backlog
		conns = append(conns, b.dial())
	}
	for i, c := range conns[:n] {
		if err := exchange(c, "hello", "hello"); err != nil {
			t.Fatalf("client %d of %d: %v", i, n, err)
		}
	}
	b.stop()
	for i, c := range conns {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d after the end: Read = %d, %v; want it closed", i, n, err)
		}
		c.Close()
	}
	if c, err := net.DialTimeout("tcp", b.addr, time.Second); err == nil {
		c.Close()
		if listens(t, b.addr) { // else another process has the port by now
			t.Error("somebody still listens")
		}
	}
	if left := eventually(func() (left []string) {
		for _, g := range goroutinesOf("plexor") {
			left = append(left, "goroutine: "+g)
		}
		for _, f := range leak.FileNames() {
			if !strings.Contains(strings.Join(files, "\n"), f) {
				left = append(left, "descriptor: "+f)
			}
		}
		for _, pid := range children(os.Getpid()) {
			left = append(left, fmt.Sprintf("process: %d", pid))
		}
		// The runtime keeps a few threads for later; those of the connections end.
		if now := countThreads(); m.Name == "threads" && now > threads+n/2 {
			left = append(left, fmt.Sprintf("threads: %d before, %d now", threads, now))
		}
		return left
	}); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// testInUse: what can't be had is an error that says what and where.
func testInUse(t *testing.T, m Model) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	a := loopback
	a.Port = taken.Addr().(*net.TCPAddr).Port
	err = m.Serve(t.Context(), Job{Addr: a, Service: Echo, Clients: 1})
	if err == nil || !strings.Contains(err.Error(), "models: "+m.Name+": ") ||
		!strings.Contains(err.Error(), fmt.Sprint(a.Port)) ||
		!strings.Contains(err.Error(), "in use") {
		t.Errorf("Serve on a port in use: %v; want an error that names the model, the port and the reason", err)
	}
}
