//go:build linux || darwin || freebsd

package loop_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

type refusal struct {
	peer netip.AddrPort
	err  error
}

type packet struct {
	data      string
	peer      netip.AddrPort
	truncated bool
}

// A post is a datagram socket of a loop. What it is told goes to channels, unless packet is set.
type post struct {
	*rig
	s       *loop.PacketConn
	addr    netip.AddrPort
	packet  func(s *loop.PacketConn, p []byte, peer netip.AddrPort, truncated bool)
	got     chan packet
	refused chan refusal
	closed  chan error
}

func (k *post) Packet(s *loop.PacketConn, p []byte, peer netip.AddrPort, truncated bool) {
	if k.packet != nil {
		k.packet(s, p, peer, truncated)
		return
	}
	k.got <- packet{string(p), peer, truncated}
}

func (k *post) Refused(_ *loop.PacketConn, peer netip.AddrPort, err error) {
	k.refused <- refusal{peer, err}
}
func (k *post) Closed(_ *loop.PacketConn, err error) { k.closed <- err }

// packets binds a datagram socket on the rig's loop.
func (r *rig) packets(host string, o sock.Options) *post {
	r.t.Helper()
	k := &post{rig: r, got: make(chan packet, 10_000), refused: make(chan refusal, 10_000), closed: make(chan error, 10)}
	r.do(func() {
		var err error
		if k.s, err = r.ListenPacket(sock.Addr{Scheme: "udp", Host: host}, o, k); err != nil {
			r.t.Fatalf("ListenPacket: %v", err)
		}
	})
	k.addr, _ = k.s.Addr().AddrPort()
	return k
}

// udpPeer is a socket of Go's own.
func udpPeer(t testing.TB, host string) datagramPeer {
	t.Helper()
	if stage.On(t) {
		return bindVirtual(t, host)
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Skipf("no datagrams on %s here: %v", host, err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func addrPort(c datagramPeer) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// Datagrams come and go in batches, whole, in order, with their peers; over IPv6 too.
func TestDatagramEcho(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			each(t, func(t *testing.T, driver string) {
				peers := []datagramPeer{udpPeer(t, host), udpPeer(t, host)}
				r := run(t, loop.Options{Driver: driver, PacketBatch: 8})
				k := r.packets(host, sock.Options{})
				k.do(func() {
					k.packet = func(s *loop.PacketConn, p []byte, peer netip.AddrPort, truncated bool) {
						if n, err := s.WriteTo(p, peer); n != len(p) || err != nil || truncated {
							t.Errorf("WriteTo of %d bytes: %d, %v (truncated %v)", len(p), n, err, truncated)
						}
						clear(p) // it is ours until we return, and WriteTo has copied it
					}
				})
				const n, rounds = 50, 4
				buf := make([]byte, 70_000)
				for round := range rounds {
					// While the loop is held up, so that there is more than one batch of them.
					hold, held := make(chan struct{}), make(chan struct{})
					r.Post(func() { close(held); <-hold })
					<-held
					for i := range n {
						for j, p := range peers {
							if _, err := p.WriteToUDPAddrPort([]byte(fmt.Sprintf("%d %d %d", round, i, j)), k.addr); err != nil {
								t.Fatal(err)
							}
						}
					}
					close(hold)
					for j, p := range peers {
						for i := range n {
							size, from, err := p.ReadFromUDPAddrPort(buf)
							want := fmt.Sprintf("%d %d %d", round, i, j)
							if err != nil || string(buf[:size]) != want || from.Port() != k.addr.Port() {
								t.Fatalf("got %q from %v, %v: want %q from %v", buf[:size], from, err, want, k.addr)
							}
						}
					}
				}
				total := int64(n * rounds * len(peers))
				r.turns(1)
				if s := r.Stats(); s.PacketsIn != total || s.PacketsOut != total || s.Dropped != 0 {
					t.Errorf("counted %d in, %d out, %d dropped: want %d, %d, 0", s.PacketsIn, s.PacketsOut, s.Dropped, total, total)
				}
			})
		})
	}
}

// A datagram longer than the buffer is told to be; the largest there is arrives whole.
func TestDatagramSizes(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, size := range []int{0, 100} { // 0: the default, which is the largest
			p := udpPeer(t, "127.0.0.1")
			r := run(t, loop.Options{Driver: driver, PacketSize: size})
			k := r.packets("127.0.0.1", sock.Options{})
			for _, n := range []int{0, 1, 99, 100, 101, 5000, 65507} {
				if _, err := p.WriteToUDPAddrPort(pattern(n), k.addr); err != nil {
					t.Fatalf("sending %d bytes: %v", n, err)
				}
				got, want := recv(t, "a datagram", k.got), pattern(n)
				cut := size > 0 && n > size
				if cut {
					want = want[:size]
				}
				if got.data != string(want) || got.truncated != cut || got.peer != addrPort(p) {
					t.Errorf("PacketSize %d, %d bytes sent: got %d bytes from %v, truncated %v; want %d from %v, %v", size, n,
						len(got.data), got.peer, got.truncated, len(want), addrPort(p), cut)
				}
			}
			buf := make([]byte, 70_000)
			for _, n := range []int{0, 1, 65507} {
				k.do(func() {
					if m, err := k.s.WriteTo(pattern(n), addrPort(p)); m != n || err != nil {
						t.Errorf("WriteTo of %d bytes: %d, %v", n, m, err)
					}
				})
				got, _, err := p.ReadFromUDPAddrPort(buf)
				if err != nil || got != n {
					t.Errorf("%d bytes arrived of %d: %v", got, n, err)
				}
			}
			k.do(func() {
				if _, err := k.s.WriteTo(pattern(65508), addrPort(p)); err != loop.ErrTooLarge {
					t.Errorf("WriteTo of 65508 bytes: %v; want ErrTooLarge", err)
				}
			})
		}
	})
}

// A refusal is one peer's: it is told with that peer, and all others are served, also if the system tells it with a
// send to another one.
func TestRefusalIsOnePeers(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		good := udpPeer(t, "127.0.0.1")
		r := run(t, loop.Options{Driver: driver})
		k := r.packets("127.0.0.1", sock.Options{}) // before the others, else it may be on the port of one that has gone
		var gone []datagramPeer
		var nobodies []netip.AddrPort
		for range 5 {
			p := udpPeer(t, "127.0.0.1")
			gone, nobodies = append(gone, p), append(nobodies, addrPort(p))
		}
		for _, p := range gone {
			p.Close()
		}
		buf := make([]byte, 100)
		for round := range 10 {
			for _, at := range []string{"before", "behind"} { // the refusal is there when these are sent, or comes with them
				if at == "before" {
					k.do(func() {
						for _, n := range nobodies {
							k.s.WriteTo([]byte("anybody?"), n)
						}
					})
				}
				k.do(func() {
					for i := range 20 {
						k.s.WriteTo([]byte(fmt.Sprint(at, round, i)), addrPort(good))
						if at == "behind" && i < len(nobodies) {
							k.s.WriteTo([]byte("anybody?"), nobodies[i])
						}
					}
				})
				for i := range 20 {
					n, _, err := good.ReadFromUDPAddrPort(buf)
					if want := fmt.Sprint(at, round, i); err != nil || string(buf[:n]) != want {
						t.Fatalf("the good peer got %q, %v: want %q", buf[:n], err, want)
					}
				}
				missing := map[netip.AddrPort]bool{}
				for _, n := range nobodies {
					missing[n] = true
				}
				for len(missing) > 0 {
					got := recv(t, fmt.Sprintf("Refused of %v", missing), k.refused)
					if !errors.Is(got.err, syscall.ECONNREFUSED) || !missing[got.peer] {
						t.Fatalf("Refused(%v, %v): want ECONNREFUSED of one of %v", got.peer, got.err, missing)
					}
					delete(missing, got.peer)
				}
			}
		}
		if _, err := good.WriteToUDPAddrPort([]byte("hello"), k.addr); err != nil {
			t.Fatal(err)
		}
		if got := recv(t, "a datagram", k.got); got.data != "hello" {
			t.Errorf("got %q", got.data)
		}
		if len(k.closed) > 0 {
			t.Errorf("the socket was closed: %v", <-k.closed)
		}
	})
}

// A datagram that can't be sent at all is told too, and does not hold up the others.
func TestUnsendableDatagram(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		good := udpPeer(t, "127.0.0.1")
		r := run(t, loop.Options{Driver: driver})
		k := r.packets("127.0.0.1", sock.Options{})
		six := netip.MustParseAddrPort("[2001:db8::1]:9") // on an IPv4 socket
		k.do(func() {
			k.s.WriteTo([]byte("1"), addrPort(good))
			k.s.WriteTo([]byte("x"), six)
			k.s.WriteTo([]byte("2"), addrPort(good))
		})
		buf := make([]byte, 10)
		for _, want := range []string{"1", "2"} {
			if n, _, err := good.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != want {
				t.Errorf("the good peer got %q, %v: want %q", buf[:n], err, want)
			}
		}
		if got := recv(t, "Refused", k.refused); got.peer != six || got.err == nil {
			t.Errorf("Refused(%v, %v): want %v and why", got.peer, got.err, six)
		}
	})
}

// The queue of datagrams has its bound; what is refused is counted.
func TestPacketQueueBound(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) {
		p := udpPeer(t, "127.0.0.1")
		r := run(t, loop.Options{Driver: driver, PacketQueue: 10_000})
		k := r.packets("127.0.0.1", sock.Options{})
		for range 3 { // the bound is a turn's, for all leaves at its end
			k.do(func() {
				for i := range 10 {
					if _, err := k.s.WriteTo(pattern(1000), addrPort(p)); err != nil {
						t.Errorf("datagram %d of 10: %v", i, err)
					}
				}
				if _, err := k.s.WriteTo(pattern(1), addrPort(p)); err != loop.ErrFull {
					t.Errorf("one more: %v; want ErrFull", err)
				}
			})
			buf := make([]byte, 2000)
			for range 10 {
				if n, _, err := p.ReadFromUDPAddrPort(buf); n != 1000 || err != nil {
					t.Errorf("%d bytes arrived, %v: want 1000", n, err)
				}
			}
		}
		k.do(func() { // empty ones are bounded too
			for n := 0; ; n++ {
				if _, err := k.s.WriteTo(nil, addrPort(p)); err == loop.ErrFull {
					return
				}
				if n > 10_000 {
					t.Error("more than 10,000 empty datagrams in a queue of 10,000 bytes")
					return
				}
			}
		})
		if d := r.Stats().Dropped; d != 4 {
			t.Errorf("%d counted as dropped: want 4", d)
		}
	})
}

// A slow datagram handler loses nothing of the streams, and the streams go on meanwhile.
func TestSlowDatagramHandler(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, PacketBatch: 2})
		k := r.packets("127.0.0.1", sock.Options{})
		stop := make(chan struct{})
		k.do(func() {
			k.packet = func(*loop.PacketConn, []byte, netip.AddrPort, bool) { time.Sleep(500 * time.Microsecond) }
		})
		p := udpPeer(t, "127.0.0.1")
		var flood sync.WaitGroup
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.WriteToUDPAddrPort(pattern(100), k.addr) // most of them for nothing
				}
			}
		})
		a := r.serve("tcp", func() loop.Handler { return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) }) })
		q := dial(t, a)
		go q.send(pattern(2 << 20))
		q.expect(pattern(2 << 20))
		close(stop)
		flood.Wait()
		if r.Stats().PacketsIn == 0 {
			t.Error("no datagram was handled meanwhile")
		}
		q.Close()
	})
}

// Close sends what waits, tells Closed once, and refuses all later calls; from inside a Packet too.
func TestPacketClose(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		for _, inside := range []bool{false, true} {
			p := udpPeer(t, "127.0.0.1")
			r := run(t, loop.Options{Driver: driver})
			k := r.packets("127.0.0.1", sock.Options{})
			end := func() {
				for i := range 50 {
					k.s.WriteTo([]byte{byte(i)}, addrPort(p))
				}
				if err := k.s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				_, werr := k.s.WriteTo([]byte("x"), addrPort(p))
				if cerr := k.s.Close(); !errors.Is(werr, net.ErrClosed) || !errors.Is(cerr, net.ErrClosed) {
					t.Errorf("after Close: WriteTo %v, Close %v; want net.ErrClosed", werr, cerr)
				}
			}
			if inside {
				calls := 0
				k.do(func() {
					k.packet = func(*loop.PacketConn, []byte, netip.AddrPort, bool) {
						if calls++; calls > 1 {
							t.Error("Packet after Close")
							return
						}
						end()
					}
				})
				hold, held := make(chan struct{}), make(chan struct{})
				r.Post(func() { close(held); <-hold })
				<-held
				p.WriteToUDPAddrPort([]byte("1"), k.addr)
				p.WriteToUDPAddrPort([]byte("2"), k.addr)
				close(hold)
			} else {
				k.do(end)
			}
			buf := make([]byte, 10)
			for i := range 50 {
				if n, _, err := p.ReadFromUDPAddrPort(buf); err != nil || n != 1 || buf[0] != byte(i) {
					t.Fatalf("datagram %d: got %v, %v", i, buf[:n], err)
				}
			}
			if err := recv(t, "Closed", k.closed); err != nil {
				t.Errorf("Closed got %v: want nil", err)
			}
			r.turns(2)
			if len(k.closed) > 0 {
				t.Error("Closed twice")
			}
		}
	})
}
