package tcp_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/ip"
	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// A cable is the script's end of what a judged TCP is connected to: it makes frames of what the peer sends, and reads
// those of the TCP.
type cable struct {
	t                  *testing.T
	local, remote      netip.Addr
	localMAC, peersMAC wire.MAC
	put                func(frame []byte) // to the TCP's side
}

func (c *cable) addr() netip.Addr { return c.local }
func (c *cable) peer() netip.Addr { return c.remote }

func (c *cable) inject(protocol wire.Protocol, tos uint8, b []byte) {
	c.send(c.remote, protocol, tos, b)
}

func (c *cable) injectFrom(src netip.Addr, b []byte) { c.send(src, wire.ProtoTCP, 0, b) }

func (c *cable) send(src netip.Addr, protocol wire.Protocol, tos uint8, b []byte) {
	c.t.Helper()
	packet := wire.IPv4{Src: src, Dst: c.local, Protocol: protocol, TOS: tos, TTL: 64, Payload: b}
	b, err := packet.Append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.frame(c.localMAC, wire.EtherTypeIPv4, b)
}

func (c *cable) frame(to wire.MAC, kind wire.EtherType, b []byte) {
	c.t.Helper()
	e := wire.Ethernet{Dst: to, Src: c.peersMAC, Type: kind, Payload: b}
	b, err := e.Append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(b)
}

// arp says or asks something of the TCP's side, from which that learns where the peer is.
func (c *cable) arp(op wire.ARPOp) {
	c.t.Helper()
	a := wire.ARP{Op: op, SenderMAC: c.peersMAC, SenderIP: c.remote, TargetMAC: c.localMAC, TargetIP: c.local}
	b, err := a.Append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.frame(c.localMAC, wire.EtherTypeARP, b)
}

// took reads a frame of the TCP's side, and reports whether it is a segment to the peer. It answers questions for the
// peer's link address.
func (c *cable) took(b []byte, at time.Duration) (h sent, ok bool) {
	var e wire.Ethernet
	var a wire.ARP
	var p wire.IPv4
	if e.Parse(b) != nil {
		return h, false
	}
	if e.Type == wire.EtherTypeARP && a.Parse(e.Payload) == nil && a.Op == wire.ARPRequest && a.TargetIP == c.remote {
		c.arp(wire.ARPReply)
	}
	if e.Type != wire.EtherTypeIPv4 || p.Parse(e.Payload) != nil || p.Protocol != wire.ProtoTCP || p.Dst != c.remote {
		return h, false
	}
	if err := h.Parse(p.Payload); err != nil {
		c.t.Errorf("a segment that is not well formed: %v", err)
	}
	if err := h.Verify(p.Payload, p.Src, p.Dst); err != nil {
		c.t.Errorf("a segment's checksum: %v", err)
	}
	h.Payload, h.Options, h.tos, h.at = bytes.Clone(h.Payload), bytes.Clone(h.Options), p.TOS, at
	return h, true
}

// ours is this package's TCP as a judge, on a host of lab/ip.
type ours struct {
	cable
	time time.Duration
	h    *ip.Host
	i    *ip.Interface
	s    *tcp.Stack
	l    *tcp.Listener
	out  []sent
	told map[*tcp.Conn]tcp.Events
	all  []*tcp.Conn
}

func newOurs(t *testing.T, o setup) *ours {
	random := rand.New(rand.NewPCG(1, 1))
	limits := tcp.Limits{ReceiveBuffer: o.receive, KeepAlive: o.keepAlive, FinWait: o.finWait}
	if o.keepAlive > 0 { // questions are an eighth of the user timeout apart
		limits.UserTimeout = 8 * o.keepAlive
	}
	j := &ours{told: map[*tcp.Conn]tcp.Events{}, h: ip.New(ip.Options{Random: random.Uint64,
		TCP: tcp.Options{Limits: limits, ECN: o.ecn, Reno: o.reno}})}
	j.cable = cable{t: t, local: netip.MustParseAddr("10.0.0.1"), remote: netip.MustParseAddr("10.0.0.2"),
		localMAC: wire.MAC{2, 0, 0, 0, 0, 1}, peersMAC: wire.MAC{2, 0, 0, 0, 0, 2}}
	j.put = func(frame []byte) { j.h.Frame(j.time, j.i, frame); j.flush() }
	j.s, j.i = j.h.TCP(), j.h.NewInterface("eth0", j.localMAC, 0)
	if err := j.i.Add(0, netip.PrefixFrom(j.local, 24)); err != nil {
		t.Fatal(err)
	}
	j.arp(wire.ARPRequest)
	return j
}

func (j *ours) now() time.Duration                          { return j.time }
func (j *ours) slack(d time.Duration, _ bool) time.Duration { return d }

func (j *ours) flush() {
	var frames [][]byte
	j.h.Flush(j.time, func(_ *ip.Interface, b []byte) { frames = append(frames, bytes.Clone(b)) })
	for c, e := j.s.Event(); c != nil; c, e = j.s.Event() {
		j.told[c] |= e
	}
	for _, b := range frames {
		if h, ok := j.took(b, j.time); ok {
			j.out = append(j.out, h)
		}
	}
}

func (j *ours) next(within time.Duration) (h sent, ok bool) {
	for until := j.time + within; len(j.out) == 0; {
		at, ok := j.h.Next()
		if !ok || at > until {
			j.time = until
			return h, false
		}
		j.time = max(j.time, at)
		j.h.Advance(j.time)
		j.flush()
	}
	h, j.out = j.out[0], j.out[1:]
	return h, true
}

func (j *ours) listen(backlog int) {
	var err error
	if j.l, err = j.s.Listen(netip.AddrPortFrom(j.local, 80), backlog); err != nil {
		j.t.Fatal(err)
	}
}

func (j *ours) inUse() error {
	_, err := j.s.Listen(netip.AddrPortFrom(j.local, 80), 0)
	return err
}

func (j *ours) accept() socket {
	if c := j.l.Accept(); c != nil {
		return j.socket(c)
	}
	return nil
}

func (j *ours) dial(port uint16) socket {
	c, err := j.h.Dial(j.time, netip.AddrPortFrom(j.remote, port))
	if err != nil {
		j.t.Fatal(err)
	}
	j.flush()
	return j.socket(c)
}

func (j *ours) state(local, remote uint16) string {
	state := tcp.Closed.String()
	for _, c := range j.all {
		if c.Local().Port() == local && c.Remote().Port() == remote && c.State() != tcp.Closed {
			state = c.State().String()
		}
	}
	return state
}

func (j *ours) socket(c *tcp.Conn) socket {
	j.all = append(j.all, c)
	return &oursSocket{j, c}
}

type oursSocket struct {
	j *ours
	c *tcp.Conn
}

func (s *oursSocket) write(b []byte) (int, error) {
	defer s.j.flush()
	return s.c.Write(s.j.time, b)
}

func (s *oursSocket) writeUrgent(b []byte) (int, error) {
	defer s.j.flush()
	return s.c.WriteUrgent(s.j.time, b)
}

func (s *oursSocket) read(b []byte) (int, bool, error) {
	defer s.j.flush()
	return s.c.Read(s.j.time, b)
}

func (s *oursSocket) closeWrite() {
	if err := s.c.CloseWrite(s.j.time); err != nil {
		s.j.t.Fatal(err)
	}
	s.j.flush()
}

func (s *oursSocket) close() {
	if err := s.c.Close(s.j.time); err != nil {
		s.j.t.Fatal(err)
	}
	s.j.flush()
}

func (s *oursSocket) abort()                      { s.c.Abort(s.j.time); s.j.flush() }
func (s *oursSocket) failed() error               { return s.c.Err() }
func (s *oursSocket) urgent() bool                { s.j.flush(); return s.j.told[s.c]&tcp.Urgent != 0 }
func (s *oursSocket) noDelay(on bool)             { s.c.SetNoDelay(on); s.j.flush() }
func (s *oursSocket) tos(tos uint8)               { s.c.SetTOS(tos) }
func (s *oursSocket) userTimeout(d time.Duration) { s.c.SetUserTimeout(d) }
