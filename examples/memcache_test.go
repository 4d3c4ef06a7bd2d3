package examples

import (
	"io"
	"strings"
	"testing"
)

// memcacheTalk is what is sent, and what comes back.
var memcacheTalk = []struct{ request, reply string }{
	{"set k 7 0 5\r\nhe\r\no\r\n", "STORED\r\n"},
	{"get k none k\r\n", "VALUE k 7 5\r\nhe\r\no\r\nVALUE k 7 5\r\nhe\r\no\r\nEND\r\n"},
	{"gets k\r\n", "VALUE k 7 5 1\r\nhe\r\no\r\nEND\r\n"},
	{"get none\r\n", "END\r\n"},
	{"add k 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
	{"replace none 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
	{"cas k 0 0 1 99\r\nx\r\n", "EXISTS\r\n"},
	{"cas none 0 0 1 99\r\nx\r\n", "NOT_FOUND\r\n"},
	{"cas k 0 0 2 1\r\n41\r\n", "STORED\r\n"},
	{"incr k 1\r\n", "42\r\n"},
	{"decr k 50\r\n", "0\r\n"},
	{"incr none 1\r\n", "NOT_FOUND\r\n"},
	{"set quiet 0 0 1 noreply\r\nx\r\n", ""},
	{"incr quiet 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
	{"set k x 0 1\r\nx\r\n", "CLIENT_ERROR bad command line format, or data too large\r\n"},
	{"get " + strings.Repeat("k", 251) + "\r\n", "CLIENT_ERROR the key is too long\r\n"},
	{"ms m 3 T0\r\nabc\r\n", "HD\r\n"},
	{"mg m v s k Oq1\r\n", "VA 3 s3 km Oq1\r\nabc\r\n"},
	{"mg m s\r\n", "HD s3\r\n"},
	{"mg none v\r\n", "EN\r\n"},
	{"md m\r\n", "HD\r\n"},
	{"md m\r\n", "NF\r\n"},
	{"mn\r\n", "MN\r\n"},
	{"delete k\r\n", "DELETED\r\n"},
	{"delete k\r\n", "NOT_FOUND\r\n"},
	{"frobnicate\r\n", "ERROR\r\n"},
	{"mg\r\n", "ERROR\r\n"},
	{"version\r\n", "VERSION 0.0.0\r\n"},
	{"quit\r\n", ""},
}

// TestMemcacheTalk sends all at once, and byte by byte.
func TestMemcacheTalk(t *testing.T) {
	t.Parallel()
	var out, want string
	for _, row := range memcacheTalk {
		out += row.request
		want += row.reply
	}
	for _, size := range []int{len(out), 1} {
		c := dial(t, start(t, "memcache", "tcp://127.0.0.1:0"))
		go func() {
			for rest := out; rest != ""; {
				n, err := io.WriteString(c, rest[:min(size, len(rest))])
				if err != nil {
					return // what is read tells
				}
				rest = rest[n:]
			}
		}()
		if got, err := io.ReadAll(c); err != nil || string(got) != want {
			t.Errorf("in pieces of %d: got %q, %v; want %q", size, got, err, want)
		}
	}
}

// TestMemcacheFull: what is kept is bounded, and what was stored last is there.
func TestMemcacheFull(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, "memcache", "-memory", "1", "tcp://127.0.0.1:0"))
	const size = 1 << 20
	go func() {
		for i := range 5 {
			key := string(rune('a' + i))
			_, _ = io.WriteString(c, "set "+key+" 0 0 1048576\r\n"+strings.Repeat(key, size)+"\r\n") // what is read tells
		}
		_, _ = io.WriteString(c, "get e\r\nget a\r\nquit\r\n") // likewise
	}()
	want := strings.Repeat("STORED\r\n", 5) +
		"VALUE e 0 1048576\r\n" + strings.Repeat("e", size) + "\r\nEND\r\nEND\r\n"
	if got, err := io.ReadAll(c); err != nil || string(got) != want {
		t.Errorf("got %d bytes that begin with %.100q, %v; want %d", len(got), got, err, len(want))
	}
}
