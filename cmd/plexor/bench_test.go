package main

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/load"
)

// benched runs plexor bench and decodes what it printed as JSON.
func benched(t *testing.T, args ...string) (code int, r load.Result, stderr string) {
	t.Helper()
	cmd := command(append([]string{"bench", "--json", "--quiet"}, args...)...)
	var e strings.Builder
	cmd.Stderr = &e
	out, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if len(out) > 0 {
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("plexor bench %q printed %q: %v", args, out, err)
		}
	}
	return cmd.ProcessState.ExitCode(), r, e.String()
}

// TestBenchServe: plexor bench against plexor serve, on every kind of address, to the message.
func TestBenchServe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sock")
	s := serve(t, 9, command("serve", "--loops=1", "echo=tcp://127.0.0.1:0", "upper=tcp://127.0.0.1:0",
		"echo=unix://"+path, "echo=tls://127.0.0.1:0", "echo=udp://127.0.0.1:0",
		"upper=udp://127.0.0.1:0", "upper=tcp://127.0.0.1:0?frame=len4", "echo=tcp://127.0.0.1:0?frame=line",
		"upper=tcp://127.0.0.1:0?frame=varint"))
	pin, requests := "?fingerprint="+s.fingerprint(), portion.Fewer(1003, 203)
	for _, row := range []struct {
		name string
		args []string
	}{
		{"tcp", []string{s.addrs[0]}},
		{"a name", []string{"tcp://localhost:" + s.port(0)}},
		{"depth", []string{s.addrs[0], "--depth=16", "--size=1000"}},
		{"loops", []string{s.addrs[0], "--loops=2"}},
		{"rate", []string{s.addrs[0], "--rate=5000"}},
		{"think", []string{s.addrs[0], "--think=1ms"}},
		{"ramp-up", []string{s.addrs[0], "--ramp-up=50ms", "--think=10ms"}},
		{"reconnect", []string{s.addrs[0], "--reconnect"}},
		{"upper", []string{s.addrs[1], "--expect=upper"}},
		{"unix", []string{s.addrs[2]}},
		{"tls", []string{s.addrs[3] + pin}},
		{"tls, insecure", []string{s.addrs[3], "--insecure"}},
		{"udp", []string{s.addrs[4]}},
		{"upper over udp", []string{s.addrs[5], "--expect=upper"}},
		{"upper in frames", []string{s.addrs[6], "--expect=upper", "--frame=len4"}},
		{"lines", []string{s.addrs[7] + "?frame=line", "--depth=4"}},
		{"varint", []string{s.addrs[8], "--expect=upper", "--frame=varint", "--size=2000"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			code, r, stderr := benched(t, append(row.args, fmt.Sprint("--requests=", requests), "--conns=7")...)
			ends(t, 0, "", code, stderr)
			lost := r.LostMessages > 0 && !strings.Contains(row.name, "udp")
			if r.Messages+r.LostMessages != int64(requests) || lost || r.Wrong != 0 || r.Rate == 0 || r.Latency.P99 == 0 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// pythonEcho serves echo with socketserver, and pythonAsyncio with asyncio; both print their port.
const pythonEcho = `
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
with Server(("127.0.0.1", 0), Echo) as s:
    print(s.server_address[1], flush=True)
    s.serve_forever()
`

const pythonAsyncio = `
import asyncio
async def echo(r, w):
    try:
        while data := await r.read(65536):
            w.write(data)
            await w.drain()
        w.close()
    except ConnectionError:
        pass
async def main():
    s = await asyncio.start_server(echo, "127.0.0.1", 0)
    print(s.sockets[0].getsockname()[1], flush=True)
    await s.serve_forever()
asyncio.run(main())
`

// python runs a server in Python, and returns its address.
func python(t *testing.T, program string) string {
	t.Helper()
	cmd := exec.Command(tool(t, "python3"), "-c", program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it would serve for ever
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no port: %v", err)
	}
	return "tcp://127.0.0.1:" + strings.TrimSpace(port)
}

// TestBenchPython: servers that nobody here wrote.
func TestBenchPython(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, program string }{{"socketserver", pythonEcho}, {"asyncio", pythonAsyncio}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			address := python(t, row.program)
			code, r, stderr := benched(t, address, "--conns=10", "--requests=2001", "--depth=4")
			ends(t, 0, "", code, stderr)
			if r.Messages != 2001 || r.Connected != 10 {
				t.Errorf("result %+v", r)
			}
			code, r, stderr = benched(t, address, "--conns=3", "--rate=500", "--duration=400ms", "--size=20000")
			ends(t, 0, "", code, stderr)
			if r.Messages < 199 || r.Messages > 201 {
				t.Errorf("%d messages, want 200; result %+v", r.Messages, r)
			}
		})
	}
}

// TestBenchEnds: what goes wrong is said in one line, and in the exit code; the result is printed even so.
func TestBenchEnds(t *testing.T) {
	t.Parallel()
	answer := func(f func(p []byte) []byte) func(c *net.TCPConn) {
		return func(c *net.TCPConn) {
			for buf := make([]byte, 64); ; {
				if _, err := io.ReadFull(c, buf); err != nil {
					return
				}
				if _, err := c.Write(f(buf)); err != nil {
					return
				}
			}
		}
	}
	for _, row := range []struct {
		name  string
		serve func(c *net.TCPConn)
		args  []string
		says  string
	}{
		{"wrong bytes", answer(func(p []byte) []byte { p[20]++; return p }), nil, `1 of 1 answers were wrong`},
		{"more bytes", answer(func(p []byte) []byte { return append(p, p...) }), nil,
			`1 of 1 answers were wrong.*nobody had sent`},
		{"reset", func(c *net.TCPConn) { _, _ = io.ReadFull(c, make([]byte, 64)); _ = c.SetLinger(0) }, nil,
			`1 of 1 connections were lost: .*reset`},
		{"closed", func(c *net.TCPConn) { _, _ = io.ReadFull(c, make([]byte, 64)) }, nil,
			`1 of 1 connections were lost: the server closed`},
		{"no answer", func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }, []string{"--timeout=200ms"},
			`1 of 1 connections were lost: .*timeout`},
	} {
		t.Run(row.name, func(t *testing.T) {
			address := peer(t, row.serve)
			code, r, stderr := benched(t, append(row.args, address, "--conns=1", "--duration=10s")...)
			ends(t, 1, `^plexor: `+address+`: `+row.says, code, stderr)
			if r.LostConns != 1 || r.Seconds > 5 {
				t.Errorf("result %+v", r)
			}
		})
	}
	t.Run("a stall", func(t *testing.T) {
		t.Parallel()
		// A busy machine may be late with all of them, or may not do so many: then it has more time for fewer.
		for _, row := range []struct {
			rate, seconds, want int64
		}{{200, 2, 400}, {20, 5, 100}} {
			turn := 0
			address := peer(t, answer(func(p []byte) []byte {
				if turn++; turn == 50 {
					time.Sleep(time.Second) // the fault itself
				}
				return p
			}))
			code, r, stderr := benched(t, address, "--conns=1", fmt.Sprintf("--rate=%d", row.rate),
				fmt.Sprintf("--duration=%ds", row.seconds))
			ends(t, 0, "", code, stderr)
			l := r.Latency
			if (r.Messages-row.want)/2 == 0 && l.P99 >= 900_000 && l.P99-l.P50 >= 300_000 {
				return
			}
			t.Logf("%d messages, want %d; latencies %+v", r.Messages, row.want, l)
		}
		t.Error("p99 must show the second, and p50 not")
	})
	t.Run("refused", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		code, _, stderr := benched(t, "tcp://"+ln.Addr().String())
		ends(t, 1, `no connection could be made; is the server there.*connection refused`, code, stderr)
	})
	t.Run("no such name", func(t *testing.T) {
		code, _, stderr := benched(t, "tcp://no-such-host.invalid:80")
		ends(t, 1, `no-such-host\.invalid`, code, stderr)
	})
	t.Run("no such directory", func(t *testing.T) {
		code, _, stderr := benched(t, "tcp://127.0.0.1:1", "--plot="+filepath.Join(t.TempDir(), "none", "x.svg"))
		ends(t, 1, `--plot: .*no such file or directory`, code, stderr)
	})
}

// TestBenchUsage: a wrong command line is said in one line.
func TestBenchUsage(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"no address", nil, `<address>`},
		{"no scheme", []string{"127.0.0.1:9000"}, `127\.0\.0\.1:9000`},
		{"no port", []string{"tcp://127.0.0.1"}, `port`},
		{"port 0", []string{"tcp://127.0.0.1:0"}, `port 0`},
		{"unknown option", []string{"tcp://127.0.0.1:1?colour=red"}, `unknown option "colour"`},
		{"fingerprint without tls", []string{"tcp://127.0.0.1:1?fingerprint=AB"}, `unknown option "fingerprint"`},
		{"no fingerprint", []string{"tls://127.0.0.1:1?fingerprint=AB"}, `option fingerprint: it is no SHA-256`},
		{"connections", []string{"tcp://127.0.0.1:1", "--conns=-3"}, `connections: -3`},
		{"depth", []string{"tcp://127.0.0.1:1", "--depth=many"}, `many`},
		{"duration", []string{"tcp://127.0.0.1:1", "--duration=-1s"}, `duration: -1s`},
		{"frame", []string{"tcp://127.0.0.1:1", "--frame=len5"}, `--frame=len5: .*len5`},
		{"frame twice", []string{"tcp://127.0.0.1:1?frame=line", "--frame=line"}, `as well`},
		{"frame over udp", []string{"udp://127.0.0.1:1", "--frame=line"}, `a datagram is a message already`},
		{"expect", []string{"tcp://127.0.0.1:1", "--expect=lower"}, `echo.*upper`},
		{"rate and think", []string{"tcp://127.0.0.1:1", "--rate=1", "--think=1s"}, `think time`},
		{"insecure", []string{"tcp://127.0.0.1:1", "--insecure"}, `insecure`},
		{"driver", []string{"tcp://127.0.0.1:1", "--driver=devpoll"}, `unknown driver "devpoll"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := result(append([]string{"bench"}, row.args...)...)
			ends(t, 2, row.want, code, stderr)
			if stdout != "" {
				t.Errorf("it printed %q", stdout)
			}
		})
	}
}

// TestBenchElsewhere: datagrams that came from elsewhere are in the table, and only if there were any.
func TestBenchElsewhere(t *testing.T) {
	const row = "elsewhere    1,234 datagrams from other addresses than the messages went to, dropped\n"
	for n, want := range map[int64]string{0: "", 1234: row} {
		var out strings.Builder
		if err := (&console{out: &out}).report(&load.Result{Unexpected: n}); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, want) || n == 0 && strings.Contains(got, "elsewhere") {
			t.Errorf("with %d of them the table is %q, want %q in it", n, got, want)
		}
	}
}

// TestBenchReport: the table, the lines of progress, and the picture.
func TestBenchReport(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "--loops=1", "echo=tcp://127.0.0.1:0"))
	picture := filepath.Join(t.TempDir(), "latency.svg")
	cmd := command("bench", s.addrs[0], "--conns=3", "--duration=1300ms", "--think=5ms", "--plot="+picture)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	for _, want := range []string{`3 connections × 1 under way × 64 bytes`,
		`(?m)^messages +[0-9,]+ answered, measured for 1\.300 s$`, `(?m)^rate +[0-9,]+ messages/s`,
		`p50 .*p90 .*p99 .*p99\.9 `, `(?m)^connections  3 made, 0 not made, 0 lost`, `(?m)^wrong +0 answers$`,
		`up to +messages +share`, `(?m)[µm]s +[0-9,]+ +[0-9.]+ % █+`} {
		if !regexp.MustCompile(want).MatchString(string(out)) {
			t.Errorf("the table does not match %q:\n%s", want, out)
		}
	}
	if !regexp.MustCompile(`(?m)^measuring [01]\.\d s +\d+ %  3 connections  [0-9,]+ messages  [0-9,]+/s$`).MatchString(
		stderr.String()) || strings.ContainsAny(stderr.String()+string(out), "\r\x1b") {
		t.Errorf("no plain line of progress: %q", stderr.String())
	}
	b, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, new(struct {
		XMLName xml.Name `xml:"svg"`
	})); err != nil || !strings.Contains(string(b), "percentile") {
		t.Errorf("%d bytes are no picture: %v", len(b), err)
	}
	t.Run("terminal", func(t *testing.T) {
		cmd := command("bench", s.addrs[0], "--conns=3", "--duration=700ms", "--think=5ms")
		onTerminal := exec.CommandContext(t.Context(), tool(t, "script"), "-qec", strings.Join(cmd.Args, " "), "/dev/null")
		onTerminal.Env = append(cmd.Env, "TERM=xterm")
		out, err := onTerminal.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !regexp.MustCompile("\r\x1b\\[Kmeasuring 0\\.\\d s █+░+ +\\d+ %").Match(out) ||
			!strings.Contains(string(out), "\r\x1b[Ktcp://") {
			t.Errorf("no bar that is drawn anew and cleared: %q", out)
		}
	})
}

// TestBenchInterrupt: the first signal ends the load, and what there is is printed.
func TestBenchInterrupt(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, command("serve", "--loops=1", "echo=tcp://127.0.0.1:0"))
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd := command("bench", s.addrs[0], "--json", "--conns=3", "--duration=1h", "--think=5ms")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			cmd.Stdout = &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stderr)
			if !lines.Scan() { // it is under way
				t.Fatalf("no progress: %v", lines.Err())
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v: %v", sig, err)
			}
			var r load.Result
			if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
				t.Fatalf("%v: %q: %v", sig, out.String(), err)
			}
			if !r.Interrupted || r.Messages == 0 || r.Rate == 0 || r.LostConns != 0 {
				t.Errorf("%v: result %+v", sig, r)
			}
		})
	}
}
