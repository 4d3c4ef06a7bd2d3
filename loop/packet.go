package loop

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexor-go/plexor/sock"
)

// A PacketConn is a datagram socket on a loop. All its methods but Addr and CloseFrom are for the loop's goroutine.
type PacketConn struct {
	loop    *Loop
	handler PacketHandler
	sock    sock.Socket
	addr    sock.Addr
	bound   netip.AddrPort // addr's
	tells   bool           // the socket is bound to all addresses, and tells which of them each datagram was sent to
	asked   netip.Addr     // where the datagram was sent to that is being handled, if the socket tells
	asker   netip.AddrPort // its peer
	out     []outPacket    // written, not sent; out[sent:] are left
	sent    int
	data    []byte // theirs, one behind the other
	armed   uint8  // the driver's
	reads   uint8  // the driver's: batches received, modulo 256
	slot    uint32 // the driver's
	blocked bool   // the kernel's buffer is full: wait until it is writable
	dirty   bool   // in loop.packets
	ended   bool
	shared  bool // with other processes
}

type outPacket struct {
	peer     netip.AddrPort
	local    netip.Addr // where it leaves from; the zero value: the system chooses
	from, to int        // in data
}

// ErrTooLarge is a datagram that no UDP packet can hold (65507 bytes over IPv4, RFC 768).
var ErrTooLarge = errors.New("loop: the datagram is longer than UDP can carry")

const maxPacket = 65507

// ListenPacket binds a datagram socket to a, a udp address.
func (l *Loop) ListenPacket(a sock.Addr, o sock.Options, h PacketHandler) (*PacketConn, error) {
	s, err := bindPacket(l.sys, a, o)
	if err != nil {
		return nil, err
	}
	return l.listenPacketOn(s, false, h)
}

func bindPacket(sys system, a sock.Addr, o sock.Options) (sock.Socket, error) {
	if a.Scheme != "udp" {
		return sock.None, fmt.Errorf("loop: %s: ListenPacket is for datagrams (udp://); Listen is for streams", a)
	}
	return sys.listen(a, o)
}

func (l *Loop) listenPacketOn(s sock.Socket, shared bool, h PacketHandler) (*PacketConn, error) {
	p := &PacketConn{loop: l, handler: h, sock: s, shared: shared}
	var err error
	if p.addr, err = l.sys.localAddr(s); err == nil {
		p.bound, _ = p.addr.AddrPort() // it is a literal; a socket of another kind has none
		if p.bound.Addr().IsUnspecified() {
			err = l.sys.tellLocal(s)
			p.tells = err == nil
		}
		switch {
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
		case h == nil:
			err = errNoHandler
		case l.closing.Load():
			err = ErrClosed
		default:
			err = l.driver.addPacket(p)
		}
	}
	if err != nil {
		_ = l.sys.close(s) // err is the one to tell
		return nil, fmt.Errorf("loop: listen for datagrams: %w", err)
	}
	l.addEndpoint(p)
	return p, nil
}

// Addr is the address that the socket got, with its port. Any goroutine may call it.
func (s *PacketConn) Addr() sock.Addr { return s.addr }

// Local is where the datagram was sent to that is being handled, while [PacketHandler].Packet runs: the address of this
// machine that its peer knows, a link-local one with its interface for its zone, and the socket's port. Where the peer
// asked an IPv4 broadcast or multicast address it is an address of the interface that the datagram came by, and for an
// IPv6 multicast address "::". On a socket that is bound to one address it is that one, whatever was asked; so it is
// outside Packet, and on systems other than Linux, which tell nothing else.
func (s *PacketConn) Local() netip.AddrPort {
	if !s.asked.IsValid() {
		return s.bound
	}
	return netip.AddrPortFrom(s.asked, s.bound.Port())
}

// Loop is the loop that the socket belongs to.
func (s *PacketConn) Loop() *Loop { return s.loop }

// WriteTo sends p to peer at the end of the turn, together with the turn's other datagrams, or refuses it: with
// ErrFull when Options.PacketQueue bytes wait already (the datagram is dropped, as UDP may), ErrTooLarge, or
// ErrClosed. p is the caller's again when WriteTo returns.
//
// While a datagram is being handled, what is written to its peer leaves from the address that the peer asked (Local):
// from another one a peer takes no answer (RFC 1122 section 4.1.3.5). All else leaves from the address that the socket
// is bound to or, if that is all of them, from one that the system chooses. Who answers later keeps Local, and calls
// WriteFrom.
func (s *PacketConn) WriteTo(p []byte, peer netip.AddrPort) (int, error) {
	if s.asked.IsValid() && peer == s.asker {
		return s.WriteFrom(p, s.asked, peer)
	}
	return s.WriteFrom(p, netip.Addr{}, peer)
}

// WriteFrom is WriteTo for a datagram that leaves from an address of this machine, with the socket's port. The zero
// value and the unspecified address leave the choice to the system. If it can't leave from there, the handler's Refused
// is called: with EINVAL if it is of another family than the peer, with EINVAL or ENETUNREACH if the machine does not
// have that address (any more). On systems other than Linux the address is not looked at.
func (s *PacketConn) WriteFrom(p []byte, local netip.Addr, peer netip.AddrPort) (int, error) {
	switch {
	case s.ended:
		return 0, ErrClosed
	case len(p) > maxPacket:
		return 0, ErrTooLarge
	case len(s.data)+len(p) > s.loop.opt.PacketQueue || len(s.out) >= max(s.loop.opt.PacketQueue/64, 1):
		s.loop.stats.drops.Add(1)
		return 0, ErrFull
	}
	if local == s.bound.Addr() {
		local = netip.Addr{} // the kernel does that already
	}
	from := len(s.data)
	s.data = append(s.data, p...)
	s.out = append(s.out, outPacket{peer, local, from, len(s.data)})
	if !s.dirty && !s.blocked {
		s.dirty = true
		s.loop.packets = append(s.loop.packets, s)
	}
	return len(p), nil
}

// received hands a datagram to the handler. local is where it was sent to, of a socket that tells.
func (s *PacketConn) received(p []byte, local netip.Addr, peer netip.AddrPort, truncated bool) {
	if !s.tells {
		s.handler.Packet(s, p, peer, truncated)
		return
	}
	s.asked, s.asker = local, peer
	s.handler.Packet(s, p, peer, truncated)
	s.asked, s.asker = netip.Addr{}, netip.AddrPort{}
}

// Close sends what waits, as far as the kernel takes it, and ends.
func (s *PacketConn) Close() error {
	if s.ended {
		return ErrClosed
	}
	s.flushAndEnd()
	return nil
}

// CloseFrom is Close for any goroutine, as [GroupListener.Close] is.
func (s *PacketConn) CloseFrom() error { return s.loop.endFrom(s, func() { _ = s.Close() }) }

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
	s.loop.removeEndpoint(s) // before its descriptor is closed
	s.loop.driver.releasePacket(s)
	s.loop.starved.fed()
	s.loop.notices = append(s.loop.notices, notice{p: s, kind: noticeClosed, err: err})
}
