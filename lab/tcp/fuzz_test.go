package tcp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// FuzzConn plays a peer that sends anything: each eight bytes of script are a segment, near the numbers that the stack
// expects, or a call of the application, or time that passes. Nothing panics, every bound holds, and in the end nothing
// is left.
func FuzzConn(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\xff\xff\x10\x01\x01\x05\x00\x00\xff\xff\x11\x06\x01\x00\x00\x00\xff\xff"), true)
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\xff\xff\xf0\x10\x00\x00\x00\x00\x00\x00\xf1\x10\x00\x00\x00\x00\x00\x00"),
		false)
	f.Fuzz(func(t *testing.T, script []byte, passive bool) {
		limits := Limits{SendBuffer: 20000, ReceiveBuffer: 20000}
		s := New(Options{Random: rand.New(rand.NewPCG(1, 1)).Uint64, Limits: limits})
		local, peer := netip.AddrPortFrom(addrA, 80), netip.AddrPortFrom(addrB, 1024)
		var now time.Duration
		var iss uint32
		var c *Conn
		l, err := s.Listen(local, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !passive {
			if c, err = s.Dial(now, local, peer); err != nil {
				t.Fatal(err)
			}
		}
		sent := 0
		flush := func() {
			s.Flush(now, func(g *Segment) {
				if g.TCP.Flags&wire.SYN != 0 {
					iss = g.TCP.Seq
				}
				if _, err := g.TCP.Append(nil, g.Src, g.Dst); err != nil {
					t.Fatal(err)
				}
				if sent++; sent > 1_000_000 {
					t.Fatal("it does not stop sending")
				}
			})
		}
		flush()
		buf := make([]byte, 30000)
		for ; len(script) >= 8; script = script[8:] {
			b := script[:8]
			if b[0] >= 0xf0 && c != nil {
				fuzzCall(c, now, b, buf)
			} else if b[0] >= 0xe0 {
				now += time.Duration(b[1]) * time.Duration(b[2]) * 10 * time.Millisecond
				s.Advance(now)
			} else {
				h := wire.TCP{SrcPort: 1024, DstPort: 80, Flags: wire.TCPFlags(b[0] & 0x3f), Seq: peerISN +
					uint32(int8(b[1]))*uint32(1+b[5]),
					Ack: iss + uint32(int8(b[2]))*uint32(1+b[5]), Window: uint16(b[6])<<8 | uint16(b[7]), Urgent: uint16(b[4]),
					Payload: buf[:int(b[3])*int(1+b[4]%8)]}
				h.Options, _ = (&wire.TCPOptions{HasMSS: b[5]&1 != 0, MSS: uint16(b[4]) * 8, SACKPermitted: b[5]&2 != 0,
					SACKs: b[5] >> 7,
					SACK:  [4]wire.SACKBlock{{Left: iss + uint32(b[3]), Right: iss + uint32(b[4])}}, HasScale: b[5]&4 != 0,
					Scale: b[3]}).Append(nil)
				s.Segment(now, Envelope{Src: addrB, Dst: addrA}, &h)
			}
			flush()
			if c == nil {
				c = l.Accept()
			}
			for _, k := range s.conns {
				if k.inLen > 20000+1<<14 || k.outLen > 20000 || len(k.early.list) > maxRanges || len(k.records) > maxRecords {
					t.Fatalf("a bound is broken: %+v", k)
				}
			}
			if s.pool.used > 32 {
				t.Fatalf("%d pages", s.pool.used)
			}
		}
		l.Close(now)
		if c != nil {
			c.Abort(now)
		}
		for _, k := range s.conns {
			k.Abort(now)
		}
		flush()
		if len(s.conns) != 0 || s.pool.used != 0 {
			t.Fatalf("%d connections and %d pages are left", len(s.conns), s.pool.used)
		}
	})
}

// fuzzCall is a call of the application.
func fuzzCall(c *Conn, now time.Duration, b, buf []byte) {
	n := int(b[1])<<8 | int(b[2])
	switch b[0] & 3 {
	case 0:
		c.Write(now, buf[:min(n, len(buf))])
	case 1:
		c.Read(now, buf[:min(n, len(buf))])
	case 2:
		c.CloseWrite(now)
	case 3:
		c.SetNoDelay(b[1]&1 != 0)
	}
}
