package memcache_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/memcache"
)

// memcached starts a memcached of its own, on a unix socket, and connects to it. The test is skipped where there is
// none.
func memcached(t *testing.T) net.Conn {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Skip("there is no memcached to talk to")
	}
	dir, err := os.MkdirTemp("", "memcached") // shorter than t.TempDir: a unix socket's name has some 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	args := []string{"-s", socket, "-t", "1", "-I", "2m"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "root") // it refuses to be root by accident
	}
	var log strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			c.SetDeadline(end)
			return c
		}
		select {
		case <-ended:
			t.Skipf("memcached does not start here:\n%s", &log)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("no memcached after a minute: %v", err)
		}
	}
}

// An exchange is a request, and what its reply begins with; "" for the end of the stream.
type exchange struct {
	request []byte
	want    string
}

// TestMemcached: a real memcached takes what the Append functions write, and what it answers comes as Replies says: one
// reply to each request, though all were sent at once.
func TestMemcached(t *testing.T) {
	c := memcached(t)
	must := func(msg []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	line := func(words ...string) []byte { return must(memcache.AppendLine(nil, words...)) }
	large := bytes.Repeat([]byte("END\r\n"), 300_000)
	rows := []exchange{
		{must(memcache.AppendStore(nil, "set", "a", 7, 0, []byte("x\r\ny"))), "STORED\r\n"},
		{line("get", "a"), "VALUE a 7 4\r\nx\r\ny\r\nEND\r\n"},
		{line("get", "none"), "END\r\n"},
		{must(memcache.AppendStore(nil, "add", "a", 0, 0, nil)), "NOT_STORED\r\n"},
		{must(memcache.AppendStore(nil, "cas", "a", 0, 0, nil, "1234567")), "EXISTS\r\n"},
		{must(memcache.AppendStore(nil, "set", "b", 0, 0, nil)), "STORED\r\n"},
		{line("gets", "a", "none", "b"), "VALUE a 7 4 "},
		{must(memcache.AppendStore(nil, "set", "large", 0, 0, large)), "STORED\r\n"},
		{line("get", "large", "b"), "VALUE large 0 1500000\r\nEND\r\n"},
		{must(memcache.AppendMetaSet(nil, "n", []byte("41"), "T0", "c")), "HD c"},
		{line("incr", "n", "1"), "42\r\n"},
		{line("incr", "a", "1"), "CLIENT_ERROR "},
		{line("mg", "n", "v", "t", "k"), "VA 2 t-1 kn\r\n42\r\n"},
		{line("mg", "none", "v"), "EN\r\n"},
		{line("mg", "n", "t"), "HD t-1\r\n"},
		{line("me", "n"), "ME n "},
		{line("mn"), "MN\r\n"},
		{line("md", "n"), "HD\r\n"},
		{line("touch", "a", "0"), "TOUCHED\r\n"},
		{line("gat", "0", "a"), "VALUE a 7 4\r\n"},
		{line("delete", "a"), "DELETED\r\n"},
		{line("delete", "a"), "NOT_FOUND\r\n"},
		{line("stats"), "STAT pid "},
		{line("stats", "settings"), "STAT maxbytes "},
		{line("stats", "items"), "STAT items:"},
		{line("stats", "reset"), "RESET\r\n"},
		{line("version"), "VERSION "},
		{line("verbosity", "0"), "OK\r\n"},
		{line("frobnicate"), "ERROR\r\n"},
		{line("flush_all"), "OK\r\n"},
		{line("quit"), ""},
	}
	r, err := frame.NewReader(c, memcache.Replies{Max: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, row := range rows {
		out = must(memcache.Requests{Max: 4 << 20}.Append(out, row.request))
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(out)
		sent <- err
	}()
	for _, row := range rows {
		msg, err := r.Next()
		if err != nil && (err != io.EOF || row.want != "") {
			t.Fatalf("the reply to %.40q: %v", row.request, err)
		}
		if !bytes.HasPrefix(msg, []byte(row.want)) || row.want == "" && len(msg) > 0 {
			t.Errorf("%.40q is answered %.100q, want %q", row.request, msg, row.want)
		}
		for p := msg; len(p) > 0; {
			if _, _, p, err = memcache.Next(nil, p); err != nil {
				t.Fatalf("Next in %.100q: %v", msg, err)
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
