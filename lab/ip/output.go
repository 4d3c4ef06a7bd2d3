package ip

import (
	"net/netip"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
	"github.com/plexor-go/plexor/wire"
)

// An outgoing is a packet that this host makes.
type outgoing struct {
	i        *Interface // nil: by the routes
	src, dst netip.Addr
	protocol wire.Protocol
	tos      uint8
	ttl      uint8 // 0: the host's
	whole    bool  // it may not be cut
	payload  []byte
	segment  *tcp.Segment // in place of payload
}

func (o *outgoing) len() int {
	if o.segment != nil {
		return wire.TCPMinLen + len(o.segment.TCP.Options) + len(o.segment.TCP.Payload)
	}
	return len(o.payload)
}

func (o *outgoing) append(b []byte) ([]byte, error) {
	if o.segment != nil {
		return o.segment.TCP.Append(b, o.src, o.dst)
	}
	return append(b, o.payload...), nil
}

// output sends a packet: to this host itself, or by the routes, in fragments where it is too long for the way.
func (h *Host) output(now time.Duration, o *outgoing) error {
	i, next := o.i, o.dst
	if o.ttl == 0 {
		o.ttl = h.ttl
	}
	if i == nil {
		if h.mine(o.dst) {
			b, err := o.packet(h.buf[:0])
			if err == nil {
				h.loop(b)
			}
			return err
		}
		if o.dst.IsUnspecified() {
			return ErrAddress
		}
		to := o.dst
		if o.segment != nil && len(o.segment.Via) > 0 {
			to = o.segment.Via[0]
		}
		var ok bool
		if i, next, ok = h.hop(to); !ok {
			return ErrUnreachable
		}
	}
	if o.dst.Is4() {
		return h.output4(now, o, i, next)
	}
	return h.output6(now, o, i, next)
}

// packet writes an IP packet that needs no fragments.
func (o *outgoing) packet(b []byte) ([]byte, error) {
	var err error
	if o.dst.Is4() {
		ip := wire.IPv4{TOS: o.tos, TTL: o.ttl, Protocol: o.protocol, Src: o.src, Dst: o.dst}
		b, err = ip.AppendHeader(b, o.len())
	} else {
		ip := wire.IPv6{TrafficClass: o.tos, HopLimit: o.ttl, Next: o.protocol, Protocol: o.protocol, Src: o.src, Dst: o.dst}
		b, err = ip.AppendHeader(b, o.len())
	}
	if err != nil {
		return b, ErrTooLong
	}
	return o.append(b)
}

// headroom is where the Ethernet header goes that transmit writes.
var headroom [wire.EthernetLen]byte

func (h *Host) output4(now time.Duration, o *outgoing, i *Interface, next netip.Addr) error {
	ip := wire.IPv4{TOS: o.tos, TTL: o.ttl, Protocol: o.protocol, Src: o.src, Dst: o.dst}
	if o.segment != nil && len(o.segment.Via) > 0 {
		if err := sourceRoute(&ip, o.segment.Via); err != nil {
			return err
		}
	}
	mtu, n := i.mtu, o.len()
	if !o.whole {
		mtu = min(mtu, h.paths.mtu(o.dst))
		ip.ID = h.identifier()
	}
	header := wire.IPv4MinLen + len(ip.Options)
	switch {
	case header+n > 65535:
		return ErrTooLong
	case header+n <= mtu:
		if o.whole {
			ip.Flags = wire.DontFragment // and the ID says nothing: RFC 6864, section 4.1
		}
		b, err := ip.AppendHeader(append(h.buf[:0], headroom[:]...), n)
		if err == nil {
			b, err = o.append(b)
		}
		if err != nil {
			return err
		}
		h.transmit(now, i, next, b)
		return nil
	case o.segment != nil:
		h.tooLong(o.segment, mtu)
		return ErrTooLong
	case o.whole:
		return ErrTooLong
	}
	ip.Payload = o.payload
	h.fragment4(now, &ip, i, next, mtu)
	return nil
}

// sourceRoute puts the hosts of a loose source route into a header: it goes to the first, and the option has the others
// and the end (RFC 791, section 3.1).
func sourceRoute(ip *wire.IPv4, via []netip.Addr) error {
	data := []byte{4} // the pointer: the first address, counted from the option's type, which is 1
	for _, a := range via[1:] {
		data = append(data, a.AsSlice()...)
	}
	data = append(data, ip.Dst.AsSlice()...)
	o, err := wire.AppendIPv4Option(nil, wire.IPv4OptLooseRoute, data...)
	if err != nil {
		return ErrAddress
	}
	ip.Options, ip.Dst = wire.PadOptions(o), via[0]
	return nil
}

// fragment4 sends a packet, or a fragment, in pieces that fit into mtu (RFC 791, section 3.2).
func (h *Host) fragment4(now time.Duration, ip *wire.IPv4, i *Interface, next netip.Addr, mtu int) {
	rest, start, more := ip.Payload, int(ip.Offset), ip.Flags&wire.MoreFragments
	for first := true; len(rest) > 0; first = false {
		f := *ip
		if !first {
			f.Options = copied(ip.Options)
		}
		n := (mtu - wire.IPv4MinLen - len(f.Options)) &^ 7
		f.Offset = uint16(start)
		f.Flags = f.Flags&^wire.MoreFragments | more
		if n = min(n, len(rest)); n < len(rest) {
			f.Flags |= wire.MoreFragments
		}
		f.Payload = rest[:n]
		b, err := f.Append(append(h.buf[:0], headroom[:]...))
		if err != nil {
			return // it cannot: the header is one that was parsed or made here
		}
		h.transmit(now, i, next, b)
		rest, start = rest[n:], start+n
	}
}

// copied are the options that each fragment has.
func copied(o wire.IPv4Options) (kept wire.IPv4Options) {
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		if opt.Copied() {
			kept, _ = wire.AppendIPv4Option(kept, opt.Type, opt.Data...)
		}
	}
	return wire.PadOptions(kept)
}

// identifier is that of the next packet that may be cut: nobody can guess how many were sent between two (RFC 7739's
// concern), and none comes again within 9000.
func (h *Host) identifier() uint16 {
	h.id += 1 + uint16(h.random()%7)
	return h.id
}

// A tooBig is a segment that is too long for this host's own link.
type tooBig struct {
	local, remote netip.AddrPort
	seq           tcp.Seq
	mtu           int
}

func (h *Host) tooLong(g *tcp.Segment, mtu int) {
	if len(h.tooBig) < h.limits.Paths {
		h.tooBig = append(h.tooBig, tooBig{netip.AddrPortFrom(g.Src, g.TCP.SrcPort),
			netip.AddrPortFrom(g.Dst, g.TCP.DstPort), tcp.Seq(g.TCP.Seq), mtu})
	}
}

// flushTCP sends what TCP has to send. A connection whose segments are too long for the link learns it, and sends
// shorter ones at once.
func (h *Host) flushTCP(now time.Duration) {
	for range 4 {
		h.tcp.Flush(now, func(g *tcp.Segment) {
			// What cannot be sent is lost, as it may be anywhere on the way.
			_ = h.output(now, &outgoing{src: g.Src, dst: g.Dst, protocol: wire.ProtoTCP, tos: g.TOS, whole: true, segment: g})
		})
		if len(h.tooBig) == 0 {
			return
		}
		for _, b := range h.tooBig {
			h.tcp.Advise(now, b.local, b.remote, b.seq, tcp.TooBig, b.mtu)
		}
		h.tooBig = h.tooBig[:0]
	}
}

// paths are the destinations whose path's MTU is below the link's (RFC 1191, 8201).
type paths struct {
	table map[netip.Addr]*path
	list  []*path // the oldest first
	most  int
	due   time.Duration
}

type path struct {
	dst   netip.Addr
	mtu   int
	until time.Duration
}

func (p *paths) init(most int) { p.table, p.most, p.due = map[netip.Addr]*path{}, most, off }

// mtu is that of the path to dst; the largest packet where nothing is known.
func (p *paths) mtu(dst netip.Addr) int {
	if q := p.table[dst]; q != nil {
		return q.mtu
	}
	return 65535
}

// learn notes that the path to dst takes no more than mtu: at least what makes no attack of it.
func (p *paths) learn(now time.Duration, dst netip.Addr, mtu int) {
	if dst.Is4() {
		mtu = max(mtu, leastPath4)
	} else {
		mtu = max(mtu, leastMTU6)
	}
	if mtu >= p.mtu(dst) {
		return
	}
	if q := p.table[dst]; q != nil {
		q.mtu = mtu
		return
	}
	if len(p.list) >= p.most {
		delete(p.table, p.list[0].dst)
		p.list = append(p.list[:0], p.list[1:]...)
	}
	q := &path{dst, mtu, now + pathTime}
	p.table[dst] = q
	p.list = append(p.list, q)
	p.due = p.list[0].until
}

// advance forgets what was learned long ago: so a path that has become better is used.
func (p *paths) advance(now time.Duration) {
	for len(p.list) > 0 && p.list[0].until <= now {
		delete(p.table, p.list[0].dst)
		p.list = append(p.list[:0], p.list[1:]...)
	}
	p.due = off
	if len(p.list) > 0 {
		p.due = p.list[0].until
	}
}
