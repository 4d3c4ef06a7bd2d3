package examples

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/resp"
)

// redisTalk is what is sent, and what comes back.
var redisTalk = []struct{ command, reply string }{
	{"PING", "+PONG\r\n"},
	{"ping hello", "$5\r\nhello\r\n"},
	{"SET k v", "+OK\r\n"},
	{"GET k", "$1\r\nv\r\n"},
	{"SET k w NX", "$-1\r\n"},
	{"SET k w XX EX 100", "+OK\r\n"},
	{"TTL k", ":100\r\n"},
	{"INCR n", ":1\r\n"},
	{"INCRBY n 9223372036854775806", ":9223372036854775807\r\n"},
	{"INCR n", "-ERR increment or decrement would overflow\r\n"},
	{"INCR k", "-ERR value is not an integer or out of range\r\n"},
	{"MSET a 1 b 2", "+OK\r\n"},
	{"MGET a none b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"},
	{"DEL a b none", ":2\r\n"},
	{"EXISTS a k k", ":2\r\n"},
	{"EXPIRE k -1", ":1\r\n"},
	{"TTL k", ":-2\r\n"},
	{"RPUSH l c d", ":2\r\n"},
	{"LPUSH l b a", ":4\r\n"},
	{"LRANGE l 0 -1", "*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n"},
	{"LRANGE l -2 100", "*2\r\n$1\r\nc\r\n$1\r\nd\r\n"},
	{"LRANGE l 3 1", "*0\r\n"},
	{"RPOP l", "$1\r\nd\r\n"},
	{"RPOP l", "$1\r\nc\r\n"},
	{"RPOP l", "$1\r\nb\r\n"},
	{"LPOP l", "$1\r\na\r\n"},
	{"LPOP l", "$-1\r\n"},
	{"TYPE l", "+none\r\n"},
	{"SET l x PX", "-ERR syntax error\r\n"},
	{"SET l x EX 0", "-ERR invalid expire time in 'set' command\r\n"},
	{"SET l x EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
	{"LPUSH n x", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
	{"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
	{"FROB x", "-ERR unknown command 'FROB'\r\n"},
	{"HELLO 3", "-NOPROTO unsupported protocol version\r\n"},
	{"FLUSHALL", "+OK\r\n"},
	{"DBSIZE", ":0\r\n"},
	{"QUIT", "+OK\r\n"},
}

// TestRedisTalk sends all at once, and byte by byte, to both servers.
func TestRedisTalk(t *testing.T) {
	t.Parallel()
	var out []byte
	var want string
	for _, row := range redisTalk {
		out = resp.AppendCommand(out, strings.Fields(row.command)...)
		want += row.reply
	}
	for _, args := range [][]string{{}, {"-net"}} {
		address := start(t, "redis", append(args, "tcp://127.0.0.1:0")...)
		for _, size := range []int{len(out), 1} {
			c := dial(t, address)
			go func() {
				for p := out; len(p) > 0; {
					n, err := c.Write(p[:min(size, len(p))])
					if err != nil {
						return // what is read tells
					}
					p = p[n:]
				}
			}()
			if got, err := io.ReadAll(c); err != nil || string(got) != want {
				t.Errorf("%v, in pieces of %d: got %q, %v; want %q", args, size, got, err, want)
			}
		}
	}
}

// TestRedisBounds: values as large as a command may be come back; memory and replies are bounded, and the server goes
// on.
func TestRedisBounds(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-net"}} {
		c := dial(t, start(t, "redis", append(args, "-memory", "9000000", "tcp://127.0.0.1:0")...))
		in, err := frame.NewReader(c, resp.Values{Max: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(args ...[]byte) []byte {
			t.Helper()
			if _, err := c.Write(resp.AppendCommand(nil, args...)); err != nil {
				t.Fatal(err)
			}
			msg, err := in.Next()
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Clone(msg)
		}
		set, get, key := []byte("SET"), []byte("GET"), []byte("k")
		for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 100_000, 8_000_000, 10} {
			value := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			if got := ask(set, key, value); string(got) != "+OK\r\n" {
				t.Fatalf("%v: SET of %d bytes: got %.100q", args, size, got)
			}
			if got := ask(get, key); !bytes.Equal(got, resp.AppendBulk(nil, value)) {
				t.Fatalf("%v: GET of %d bytes: got %d others, %.100q", args, size, len(got), got)
			}
			if got := ask([]byte("DEL"), key); string(got) != ":1\r\n" {
				t.Fatalf("%v: DEL: got %.100q", args, got)
			}
		}
		ask(set, key, make([]byte, 1_000_000))
		many := append([][]byte{[]byte("MGET")}, slices.Repeat([][]byte{key}, 99)...)
		if got := ask(many...); !bytes.HasPrefix(got, []byte("-ERR the reply")) {
			t.Errorf("%v: a reply of 99 MB: got %.100q", args, got)
		}
		for i := range 20 {
			key := []byte{'a' + byte(i)}
			if got := ask(set, key, make([]byte, 1_000_000)); bytes.HasPrefix(got, []byte("-OOM ")) {
				break
			} else if i == 19 {
				t.Errorf("%v: more than 9 MB are kept: got %.100q", args, got)
			}
		}
		if got := ask([]byte("PING")); string(got) != "+PONG\r\n" {
			t.Errorf("%v: PING: got %.100q", args, got)
		}
	}
}

// TestRedisCLI is redis-cli, which reads commands and prints the replies as people read them.
func TestRedisCLI(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("there is no redis-cli to talk to")
	}
	_, port, err := net.SplitHostPort(start(t, "redis", "tcp://127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", port)
	cmd.Stdin = strings.NewReader("set greeting \"hello, world\"\nget greeting\n" +
		"rpush l a b\nlrange l 0 -1\nget none\nincr l\n")
	out, err := cmd.CombinedOutput()
	want := "OK\nhello, world\n2\na\nb\n\nWRONGTYPE Operation against a key holding the wrong kind of value\n\n"
	if err != nil || string(out) != want {
		t.Errorf("redis-cli printed %q, %v; want %q", out, err, want)
	}
}

// TestRedisBenchmark is redis-benchmark, short: with many connections, pipelined, and with large values.
func TestRedisBenchmark(t *testing.T) {
	path, err := exec.LookPath("redis-benchmark")
	if err != nil {
		t.Skip("there is no redis-benchmark to talk to")
	}
	_, port, err := net.SplitHostPort(start(t, "redis", "tcp://127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args  string
		tests int
	}{
		{"-c 50 -n 2000 -r 100 -t ping,set,get,incr,lpush,rpush,lpop,rpop,lrange_100,mset", 12},
		{"-c 10 -n 2000 -P 16 -t set,get", 2},
		{"-c 10 -n 200 -d 65536 -t set,get", 2},
	} {
		// It prints a line of what each test was, or an error and ends.
		out, err := exec.Command(path, append([]string{"-p", port, "--csv"}, strings.Fields(row.args)...)...).CombinedOutput()
		results := 0
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), `"`) && !strings.HasPrefix(lines.Text(), `"test"`) {
				results++
			}
		}
		if err != nil || results != row.tests {
			t.Errorf("redis-benchmark %s: %d results, want %d; %v\n%s", row.args, results, row.tests, err, out)
		}
	}
}
