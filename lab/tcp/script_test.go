package tcp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A script is a stack, and a peer that the test plays: it sends segments by hand and reads the answers. Numbers are
// relative: the peer's begin at 0, the stack's too.
type script struct {
	t     *testing.T
	now   time.Duration
	s     *Stack
	l     *Listener
	c     *Conn
	local netip.AddrPort
	peer  netip.AddrPort
	iss   Seq // the stack's first number
	out   []wire.TCP
	via   []netip.Addr // the route of what the peer sends
	went  []netip.Addr // that of what the stack has sent last
}

const peerISN = 1<<32 - 3 // so that numbers go over the end at once

func newScript(t *testing.T, o Options) *script {
	o.Random = rand.New(rand.NewPCG(1, 1)).Uint64
	x := &script{t: t, s: New(o), local: netip.AddrPortFrom(addrA, 80), peer: netip.AddrPortFrom(addrB, 1024)}
	return x
}

// in sends a segment of the peer, as bytes with their checksum, and flushes.
func (x *script) in(flags wire.TCPFlags, seq, ack int, text string, change ...func(h *wire.TCP)) {
	x.t.Helper()
	h := wire.TCP{SrcPort: x.peer.Port(), DstPort: x.local.Port(), Seq: peerISN + uint32(seq), Flags: flags, Window: 65535,
		Payload: []byte(text)}
	if flags&wire.ACK != 0 {
		h.Ack = uint32(x.iss.Add(ack))
	}
	for _, f := range change {
		f(&h)
	}
	b, err := h.Append(nil, x.peer.Addr(), x.local.Addr())
	if err != nil {
		x.t.Fatal(err)
	}
	x.s.Input(x.now, Envelope{Src: x.peer.Addr(), Dst: x.local.Addr(), Via: x.via}, b)
	x.flush()
}

func (x *script) flush() {
	x.s.Flush(x.now, func(g *Segment) {
		h := g.TCP
		x.went = g.Via
		h.Payload, h.Options = bytes.Clone(h.Payload), bytes.Clone(h.Options)
		if h.Flags&wire.SYN != 0 {
			x.iss = Seq(h.Seq)
			x.local = netip.AddrPortFrom(g.Src, h.SrcPort)
		}
		x.out = append(x.out, h)
	})
}

// wait lets d pass, with its timers.
func (x *script) wait(d time.Duration) {
	for until := x.now + d; ; {
		at, ok := x.s.Next()
		if !ok || at > until {
			x.now = until
			return
		}
		x.now = max(x.now, at)
		x.s.Advance(x.now)
		x.flush()
	}
}

// line is a segment of the stack in few words: flags, seq:end, ack, and what is to be told of it.
func (x *script) line(h wire.TCP) string {
	b := []string{h.Flags.String()}
	seq := int(int32(h.Seq - uint32(x.iss)))
	if h.Flags&wire.RST != 0 && h.Seq == 0 {
		seq = 0
	}
	n := int(h.Len())
	b = append(b, itoa(seq)+":"+itoa(seq+n))
	if h.Flags&wire.ACK != 0 {
		b = append(b, "ack "+itoa(int(int32(h.Ack-peerISN))))
	}
	if len(h.Payload) > 0 && len(h.Payload) < 20 {
		b = append(b, string(h.Payload))
	}
	return strings.Join(b, " ")
}

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// want holds what the stack has sent since the last want.
func (x *script) want(lines ...string) []wire.TCP {
	x.t.Helper()
	var got []string
	for _, h := range x.out {
		got = append(got, x.line(h))
	}
	if strings.Join(got, " | ") != strings.Join(lines, " | ") {
		x.t.Fatalf("at %v the stack sent\n %q, want\n %q", x.now, got, lines)
	}
	out := x.out
	x.out = nil
	return out
}

// accept opens a connection to the stack without options but the MSS, and takes it.
func (x *script) accept() *script {
	x.t.Helper()
	var err error
	if x.l, err = x.s.Listen(x.local, 0); err != nil {
		x.t.Fatal(err)
	}
	x.in(wire.SYN, 0, 0, "", mss(1000))
	x.want("S. 0:1 ack 1")
	x.in(wire.ACK, 1, 1, "")
	x.want()
	if x.c = x.l.Accept(); x.c == nil || x.c.State() != Established {
		x.t.Fatal("the connection is not open")
	}
	return x
}

// dial opens a connection from the stack.
func (x *script) dial() *script {
	x.t.Helper()
	var err error
	if x.c, err = x.s.Dial(x.now, x.local, x.peer); err != nil {
		x.t.Fatal(err)
	}
	x.flush()
	x.want("S 0:1")
	return x
}

func mss(n uint16) func(h *wire.TCP) {
	return func(h *wire.TCP) { h.Options, _ = (&wire.TCPOptions{HasMSS: true, MSS: n}).Append(nil) }
}

func window(n uint16) func(h *wire.TCP) { return func(h *wire.TCP) { h.Window = n } }

func (x *script) write(s string) {
	x.t.Helper()
	if n, err := x.c.Write(x.now, []byte(s)); n != len(s) || err != nil {
		x.t.Fatalf("write: %d, %v", n, err)
	}
	x.flush()
}

func (x *script) read(want string) {
	x.t.Helper()
	b := make([]byte, 1<<20)
	n, _, err := x.c.Read(x.now, b)
	if string(b[:n]) != want || err != nil {
		x.t.Fatalf("read %q, %v, want %q", b[:n], err, want)
	}
	x.flush()
}

func (x *script) state(want State, why error) {
	x.t.Helper()
	if x.c.State() != want || !errors.Is(x.c.Err(), why) {
		x.t.Fatalf("the connection is %v, %v, want %v, %v", x.c.State(), x.c.Err(), want, why)
	}
}

// times is a text of n bytes.
func times(n int) string { return strings.Repeat("x", n) }
