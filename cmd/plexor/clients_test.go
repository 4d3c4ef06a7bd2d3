package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tool finds a program or skips the test.
func tool(t *testing.T, names ...string) string {
	t.Helper()
	for _, n := range names {
		if p := pythonPath(); p != "" && n == "python3" {
			return p
		}
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	t.Skipf("none of %q is on this machine", names)
	return ""
}

// pythonPath is the interpreter itself. What is on the PATH may be a script that looks for it each time, and takes
// longer for that than the test.
var pythonPath = sync.OnceValue(func() string {
	out, _ := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output() // "": there is none
	return strings.TrimSpace(string(out))
})

// script runs a program with standard input, and returns what it printed.
func script(t *testing.T, input, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v; it printed %q and on standard error:\n%s", program, err, out, stderr.String())
	}
	return string(out)
}

// pythonSockets is a client with Python's socket module: TCP with a half-close, then UDP.
const pythonSockets = `
import socket, sys
tcp, udp = sys.argv[1].rsplit(":", 1), sys.argv[2].rsplit(":", 1)
sent = bytes(range(256)) * 4096
with socket.create_connection((tcp[0], int(tcp[1])), timeout=60) as s:
    import threading
    def send():
        s.sendall(sent)
        s.shutdown(socket.SHUT_WR)
    t = threading.Thread(target=send); t.start()
    got = bytearray()
    while piece := s.recv(65536):
        got += piece
    t.join()
    assert got == sent, (len(got), len(sent))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(60)
    s.connect((udp[0], int(udp[1])))
    for m in (b"abc", b"", b"z" * 9000):
        s.send(m)
        assert s.recv(65536) == m.upper() + b"_SB", m
print("good")
`

// pythonSelectors is a client with Python's selectors module: 100 connections at once, three rounds each.
const pythonSelectors = `
import selectors, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
sel = selectors.DefaultSelector()
left = 100
for i in range(left):
    s = socket.socket(); s.setblocking(False)
    s.connect_ex((host, int(port)))
    sel.register(s, selectors.EVENT_WRITE, {"n": i, "round": 0, "got": b""})
while left:
    ready = sel.select(60)
    assert ready, "nothing for 60 s"
    for key, events in ready:
        s, d = key.fileobj, key.data
        want = (b"client %d round %d" % (d["n"], d["round"])).upper() + b"_SB"
        if events & selectors.EVENT_WRITE:
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            s.send(b"client %d round %d" % (d["n"], d["round"]))
            sel.modify(s, selectors.EVENT_READ, d)
            continue
        d["got"] += s.recv(4096)
        if len(d["got"]) < len(want):
            continue
        assert d["got"] == want, (d["got"], want)
        d["got"], d["round"] = b"", d["round"] + 1
        if d["round"] == 3:
            sel.unregister(s); s.close(); left -= 1
        else:
            sel.modify(s, selectors.EVENT_WRITE, d)
print("good")
`

// TestOtherClients: clients that nobody here wrote.
func TestOtherClients(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "sock")
		s := serve(t, 4, command("serve", "--driver="+driver, "echo=tcp://127.0.0.1:0", "upper=tcp://127.0.0.1:0",
			"upper=udp://127.0.0.1:0", "upper=unix://"+path))
		t.Run("python socket", func(t *testing.T) {
			if got := script(t, pythonSockets, tool(t, "python3"), "-", s.host(0), s.host(2)); got != "good\n" {
				t.Errorf("it printed %q", got)
			}
		})
		t.Run("python selectors", func(t *testing.T) {
			if got := script(t, pythonSelectors, tool(t, "python3"), "-", s.host(1)); got != "good\n" {
				t.Errorf("it printed %q", got)
			}
		})
		t.Run("nc", func(t *testing.T) {
			host, port, _ := strings.Cut(s.host(1), ":")
			if got := script(t, "netcat", tool(t, "nc"), "-N", host, port); got != "NETCAT_SB" {
				t.Errorf("nc printed %q", got)
			}
		})
		t.Run("socat tcp", func(t *testing.T) {
			if got := script(t, "socat", tool(t, "socat"), "-t60", "-", "TCP:"+s.host(1)); got != "SOCAT_SB" {
				t.Errorf("socat printed %q", got)
			}
		})
		t.Run("socat unix", func(t *testing.T) {
			if got := script(t, "socat", tool(t, "socat"), "-t60", "-", "UNIX-CONNECT:"+path); got != "SOCAT_SB" {
				t.Errorf("socat printed %q", got)
			}
		})
	})
}
