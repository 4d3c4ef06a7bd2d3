//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"net"
	"testing"
)

// What a message costs: one Send and one Recv, over sockets that are nearly always ready.
func BenchmarkSendRecv(b *testing.B) {
	l, at := listen(b, "tcp://127.0.0.1:0")
	c := connect(b, at, Options{})
	s := accept(b, l)
	p, q := pair(b)
	for _, row := range []struct {
		name     string
		from, to Socket
	}{{"tcp", c, s}, {"unix", p, q}} {
		b.Run(row.name, func(b *testing.B) {
			buf := make([]byte, 64)
			b.SetBytes(64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := row.from.Send(buf); err != nil {
					b.Fatal(err)
				}
				_, err := row.to.Recv(buf)
				for ; err == ErrWouldBlock; _, err = row.to.Recv(buf) {
					awaitReadable(b, row.to) // spinning would keep the kernel's own threads off the core
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The same by Go's net, for comparison: its calls tell the scheduler that they may block.
func BenchmarkSendRecvNet(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	buf := make([]byte, 64)
	b.SetBytes(64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// The call itself: a Recv that finds nothing.
func BenchmarkRecvNothing(b *testing.B) {
	p, _ := pair(b)
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Recv(buf); err != ErrWouldBlock {
			b.Fatal(err)
		}
	}
}

func BenchmarkSendV(b *testing.B) {
	p, q := pair(b)
	buf := make([]byte, 4096)
	for _, row := range []struct {
		name   string
		pieces int
	}{{"4 pieces", 4}, {"16 pieces", 16}, {"64 pieces", 64}} {
		b.Run(row.name, func(b *testing.B) {
			pieces := make([][]byte, row.pieces)
			for i := range pieces {
				pieces[i] = buf[i*32 : i*32+32]
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.SendV(pieces); err != nil {
					b.Fatal(err)
				}
				if _, err := q.Recv(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A datagram there, by the size of the batch.
func BenchmarkBatch(b *testing.B) {
	for _, row := range []struct {
		name string
		size int
	}{{"1", 1}, {"8", 8}, {"64", 64}} {
		b.Run(row.name, func(b *testing.B) {
			from, _ := listen(b, "udp://127.0.0.1:0")
			to, _ := listen(b, "udp://127.0.0.1:0")
			at, err := to.LocalAddrPort()
			if err != nil {
				b.Fatal(err)
			}
			batch := NewBatch(row.size)
			out, in := make([]Datagram, row.size), make([]Datagram, row.size)
			for i := range out {
				out[i] = Datagram{Data: make([]byte, 64), Peer: at}
				in[i].Data = make([]byte, 128)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, err := batch.Send(from, out); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < row.size; {
					m, err := batch.Recv(to, in[got:])
					if err != nil && err != ErrWouldBlock {
						b.Fatal(err)
					}
					got += m
				}
				n += row.size
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/datagram")
		})
	}
}
