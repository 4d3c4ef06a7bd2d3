package loop

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

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

// Where many connections send much at once, there are not buffers for all. They take turns; else nearly every receive
// would be asked for in vain, again and again.
func TestBuffersAreShared(t *testing.T) {
	const conns, size = 300, 512 << 10
	l, err := New(Options{Driver: completionName, Stall: -1})
	if err != nil {
		t.Skip(err)
	}
	d := l.driver.(*completion)
	ended := make(chan error, 1)
	var most, least, left int // bytes that a connection had when the first one had all
	had := map[*Conn]int{}
	ln, err := l.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{}, func(*Conn) Handler {
		return HandlerFunc(func(c *Conn, p []byte) {
			had[c] += len(p)
			if left == 0 && had[c] == size {
				most, least = size, size
				for _, n := range had {
					least = min(least, n)
				}
			}
			if had[c] == size {
				left++
				_, _ = c.Write([]byte("all")) // the client complains
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- l.Run() }()
	_, host, _ := strings.Cut(ln.Addr().String(), "://")
	piece := bytes.Repeat([]byte("x"), size)
	var clients sync.WaitGroup
	for range conns {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			if _, err := c.Write(piece); err != nil {
				t.Error(err)
			} else if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	failed, limit := 0, 0
	_ = l.Do(func() { failed, limit = d.hungry.failed, d.limit }) // it has not ended
	_ = l.Close()                                                 // it has no error to give
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	t.Logf("%d receives found no buffer, with %d KiB of them; the last connection had %d bytes when the first had %d",
		failed, limit>>10, least, most)
	// It was 13 for each connection, of which 8 pieces came.
	if failed > 6*conns {
		t.Errorf("%d receives found no buffer: want at most 6 a connection, %d", failed, 6*conns)
	}
}

// TestSlotSize: each connection has a slot, and it is no more than a cache line.
func TestSlotSize(t *testing.T) {
	if size := unsafe.Sizeof(slot{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 64 {
		t.Errorf("a slot has %d bytes, of 64", size)
	}
}

// TestEndingsAreForgotten: a stream's end that waits behind bytes goes with its connection.
func TestEndingsAreForgotten(t *testing.T) {
	s := &slot{held: new(output)}
	d := &completion{slots: []*slot{s}, endings: make(map[uint32]error)}
	d.ended(s, io.EOF)
	if !s.ends || d.endings[s.number] != io.EOF {
		t.Fatalf("noted: %v, %v", s.ends, d.endings)
	}
	d.clear(s)
	if s.ends || len(d.endings) != 0 {
		t.Errorf("left: %v, %v", s.ends, d.endings)
	}
}
