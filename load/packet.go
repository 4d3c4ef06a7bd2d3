package load

import (
	"net/netip"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A packets is a link over a datagram socket. Each datagram begins with a number, by which its answer is known: others
// may have been lost, or come first.
type packets struct {
	s      *session // nil once it is over
	w      *worker
	sock   *loop.PacketConn
	peer   netip.AddrPort
	pay    *payload
	base   int
	next   uint32 // number of the next one
	flight map[uint32]departure
	buf    []byte
}

// A departure is when a datagram's latency begins, and when it left.
type departure struct{ at, left int64 }

func openPackets(s *session) {
	p := &packets{s: s, w: s.w, pay: s.w.payload, base: base(s.id()), flight: make(map[uint32]departure),
		buf: make([]byte, s.w.opt.Size)}
	s.link = p
	s.w.loop.Soon(func() {
		if p.s == nil {
			return
		}
		if err := p.bind(); err != nil {
			p.s = nil
			s.failed(err)
			return
		}
		s.opened()
	})
}

// bind makes a socket that can talk to the target.
func (p *packets) bind() (err error) {
	ap, _ := p.w.target.addr.AddrPort() // it is a literal, since Resolve made it
	if ap.Addr().IsUnspecified() {
		ap = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()) // this machine, as sock.Connect takes it
	}
	p.peer = sock.AsPeer(ap)
	local := netip.IPv4Unspecified()
	if ap.Addr().Is6() {
		local = netip.IPv6Unspecified()
	}
	p.sock, err = p.w.loop.ListenPacket(sock.FromAddrPort("udp", netip.AddrPortFrom(local, 0)), p.w.target.options, p)
	return err
}

func (p *packets) id(number uint32) uint32 { return number & (1<<(4*digits(p.pay.size)) - 1) }

func (p *packets) send(n int, at int64) {
	left := p.w.now()
	for range n {
		number := p.next
		for p.under(number) { // of few numbers; the depth leaves half of them free
			number = p.id(number + 1)
		}
		p.next = p.id(number + 1)
		m := p.message(number)
		p.flight[number] = departure{at, left}
		p.w.out += int64(len(m))
		_, _ = p.sock.WriteTo(m, p.peer) // what does not leave is lost, and missed in time
	}
}

func (p *packets) under(number uint32) bool {
	_, ok := p.flight[number]
	return ok
}

// message is a datagram's content, until the next call.
func (p *packets) message(number uint32) []byte {
	at := p.pay.at(p.base, int64(number))
	copy(p.buf, p.pay.sent[at:])
	putID(p.buf[:digits(len(p.buf))], number)
	return p.buf
}

// Packet is of loop.PacketHandler: an answer, or what somebody else sent.
func (p *packets) Packet(_ *loop.PacketConn, b []byte, peer netip.AddrPort, _ bool) {
	if p.s == nil {
		return
	}
	if !p.fromTarget(peer) {
		p.w.unexpected++
		p.w.note(&unexpectedError{peer.Addr()})
		return
	}
	p.w.in += int64(len(b))
	number, ok := getID(b[:min(len(b), digits(p.pay.size))])
	right := ok && p.right(number, b)
	dep, known := p.flight[number]
	now := p.w.now()
	switch {
	case ok && known:
		delete(p.flight, number)
		p.s.answered(1, dep.at, right, now)
		p.s.progress(now)
	case right:
		p.w.stray++
	default:
		p.w.wrong++
		p.w.note(errWrong)
	}
}

// fromTarget reports whether peer is the one that the messages go to. The kernel keeps no zone with an address that is
// not of one link (::1%lo is ::1).
func (p *packets) fromTarget(peer netip.AddrPort) bool {
	return peer.Port() == p.peer.Port() && (peer.Addr() == p.peer.Addr() || peer.Addr() == p.peer.Addr().WithZone(""))
}

// An unexpectedError is a datagram of another peer than the target. Its port is left out, so that what one address
// sends is one reason.
type unexpectedError struct{ from netip.Addr }

func (e *unexpectedError) Error() string {
	return "a datagram came from " + e.from.String() + ", which is not where the messages went"
}

// right compares an answer with what was sent under its number.
func (p *packets) right(number uint32, b []byte) bool {
	want := p.message(number)
	if p.pay.upper {
		want = append(upperASCII(want), marker...)
	}
	return string(b) == string(want)
}

// Refused is of loop.PacketHandler: nobody is there, or there is no way.
func (p *packets) Refused(_ *loop.PacketConn, _ netip.AddrPort, err error) { p.lose(err) }

// Closed is of loop.PacketHandler.
func (p *packets) Closed(_ *loop.PacketConn, err error) {
	if err != nil {
		p.lose(err)
	}
}

func (p *packets) lose(err error) {
	if s := p.s; s != nil {
		p.close()
		s.lost(err)
	}
}

func (p *packets) close() {
	p.s = nil
	if p.sock != nil {
		_ = p.sock.Close() // it may have ended by itself
	}
}

// sweep gives up datagrams that left too long ago.
func (p *packets) sweep(now, limit int64) {
	lost := 0
	for number, dep := range p.flight {
		if dep.left < limit {
			delete(p.flight, number)
			lost++
		}
	}
	if lost > 0 {
		p.s.missed(lost)
		p.s.progress(now)
	}
}
