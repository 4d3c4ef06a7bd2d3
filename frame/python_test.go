package frame

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// python starts a script in python3 with args, and returns its standard output. The test fails if the script does;
// it is skipped where there is no python3.
func python(t *testing.T, script string, args ...string) io.Reader {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to talk to")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", script}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		if t.Failed() {
			cancel()
		}
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("python3: %v\n%s", err, stderr.String())
		}
	})
	return r
}

// accept takes one connection on a port of loopback, and serves it, in the goroutine that calls done.
func accept(t *testing.T, serve func(net.Conn) error) (port string, done func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, func() {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		l.(*net.TCPListener).SetDeadline(deadline)
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(deadline)
		if err := serve(c); err != nil {
			t.Error(err)
		}
	}
}

// upper replies to each message of c's in upper case, until the stream ends.
func upper(codec Codec) func(net.Conn) error {
	return func(c net.Conn) error {
		r, err := NewReader(c, codec)
		if err != nil {
			return err
		}
		w, err := NewWriter(c, codec)
		if err != nil {
			return err
		}
		for msg, err := range r.All() {
			if err != nil {
				return err
			}
			if _, err := w.Write(bytes.ToUpper(msg)); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestPythonClient: multiprocessing.connection.Client, without an authkey, sends to us and reads our replies. Above
// 16 KiB Python sends header and body apart.
func TestPythonClient(t *testing.T) {
	port, serve := accept(t, upper(Multiprocessing{Max: 10 << 20}))
	out := python(t, `
import sys
from multiprocessing.connection import Client
with Client(("127.0.0.1", int(sys.argv[1]))) as c:
    messages = [b"", b"a", b"hello", b"x" * 16384, b"y" * 16385, b"z" * 5000000]
    for m in messages:
        c.send_bytes(m)
        r = c.recv_bytes()
        assert r == m.upper(), (len(m), len(r))
    for i in range(1000):
        c.send_bytes(b"m%d" % i)
    for i in range(1000):
        assert c.recv_bytes() == b"M%d" % i
print("ok")
`, port)
	serve()
	if b, err := io.ReadAll(out); err != nil || string(b) != "ok\n" {
		t.Errorf("python3 printed %q, %v", b, err)
	}
}

// TestPythonListener: we are the client of a multiprocessing.connection.Listener.
func TestPythonListener(t *testing.T) {
	out := bufio.NewReader(python(t, `
from multiprocessing.connection import Listener
with Listener(("127.0.0.1", 0)) as l:
    print(l.address[1], flush=True)
    with l.accept() as c:
        try:
            while True:
                c.send_bytes(c.recv_bytes().upper())
        except EOFError:
            print("end", flush=True)
`))
	port, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	codec := Multiprocessing{Max: 4 << 20}
	w, err := NewWriter(c, codec)
	if err != nil {
		t.Fatal(err)
	}
	r := mustReader(t, c, codec)
	for _, n := range []int{0, 1, 100, 16384, 16385, 1 << 20} {
		msg := bytes.Repeat([]byte("a"), n)
		if _, err := w.Write(msg); err != nil {
			t.Fatal(err)
		}
		got, err := r.Next()
		if err != nil || !bytes.Equal(got, bytes.ToUpper(msg)) {
			t.Fatalf("message of %d bytes: got %d, %v", n, len(got), err)
		}
	}
	// The long form, as Python writes it from 2 GiB on, is read by Python for shorter messages too.
	if _, err := c.Write([]byte("\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x04long")); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Next(); err != nil || string(got) != "LONG" {
		t.Fatalf("got %q, %v", got, err)
	}
	c.Close()
	if s, err := out.ReadString('\n'); s != "end\n" {
		t.Errorf("python3 printed %q, %v", s, err)
	}
}

// TestPythonStruct: a client that writes its frames with struct, several messages in one send and one message in
// several, and reads the replies with a plain recv loop.
func TestPythonStruct(t *testing.T) {
	rows := []struct{ spec, format string }{
		{"len1", "!B"}, {"len2", "!H"}, {"len4", "!I"}, {"len8", "!Q"},
		{"len2le", "<H"}, {"len4le", "<I"}, {"len8le", "<Q"},
		{"len4,inclusive", "!I"}, {"len2,offset=2", "!HH"}, {"len4le,adjust=-3", "<I"},
	}
	var args []string // one python for all: to start it takes longer than the rest
	var serve []func()
	for _, row := range rows {
		codec, err := Parse(row.spec)
		if err != nil {
			t.Fatal(err)
		}
		more := 0 // what the length is more than the message
		if c := codec.(Length); c.Inclusive {
			more = c.Bytes
		} else {
			more = -c.Adjust
		}
		port, accepted := accept(t, upper(codec))
		args = append(args, row.spec, port, row.format, fmt.Sprint(more))
		serve = append(serve, accepted)
	}
	out := python(t, `
import socket, struct, sys

def frame(m):
    fields = [0] * (format.count("H") - 1 if format == "!HH" else 0) + [len(m) + more]
    return struct.pack(format, *fields) + m

def exactly(s, n):
    b = b""
    while len(b) < n:
        p = s.recv(n - len(b))
        assert p, spec + ": closed"
        b += p
    return b

def reply(s):
    return exactly(s, struct.unpack(format, exactly(s, size))[-1] - more)

for i in range(1, len(sys.argv), 4):
    spec, port, format, more = sys.argv[i], int(sys.argv[i + 1]), sys.argv[i + 2], int(sys.argv[i + 3])
    size = struct.calcsize(format)
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(frame(b"one") + frame(b"two") + frame(b""))
        assert [reply(s), reply(s), reply(s)] == [b"ONE", b"TWO", b""], spec
        whole = frame(b"in five pieces")
        for i in range(4):
            s.sendall(whole[i:i + 1])
        s.sendall(whole[4:])
        assert reply(s) == b"IN FIVE PIECES", spec
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b"", spec
    print("ok", spec)
`, args...)
	lines := bufio.NewScanner(out)
	for i, row := range rows {
		serve[i]()
		if !lines.Scan() || lines.Text() != "ok "+row.spec {
			t.Fatalf("%s: python3 printed %q, %v", row.spec, lines.Text(), lines.Err())
		}
	}
}
