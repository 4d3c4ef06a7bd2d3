package uring

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkFeatures tells what single features of io_uring bring to an echo server: the server's CPU time a message, in
// ns, of a loop that uses what package loop's driver does (default) and of ones that differ from it in one thing.
// Server and clients are processes on a CPU each. Rounds of all variants follow each other; told are the lower quartile
// and the median, and their ratios to the two defaults'. Run it on a machine that does nothing else:
//
//	go test -bench Features -benchtime 1x ./uring
func BenchmarkFeatures(b *testing.B) {
	const rounds, takes = 21, 150 * time.Millisecond
	if runtime.NumCPU() < 2 {
		b.Skip("it needs two CPUs")
	}
	for _, load := range []struct{ conns, depth, size int }{{100, 1, 64}, {1000, 1, 64}, {100, 16, 64}, {100, 1, 16384}} {
		b.Run(fmt.Sprintf("%d×%d×%d", load.conns, load.depth, load.size), func(b *testing.B) {
			for b.Loop() {
				found := make([][]echoRun, len(echoVariants))
				for n := range rounds {
					for i := range echoVariants {
						i = (i + 5*n) % len(echoVariants) // another order each time
						s := &echoServer{echoVariant: echoVariants[i], takes: takes}
						found[i] = append(found[i], s.bench(b, load.conns, load.depth, load.size))
					}
				}
				table := fmt.Sprintf("%-22s %16s %12s %9s %9s\n", "", "ns/msg", "ratio", "msgs/turn", "msgs/s")
				for i, v := range echoVariants {
					var cpu, ratio, batch, rate []float64
					for n, r := range found[i] {
						cpu, batch, rate = append(cpu, r.cpu), append(batch, r.batch), append(rate, r.rate)
						ratio = append(ratio, r.cpu*2/(found[0][n].cpu+found[len(found)-1][n].cpu))
					}
					table += fmt.Sprintf("%-22s %7.0f, %7.0f %5.2f, %5.2f %9.1f %9.0f\n", v.name, part(cpu, 4), part(cpu, 2),
						part(cpu, 4)*2/(part(column(found[0]), 4)+part(column(found[len(found)-1]), 4)), part(ratio, 2), part(batch, 2),
						part(rate, 2))
				}
				fmt.Println("\n" + table)
			}
		})
	}
}

// part is the value that a 1/n of the values is below.
func part(values []float64, n int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/n]
}

func column(runs []echoRun) (cpu []float64) {
	for _, r := range runs {
		cpu = append(cpu, r.cpu)
	}
	return cpu
}

// An echoVariant is what one server does otherwise.
type echoVariant struct {
	name                                                                  string
	plainRing, direct, sendCompletions, recvBundle, sendBundle, unbounded bool
	minWait                                                               time.Duration
}

var echoVariants = []echoVariant{
	{name: "default"},
	{name: "ring not registered", plainRing: true},
	{name: "direct descriptors", direct: true},
	{name: "sends complete", sendCompletions: true},
	{name: "receive bundles", recvBundle: true},
	{name: "send bundles", sendBundle: true},
	{name: "receives without bound", unbounded: true},
	{name: "min-timeout 50 µs", minWait: 50 * time.Microsecond},
	{name: "min-timeout 200 µs", minWait: 200 * time.Microsecond},
	{name: "default again"},
}

const echoPiece = 2048 // a buffer that is sent by bundles

// An echoRun is what was measured: ns of CPU a message, messages a turn of the loop, messages a second.
type echoRun struct{ cpu, batch, rate float64 }

type echoServer struct {
	echoVariant
	takes time.Duration

	r        *Ring
	bufs     *BufRing
	arena    *Memory
	used     int
	out      []*BufRing // by connection, for sendBundle
	received int64      // bytes
	turns    int64
	stop     atomic.Bool
}

// bench serves clients in a process of their own, and measures once they are all there.
func (s *echoServer) bench(b *testing.B, conns, depth, size int) (run echoRun) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(b, err)
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	ok(b, err)
	defer file.Close()
	exe, err := os.Executable()
	ok(b, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=clients %s %d %d %d", childRole, l.Addr(), conns, depth, size))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	end, err := cmd.StdinPipe() // the clients stay until it is closed
	ok(b, err)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread is on one CPU
		done <- s.serve(int(file.Fd()), conns, size, &run)
	}()
	ok(b, cmd.Start())
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		err = fmt.Errorf("nothing is measured after 20 s")
		s.stop.Store(true)
	}
	end.Close()
	_ = cmd.Wait() // that the server is gone is no failure by now
	if err != nil {
		b.Fatalf("%s: %v; the clients: %s", s.name, err, said.String())
	}
	return run
}

const (
	echoAccept = iota
	echoReceive
	echoSend
	echoCleanUp
)

// accept begins to.
func (s *echoServer) accept(listener, conns int) error {
	if !s.direct {
		s.r.SQE().AcceptMultishot(listener, unix.SOCK_CLOEXEC)
		return nil
	}
	if err := s.r.RegisterFilesSparse(conns + 1); err != nil {
		return err
	}
	s.r.SQE().AcceptMultishotDirect(listener, 0)
	return nil
}

func (s *echoServer) serve(listener, conns, size int, run *echoRun) (err error) {
	if err := onCPU(0); err != nil {
		return err
	}
	o := Options{Entries: 2048, CQEntries: 8192, Flags: SetupSingleIssuer | SetupDeferTaskrun | SetupSubmitAll,
		RegisterRing: !s.plainRing}
	if s.r, err = New(o); err != nil {
		return err
	}
	defer s.r.Close()
	bufs := BufRingOptions{Entries: 128, Size: 32 << 10, Incremental: true}
	if s.bufs, err = s.r.NewBufRing(bufs); err != nil {
		return err
	}
	if s.arena, err = Map(8 << 20); err != nil {
		return err
	}
	defer s.arena.Free()
	if err := s.accept(listener, conns); err != nil {
		return err
	}
	var fds []int32
	defer func() {
		for _, b := range s.out {
			if b != nil {
				_ = b.free()
			}
		}
		for _, fd := range fds {
			if !s.direct {
				_ = unix.Close(int(fd))
			}
		}
	}()
	var begun time.Time
	var before time.Duration
	for !s.stop.Load() {
		n, err := s.r.SubmitAndPoll()
		s.used = 0 // the sends don't wait, so they are done
		if err == nil && n == 0 {
			if s.minWait > 0 {
				_, err = s.r.SubmitAndWaitMin(conns, s.minWait, time.Second)
			} else {
				_, err = s.r.Wait(1, time.Second)
			}
		}
		if err != nil && err != ErrTimeout {
			return err
		}
		s.turns++
		for cqes := s.r.Ready(); len(cqes) > 0; cqes = s.r.Ready() {
			for i := range cqes {
				c := &cqes[i]
				if c.UserData>>32 == echoAccept && c.Res >= 0 {
					fds = append(fds, c.Res)
					if err := s.accepted(c.Res, len(fds)); err != nil {
						return err
					}
				} else if err := s.complete(c); err != nil {
					return err
				}
			}
			s.r.Advance(len(cqes))
		}
		if len(fds) < conns {
			continue
		}
		now := time.Now()
		if begun.IsZero() {
			begun = now
		}
		switch passed := now.Sub(begun); {
		case passed < s.takes/3: // it warms up
			s.received, s.turns, before = 0, 0, threadCPU()
		case passed > s.takes+s.takes/3:
			messages := float64(s.received) / float64(size)
			*run = echoRun{float64(threadCPU()-before) / messages, messages / float64(s.turns), messages / s.takes.Seconds()}
			return nil
		}
	}
	return nil
}

func (s *echoServer) accepted(fd int32, n int) error {
	if s.sendBundle {
		out, err := s.r.NewBufRing(BufRingOptions{Group: uint16(n), Entries: 32, Size: echoPiece, Send: true})
		if err != nil {
			return err
		}
		for len(s.out) <= int(fd) {
			s.out = append(s.out, nil)
		}
		s.out[fd] = out
		// It is published by hand, and not by each enter: one of a thousand has something.
		s.r.bufRings = s.r.bufRings[:1]
	}
	s.receive(fd)
	return nil
}

func (s *echoServer) prepare(fd int32, what uint64) *SQE {
	sqe, err := s.r.NextSQE()
	if err != nil {
		panic(err)
	}
	sqe.UserData = what<<32 | uint64(fd)
	return sqe
}

func (s *echoServer) fixed(sqe *SQE) {
	if s.direct {
		sqe.Flags |= SQEFixedFile
	}
}

func (s *echoServer) receive(fd int32) {
	sqe := s.prepare(fd, echoReceive)
	sqe.RecvMultishot(int(fd), 0)
	s.fixed(sqe)
	if s.recvBundle {
		sqe.RecvBundle()
	} else if !s.unbounded {
		sqe.RecvLimits(s.bufs.Size(), 64<<10)
	}
}

func (s *echoServer) complete(c *CQE) error {
	fd := int32(c.UserData)
	if c.UserData>>32 == echoSend {
		if s.sendBundle && c.Res > 0 {
			for p := s.out[fd].Segments(c); p.Next(); {
				s.out[fd].Release(p.ID)
			}
			return nil
		}
		return c.Err() // a short one is one too: the clients take in all they sent
	}
	if c.Res > 0 {
		s.received += int64(c.Res)
		from := s.used
		for p := s.bufs.Segments(c); p.Next(); {
			if s.used+len(p.Data) > len(s.arena.data) {
				return fmt.Errorf("a turn brought more than %d bytes", len(s.arena.data))
			}
			s.used += copy(s.arena.data[s.used:], p.Data)
			s.bufs.Release(p.ID)
		}
		if s.sendBundle {
			s.bundle(fd, s.arena.data[from:s.used])
		} else {
			sqe := s.prepare(fd, echoSend)
			sqe.Send(int(fd), s.arena.data[from:s.used], unix.MSG_DONTWAIT|unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
			s.fixed(sqe)
			if !s.sendCompletions {
				sqe.Flags |= SQESkipSuccess
			}
		}
	}
	if !c.More() {
		if c.Res <= 0 && c.Errno() != unix.ENOBUFS {
			return fmt.Errorf("a client has left: %w", c.Err())
		}
		s.receive(fd)
	}
	return nil
}

// bundle puts pieces into the connection's own group, and has all that is there sent.
func (s *echoServer) bundle(fd int32, p []byte) {
	out := s.out[fd]
	for len(p) > 0 {
		id, buf := out.Take()
		n := copy(buf, p)
		p = p[n:]
		out.Queue(id, n)
	}
	out.Publish()
	sqe := s.prepare(fd, echoSend)
	sqe.SendBundle(int(fd), out.group, 0, unix.MSG_DONTWAIT|unix.MSG_WAITALL|unix.MSG_NOSIGNAL)
	s.fixed(sqe)
}

func onCPU(n int) error {
	var set unix.CPUSet
	set.Set(n)
	return unix.SchedSetaffinity(0, &set)
}

func threadCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// childClients is the clients' process: each connection sends again what came back, until standard input ends.
func childClients(arg string) int {
	var addr string
	var conns, depth, size int
	if _, err := fmt.Sscan(arg, &addr, &conns, &depth, &size); err != nil {
		fmt.Println(err)
		return 2
	}
	runtime.LockOSThread()
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	err := runClients(addr, conns, depth*size)
	fmt.Println(err)
	return 1
}

// runClients sends bytes over each connection, and again as many as have come back.
func runClients(addr string, conns, bytes int) error {
	if err := onCPU(1); err != nil {
		return err
	}
	r, err := New(Options{Entries: 2048, CQEntries: 8192, Flags: SetupSingleIssuer | SetupDeferTaskrun,
		RegisterRing: true})
	if err != nil {
		return err
	}
	bufs, err := r.NewBufRing(BufRingOptions{Entries: 128, Size: 32 << 10, Incremental: true})
	if err != nil {
		return err
	}
	data, err := Map(max(bytes, 1<<20))
	if err != nil {
		return err
	}
	send := func(fd, n int) {
		sqe, err := r.NextSQE()
		if err != nil {
			panic(err)
		}
		sqe.Send(fd, data.Bytes()[:n], unix.MSG_NOSIGNAL|unix.MSG_WAITALL)
		sqe.Flags |= SQESkipSuccess
		sqe.UserData = 1 << 32
	}
	receive := func(fd int) {
		sqe, err := r.NextSQE()
		if err != nil {
			panic(err)
		}
		sqe.RecvMultishot(fd, 0)
		sqe.UserData = uint64(fd)
	}
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		file, err := c.(*net.TCPConn).File()
		if err != nil {
			return err
		}
		keepAlive = append(keepAlive, c, file)
		receive(int(file.Fd()))
		send(int(file.Fd()), bytes)
	}
	for {
		if _, err := r.SubmitAndWait(1, -1); err != nil {
			return err
		}
		for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
			for i := range cqes {
				c := &cqes[i]
				fd := int(c.UserData)
				if c.UserData>>32 != 0 || c.Res <= 0 && c.Errno() != unix.ENOBUFS {
					return fmt.Errorf("the server is gone: %v", c.Err())
				}
				if c.Res > 0 {
					bufs.Data(c)
					bufs.Release(c.BufferID())
					send(fd, int(c.Res))
				}
				if !c.More() {
					receive(fd)
				}
			}
			r.Advance(len(cqes))
		}
	}
}

var keepAlive []any
