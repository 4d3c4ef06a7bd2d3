package load

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
)

// A server is one of package net, on a goroutine a connection, whose behaviour is a function.
type server struct {
	address  string
	accepted atomic.Int64
	bytes    atomic.Int64   // received, where the behaviour counts them
	times    chan time.Time // when each was accepted; what is over its capacity is left out
	stop     chan struct{}  // closed when the test is over
}

func newServer() *server {
	return &server{times: make(chan time.Time, 16), stop: make(chan struct{})}
}

// serve serves streams.
func serve(t *testing.T, network string, behave func(s *server, c net.Conn)) *server {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		at = filepath.Join(t.TempDir(), "sock")
	}
	ln, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer()
	s.address = network + "://" + ln.Addr().String()
	var mu sync.Mutex
	var conns []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			select {
			case s.times <- time.Now():
			default:
			}
			mu.Lock()
			select {
			case <-s.stop: // nobody would close it later
				c.Close()
			default:
				conns = append(conns, c)
			}
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				behave(s, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		close(s.stop)
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// servePackets serves datagrams: answer gets each with its number, and sends what it likes.
func servePackets(t *testing.T, answer func(n int, p []byte, send func([]byte))) *server {
	t.Helper()
	return servePacketsBy(t, nil, answer)
}

// servePacketsBy is servePackets, with answers that leave from another socket unless that is nil.
func servePacketsBy(t *testing.T, by net.PacketConn, answer func(n int, p []byte, send func([]byte))) *server {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = pc
	}
	return servePacketsOn(t, pc, by, answer)
}

// servePacketsOn serves the datagrams of pc, which is closed at the end of the test.
func servePacketsOn(t *testing.T, pc, by net.PacketConn, answer func(n int, p []byte, send func([]byte))) *server {
	t.Helper()
	s := newServer()
	s.address = "udp://" + pc.LocalAddr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1<<16)
		for i := 0; ; i++ {
			n, peer, err := pc.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // a refused answer, which is nobody's loss
			}
			answer(i, buf[:n], func(p []byte) { _, _ = by.WriteTo(p, peer) }) // it may be lost, as UDP says
		}
	})
	t.Cleanup(func() {
		pc.Close()
		wg.Wait()
	})
	return s
}

// echo sends back what comes.
func echo(s *server, c net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		s.bytes.Add(int64(n))
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// shredder sends back what comes in pieces of any size.
func shredder(seed uint64) func(s *server, c net.Conn) {
	return func(_ *server, c net.Conn) {
		r := rand.New(rand.NewPCG(seed, 0))
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf[:1+r.IntN(len(buf))])
			for p := buf[:n]; len(p) > 0; {
				m := 1 + r.IntN(len(p))
				if _, err := c.Write(p[:m]); err != nil {
					return
				}
				p = p[m:]
			}
			if err != nil {
				return
			}
		}
	}
}

// upperOf is upper case byte by byte, written apart from the package's own.
func upperOf(p []byte) []byte {
	q := make([]byte, 0, len(p)+len(marker))
	for _, b := range p {
		if b >= 'a' && b <= 'z' {
			b &^= 0x20
		}
		q = append(q, b)
	}
	return append(q, "_SB"...)
}

// upperStream answers each piece as it comes.
func upperStream(_ *server, c net.Conn) {
	buf := make([]byte, 8<<10)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(upperOf(buf[:n])); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// framed answers each message by a function of its number and content; nil answers nothing.
func framed(t *testing.T, spec string, answer func(n int, msg []byte) []byte) func(s *server, c net.Conn) {
	codec, err := frame.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *server, c net.Conn) {
		r, err := frame.NewReader(c, codec)
		if err != nil {
			t.Error(err)
			return
		}
		w, err := frame.NewWriter(c, codec)
		if err != nil {
			t.Error(err)
			return
		}
		for n := 0; ; n++ {
			msg, err := r.Next()
			if err != nil {
				return
			}
			if reply := answer(n, msg); reply != nil {
				if _, err := w.Write(reply); err != nil {
					return
				}
			}
		}
	}
}

func same(_ int, msg []byte) []byte { return msg }

// silent reads, and never answers.
func silent(_ *server, c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// mustRun runs with a time limit, and fails the test on an error.
func mustRun(t *testing.T, o Options) *Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatalf("Run(%+v): %v", o, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("Run(%+v) took more than %v", o, patience)
	}
	sum := int64(0)
	for _, b := range r.Histogram {
		sum += b.Count
	}
	if sum != r.Messages {
		t.Errorf("the histogram has %d messages, the result %d", sum, r.Messages)
	}
	return r
}
