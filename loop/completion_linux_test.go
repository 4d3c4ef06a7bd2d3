package loop

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// A kernel that does not bound multishot receives is asked for one at a time, and everything else is as always.
func TestReceivesOneAtATime(t *testing.T) {
	l, err := New(Options{Driver: completionName, Stall: -1, ReadBuffer: 5000})
	if err != nil {
		t.Skip(err)
	}
	l.driver.(*completion).single = true
	ended := make(chan error, 1)
	largest := 0
	ln, err := l.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{}, func(*Conn) Handler {
		return HandlerFunc(func(c *Conn, p []byte) {
			largest = max(largest, len(p))
			if _, err := c.Write(p); err != nil {
				c.CloseWithError(err)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- l.Run() }()
	_, host, _ := strings.Cut(ln.Addr().String(), "://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789abcdefghi"), 100_000)
	go func() {
		_, _ = c.Write(want) // what is missing shows below
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("echoed %d of %d bytes, and not the same or %v", len(got), len(want), err)
	}
	_ = l.Close() // it has no error to give
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if largest == 0 || largest > 5000 {
		t.Errorf("the largest piece has %d bytes: want at most ReadBuffer, 5000", largest)
	}
}
