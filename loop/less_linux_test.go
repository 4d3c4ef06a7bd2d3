package loop_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// What littleMemory exits with when the engine told that it can't be had.
const refusedMemory = 3

// littleMemory plays the part "memory DRIVER KIB": an echo server of streams and datagrams in a process that may take
// so much address space beyond what it has. What Go itself takes it has before: threads, and a heap that is not
// collected, for the runtime ends the program when it can't map memory.
func littleMemory(part string) int {
	var driver string
	var kib int
	if _, err := fmt.Sscan(part, &driver, &kib); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	takeBefore()
	limit := addressSpace() + uint64(kib)<<10
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	g, err := loop.NewGroup(loop.GroupOptions{Loops: 1, Options: loop.Options{Driver: driver, PacketBatch: 1, Stall: -1,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return refusedMemory
	}
	local := sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}
	ln, err := g.Listen(local, sock.Options{}, func(*loop.Conn) loop.Handler { return abortingEcho{} })
	if err == nil {
		local.Scheme = "udp"
		var s *loop.PacketConn
		s, err = g.ListenPacket(local, sock.Options{}, loop.PacketFunc(
			func(s *loop.PacketConn, p []byte, peer netip.AddrPort, _ bool) { s.WriteTo(p, peer) }))
		if err == nil {
			fmt.Println(g.Driver(), ln.Addr().Port, s.Addr().Port)
			io.Copy(io.Discard, os.Stdin)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if closeErr := g.Close(); closeErr != nil {
		fmt.Fprintln(os.Stderr, closeErr)
		return 1
	}
	if err != nil {
		return refusedMemory
	}
	return 0
}

// takeBefore starts threads and grows the heap.
func takeBefore() {
	debug.SetGCPercent(-1)
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 24 {
		all.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			<-start
		}()
	}
	all.Wait()
	close(start)
	large := make([][]byte, 48)
	for i := range large {
		large[i] = make([]byte, 1<<20)
	}
	runtime.KeepAlive(large)
	large = nil
	runtime.GC()
}

// addressSpace is how much the process has, in bytes.
func addressSpace() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	var pages uint64
	if err == nil {
		_, err = fmt.Sscan(string(text), &pages)
	}
	if err != nil {
		panic(err)
	}
	return pages * uint64(os.Getpagesize())
}

// Where there is little address space, an engine that is to run on io_uring takes smaller queues and buffers; it serves
// everybody with those that it has, and "auto" takes the next best driver. Each tells the log, and none ends by a
// panic.
func TestLittleAddressSpace(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector maps memory of its own, and ends the program when it can't")
	}
	for _, row := range []struct {
		driver string
		kib    int
		on     string // the driver that it serves on
		says   string
	}{
		{"io_uring", 12000, "io_uring", ""},
		{"io_uring", 3000, "io_uring", "step=1 of=2"},
		{"io_uring", 1050, "io_uring", "step=2 of=2"},
		{"auto", 12000, "io_uring", ""},
		{"auto", 3000, "epoll", "taking the next best"},
		{"epoll", 1000, "epoll", ""},
		{"poll", 1000, "poll", ""},
		{"select", 1000, "select", ""},
	} {
		t.Run(fmt.Sprintf("%s/%d KiB", row.driver, row.kib), func(t *testing.T) {
			const tries = 10
			for range tries {
				on, log, err := serveWithin(t, row.driver, row.kib)
				if strings.Contains(log, "fatal error: ") || strings.Contains(log, "pthread_create failed") {
					continue // it was Go's runtime that got no memory, which is not ours to mend
				}
				if on != row.on || err != nil || !strings.Contains(log, row.says) || row.says == "" && log != "" {
					t.Errorf("it serves on %q, %v, and the log is %q; want %s, and %q in the log, or nothing",
						on, err, log, row.on, row.says)
				}
				return
			}
			t.Skipf("Go's runtime got no memory in %d tries", tries)
		})
	}
}

// serveWithin has a child serve within so much address space, and tells what it served on, what its log says, and what
// went wrong.
func serveWithin(t *testing.T, driver string, kib int) (on, log string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprint("PLEXOR_LOOP_CHILD=memory ", driver, " ", kib))
	var lines lockedBuffer
	cmd.Stderr = &lines
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
	line, _ := bufio.NewReader(stdout).ReadString('\n') // none: it has ended, and Wait tells
	ended := make(chan struct{})
	var ending error
	go func() {
		defer close(ended)
		ending = cmd.Wait()
	}()
	var tcp, udp int
	if _, err = fmt.Sscan(line, &on, &tcp, &udp); err == nil {
		err = errors.Join(echoes("tcp", tcp, bytes.Repeat([]byte("stream"), 100_000), ended),
			echoes("udp", udp, bytes.Repeat([]byte("datagram"), 1000), ended))
	}
	stdin.Close()
	<-ended
	return on, lines.String(), errors.Join(err, ending)
}

// echoes has an echo server send something back, unless it ends before.
func echoes(network string, port int, what []byte, ended <-chan struct{}) error {
	c, err := net.Dial(network, fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		return err
	}
	defer c.Close()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ended:
			c.Close()
		case <-done:
		}
	}()
	c.SetDeadline(time.Now().Add(patience))
	go c.Write(what)
	got := make([]byte, len(what))
	if _, err = io.ReadFull(c, got); err == nil && !bytes.Equal(got, what) {
		err = errors.New("the echo is another")
	}
	return err
}
