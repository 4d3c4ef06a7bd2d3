package resp_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/resp"
)

// redis starts a Redis of its own, on a unix socket, and connects to it. The test is skipped where there is none.
func redis(t *testing.T) net.Conn {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server to talk to")
	}
	dir, err := os.MkdirTemp("", "redis") // shorter than t.TempDir: a unix socket's name has some 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	var log strings.Builder
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir, "--enable-debug-command",
		"yes")
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
			t.Skipf("redis-server does not start here:\n%s", &log)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("no redis-server after a minute: %v", err)
		}
	}
}

// TestRedis: what a real Redis answers, every type of RESP2 and RESP3 and its longest replies, comes as Values says;
// and what AppendCommand writes, it takes.
func TestRedis(t *testing.T) {
	c := redis(t)
	commands := [][]string{{"HELLO", "2"}}
	kinds := []string{"string", "integer", "double", "null", "array", "set", "map", "attrib", "push", "verbatim", "true",
		"false",
		"bignum"}
	rounds := [][]string{{"PING"}, {"SET", "k", "a\r\nb"}, {"GET", "k"}, {"GET", "none"}, {"SET", "k"}, {"INCR", "n"},
		{"RPUSH", "l", "a", "", "c"}, {"LRANGE", "l", "0", "-1"}, {"BLPOP", "none", "0.001"}, {"HSET", "h", "f", "v"},
		{"HGETALL", "h"}, {"ZADD", "z", "1.5", "m"}, {"ZRANGE", "z", "0", "-1", "WITHSCORES"}, {"COMMAND"},
		{"COMMAND", "DOCS"}, {"CONFIG", "GET", "*"}, {"EVAL", "return {1, {2, {3, 'four'}}, false}", "0"}}
	for _, kind := range kinds {
		rounds = append(rounds, []string{"DEBUG", "PROTOCOL", kind})
	}
	commands = append(commands, rounds...)
	commands = append(append(commands, []string{"HELLO", "3"}), rounds...)
	commands = append(commands, []string{"QUIT"})

	var out []byte
	for _, args := range commands {
		out = resp.AppendCommand(out, args...)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(out)
		sent <- err
	}()
	r, err := frame.NewReader(c, resp.Values{Max: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[resp.Kind]int)
	var firsts []resp.Value
	for msg, err := range r.All() {
		if err != nil {
			t.Fatalf("after %d replies: %v", len(firsts), err)
		}
		reply := false
		for p := slices.Clone(msg); len(p) > 0; {
			var v resp.Value
			if v, p, err = resp.Next(p); err != nil {
				t.Fatal(err)
			}
			if seen[v.Kind]++; !reply && v.Kind != resp.Attribute { // of the attribute's own values the first counts
				firsts = append(firsts, v)
				reply = true
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	replies := slices.DeleteFunc(firsts, func(v resp.Value) bool { return v.Kind == resp.Push })
	if len(replies) != len(commands) {
		t.Fatalf("%d replies to %d commands", len(replies), len(commands))
	}
	for _, kind := range []resp.Kind{resp.Simple, resp.Error, resp.Int, resp.Bulk, resp.Array, resp.Null, resp.Bool,
		resp.Double,
		resp.Big, resp.Verbatim, resp.Map, resp.Attribute, resp.Set, resp.Push} {
		if seen[kind] == 0 {
			t.Errorf("no %v came", kind)
		}
	}
	if got := string(replies[3].Text); got != "a\r\nb" {
		t.Errorf("GET after SET: got %q", got)
	}
}
