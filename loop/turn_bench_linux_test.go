package loop

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/sock"
)

// BenchmarkTurn is the processor time that the loop's own thread takes for an echoed message, with the kernel's share,
// when all connections have sent before the turn begins. The peers are served by the same thread between turns, outside
// of what is measured: so the figure does not depend on who else is running, and shows small differences between two
// ways of doing the same. It is no measure of a server, since a real one does not find its work so well gathered.
func BenchmarkTurn(b *testing.B) {
	for _, driver := range []string{completionName, "epoll"} {
		for _, row := range []struct{ conns, depth, size int }{{100, 1, 64}, {1000, 1, 64}, {100, 16, 64}, {100, 1, 16384},
			{5000, 1, 64}} {
			b.Run(fmt.Sprintf("%s/%d,%d,%d", driver, row.conns, row.depth, row.size), func(b *testing.B) {
				benchmarkTurn(b, driver, row.conns, row.depth*row.size, row.depth)
			})
		}
	}
}

// spentBy is how much processor the calling thread has used.
func spentBy(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func benchmarkTurn(b *testing.B, driver string, conns, size, depth int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := New(Options{Driver: driver, Stall: -1})
	if err != nil {
		b.Skip(err)
	}
	l.id.Store(goroutineID())
	l.running.Store(true)
	defer l.end()
	if err := l.driver.start(); err != nil {
		b.Fatal(err)
	}
	turn := func() {
		_ = l.Post(func() {}) // so that the turn does not wait
		if err := l.runOnce(); err != nil {
			b.Fatal(err)
		}
	}
	received := 0
	ln, err := l.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{}, func(*Conn) Handler {
		return HandlerFunc(func(c *Conn, p []byte) {
			received += len(p)
			if _, err := c.Write(p); err != nil {
				b.Error(err)
			}
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(ln.Addr().String(), "tcp://"), ":")
	to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if _, err := fmt.Sscan(port, &to.Port); err != nil {
		b.Fatal(err)
	}
	var peers []int
	defer func() {
		for _, fd := range peers {
			_ = unix.Close(fd)
		}
	}()
	for range conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Skip(err)
		}
		peers = append(peers, fd)
		if err := unix.Connect(fd, to); err != nil {
			b.Fatal(err)
		}
		turn()
	}
	for limit := time.Now().Add(time.Minute); len(l.conns) < conns; {
		if turn(); time.Now().After(limit) {
			b.Fatalf("%d of %d connections", len(l.conns), conns)
		}
	}
	msg := make([]byte, size)
	var spent time.Duration
	b.ResetTimer()
	for range b.N {
		for _, fd := range peers {
			if _, err := unix.Write(fd, msg); err != nil {
				b.Fatal(err)
			}
		}
		begun := spentBy(b)
		for received = 0; received < conns*size; {
			turn()
		}
		turn() // what the last one wrote leaves
		spent += spentBy(b) - begun
		for _, fd := range peers {
			for got := 0; got < size; {
				n, err := unix.Read(fd, msg)
				if err != nil || n == 0 {
					b.Fatal(n, err)
				}
				got += n
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(conns*depth), "cpu-ns/msg")
}
