package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
)

// forEachDriver runs a test on every driver that works here, in CI or where -run names one. Else the test has io_uring
// and one of the others, which depends on its name: what a driver does is held by package loop.
func forEachDriver(t *testing.T, test func(t *testing.T, driver string)) {
	var names, ready []string
	for _, d := range allDrivers() {
		if d.Err == nil {
			names = append(names, d.Name)
			if d.Name != "io_uring" {
				ready = append(ready, d.Name)
			}
		}
	}
	turn := ""
	if len(ready) > 0 {
		turn = ready[portion.Turn(t.Name())%len(ready)]
	}
	for _, name := range names {
		if portion.Everywhere() || name == "io_uring" || name == turn {
			t.Run(name, func(t *testing.T) { test(t, name) })
		}
	}
}

var allDrivers = sync.OnceValue(loop.Drivers) // which tries each

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // most tests have closed it
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a message and returns as many bytes as the reply is to have.
func ask(t *testing.T, c net.Conn, message string, n int) string {
	t.Helper()
	if _, err := c.Write([]byte(message)); err != nil {
		t.Fatalf("send %q: %v", message, err)
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(c, reply); err != nil {
		t.Fatalf("reply to %q: %q, %v", message, reply, err)
	}
	return string(reply)
}

// TestServe: each service on each kind of address, on each driver.
func TestServe(t *testing.T) {
	forEachDriver(t, func(t *testing.T, driver string) {
		path := filepath.Join(t.TempDir(), "sock")
		s := serve(t, 5, command("serve", "--driver="+driver, "--loops=2",
			"upper=tcp://127.0.0.1:0", "echo=tcp://127.0.0.1:0", "upper=udp://127.0.0.1:0", "echo=udp://127.0.0.1:0",
			"echo=unix://"+path))
		for i, network := range []string{"tcp", "tcp", "udp", "udp", "unix"} {
			c := dial(t, network, s.host(i))
			want := "Hello, wörld\x00"
			if i == 0 || i == 2 {
				want = "HELLO, WöRLD\x00_SB" // the bytes a to z alone
			}
			for range 3 {
				if got := ask(t, c, "Hello, wörld\x00", len(want)); got != want {
					t.Errorf("%s: got %q, want %q", s.addrs[i], got, want)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, line := range strings.Split(s.text(), "\n") {
			if !strings.HasSuffix(line, " driver="+driver+" loops=2") {
				t.Errorf("a line of the log is %q", line)
			}
		}
		s.signal(syscall.SIGTERM)
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d after SIGTERM, want 0", code)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the Unix socket's file is still there")
		}
	})
}

// TestDefaultServices: what serve does when it is told nothing, where the default ports are free.
func TestDefaultServices(t *testing.T) {
	for _, o := range defaultOffers {
		parsed, err := parseOffer(o)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.addr.Scheme == "tcp" {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", parsed.addr.Port))
			if err != nil {
				t.Skipf("a default port is taken here: %v", err)
			}
			_ = l.Close() // it was free
		}
	}
	s := serve(t, 3, command("serve"))
	if got := strings.Join(s.addrs, " "); got != "tcp://127.0.0.1:8088 tcp://127.0.0.1:9000 udp://127.0.0.1:9000" {
		t.Errorf("it listens on %s", got)
	}
	if got := ask(t, dial(t, "tcp", s.host(0)), "abc", 6); got != "ABC_SB" {
		t.Errorf("upper over TCP: %q", got)
	}
	if got := ask(t, dial(t, "tcp", s.host(1)), "abc", 3); got != "abc" {
		t.Errorf("echo over TCP: %q", got)
	}
	if got := ask(t, dial(t, "udp", s.host(2)), "abc", 3); got != "abc" {
		t.Errorf("echo over UDP: %q", got)
	}
}

// TestHalfClosedSlowReader: a client that sends 8 MiB, closes its half and only then begins to read gets all of it.
func TestHalfClosedSlowReader(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		s := serve(t, 1, command("serve", "--driver="+driver, "echo=tcp://127.0.0.1:0"))
		sent := make([]byte, 8<<20)
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		for i := range sent {
			sent[i] = byte(r.Uint32())
		}
		c := dial(t, "tcp", s.host(0)).(*net.TCPConn)
		// What does not fit into the kernels' buffers stays with the client until it reads.
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write(sent)
			if err == nil {
				err = c.CloseWrite()
			}
			failed <- err
		}()
		var got bytes.Buffer
		if _, err := io.Copy(&got, &slowReader{c}); err != nil {
			t.Errorf("after %d bytes: %v", got.Len(), err)
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got.Bytes(), sent) {
			t.Errorf("seed %d: %d bytes came back, want %d of the same", seed, got.Len(), len(sent))
		}
	})
}

// slowReader reads little at a time, and lets everybody else run in between.
type slowReader struct{ r io.Reader }

func (s *slowReader) Read(p []byte) (int, error) {
	runtime.Gosched()
	return s.r.Read(p[:min(len(p), 16<<10)])
}

// TestNeverReads: a client that sends all the time and never reads costs the server little.
func TestNeverReads(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		neverReads(t, driver)
	})
}

func neverReads(t *testing.T, driver string) {
	const limit = 24 << 20
	s := serve(t, 1, command("serve", "--driver="+driver, "echo=tcp://127.0.0.1:0"))
	atStart := s.resident()
	c := dial(t, "tcp", s.host(0))
	end := time.Now().Add(time.Duration(portion.Fewer(5000, 1500)) * time.Millisecond)
	piece := make([]byte, 256<<10)
	total, most := 0, 0
	for time.Now().Before(end) {
		if err := c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Write(piece)
		total += n
		if err != nil && !os.IsTimeout(err) {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		most = max(most, s.resident())
	}
	t.Logf("%d KiB sent, none read; the server took %d KiB, after %d at its start", total>>10, most>>10, atStart>>10)
	// Under the race detector it takes most of that just to be there; then what it grows by counts.
	if most > max(limit, atStart+limit/2) {
		t.Errorf("the server's resident memory was %d KiB, want at most %d", most>>10, limit>>10)
	}
	if got := ask(t, dial(t, "tcp", s.host(0)), "others", 6); got != "others" {
		t.Errorf("meanwhile another client got %q", got)
	}
}

// TestDrain: SIGTERM lets what is under way come to its end; a second signal does not wait.
func TestDrain(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("23 bytes; prime lengths", 200_000) // so that a lost piece shows
	t.Run("quiet connections end at once", func(t *testing.T) {
		t.Parallel()
		s := serve(t, 1, command("serve", "--drain=1h", "echo=tcp://127.0.0.1:0"))
		c := dial(t, "tcp", s.host(0))
		ask(t, c, "hello", 5)
		s.signal(syscall.SIGTERM)
		if rest := readAll(t, c); rest != "" {
			t.Errorf("got %q at the end", rest)
		}
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d, want 0", code)
		}
	})
	t.Run("a message that has begun is finished", func(t *testing.T) {
		t.Parallel()
		s := serve(t, 1, command("serve", "--drain=1h", "echo=tcp://127.0.0.1:0?frame=len4,max=8MiB"))
		c := dial(t, "tcp", s.host(0))
		// The first answer shows that the beginning of the second message, which came in the same piece, is there.
		head := binary.BigEndian.AppendUint32(nil, uint32(len(big)))
		ask(t, c, "\x00\x00\x00\x01a"+string(head)+big[:2], 5)
		s.signal(syscall.SIGINT)
		s.says("draining")
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, big[2:])
			sent <- err
		}()
		answer, err := io.ReadAll(c)
		if err != nil || string(answer) != string(head)+big {
			t.Errorf("%d bytes came back, want a header and %d: %v", len(answer), len(big), err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d, want 0", code)
		}
	})
	t.Run("busy ones are answered as far as they were read", func(t *testing.T) {
		t.Parallel()
		s := serve(t, 1, command("serve", "--drain=1h", "echo=tcp://127.0.0.1:0"))
		c := dial(t, "tcp", s.host(0))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.WriteString(c, big) // the server closes as soon as it has nothing to answer, if only for a moment
		}()
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil {
			t.Fatal(err)
		}
		s.signal(syscall.SIGINT)
		rest, err := io.ReadAll(c) // a reset would lose answers that were sent
		if err != nil || string(first)+string(rest) != big[:1+len(rest)] {
			t.Errorf("after %d bytes that came back: %v", 1+len(rest), err)
		}
		<-sent
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d, want 0", code)
		}
	})
	for _, row := range []struct {
		name  string
		drain string
		twice bool
		says  string
	}{
		{"a second signal ends at once", "1h", true, "1 connections were cut: a second signal"},
		{"the limit ends at once", "100ms", false, "1 connections were cut: --drain=100ms is over"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, 1, command("serve", "--drain="+row.drain, "echo=tcp://127.0.0.1:0"))
			c := dial(t, "tcp", s.host(0))
			ask(t, c, "hello", 5)
			clog(t, c)
			s.signal(syscall.SIGTERM)
			if row.twice {
				s.says("draining")
				s.signal(syscall.SIGTERM)
			}
			if code := s.exit(); code != 1 || !strings.Contains(s.text(), row.says) {
				t.Errorf("exit %d, want 1 and %q in the log:\n%s", code, row.says, s.text())
			}
		})
	}
}

// clog writes and does not read until the server stops reading.
func clog(t *testing.T, c net.Conn) {
	t.Helper()
	piece := make([]byte, 1<<20)
	for {
		if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Write(piece); n == 0 && os.IsTimeout(err) {
			return
		} else if err != nil && !os.IsTimeout(err) {
			t.Fatal(err)
		}
	}
}

// TestStreamHandler: the same services with a coroutine a connection.
func TestStreamHandler(t *testing.T) {
	forEachDriver(t, func(t *testing.T, driver string) {
		s := serve(t, 2, command("serve", "--handler=stream", "--driver="+driver, "upper=tcp://127.0.0.1:0",
			"echo=tcp://127.0.0.1:0"))
		upper, echo := dial(t, "tcp", s.host(0)), dial(t, "tcp", s.host(1))
		for range 3 {
			if got := ask(t, upper, "abc", 6); got != "ABC_SB" {
				t.Errorf("upper: got %q", got)
			}
			if got := ask(t, echo, "abc", 3); got != "abc" {
				t.Errorf("echo: got %q", got)
			}
		}
	})
}

// TestQuit: SIGQUIT tells what the coroutines wait for, and then what Go tells of its goroutines.
func TestQuit(t *testing.T) {
	s := serve(t, 1, command("serve", "--loops=1", "--handler=stream", "echo=tcp://127.0.0.1:0"))
	c := dial(t, "tcp", s.host(0))
	ask(t, c, "hello", 5)
	s.signal(syscall.SIGQUIT)
	s.says(`(?m)^coroutine \d+ \[waiting: read tcp://` + regexp.QuoteMeta(c.LocalAddr().String()) +
		`\b.*\] plexor handler`)
	s.says(`(?m)^goroutine 1 `)
	if code := s.exit(); code != exitUsage {
		t.Errorf("exit %d, want %d, Go's own for SIGQUIT", code, exitUsage)
	}
}
