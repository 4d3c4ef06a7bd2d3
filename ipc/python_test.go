package ipc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
)

// pythons are the versions of Python that are on the PATH, the first one first. What is there may be a script that
// looks for the interpreter each time, which can take longer than a test: so they are asked once for their own names.
var pythons = sync.OnceValue(func() (paths []string) {
	names := []string{"python3", "python3.8", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13",
		"python3.14"}
	answers := make([]string, len(names)) // those that are not there have none
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() {
			if out, err := exec.Command(name, "-c",
				"import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)").Output(); err == nil {
				answers[i] = string(out)
			}
		})
	}
	asked.Wait()
	seen := map[string]bool{}
	for _, answer := range answers {
		version, own, _ := strings.Cut(strings.TrimSpace(answer), "\n")
		if own != "" && !seen[version] {
			seen[version] = true
			paths = append(paths, own)
		}
	}
	return paths
})

// eachPython runs f with the first Python in each family, with and without a key, and with the others, which are there
// for their handshakes, over tcp with a key.
func eachPython(t *testing.T, f func(t *testing.T, path, address string, key []byte)) {
	t.Helper()
	if len(pythons()) == 0 {
		t.Skip("there is no python3 to talk to")
	}
	for i, path := range pythons() {
		for _, family := range []string{"tcp", "unix"} {
			for _, key := range []string{"", "secret"} {
				if i > 0 && (family != "tcp" || key == "") {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/key=%s", path[strings.LastIndexByte(path, '/')+1:], family, key), func(t *testing.T) {
					t.Parallel() // most of it is Python's start
					address := "tcp://127.0.0.1:0"
					if family == "unix" {
						address = "unix://" + socketPath(t)
					}
					var k []byte
					if key != "" {
						k = []byte(key)
					}
					f(t, path, address, k)
				})
			}
		}
	}
}

// pythonPrologue reads the arguments: an address and a key.
const pythonPrologue = `
import sys
from multiprocessing.connection import Client, Listener
from multiprocessing import AuthenticationError
family, address, key = sys.argv[1], sys.argv[2], (sys.argv[3] or None)
if family == "tcp":
    host, port = address.rsplit(":", 1)
    address = (host, int(port))
key = key and key.encode()
`

// python starts a script, and returns what it prints and what waits for its end.
func python(t *testing.T, path, script, address string, key []byte) (out *bufio.Reader, wait func()) {
	t.Helper()
	family, at, _ := strings.Cut(address, "://")
	cmd := exec.Command(path, "-c", pythonPrologue+script, family, at, string(key))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	return bufio.NewReader(r), func() {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python: %v\n%s", err, stderr.String())
		}
	}
}

var quiet = slog.New(slog.DiscardHandler)

// TestPythonClient: Python's Client sends, receives, and closes.
func TestPythonClient(t *testing.T) {
	eachPython(t, func(t *testing.T, path, address string, key []byte) {
		ctx := limited(t)
		l, err := ListenPython(address, PythonOptions{AuthKey: key, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, wait := python(t, path, `
if key:
    try:
        Client(address, authkey=b"wrong")
        raise SystemExit("a wrong key was taken")
    except AuthenticationError:
        pass
with Client(address, authkey=key) as c:
    for m in [b"", b"a", b"x" * 16384, b"y" * 16385, b"z" * 3000000]:
        c.send_bytes(m)
        r = c.recv_bytes()
        assert r == m.upper(), (len(m), len(r))
`, l.Addr(), key)
		c, err := l.Accept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for {
			msg, err := c.RecvBytes(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SendBytes(ctx, bytes.ToUpper(msg)); err != nil {
				t.Fatal(err)
			}
		}
		wait()
	})
}

// TestPythonListener: Python's Listener accepts us.
func TestPythonListener(t *testing.T) {
	eachPython(t, func(t *testing.T, path, address string, key []byte) {
		ctx := limited(t)
		out, wait := python(t, path, `
with Listener(address, authkey=key) as l:
    print("%s:%d" % l.address if family == "tcp" else l.address, flush=True)
    if key:
        try:
            l.accept()
            raise SystemExit("a wrong key was taken")
        except AuthenticationError:
            pass
    with l.accept() as c:
        try:
            while True:
                c.send_bytes(c.recv_bytes().upper())
        except EOFError:
            pass
`, address, key)
		at, err := out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		scheme, _, _ := strings.Cut(address, "://")
		address = scheme + "://" + strings.TrimSpace(at)
		if key != nil {
			if c, err := DialPython(ctx, address, PythonOptions{AuthKey: []byte("wrong")}); !errors.Is(err, ErrAuth) {
				t.Fatalf("with a wrong key: %v, %v, want ErrAuth", c, err)
			}
		}
		c, err := DialPython(ctx, address, PythonOptions{AuthKey: key})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, n := range []int{0, 1, smallMessage, smallMessage + 1, 16384, 16385, 3 << 20} {
			msg := bytes.Repeat([]byte("a"), n)
			if err := c.SendBytes(ctx, msg); err != nil {
				t.Fatal(err)
			}
			if got, err := c.RecvBytes(ctx); err != nil || !bytes.Equal(got, bytes.ToUpper(msg)) {
				t.Fatalf("message of %d bytes: got %d, %v", n, len(got), err)
			}
		}
		c.Close()
		wait()
	})
}

// TestPythonSilent: clients that say nothing hold up nobody, and are gone when their time is up. The two halves have a
// listener each: a time short enough to wait for would be too short for an honest client on a busy machine.
func TestPythonSilent(t *testing.T) {
	leak.Check(t)
	key := []byte("secret")
	silent := func(t *testing.T, limit time.Duration, n int) (*PythonListener, []net.Conn) {
		l, err := ListenPython("tcp://127.0.0.1:0", PythonOptions{AuthKey: key, HandshakeTimeout: limit, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		var all []net.Conn
		for range n {
			nc, err := net.Dial("tcp", strings.TrimPrefix(l.Addr(), "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			nc.SetDeadline(time.Now().Add(patience))
			all = append(all, nc)
		}
		return l, all
	}
	gone := func(t *testing.T, all []net.Conn) {
		for i, nc := range all {
			if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("client %d is still connected", i)
			}
		}
	}
	t.Run("hold up nobody", func(t *testing.T) {
		l, all := silent(t, 10*patience, maxHandshakes+10)
		c, err := DialPython(limited(t), l.Addr(), PythonOptions{AuthKey: key})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a, err := l.Accept(limited(t))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		gone(t, all[:10]) // the first ones had to go for the last
	})
	t.Run("are gone", func(t *testing.T) {
		_, all := silent(t, 50*time.Millisecond, maxHandshakes)
		gone(t, all)
	})
}

// TestPythonBounds: before the key is proved a message has 256 bytes at most, and after it what was agreed.
func TestPythonBounds(t *testing.T) {
	leak.Check(t)
	key := []byte("secret")
	l, err := ListenPython("tcp://127.0.0.1:0", PythonOptions{AuthKey: key, MaxMessage: 1000, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", strings.TrimPrefix(l.Addr(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	s := sim{true, nc, key}
	if _, err := s.recv(); err != nil {
		t.Fatal(err)
	}
	s.c.Write([]byte{0, 0, 1, 1}) // 257 bytes are to come
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("257 bytes before the handshake were waited for")
	}
	c, err := DialPython(limited(t), l.Addr(), PythonOptions{AuthKey: key})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := l.Accept(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.SendBytes(limited(t), make([]byte, 1001)); err == nil {
		t.Error("1001 bytes were sent")
	}
	if err := c.SendBytes(limited(t), make([]byte, 1001)); err != nil {
		t.Error(err)
	}
	if got, err := a.RecvBytes(limited(t)); err == nil {
		t.Errorf("received %d bytes", len(got))
	}
}

func TestPythonRefusals(t *testing.T) {
	leak.Check(t)
	for _, row := range []struct {
		name, address string
		o             PythonOptions
	}{
		{"empty key", "tcp://127.0.0.1:0", PythonOptions{AuthKey: []byte{}}},
		{"datagrams", "udp://127.0.0.1:0", PythonOptions{}},
		{"no address", "127.0.0.1:0", PythonOptions{}},
		{"negative size", "tcp://127.0.0.1:0", PythonOptions{MaxMessage: -1}},
	} {
		if l, err := ListenPython(row.address, row.o); err == nil {
			l.Close()
			t.Errorf("%s: ListenPython took it", row.name)
		}
	}
	l, err := ListenPython("tcp://127.0.0.1:0", PythonOptions{})
	if err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() { _, err := l.Accept(context.Background()); waits <- err }()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, waits, "Accept"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
}
