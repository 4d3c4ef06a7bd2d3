package tcp

import (
	"net/netip"
	"time"
)

// An Advice is what the network says about a segment that was sent: an ICMP message, read and held against its family
// by the host.
type Advice uint8

// The kinds. Source quench is none: it is dropped in silence (MUST-55; RFC 6633).
const (
	NetUnreachable   Advice = 1 + iota // codes 0, 1, 5 of IPv4; 0, 3 of IPv6
	PortUnreachable                    // codes 2, 3, 4 of IPv4 without an MTU; 1, 4 of IPv6
	TimeExceeded                       // codes 0 and 1
	ParameterProblem                   //
	TooBig                             // fragmentation needed, or packet too big: with an MTU
)

// Advise takes what the network says about the segment with this number from local to remote. A number that is not on
// its way is somebody's guess and not looked at (RFC 5927, section 4.1). An error ends a connection that is not open
// yet and is known to be refused; an open one goes on, and is told (MUST-56, RFC 1122, section 4.2.3.9; SHLD-26 is not
// followed where the connection is open: RFC 5927, section 5.2, and Linux). An MTU below that of the path so far makes
// segments smaller, and what was too large is sent again (RFC 1191).
func (s *Stack) Advise(now time.Duration, local, remote netip.AddrPort, seq Seq, a Advice, mtu int) {
	c := s.conns[fourTuple{local, remote}]
	if c == nil || seq.Less(c.una) || !seq.Less(c.next) {
		s.Refused.Advice++
		return
	}
	if a == TooBig {
		c.tooBig(mtu)
		return
	}
	c.advice = a
	if c.state == SynSent && a == PortUnreachable {
		c.end(now, ErrUnreachable)
		return
	}
	c.tell(Advised)
}

// Advice is what the network has said last.
func (c *Conn) Advice() Advice { return c.advice }

// minMTU4 is what no path of IPv4 is believed to be below: an attacker's message costs no more (RFC 791). minMTU6 is
// what no link of IPv6 has less than: a message that says so is dropped (RFC 8201, section 4).
const (
	minMTU4 = 576
	minMTU6 = 1280
)

func (c *Conn) tooBig(mtu int) {
	size := max(mtu, minMTU4) - 40
	if c.key.remote.Addr().Is6() {
		if size = mtu - 60; mtu < minMTU6 {
			c.stack.Refused.Advice++
			return
		}
	}
	if size >= c.mss {
		return
	}
	c.mss = max(size, minMSS)
	c.resegment()
	c.mark()
}

// resegment splits the records of segments that are larger than the path takes now, and counts them as lost. It is no
// loss by congestion, so the window stays.
func (c *Conn) resegment() {
	size := c.segmentSize()
	var split []record
	for _, r := range c.records {
		if r.from.To(r.to) <= size || r.flags&sacked != 0 {
			split = append(split, r)
			continue
		}
		for r.from.To(r.to) > size+1 && len(split) < maxRecords { // a FIN at the end travels with the last
			part := record{from: r.from, to: r.from.Add(size), sent: r.sent, flags: r.flags | lost}
			split = append(split, part)
			r.from = part.to
		}
		if r.from.To(r.to) == size+1 && !(c.fin && r.to == c.finSeq().Add(1)) {
			split = append(split, record{from: r.from, to: r.from.Add(size), sent: r.sent, flags: r.flags | lost})
			r.from = r.from.Add(size)
		}
		r.flags |= lost
		split = append(split, r)
	}
	c.records, c.pipe = split, 0
	for i := range split {
		c.pipe += split[i].flying()
	}
}
