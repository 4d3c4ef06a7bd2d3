package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/portion"
)

// dialled runs plexor dial with standard input.
func dialled(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(append([]string{"dial"}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &o, &e
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// ends checks how a dial ended: well, when says is empty, and otherwise with one line that matches.
func ends(t *testing.T, wantCode int, says string, code int, stderr string) {
	t.Helper()
	if code != wantCode || !regexp.MustCompile(says).MatchString(stderr) || (says == "") != (stderr == "") ||
		strings.Count(stderr, "\n") > 1 {
		t.Errorf("exit %d, want %d; standard error %q, want a line that matches %q", code, wantCode, stderr, says)
	}
}

func random(t *testing.T, n int) string {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// TestDialServe: plexor dial and plexor serve, on each driver and kind of address.
func TestDialServe(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "sock")
		s := serve(t, 4, command("serve", "--driver="+driver, "echo=tcp://127.0.0.1:0", "echo=unix://"+path,
			"echo=tls://127.0.0.1:0", "upper=tls://127.0.0.1:0?frame=len4"))
		pin := "?fingerprint=" + s.fingerprint()
		big, many := random(t, portion.Fewer(3<<20, 1<<20)), portion.Fewer(5000, 1000)
		for _, row := range []struct{ name, address, input, want string }{
			{"tcp", s.addrs[0], big, big},
			{"unix", s.addrs[1], big, big},
			{"tls", s.addrs[2] + pin, big, big},
			{"a name", "tcp://localhost:" + s.port(0), "hello", "hello"},
			{"nothing", s.addrs[0], "", ""},
			{"nothing over tls", s.addrs[2] + pin, "", ""},
			{"messages", s.addrs[3] + pin + "&frame=len4", "one\n\nthree\r\nlast", "ONE_SB\n_SB\nTHREE_SB\nLAST_SB\n"},
			{"many messages", s.addrs[3] + pin + "&frame=len4", strings.Repeat("message\n", many),
				strings.Repeat("MESSAGE_SB\n", many)},
			{"no messages", s.addrs[3] + pin + "&frame=len4", "", ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				code, stdout, stderr := dialled(t, row.input, "--driver="+driver, row.address)
				ends(t, 0, "", code, stderr)
				if stdout != row.want {
					t.Errorf("got %d bytes %.60q, want %d bytes %.60q", len(stdout), stdout, len(row.want), row.want)
				}
			})
		}
	})
}

// peer is a server for one connection.
func peer(t *testing.T, serve func(c *net.TCPConn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return // nobody came
		}
		defer c.Close()
		serve(c.(*net.TCPConn))
	}()
	t.Cleanup(func() {
		_ = ln.Close() // it has accepted, or need not any more
		<-done
	})
	return "tcp://" + ln.Addr().String()
}

// TestDialEnds: each direction ends by itself, and what ends a connection badly is said.
func TestDialEnds(t *testing.T) {
	t.Parallel()
	t.Run("the peer ends first", func(t *testing.T) {
		got := make(chan string, 1)
		address := peer(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "banner\n")
			_ = c.CloseWrite() // if it failed, dial would not end well
			b, _ := io.ReadAll(c)
			got <- string(b)
		})
		// The input ends when the banner has been printed, so after the peer's half.
		cmd := command("dial", address)
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
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if line != "banner\n" {
			t.Errorf("got %q, %v", line, err)
		}
		if _, err := io.WriteString(stdin, "late"); err != nil {
			t.Error(err)
		}
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if b := <-got; b != "late" {
			t.Errorf("the peer got %q behind its own end", b)
		}
	})
	t.Run("the peer answers at the end of the input", func(t *testing.T) {
		address := peer(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			fmt.Fprintf(c, "%d bytes", len(b))
		})
		code, stdout, stderr := dialled(t, strings.Repeat("x", 100_000), address)
		ends(t, 0, "", code, stderr)
		if stdout != "100000 bytes" {
			t.Errorf("got %q", stdout)
		}
	})
	t.Run("reset", func(t *testing.T) {
		address := peer(t, func(c *net.TCPConn) {
			_, _ = bufio.NewReader(c).ReadByte() // it has begun
			_ = c.SetLinger(0)                   // Close resets
		})
		code, _, stderr := dialled(t, "hello", address)
		ends(t, 1, "^plexor: .*connection reset by peer", code, stderr)
	})
	t.Run("reset behind its end", func(t *testing.T) {
		printed := make(chan bool)
		address := peer(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "banner\n")
			_ = c.CloseWrite() // if it failed, dial would not end as wanted
			<-printed
			_ = c.SetLinger(0) // Close resets
		})
		cmd := command("dial", address)
		stdin, err := cmd.StdinPipe() // which stays open, and silent
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "banner\n" {
			t.Errorf("got %q, %v", line, err)
		}
		close(printed)
		_ = cmd.Wait() // its code is looked at
		ends(t, 1, "^plexor: "+address+": the peer is gone: broken pipe\n", cmd.ProcessState.ExitCode(), stderr.String())
	})
	t.Run("a message cut short", func(t *testing.T) {
		address := peer(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "\x00\x03one\x00\x03tw")
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
		code, stdout, stderr := dialled(t, "", address+"?frame=len2")
		ends(t, 1, "^plexor: .*unexpected EOF at byte 5", code, stderr)
		if stdout != "one\n" {
			t.Errorf("before that it printed %q", stdout)
		}
	})
	t.Run("a line too long for a message", func(t *testing.T) {
		address := peer(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
		code, _, stderr := dialled(t, "short\n"+strings.Repeat("x", 300)+"\n", address+"?frame=len1")
		ends(t, 1, "^plexor: .*line 2.*255 bytes", code, stderr)
	})
	t.Run("a line longer than what is received of a pair", func(t *testing.T) {
		address := peer(t, func(c *net.TCPConn) {
			got, _ := io.ReadAll(io.LimitReader(c, 4+300))
			_, _ = fmt.Fprintf(c, "\x03%03d", len(got))
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
		code, stdout, stderr := dialled(t, strings.Repeat("x", 300)+"\n", address+"?frame=len1~len4")
		if code != exitOK || stdout != "304\n" || stderr != "" {
			t.Errorf("exit %d, standard output %q, want how many bytes the peer got; standard error %q", code, stdout, stderr)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close() // nobody does now
		code, _, stderr := dialled(t, "", "tcp://"+ln.Addr().String())
		ends(t, 1, "^plexor: dial tcp://"+ln.Addr().String()+": .*connection refused", code, stderr)
	})
	t.Run("no answer in time", func(t *testing.T) {
		address := peer(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }) // no TLS at all
		code, _, stderr := dialled(t, "", "--timeout=50ms", strings.Replace(address, "tcp", "tls", 1))
		ends(t, 1, "^plexor: dial tls://.*", code, stderr)
	})
	t.Run("a certificate that nobody vouches for", func(t *testing.T) {
		s := serve(t, 1, command("serve", "echo=tls://127.0.0.1:0"))
		code, _, stderr := dialled(t, "", s.addrs[0])
		ends(t, 1, "^plexor: dial tls://.*unknown authority", code, stderr)
		code, _, stderr = dialled(t, "", s.addrs[0]+"?fingerprint="+strings.Repeat("AB:", 31)+"AB")
		ends(t, 1, "^plexor: dial tls://.*"+s.fingerprint(), code, stderr)
	})
}

func TestDialUsage(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"no address", nil, `expected "<address>"`},
		{"no scheme", []string{"127.0.0.1:1"}, `did you mean tcp://127.0.0.1:1`},
		{"port 0 of udp", []string{"udp://127.0.0.1:0"}, `port 0`},
		{"frames over udp", []string{"udp://127.0.0.1:1?frame=line"}, `a datagram is a message already`},
		{"port 0", []string{"tcp://127.0.0.1:0"}, `port 0`},
		{"unknown option", []string{"tls://127.0.0.1:1?colour=red"}, `unknown option "colour"; there are .*fingerprint`},
		{"an option of tls", []string{"tcp://127.0.0.1:1?cert=x"}, `unknown option "cert"`},
		{"key without cert", []string{"tls://127.0.0.1:1?key=x"}, `option key`},
		{"unknown frame", []string{"tcp://127.0.0.1:1?frame=len5"}, `option frame: .*len5`},
		{"unknown driver", []string{"--driver=devpoll", "tcp://127.0.0.1:1"}, `unknown driver "devpoll"`},
		{"negative timeout", []string{"--timeout=-1s", "tcp://127.0.0.1:1"}, `--timeout=-1s`},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := result(append([]string{"dial"}, row.args...)...)
			ends(t, 2, row.want, code, stderr)
			if stdout != "" {
				t.Errorf("it printed %q", stdout)
			}
		})
	}
}

// pythonServer accepts one connection, answers each line in upper case, and ends behind the client.
const pythonServer = `
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print("tcp://127.0.0.1:%d" % s.getsockname()[1], flush=True)
c, _ = s.accept()
for line in c.makefile("rb"):
    c.sendall(line.upper())
c.close()
`

// TestDialOthers: servers that nobody here wrote.
func TestDialOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sock")
	for _, row := range []struct {
		name string
		args []string
		ask  string // what makes it say where it listens; "": it does on the first line
		want string
	}{
		{"python", []string{"python3", "-c", pythonServer}, "", "HELLO\nWORLD\n"},
		{"socat", []string{"socat", "-dd", "TCP-LISTEN:0,bind=127.0.0.1", "EXEC:cat"}, `listening on AF=2 (\S+)`,
			"hello\nworld\n"},
		{"socat on a Unix socket", []string{"socat", "-dd", "UNIX-LISTEN:" + path, "EXEC:cat"}, `listening on AF=1 "([^"]+)"`,
			"hello\nworld\n"},
		{"nc", []string{"nc", "-v", "-l", "-N", "127.0.0.1", "0"}, `Listening on \S+ (\d+)`, "from nc"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(tool(t, row.args[0]), row.args[1:]...)
			cmd.Stdin = strings.NewReader("from nc")
			out, in := io.Pipe()
			cmd.Stdout, cmd.Stderr = in, in
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				ended <- cmd.Wait()
				_ = in.Close() // a pipe in memory
			}()
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
			address := ""
			lines := bufio.NewScanner(out)
			for address == "" && lines.Scan() {
				if row.ask == "" {
					address = lines.Text()
				} else if m := regexp.MustCompile(row.ask).FindStringSubmatch(lines.Text()); m != nil {
					switch address = m[1]; {
					case strings.HasPrefix(address, "/"):
						address = "unix://" + address
					case strings.Contains(address, ":"):
						address = "tcp://" + address
					default:
						address = "tcp://127.0.0.1:" + address
					}
				}
			}
			go func() { _, _ = io.Copy(io.Discard, out) }()
			code, stdout, stderr := dialled(t, "hello\nworld\n", address)
			ends(t, 0, "", code, stderr)
			if stdout != row.want {
				t.Errorf("%s: got %q, want %q", address, stdout, row.want)
			}
			if err := <-ended; err != nil {
				t.Errorf("the server ended with %v", err)
			}
		})
	}
}
