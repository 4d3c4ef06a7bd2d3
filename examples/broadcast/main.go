//go:build unix

// Command broadcast measures what it costs to send one message to many idle connections: by an Audience, by a loop of
// Sends to each connection on its own loop, and, by package net, by a goroutine that writes to one after the other.
//
//	go run ./examples/broadcast -conns 10000 -size 128 -rounds 20
//
// The three take turns in one run, so that they meet the same machine. The clients are a process of their own. What is
// measured is this process's CPU time, user's and system's, from before a broadcast until the clients have all of it.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

var codec = frame.Length{Bytes: 4}

func main() {
	conns := flag.Int("conns", 10_000, "connections of each kind, which take two descriptors in this process")
	size := flag.Int("size", 128, "bytes of a message, with the 4 of its length")
	rounds := flag.Int("rounds", 20, "broadcasts by each of the three")
	driver := flag.String("driver", "auto", "what the loops wait on")
	clients := flag.String("clients", "", "be the clients of this address (for the program itself)")
	flag.Parse()
	if flag.NArg() > 0 || *conns < 1 || *size < 5 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *clients != "" {
		if err := follow(*clients, *conns, *size); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := run(os.Stdout, *driver, *conns, *size, *rounds); err != nil {
		log.Fatal(err)
	}
}

// A way is one way to send to all.
type way struct {
	name string
	send func(msg []byte) error
	side *clientSide
	took []time.Duration // of CPU
}

// run prints what each of the ways takes.
func run(out io.Writer, driver string, conns, size, rounds int) error {
	h := &hall{of: make(map[*coro.Scheduler][]*plexor.Conn)}
	srv := &plexor.Server{Driver: driver}
	defer srv.Close()
	addr, err := srv.Open("tcp://127.0.0.1:0?backlog=4096", plexor.Messages(codec, h.enter))
	if err != nil {
		return err
	}
	side, err := startClients(addr, conns, size)
	if err != nil {
		return err
	}
	defer side.stop()
	plain, err := listenPlain()
	if err != nil {
		return err
	}
	defer plain.close()
	plainSide, err := startClients(plain.ln.Addr(), conns, size)
	if err != nil {
		return err
	}
	defer plainSide.stop()
	ways := []*way{
		{name: "Audience", send: h.audience.Send, side: side},
		{name: "Send to each, on its loop", send: h.each, side: side},
		{name: "net, Write to each", send: plain.each, side: plainSide},
	}
	msg := make([]byte, size-4)
	for i := range rounds + 1 { // the first is to warm up
		for k := range ways {
			w := ways[(i+k)%len(ways)]
			took, err := w.once(msg)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if i > 0 {
				w.took = append(w.took, took)
			}
		}
	}
	name, loops := srv.Engine()
	fmt.Fprintf(out, "%d connections, %d bytes, %d rounds, %s with %d loops: CPU time of a broadcast, median\n",
		conns, size, rounds, name, loops)
	slices.Sort(ways[1].took)
	base := ways[1].took[rounds/2]
	for _, w := range ways {
		slices.Sort(w.took)
		m := w.took[rounds/2]
		fmt.Fprintf(out, "%-28s %8.2f ms  %5.2f µs a connection  × %.2f\n",
			w.name, float64(m)/1e6, float64(m)/1e3/float64(conns), float64(m)/float64(max(base, 1)))
	}
	return nil
}

// once is a broadcast.
func (w *way) once(msg []byte) (time.Duration, error) {
	before := cpu()
	if err := w.send(msg); err != nil {
		return 0, err
	}
	if err := w.side.await(); err != nil {
		return 0, err
	}
	return cpu() - before, nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A hall is the connections of the engine.
type hall struct {
	audience plexor.Audience
	mu       sync.Mutex
	of       map[*coro.Scheduler][]*plexor.Conn
}

// enter is for a client's first message; there is no other.
func (h *hall) enter(c *plexor.Conn, _ []byte) error {
	t, err := coro.Self(c.Context(), "enter")
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.of[t.Scheduler()] = append(h.of[t.Scheduler()], c)
	h.mu.Unlock()
	if err := h.audience.Add(c.Outbox()); err != nil {
		return err
	}
	return c.Send([]byte("hello"))
}

// each sends to the connections of each loop by a coroutine of that loop.
func (h *hall) each(msg []byte) error {
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for s, conns := range h.of {
		all.Go(func() {
			_, err := coro.Call(context.Background(), s, "send to each", func(context.Context) (struct{}, error) {
				for _, c := range conns {
					if err := c.Send(msg); err != nil {
						return struct{}{}, err
					}
				}
				return struct{}{}, nil
			})
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A plainServer is one on package net: a goroutine for each connection, which reads.
type plainServer struct {
	ln    net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func listenPlain() (*plainServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &plainServer{ln: ln}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p, nil
}

func (p *plainServer) serve(c net.Conn) {
	buf := make([]byte, 512)
	if _, err := c.Read(buf); err != nil {
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, c)
	p.mu.Unlock()
	hello, _ := codec.Append(nil, []byte("hello")) // it is short enough
	for _, err := c.Write(hello); err == nil; {
		_, err = c.Read(buf)
	}
}

func (p *plainServer) each(msg []byte) error {
	b, err := codec.Append(nil, msg)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *plainServer) close() {
	p.ln.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// A clientSide is the process of the clients.
type clientSide struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// startClients starts it, and waits until all are connected.
func startClients(addr net.Addr, conns, size int) (*clientSide, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &clientSide{cmd: exec.Command(self,
		"-clients", addr.String(), "-conns", fmt.Sprint(conns), "-size", fmt.Sprint(size))}
	s.cmd.Stderr = os.Stderr
	s.cmd.Env = append(os.Environ(), childEnv+"=1")
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.await(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// childEnv tells a test's binary that it is the clients.
const childEnv = "PLEXOR_BROADCAST_CLIENTS"

// await waits until all clients have what was sent last.
func (s *clientSide) await() error {
	_, err := s.out.ReadString('\n')
	return err
}

func (s *clientSide) stop() {
	s.in.Close()
	s.cmd.Wait()
}

// follow is the clients: it prints a line when all are connected, and one whenever all have had a message.
func follow(addr string, conns, size int) error {
	var got atomic.Int64
	all := make(chan error, conns)
	hello, err := codec.Append(nil, []byte("hello"))
	if err != nil {
		return err
	}
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		if _, err := c.Write(hello); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, len(hello))); err != nil {
			return err
		}
		go func() {
			buf := make([]byte, size)
			for {
				if _, err := io.ReadFull(c, buf); err != nil {
					all <- err
					return
				}
				if got.Add(1)%int64(conns) == 0 {
					fmt.Println("all")
				}
			}
		}()
	}
	fmt.Println("connected")
	go func() { _, err := io.Copy(io.Discard, os.Stdin); all <- err }() // it ends with who started it
	return <-all
}
