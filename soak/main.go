// Command soak serves echoes for a long time to clients that behave as clients do: they come and go, send in pieces,
// close one half, read slowly, vanish with a reset. It checks every byte that comes back, and at the end that no
// descriptor is left and that memory did not grow: neither what is resident while it runs, nor what is alive
// afterwards. All of it is in one process and on the loopback.
//
//	go run ./soak -for 10m               every driver that works here, one after the other
//	go run ./soak -for 10m -driver epoll
//
// At the end of each driver it says "ok" or "FAILED" with what was wrong, and the figures. It exits with 0 if all were
// ok, with
// 1 if a byte was wrong, a descriptor was left, memory grew, or the driver does not work here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

func main() {
	duration := flag.Duration("for", time.Minute, "how long, for each driver")
	driver := flag.String("driver", "", "the driver (default: all that work here)")
	clients := flag.Int("clients", 200, "clients at once")
	seed := flag.Uint64("seed", rand.Uint64(), "of what the clients do")
	flag.Parse()
	if flag.NArg() > 0 || *clients < 1 || *duration <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	names, err := chosen(*driver)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	failed := false
	for _, name := range names {
		s := &soak{driver: name, clients: *clients, seed: *seed}
		err := s.run(*duration)
		fmt.Print(s.report(err))
		failed = failed || err != nil
	}
	if failed {
		os.Exit(1)
	}
}

// chosen are the drivers to run: those that work here, or the one that was asked for, if it does.
func chosen(only string) (names []string, err error) {
	var there []string
	for _, d := range loop.Drivers() {
		there = append(there, d.Name)
		switch {
		case only != "" && d.Name != only:
		case d.Err == nil:
			names = append(names, d.Name)
		case only != "":
			return nil, fmt.Errorf("driver %s does not work here: %w", only, d.Err)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("unknown driver %q: there are %s", only, strings.Join(there, ", "))
	}
	return names, nil
}

// A soak is one driver's.
type soak struct {
	driver  string
	clients int
	seed    uint64
	addr    string
	spoil   func(p []byte) // for tests: what a bad server does with what arrives

	conns, bytes, halves, resets, slow atomic.Int64

	mu     sync.Mutex
	wrongs []error

	filesBefore, filesAfter int // descriptors
	early, late             int // resident memory, in bytes; 0: not known
	left                    int // what is alive of Go's memory at the end and was not before, in bytes
}

// report is what came of it, for people to read.
func (s *soak) report(err error) string {
	verdict := "ok: no byte wrong, no descriptor left, memory flat"
	if err != nil {
		verdict = "FAILED: " + strings.ReplaceAll(err.Error(), "\n", "\n"+strings.Repeat(" ", 17))
	}
	return fmt.Sprintf("%-8s %s\n%8s seed %d, %d connections, %d MiB came back; descriptors %d before, %d after; "+
		"resident at most %d MiB in the second fifth, %d MiB in the last; alive afterwards %d KiB more than before\n",
		s.driver, verdict, "", s.seed, s.conns.Load(), s.bytes.Load()>>20, s.filesBefore, s.filesAfter, s.early>>20,
		s.late>>20, s.left>>10)
}

// mostWrongs bounds what is kept of a long list of the same.
const mostWrongs = 10

func (s *soak) wrong(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrongs) < mostWrongs {
		s.wrongs = append(s.wrongs, err)
	}
}

func (s *soak) run(d time.Duration) error {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // what package net opens for itself, it keeps
		_ = l.Close()
	}
	alive := heap()
	s.filesBefore = descriptors()
	// Clients and loops share the processors: a loop that gets none is no stall of a handler.
	g, err := loop.NewGroup(loop.GroupOptions{Options: loop.Options{Driver: s.driver, Stall: -1}})
	if err != nil {
		return err
	}
	echo := loop.HandlerFunc(func(c *loop.Conn, p []byte) {
		if s.spoil != nil {
			s.spoil(p)
		}
		if _, err := c.Write(p); err != nil {
			c.CloseWithError(err)
		}
	})
	ln, err := g.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{},
		func(*loop.Conn) loop.Handler { return echo })
	if err != nil {
		return errors.Join(err, g.Close())
	}
	_, s.addr, _ = strings.Cut(ln.Addr().String(), "://")

	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var wg sync.WaitGroup
	for i := range s.clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(s.seed, uint64(i)))
			for ctx.Err() == nil {
				if err := s.visit(r); err != nil {
					s.wrong(err)
				}
			}
		})
	}
	s.early, s.late = s.watch(ctx, d)
	wg.Wait()
	if err := g.Shutdown(context.Background()); err != nil {
		s.wrong(err)
	}
	if s.filesAfter = descriptors(); s.filesAfter > s.filesBefore {
		s.wrong(fmt.Errorf("%d descriptors are open that were not before", s.filesAfter-s.filesBefore))
	}
	// The first part fills the pools. From then on nothing should grow, but for what a collector leaves lying.
	if s.early > 0 && s.late > s.early+s.early/4+slack {
		s.wrong(fmt.Errorf("resident memory grew from %d to %d KiB", s.early>>10, s.late>>10))
	}
	g = nil
	if s.left = heap() - alive; s.left > leftOver {
		s.wrong(fmt.Errorf("%d KiB are alive afterwards that were not before", s.left>>10))
	}
	return errors.Join(s.wrongs...)
}

const (
	slack    = 16 << 20 // what resident memory may grow by besides a quarter, in bytes
	leftOver = 2 << 20  // what may be alive at the end, in bytes: what the runtime and package net keep for themselves
)

// heap is what is alive of Go's memory, in bytes.
func heap() int {
	runtime.GC()
	runtime.GC() // what a first one found in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// watch prints a line every so often, and returns the most that was resident in the second fifth and in the last.
func (s *soak) watch(ctx context.Context, d time.Duration) (early, late int) {
	start := time.Now()
	tick := time.NewTicker(max(min(d/20, 10*time.Second), 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return early, late
		case <-tick.C:
		}
		passed := time.Since(start)
		rss := resident()
		switch part := passed * 5 / d; part {
		case 1:
			early = max(early, rss)
		case 4:
			late = max(late, rss)
		}
		fmt.Printf("%-8s %4.0f s  %9d connections  %7d half-closed  %7d reset  %7d slow  %8d MiB  resident %6d KiB  "+
			"descriptors %4d  goroutines %4d\n",
			s.driver, passed.Seconds(), s.conns.Load(), s.halves.Load(), s.resets.Load(), s.slow.Load(),
			s.bytes.Load()>>20, rss>>10, descriptors(), runtime.NumGoroutine())
	}
}

// visit is one connection.
func (s *soak) visit(r *rand.Rand) error {
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close() // whatever it says: the end was checked before
	s.conns.Add(1)
	tcp := c.(*net.TCPConn)
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	size := 1 << r.IntN(20) // up to 512 KiB
	size += r.IntN(size)
	what := r.IntN(10)
	slow := what == 1
	seed := r.Uint64()

	sent := make(chan error, 1)
	go func() { sent <- s.send(tcp, seed, size, what != 2) }()
	if what == 0 { // vanish in the middle
		s.resets.Add(1)
		_, _ = io.CopyN(io.Discard, c, int64(r.IntN(size)))
		_ = tcp.SetLinger(0)
		_ = tcp.Close() // it resets, and the sender notices
		<-sent
		return nil
	}
	if slow {
		s.slow.Add(1)
	}
	got, err := s.check(c, seed, size, slow, r)
	s.bytes.Add(int64(got))
	if sendErr := <-sent; sendErr != nil {
		err = errors.Join(err, fmt.Errorf("send: %w", sendErr))
	}
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", got, size, err)
	}
	if what == 2 {
		return nil
	}
	s.halves.Add(1)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("after all %d bytes: %d more, %v: want the end", size, n, err)
	}
	return nil
}

// send sends a pattern in pieces of random sizes, and the end of the stream if asked.
func (s *soak) send(c *net.TCPConn, seed uint64, size int, end bool) error {
	pattern := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), byte(seed >> 32)})
	pieces := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 64<<10)
	for size > 0 {
		p := buf[:min(size, 1+pieces.IntN(1<<pieces.IntN(17)))]
		_, _ = pattern.Read(p) // never fails
		if _, err := c.Write(p); err != nil {
			return err
		}
		size -= len(p)
	}
	if end {
		return c.CloseWrite()
	}
	return nil
}

// check reads the same pattern.
func (s *soak) check(c net.Conn, seed uint64, size int, slow bool, r *rand.Rand) (got int, err error) {
	pattern := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), byte(seed >> 32)})
	buf, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for got < size {
		p := buf[:min(size-got, len(buf))]
		if slow {
			time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
			p = p[:min(len(p), 8<<10)]
		}
		n, err := c.Read(p)
		_, _ = pattern.Read(want[:n]) // never fails
		if string(p[:n]) != string(want[:n]) {
			return got, errors.New("the bytes that came back are not those that were sent")
		}
		got += n
		if err != nil {
			return got, err
		}
	}
	return got, nil
}

// descriptors counts the open ones; 0 where the system does not tell.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// resident is the process's resident memory in bytes; 0 where the system does not tell.
func resident() int {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(status), &size, &pages); err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}
