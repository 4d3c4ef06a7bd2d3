//go:build linux || darwin || freebsd

package loop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Many connections at once: 2,000 in CI, else more than select's 1024 numbers, and on select 900.
func TestManyConnectionsAtOnce(t *testing.T) {
	if l := fdLimit(); l < 6000 {
		t.Skipf("the limit of open files is %d: this test needs 6000", l)
	}
	each(t, func(t *testing.T, driver string) {
		n := portion.Fewer(2000, 1100)
		if driver == "select" {
			n = 900
		}
		r := run(t, loop.Options{Driver: driver})
		a := r.serve("tcp", func() loop.Handler { return abortingEcho{} })
		var peers []farPeer
		for i := range n {
			p := dialFar(t, a)
			defer p.close()
			peers = append(peers, p)
			if i%500 == 499 {
				r.turns(1)
			}
		}
		r.until("all are accepted", func() bool { return r.Stats().Conns == n })
		buf := make([]byte, 100)
		for round := range 3 {
			for i, p := range peers {
				if err := p.send([]byte(fmt.Sprintf("%d %8d", round, i))); err != nil {
					t.Fatal(err)
				}
			}
			for i, p := range peers {
				want := fmt.Sprintf("%d %8d", round, i)
				if got, err := p.readFull(buf[:len(want)]); err != nil || got != want {
					t.Fatalf("connection %d got %q, %v: want %q", i, got, err, want)
				}
			}
		}
		if s := r.Stats(); s.Conns != n || s.StepBacks != 0 || s.Refused != 0 {
			t.Errorf("%d open, %d step-backs, %d refused: want %d, 0, 0", s.Conns, s.StepBacks, s.Refused, n)
		}
		for _, p := range peers {
			p.close()
		}
		r.until("all are gone", func() bool { return r.Stats().Conns == 0 })
	})
}

// readFull reads until b is full.
func (p farPeer) readFull(b []byte) (string, error) {
	for n := 0; n < len(b); {
		m, err := p.read(b[n:], false)
		if err == nil && m == 0 {
			err = io.EOF
		}
		if err != nil && err != unix.EAGAIN {
			return string(b[:n]), err
		}
		n += max(m, 0)
	}
	return string(b), nil
}

// Connections that come and go leave nothing behind: no descriptor, no memory. In CI 40,000 of them over all drivers;
// else so many that one Conn left for each would be more than what the heap may grow by.
func TestConnectsAndCloses(t *testing.T) {
	total, limit := portion.Fewer(40_000/len(driverNames(t)), 2000), 15*time.Second
	each(t, func(t *testing.T, driver string) {
		g := group(t, loop.GroupOptions{Loops: 2, Options: loop.Options{Driver: driver}})
		var accepted, closed atomic.Int64
		listen := func(network string) sock.Addr {
			ln, err := g.Listen(address(t, network), sock.Options{}, func(*loop.Conn) loop.Handler {
				accepted.Add(1)
				return &leaver{closed: &closed}
			})
			if err != nil {
				t.Fatal(err)
			}
			return ln.Addr()
		}
		tcp, unix := listen("tcp"), listen("unix")
		// some connects, from two goroutines at once: a reset, an end of the stream, a message before it.
		some := func(n int) {
			until := time.Now().Add(limit)
			var all sync.WaitGroup
			for w := range 2 {
				all.Go(func() {
					one := make([]byte, 1)
					for i := w; i < n && time.Now().Before(until); i += 2 {
						a := unix
						if i%4 < 2 {
							a = tcp
						}
						c, err := tryDial(a)
						if err != nil {
							t.Errorf("connect %d: %v", i, err)
							return
						}
						if i%3 == 0 {
							if _, err = c.Write(one); err == nil {
								_, err = io.ReadFull(c, one)
							}
							if err != nil {
								t.Errorf("connection %d: %v", i, err)
							}
						}
						if tc, ok := c.(*net.TCPConn); ok {
							tc.SetLinger(0) // a reset: the ports would run out otherwise
						}
						c.Close()
					}
				})
			}
			all.Wait()
			eventually(t, "all are gone", func() bool { return g.Stats().Conns == 0 && accepted.Load() == closed.Load() })
		}
		some(portion.Fewer(1000, 500)) // so that all is there that stays
		fds, before, start, done := leak.Files(), heap(), time.Now(), accepted.Load()
		some(total)
		n, took := accepted.Load()-done, time.Since(start)
		after := leak.Files()
		for until := time.Now().Add(time.Minute); after > fds && time.Now().Before(until); after = leak.Files() {
			runtime.Gosched()
		}
		if after > fds {
			t.Errorf("%d descriptors after %d connections: %d before; %q", after, n, fds, leak.FileNames())
		}
		if grown := heap() - before; grown > 512<<10 {
			t.Errorf("the heap grew by %d bytes with %d connections", grown, n)
		}
		// One that is counted may still be on its way to its loop.
		eventually(t, "as many are counted as came", func() bool { return g.Stats().Accepted == accepted.Load() })
		t.Logf("%d connections in %v", n, took.Round(time.Millisecond))
	})
}

// A leaver echoes, and counts its end.
type leaver struct {
	loop.Base
	closed *atomic.Int64
}

func (*leaver) Data(c *loop.Conn, p []byte)      { c.Write(p) }
func (l *leaver) Closed(c *loop.Conn, err error) { l.closed.Add(1) }

// A million messages, in CI, over connections that come and go at random: all that were sent come back, in order.
func TestMillionMessages(t *testing.T) {
	total, limit := int64(portion.Fewer(1_000_000/len(driverNames(t)), 50_000)), 12*time.Second
	each(t, func(t *testing.T, driver string) {
		seed := rand.Uint64()
		g := group(t, loop.GroupOptions{Loops: 2, Options: loop.Options{Driver: driver}})
		var opened, closed, messages atomic.Int64
		var addrs []sock.Addr
		for _, network := range []string{"tcp", "unix"} {
			ln, err := g.Listen(address(t, network), sock.Options{}, func(*loop.Conn) loop.Handler {
				return &watcher{t: t,
					opened: func(c *loop.Conn) { opened.Add(1) },
					data:   func(c *loop.Conn, p []byte) { c.Write(p) },
					closed: func(*loop.Conn, error) { closed.Add(1) },
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, ln.Addr())
		}
		until := time.Now().Add(limit)
		var all sync.WaitGroup
		for w := range 16 {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(w)))
				for messages.Load() < total && time.Now().Before(until) && !t.Failed() {
					n, err := visit(addrs[rng.IntN(len(addrs))], rng)
					messages.Add(int64(n))
					if err != nil {
						t.Errorf("seed %d, worker %d: after %d messages: %v", seed, w, n, err)
					}
				}
			})
		}
		all.Wait()
		eventually(t, "all are gone", func() bool { return g.Stats().Conns == 0 && opened.Load() == closed.Load() })
		t.Logf("%d messages over %d connections", messages.Load(), closed.Load())
	})
}

// mostBurst is how many messages are sent before the first comes back.
const mostBurst = 40

// visit is one connection's life: bursts of messages of 8 bytes, each with its number, and an end of some kind.
func visit(a sock.Addr, rng *rand.Rand) (n int, err error) {
	c, err := tryDial(a)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	out, in := make([]byte, 8*mostBurst), make([]byte, 8*mostBurst)
	for range rng.IntN(20) {
		burst := 1 + rng.IntN(mostBurst)
		for i := range burst {
			binary.BigEndian.PutUint64(out[8*i:], uint64(n+i))
		}
		if _, err := c.Write(out[:8*burst]); err != nil {
			return n, err
		}
		if rng.IntN(50) == 0 {
			return n, nil // in the middle
		}
		if _, err := io.ReadFull(c, in[:8*burst]); err != nil {
			return n, err
		}
		for i := range burst {
			if got := binary.BigEndian.Uint64(in[8*i:]); got != uint64(n+i) {
				return n, fmt.Errorf("message %d came back as %d", n+i, got)
			}
		}
		n += burst
	}
	switch rng.IntN(3) {
	case 0: // a reset
		if tc, ok := c.(*net.TCPConn); ok {
			tc.SetLinger(0)
		}
	case 1: // half closed: the other half follows
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			return n, err
		}
		if m, err := c.Read(in); err != io.EOF {
			return n, errors.Join(fmt.Errorf("%d bytes after the end", m), err)
		}
	}
	return n, nil
}
