package main

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
)

// pythonFrames sends three messages in one write, one message in five writes, and has multiprocessing talk too.
const pythonFrames = `
import socket, struct, sys, threading
host, port = sys.argv[1].rsplit(":", 1)
frame = lambda m: struct.pack(">I", len(m)) + m
def exactly(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        assert piece, "the end after %d of %d bytes" % (len(got), n)
        got += piece
    return got
def message(s):
    return exactly(s, struct.unpack(">I", exactly(s, 4))[0])
with socket.create_connection((host, int(port)), timeout=60) as s:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(frame(b"one") + frame(b"") + frame(b"three"))
    assert [message(s) for _ in range(3)] == [b"ONE_SB", b"_SB", b"THREE_SB"]
    f = frame(b"in five writes")
    for a, b in ((0, 1), (1, 3), (3, 4), (4, 9), (9, len(f))):
        s.sendall(f[a:b])
    assert message(s) == b"IN FIVE WRITES_SB"
    # A thousand at once, while nobody reads: more replies than the server keeps for a client.
    big = [bytes([97 + i % 26]) * 2000 for i in range(1000)]
    t = threading.Thread(target=lambda: s.sendall(b"".join(map(frame, big)))); t.start()
    for m in big:
        assert message(s) == m.upper() + b"_SB"
    t.join()
    s.shutdown(socket.SHUT_WR)
    assert s.recv(1) == b""
print("good")
`

func TestFrames(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, driver string) {
		s := serve(t, 2, command("serve", "--driver="+driver, "upper=tcp://127.0.0.1:0?frame=len4",
			"echo=tcp://127.0.0.1:0?frame=line,max=100"))
		t.Run("python", func(t *testing.T) {
			if got := script(t, pythonFrames, tool(t, "python3"), "-",
				strings.TrimSuffix(s.host(0), "?frame=len4")); got != "good\n" {
				t.Errorf("it printed %q", got)
			}
		})
		for _, row := range []struct {
			name    string
			service int
			send    string
			reply   string
			says    string // in the log, after the peer
		}{
			{"too long", 0, "\x00\x00\x00\x01a\xff\xff\xff\xffrest", "\x00\x00\x00\x04A_SB", "message too long at byte 5"},
			{"cut short", 0, "\x00\x00\x00\x01a\x00\x00\x00\x09half", "\x00\x00\x00\x04A_SB",
				"unexpected EOF at byte 5: the stream ended 8 bytes into a frame, at least 5 more"},
			{"a line too long", 1, "short\n" + strings.Repeat("x", 101) + "\n", "short\n", "message too long at byte 6"},
		} {
			t.Run(row.name, func(t *testing.T) {
				c := dial(t, "tcp", s.host(row.service)).(*net.TCPConn)
				if _, err := io.WriteString(c, row.send); err != nil {
					t.Fatal(err)
				}
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got := readAll(t, c); got != row.reply {
					t.Errorf("got %q before the end, want %q", got, row.reply)
				}
				found := s.says(fmt.Sprintf(`(?m)^.*bad frame.*%s .*$`, regexp.QuoteMeta(c.LocalAddr().String())))
				if len(found) != 1 || !strings.Contains(found[0], row.says) {
					t.Errorf("the log says %q, want one line with %q", found, row.says)
				}
			})
		}
	})
}
