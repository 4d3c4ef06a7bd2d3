//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// datagramPairs runs a test on two udp sockets over each family; the first is the dual-stack one in "both".
func datagramPairs(t *testing.T, test func(t *testing.T, a, b Socket, atA, atB netip.AddrPort)) {
	for _, row := range []struct{ name, a, b, host string }{
		{"IPv4", "udp://127.0.0.1:0", "udp://127.0.0.1:0", ""},
		{"IPv6", "udp://[::1]:0", "udp://[::1]:0", ""},
		{"both", "udp://:0", "udp://127.0.0.1:0", "127.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.name != "IPv4" {
				needIPv6(t)
			}
			a, _ := listen(t, row.a)
			b, _ := listen(t, row.b)
			atA, errA := a.LocalAddrPort()
			atB, errB := b.LocalAddrPort()
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if row.host != "" {
				atA = netip.AddrPortFrom(netip.MustParseAddr(row.host), atA.Port())
			}
			test(t, a, b, atA, atB)
		})
	}
}

// recvBatch receives exactly n datagrams, each into a buffer of size bytes.
func recvBatch(t *testing.T, b *Batch, s Socket, n, size int) []Datagram {
	t.Helper()
	ds := make([]Datagram, n)
	for i := range ds {
		ds[i].Data = make([]byte, size)
	}
	for got := 0; got < n; {
		m, err := b.Recv(s, ds[got:])
		got += m
		if err == ErrWouldBlock {
			awaitReadable(t, s)
		} else if err != nil {
			t.Fatalf("received %d of %d datagrams, then %v", got, n, err)
		}
	}
	return ds
}

func TestBatch(t *testing.T) {
	datagramPairs(t, func(t *testing.T, a, b Socket, atA, atB netip.AddrPort) {
		batch := NewBatch(8)
		if n, err := batch.Recv(a, make([]Datagram, 1)); n != 0 || err != ErrWouldBlock {
			t.Errorf("Recv with nothing there: got %d, %v, want 0, ErrWouldBlock itself", n, err)
		}
		if n, err := batch.Recv(a, nil); n != 0 || err != nil {
			t.Errorf("Recv of none: got %d, %v, want 0", n, err)
		}
		if n, err := batch.Send(a, nil); n != 0 || err != nil {
			t.Errorf("Send of none: got %d, %v, want 0", n, err)
		}

		// There and back, more than one call takes, an empty one among them.
		for _, way := range []struct {
			name     string
			from, to Socket
			at, back netip.AddrPort
		}{{"to", a, b, atB, atA}, {"fro", b, a, atA, atB}} {
			out := make([]Datagram, 20)
			for i := range out {
				out[i] = Datagram{Data: bytes.Repeat([]byte{byte(i)}, i), Peer: way.at}
			}
			if n, err := batch.Send(way.from, out); n != len(out) || err != nil {
				t.Fatalf("%s: Send of %d: got %d, %v", way.name, len(out), n, err)
			}
			for i, d := range recvBatch(t, batch, way.to, len(out), 100) {
				if d.Truncated || d.Peer != way.back || !bytes.Equal(d.Data[:d.N], out[i].Data) {
					t.Errorf("%s: datagram %d: got %d bytes from %v (truncated: %v), want %d from %v", way.name, i, d.N, d.Peer,
						d.Truncated, i, way.back)
				}
			}
		}

		// One that is longer than the buffer, between two that fit.
		for _, text := range []string{"short", "much too long for it", "fits"} {
			if n, err := batch.Send(a, []Datagram{{Data: []byte(text), Peer: atB}}); n != 1 || err != nil {
				t.Fatalf("Send: got %d, %v", n, err)
			}
		}
		got := recvBatch(t, batch, b, 3, 8)
		for i, want := range []Datagram{{N: 5}, {N: 8, Truncated: true}, {N: 4}} {
			if got[i].N != want.N || got[i].Truncated != want.Truncated {
				t.Errorf("datagram %d into 8 bytes: got %d (truncated: %v), want %d (%v)", i, got[i].N, got[i].Truncated, want.N,
					want.Truncated)
			}
		}
		if s := string(got[1].Data[:got[1].N]); s != "much too" {
			t.Errorf("what fitted: got %q, want %q", s, "much too")
		}
	})
}

// A datagram that cannot be sent stops the batch at that one, with its own error; the others before it are
// sent.
func TestBatchSendStopsAtTheBadOne(t *testing.T) {
	datagramPairs(t, func(t *testing.T, a, b Socket, atA, atB netip.AddrPort) {
		batch := NewBatch(8)
		good := Datagram{Data: []byte("good"), Peer: atB}
		for _, row := range []struct {
			name string
			bad  Datagram
			want syscall.Errno
		}{
			{"too long", Datagram{Data: make([]byte, 70_000), Peer: atB}, syscall.EMSGSIZE},
			{"no peer", Datagram{Data: []byte("x")}, syscall.EDESTADDRREQ},
		} {
			n, err := batch.Send(a, []Datagram{good, good, row.bad, good})
			if n != 2 || err != row.want {
				t.Errorf("%s: got %d, %v, want 2, %v", row.name, n, err, row.want)
			}
			recvBatch(t, batch, b, 2, 10)
		}
	})
}

// The refusal of a datagram is that datagram's: the next ones are sent and received, and RecvError tells
// which it was.
func TestRecvError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	datagramPairs(t, func(t *testing.T, a, b Socket, atA, atB netip.AddrPort) {
		batch := NewBatch(8)
		refused := closedPorts(t, atB.Addr(), 3)
		buf := make([]byte, 100)
		if _, _, _, ok := a.RecvError(buf); ok {
			t.Error("RecvError before anything: got an entry, want none")
		}
		for round := range 3 {
			var out []Datagram
			for i, at := range refused {
				out = append(out,
					Datagram{Data: fmt.Appendf(nil, "refused %d", i), Peer: at},
					Datagram{Data: fmt.Appendf(nil, "good %d", i), Peer: atB})
			}
			if n, err := batch.Send(a, out); n != len(out) || err != nil {
				t.Fatalf("round %d: Send: got %d, %v, want all %d sent", round, n, err, len(out))
			}
			for i, d := range recvBatch(t, batch, b, len(refused), 100) {
				if want := fmt.Sprintf("good %d", i); string(d.Data[:d.N]) != want {
					t.Errorf("round %d: got %q, want %q", round, d.Data[:d.N], want)
				}
			}
			// The refusals came back before Send returned (loopback), and are in nobody's way. The kernel
			// offers the last one to the next call, whichever that is: to Send, to a Recv with something
			// there, to a Recv with nothing there.
			last := out[len(out)-2 : len(out)-1]
			for _, call := range []struct {
				name string
				do   func() error
			}{
				{"Send", func() error {
					_, err := batch.Send(a, []Datagram{{Data: []byte("more"), Peer: atB}})
					recvBatch(t, batch, b, 1, 10)
					return err
				}},
				{"Recv of one", func() error {
					if _, err := batch.Send(b, []Datagram{{Data: []byte("answer"), Peer: atA}}); err != nil {
						return err
					}
					d := []Datagram{{Data: buf}}
					n, err := batch.Recv(a, d)
					if n != 1 || string(buf[:d[0].N]) != "answer" {
						return fmt.Errorf("got %d, %q, %w", n, buf[:d[0].N], err)
					}
					return err
				}},
				{"Recv of none", func() error {
					if n, err := batch.Recv(a, []Datagram{{Data: buf}}); n != 0 || err != ErrWouldBlock {
						return fmt.Errorf("got %d, %w, want ErrWouldBlock", n, err)
					}
					return nil
				}},
			} {
				if n, err := batch.Send(a, last); n != 1 || err != nil {
					t.Errorf("round %d: Send of one that is refused: got %d, %v, want it sent", round, n, err)
				}
				if err := call.do(); err != nil {
					t.Errorf("round %d: %s after a refusal: %v", round, call.name, err)
				}
			}
			refusedNow := append(refused[:len(refused):len(refused)], last[0].Peer, last[0].Peer, last[0].Peer)
			for i, at := range refusedNow {
				i = min(i, len(refused)-1)
				peer, n, cause, ok := a.RecvError(buf)
				if want := fmt.Sprintf("refused %d", i); !ok || peer != at || cause != syscall.ECONNREFUSED ||
					string(buf[:n]) != want {
					t.Errorf("round %d: RecvError: got %v, %q, %v, %v, want %v, %q, ECONNREFUSED", round, peer, buf[:n], cause, ok, at,
						want)
				}
			}
			if peer, n, cause, ok := a.RecvError(buf); ok {
				t.Errorf("round %d: RecvError of an empty queue: got %v, %d, %v", round, peer, n, cause)
			}
			if peer, n, cause, ok := None.RecvError(nil); ok {
				t.Errorf("RecvError of None: got %v, %d, %v", peer, n, cause)
			}
		}
	})
}

// closedPorts finds n udp ports that nobody has.
func closedPorts(t *testing.T, ip netip.Addr, n int) (ports []netip.AddrPort) {
	t.Helper()
	for range n {
		s, err := Listen(FromAddrPort("udp", netip.AddrPortFrom(ip, 0)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() // all at the end, so that they differ
		at, err := s.LocalAddrPort()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, at)
	}
	return ports
}

func TestConnectedUDP(t *testing.T) {
	p, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.SetDeadline(time.Now().Add(patience))
	at := FromAddrPort("udp", p.LocalAddr().(*net.UDPAddr).AddrPort())
	c, connected, err := Connect(at, Options{})
	if err != nil || !connected {
		t.Fatalf("Connect to %v: got %v, %v, want connected at once", at, connected, err)
	}
	defer c.Close()
	if err := c.ConnectError(); err != nil {
		t.Error(err)
	}
	if a, err := c.RemoteAddr(); err != nil || a.String() != at.String() {
		t.Errorf("RemoteAddr: got %v, %v, want %v", a, err, at)
	}
	if n, err := c.Send([]byte("one")); n != 3 || err != nil {
		t.Fatalf("Send: got %d, %v", n, err)
	}
	batch := NewBatch(2)
	if n, err := batch.Send(c, []Datagram{{Data: []byte("two")}}); n != 1 || err != nil {
		t.Fatalf("Batch.Send without a peer: got %d, %v, want 1", n, err)
	}
	buf := make([]byte, 10)
	for _, want := range []string{"one", "two"} {
		n, from, err := p.ReadFrom(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("net received %q, %v, want %q", buf[:n], err, want)
		}
		if _, err := p.WriteTo(buf[:n], from); err != nil {
			t.Fatal(err)
		}
	}
	if got := recvN(t, c, 3); string(got) != "one" {
		t.Errorf("got %q, want one", got)
	}
	if d := recvBatch(t, batch, c, 1, 10)[0]; string(d.Data[:d.N]) != "two" || d.Peer.String() != p.LocalAddr().String() {
		t.Errorf("got %q from %v, want two from %v", d.Data[:d.N], d.Peer, p.LocalAddr())
	}
}

func TestBatchFull(t *testing.T) {
	s, err := NewBatch(1).Send(None, []Datagram{{}})
	if s != 0 || !errors.Is(err, syscall.EBADF) {
		t.Errorf("Send on None: got %d, %v, want 0, EBADF", s, err)
	}
	for _, n := range []int{-1, 0, 1, MaxBatch, MaxBatch + 1} {
		a, _ := listen(t, "udp://127.0.0.1:0")
		at, err := a.LocalAddrPort()
		if err != nil {
			t.Fatal(err)
		}
		batch := NewBatch(n)
		out := make([]Datagram, 3)
		for i := range out {
			out[i] = Datagram{Data: []byte{byte(i)}, Peer: at}
		}
		if sent, err := batch.Send(a, out); sent != 3 || err != nil {
			t.Errorf("batch of %d: Send of 3: got %d, %v", n, sent, err)
		}
		recvBatch(t, batch, a, 3, 10)
	}
}

func TestBatchNoAllocations(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has batches")
	}
	datagramPairs(t, func(t *testing.T, a, b Socket, atA, atB netip.AddrPort) {
		batch := NewBatch(16)
		out, in := make([]Datagram, 16), make([]Datagram, 16)
		for i := range out {
			out[i] = Datagram{Data: make([]byte, 32), Peer: atB}
			in[i].Data = make([]byte, 64)
		}
		refused := []Datagram{{Data: make([]byte, 32), Peer: closedPorts(t, atB.Addr(), 1)[0]}}
		buf := make([]byte, 64)
		n := testing.AllocsPerRun(100, func() {
			batch.Send(a, out)
			for got := 0; got < len(out); {
				n, err := batch.Recv(b, in)
				if err == ErrWouldBlock {
					runtime.Gosched() // they are on their way; awaitReadable allocates
				}
				got += n
			}
			batch.Recv(b, in)
			batch.Send(a, refused)
			a.RecvError(buf)
		})
		if n > 0 {
			t.Errorf("%v allocations a round, want 0", n)
		}
	})
}
