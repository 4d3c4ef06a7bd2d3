package loop

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/sock"
)

// A PacketConn is a datagram socket on a loop. All its methods but Addr are for the loop's goroutine.
type PacketConn struct {
	loop    *Loop
	handler PacketHandler
	sock    sock.Socket
	addr    sock.Addr
	out     []outPacket // written, not sent; out[sent:] are left
	sent    int
	data    []byte // theirs, one behind the other
	armed   uint8  // the driver's
	reads   uint8  // the driver's: batches received, modulo 256
	slot    uint32 // the driver's
	blocked bool   // the kernel's buffer is full: wait until it is writable
	dirty   bool   // in loop.packets
	ended   bool
}

type outPacket struct {
	peer     netip.AddrPort
	from, to int // in data
}

// ErrTooLarge is a datagram that no UDP packet can hold (65507 bytes over IPv4, RFC 768).
var ErrTooLarge = errors.New("loop: the datagram is longer than UDP can carry")

const maxPacket = 65507

// ListenPacket binds a datagram socket to a, a udp address.
func (l *Loop) ListenPacket(a sock.Addr, o sock.Options, h PacketHandler) (*PacketConn, error) {
	s, err := bindPacket(a, o)
	if err != nil {
		return nil, err
	}
	return l.listenPacketOn(s, h)
}

func bindPacket(a sock.Addr, o sock.Options) (sock.Socket, error) {
	if a.Scheme != "udp" {
		return sock.None, fmt.Errorf("loop: %s: ListenPacket is for datagrams (udp://); Listen is for streams", a)
	}
	return sock.Listen(a, o)
}

func (l *Loop) listenPacketOn(s sock.Socket, h PacketHandler) (*PacketConn, error) {
	p := &PacketConn{loop: l, handler: h, sock: s}
	var err error
	if p.addr, err = s.LocalAddr(); err == nil {
		switch {
		case h == nil:
			err = errNoHandler
		case l.closing.Load():
			err = ErrClosed
		default:
			err = l.driver.addPacket(p)
		}
	}
	if err != nil {
		_ = s.Close() // err is the one to tell
		return nil, fmt.Errorf("loop: listen for datagrams: %w", err)
	}
	l.socks[p] = struct{}{}
	return p, nil
}

// Addr is the address that the socket got, with its port. Any goroutine may call it.
func (s *PacketConn) Addr() sock.Addr { return s.addr }

// Loop is the loop that the socket belongs to.
func (s *PacketConn) Loop() *Loop { return s.loop }

// WriteTo sends p to peer at the end of the turn, together with the turn's other datagrams, or refuses it: with
// ErrFull when Options.PacketQueue bytes wait already (the datagram is dropped, as UDP may), ErrTooLarge, or
// ErrClosed. p is the caller's again when WriteTo returns.
func (s *PacketConn) WriteTo(p []byte, peer netip.AddrPort) (int, error) {
	switch {
	case s.ended:
		return 0, ErrClosed
	case len(p) > maxPacket:
		return 0, ErrTooLarge
	case len(s.data)+len(p) > s.loop.opt.PacketQueue || len(s.out) >= max(s.loop.opt.PacketQueue/64, 1):
		s.loop.stats.drops.Add(1)
		return 0, ErrFull
	}
	from := len(s.data)
	s.data = append(s.data, p...)
	s.out = append(s.out, outPacket{peer, from, len(s.data)})
	if !s.dirty && !s.blocked {
		s.dirty = true
		s.loop.packets = append(s.loop.packets, s)
	}
	return len(p), nil
}

// Close sends what waits, as far as the kernel takes it, and ends.
func (s *PacketConn) Close() error {
	if s.ended {
		return ErrClosed
	}
	s.flushAndEnd()
	return nil
}

// flush is the end of the turn.
func (s *PacketConn) flush() {
	s.dirty = false
	if !s.ended && !s.blocked {
		s.loop.driver.writePacket(s)
	}
}

// sentAll forgets what was sent.
func (s *PacketConn) sentAll() {
	const keep = 64 << 10 // what a burst took is not kept for ever
	s.sent = 0
	s.out, s.data = s.out[:0], s.data[:0]
	if cap(s.data) > keep {
		s.out, s.data = nil, nil
	}
}

// compact drops what was sent from the front.
func (s *PacketConn) compact() {
	if s.sent == 0 {
		return
	}
	gone := s.out[s.sent].from
	s.data = s.data[:copy(s.data, s.data[gone:])]
	s.out = s.out[:copy(s.out, s.out[s.sent:])]
	for i := range s.out {
		s.out[i].from -= gone
		s.out[i].to -= gone
	}
	s.sent = 0
}

// refused tells the handler at the end of the turn that a datagram did not arrive.
func (s *PacketConn) refused(peer netip.AddrPort, err error) {
	s.loop.notices = append(s.loop.notices, notice{p: s, peer: peer, err: err, kind: noticeRefused})
}

// notify makes a call that was put off.
func (s *PacketConn) notify(n *notice) {
	switch {
	case n.kind == noticeClosed:
		s.handler.Closed(s, n.err)
	case !s.ended:
		s.handler.Refused(s, n.peer, n.err)
	}
}

// mostBursts bounds what finish handles while datagrams go on arriving.
const mostBursts = 1024

// finish handles what has arrived, sends what waits, and ends.
func (s *PacketConn) finish() {
	for n := 0; n < mostBursts && !s.ended && s.loop.driver.readPackets(s); n++ {
	}
	s.flushAndEnd()
}

// leave is finish: of those that share the socket, one handles what has arrived.
func (s *PacketConn) leave() { s.finish() }

func (s *PacketConn) flushAndEnd() {
	if s.ended {
		return
	}
	if !s.blocked {
		s.loop.driver.writePacket(s)
	}
	s.end(nil)
}

func (s *PacketConn) end(err error) {
	if s.ended {
		return
	}
	s.ended = true
	s.out, s.data = nil, nil
	s.loop.driver.releasePacket(s)
	delete(s.loop.socks, s)
	s.loop.starved.fed()
	s.loop.notices = append(s.loop.notices, notice{p: s, kind: noticeClosed, err: err})
}
