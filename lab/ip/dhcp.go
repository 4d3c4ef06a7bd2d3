package ip

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A LeaseState is how far a DHCP client is (RFC 2131, section 4.4, figure 5):
//
//	Selecting ── offer ──> Requesting ── ACK ──> Checking ── free ──> Bound ── T1 ──> Renewing ── T2 ──> Rebinding
//	    ^───── NAK, no answer ──┴── taken: decline ──┘                  ^───── ACK ──────┴─────────────────┤
//	    └─────────────────────────────────────────────────── NAK, the lease is over: the address is gone ──┘
type LeaseState uint8

// The states. There is no INIT: a client begins by Selecting, after a time by chance.
const (
	Selecting  LeaseState = 1 + iota // servers are asked for offers
	Requesting                       // one was taken, and its server is asked for it
	Checking                         // it is ours, and others are asked whether they use it (section 4.4.1)
	Bound                            //
	Renewing                         // the server is asked for more time
	Rebinding                        // any server is
)

// String is the name as RFC 2131 has it.
func (s LeaseState) String() string {
	return [...]string{"", "SELECTING", "REQUESTING", "CHECKING", "BOUND", "RENEWING", "REBINDING"}[s]
}

// A Lease is an interface's address by DHCP, or the client's search for one.
type Lease struct {
	i      *Interface
	s      *Socket
	state  LeaseState
	xid    uint32
	began  time.Duration
	at     time.Duration // when something is due
	asked  int           // how often, in this state
	server netip.Addr
	got    netip.Prefix

	routers, servers []netip.Addr
	t1, t2, end      time.Duration
	starts           time.Duration // when what the lease counts from was asked
}

// The times of a client (RFC 2131, sections 4.1, 4.4.1 and 4.4.5), and its bounds.
const (
	leaseFirst   = 4 * time.Second  // until the second question; doubled each time
	leaseLongest = 64 * time.Second // between two questions
	leaseAsks    = 5                // requests without an answer, after which offers are looked for anew
	leaseWait    = 10 * time.Second // after a decline
	leaseRenew   = time.Minute      // the least time between two renewals
	leaseLeast   = 10 * time.Second // a shorter lease is refused: it would be a flood of requests
	leaseAddrs   = 4                // routers and name servers that are taken of an answer
)

// DHCP looks for an address for the interface, and keeps it: with the route to its router. The client takes datagrams
// to port 68. A second one on the same interface is ErrInUse.
func (i *Interface) DHCP(now time.Duration) (*Lease, error) {
	if i.lease != nil {
		return nil, ErrInUse
	}
	h := i.host
	if h.udp.n >= h.limits.Sockets {
		return nil, ErrLimit
	}
	s := &Socket{host: h, local: netip.AddrPortFrom(netip.IPv4Unspecified(), wire.DHCPClientPort), i: i}
	h.udp.ports[wire.DHCPClientPort] = append(h.udp.ports[wire.DHCPClientPort], s)
	h.udp.n++
	l := &Lease{i: i, s: s}
	s.lease, i.lease = l, l
	l.begin(now, h.spread(time.Second))
	return l, nil
}

// State is how far the client is.
func (l *Lease) State() LeaseState { return l.state }

// Prefix is the address with its network; the zero Prefix where the client has none that may be used.
func (l *Lease) Prefix() netip.Prefix {
	if l.state < Bound {
		return netip.Prefix{}
	}
	return l.got
}

// NameServers are those that the server has told, at most 4.
func (l *Lease) NameServers() []netip.Addr { return slices.Clone(l.servers) }

// Release gives the address back (RFC 2131, section 4.4.6), and ends the client.
func (l *Lease) Release(now time.Duration) {
	if l.state >= Bound {
		l.send(now, wire.DHCPRelease, l.server)
	}
	l.drop()
	l.s.Close()
	l.i.lease, l.at = nil, off
}

// begin looks for offers from a time on.
func (l *Lease) begin(now, after time.Duration) {
	l.drop()
	l.state, l.asked = Selecting, 0
	l.began = now
	l.wake(now + after)
}

func (l *Lease) wake(at time.Duration) {
	l.at = at
	l.i.due = min(l.i.due, at)
}

// drop takes the address, and the routes by it, from the interface.
func (l *Lease) drop() {
	if l.got.IsValid() && l.state >= Checking {
		l.i.Remove(l.got.Addr())
		l.i.host.dropRoutes(func(r *Route) bool { return r.lease == l })
	}
	l.got, l.routers, l.servers = netip.Prefix{}, nil, nil
}

// pause is how long the n-th question is waited for: doubled each time, and a second more or less by chance.
func (l *Lease) pause() time.Duration {
	d := min(leaseFirst<<min(l.asked, 4), leaseLongest)
	l.asked++
	return d - time.Second + l.i.host.spread(2*time.Second)
}

// advance does what is due.
func (l *Lease) advance(now time.Duration) {
	switch l.state {
	case Selecting:
		if l.asked == 0 {
			l.xid = uint32(l.i.host.random())
		}
		l.starts = now
		l.send(now, wire.DHCPDiscover, everybody)
		l.wake(now + l.pause())
	case Requesting:
		if l.asked >= leaseAsks {
			l.begin(now, 0)
			return
		}
		l.send(now, wire.DHCPRequest, everybody)
		l.wake(now + l.pause())
	case Checking:
		l.checked(now)
	case Bound, Renewing, Rebinding:
		l.renew(now)
	}
}

// checked looks at what has come of the probes for the address.
func (l *Lease) checked(now time.Duration) {
	switch a := l.i.own(l.got.Addr()); {
	case a != nil && a.State == Tentative:
		l.wake(now + probeTime)
	case a == nil || a.State == Duplicate:
		l.send(now, wire.DHCPDecline, everybody)
		l.begin(now, leaseWait)
	default:
		l.state = Bound
		for _, via := range l.routers {
			l.i.host.addRoute(Route{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: via, Interface: l.i, lease: l})
		}
		l.wake(min(l.t1, l.end))
	}
}

// renew asks for more time: the server from T1 on, everybody from T2 on, each time after half of what is left.
func (l *Lease) renew(now time.Duration) {
	until, to := l.t2, l.server
	switch {
	case now >= l.end:
		l.begin(now, 0)
		return
	case now >= l.t2:
		if l.state != Rebinding {
			l.state, l.xid = Rebinding, uint32(l.i.host.random())
		}
		until, to = l.end, everybody
	case l.state == Bound:
		l.state, l.xid = Renewing, uint32(l.i.host.random())
	}
	l.starts = now
	l.send(now, wire.DHCPRequest, to)
	l.wake(min(until, now+max((until-now)/2, leaseRenew)))
}

// send sends a message: from the address where the client has one, and else from none to everybody.
func (l *Lease) send(now time.Duration, kind wire.DHCPKind, to netip.Addr) {
	zero := netip.IPv4Unspecified()
	m := wire.DHCPv4{HType: 1, HLen: 6, XID: l.xid, Secs: uint16(min((now-l.began)/time.Second, 65535)), CIAddr: zero,
		YIAddr: zero, SIAddr: zero, GIAddr: zero}
	m.SetMAC(l.i.mac)
	o := wire.AppendDHCPKind(nil, kind)
	src, named := zero, l.state == Requesting || kind == wire.DHCPDecline
	if l.state >= Bound {
		src, m.CIAddr = l.got.Addr(), l.got.Addr()
	} else if kind != wire.DHCPDecline {
		m.Flags = 1 << 15 // the answer has to be a broadcast: the address is not this host's yet
	}
	var err error
	if named {
		o, err = wire.AppendDHCPAddrs(o, wire.DHCPRequestedIP, l.got.Addr())
	}
	if err == nil && (named || kind == wire.DHCPRelease) {
		o, err = wire.AppendDHCPAddrs(o, wire.DHCPServerID, l.server)
	}
	if err == nil && (kind == wire.DHCPDiscover || kind == wire.DHCPRequest) {
		o, err = wire.AppendDHCPOption(o, wire.DHCPParameters, wire.DHCPSubnetMask, wire.DHCPRouters, wire.DHCPNameServers)
	}
	m.Options = o
	var b []byte
	if err == nil {
		b, err = m.Append(nil)
	}
	if err != nil {
		panic("lab/ip: " + err.Error()) // all in it are IPv4's: see answer
	}
	b = wire.PadDHCP(b, 0)
	u := wire.UDP{SrcPort: wire.DHCPClientPort, DstPort: wire.DHCPServerPort, Payload: b}
	h := l.i.host
	h.data, _ = u.Append(h.data[:0], src, to)
	out := outgoing{src: src, dst: to, protocol: wire.ProtoUDP, payload: h.data}
	if to == everybody {
		out.i = l.i
	}
	_ = h.output(now, &out) // what is lost is asked for again
}

// input takes a message to the client's port.
func (l *Lease) input(now time.Duration, b []byte) {
	var m wire.DHCPv4
	mac, ok := wire.MAC{}, false
	if m.Parse(b) == nil && m.Reply {
		mac, ok = m.MAC()
	}
	if !ok || mac != l.i.mac || m.XID != l.xid {
		l.i.host.Dropped.Advice++ // another client's, or a guess
		return
	}
	server, _ := m.Addr(wire.DHCPServerID)
	waits := l.state == Requesting || l.state == Renewing || l.state == Rebinding
	switch kind := m.Kind(); {
	case kind == wire.DHCPOffer && l.state == Selecting && l.asked > 0:
		if p, ok := offered(&m); ok && server.IsValid() && !server.IsUnspecified() {
			l.state, l.asked, l.server, l.got = Requesting, 0, server, p
			l.advance(now)
		}
	case kind == wire.DHCPNak && waits && (server == l.server || l.state == Rebinding):
		l.begin(now, leaseWait) // at once would be a flood, if the server goes on to refuse
	case kind == wire.DHCPAck && waits && (server == l.server || l.state == Rebinding):
		l.ack(now, &m, server)
	}
}

// offered is the address that a message gives, with its network.
func offered(m *wire.DHCPv4) (p netip.Prefix, ok bool) {
	a, bits := m.YIAddr, 24
	if mask, ok := m.Option(wire.DHCPSubnetMask); ok && len(mask) == 4 {
		v := binary.BigEndian.Uint32(mask)
		for bits = 0; bits < 32 && v&(1<<(31-bits)) != 0; bits++ {
		}
	}
	good := a.IsValid() && a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.As4()[0] < 224
	return netip.PrefixFrom(a, bits), good && bits > 0
}

// ack takes the lease, or its new times.
func (l *Lease) ack(now time.Duration, m *wire.DHCPv4, server netip.Addr) {
	p, ok := offered(m)
	life, has := m.Seconds(wire.DHCPLeaseTime)
	if !ok || !has || life < leaseLeast || p != l.got {
		return
	}
	t1, t2 := life/2, life*7/8
	if v, ok := m.Seconds(wire.DHCPRenewalTime); ok && v > 0 && v < life {
		t1 = v
	}
	if v, ok := m.Seconds(wire.DHCPRebindingTime); ok && v > t1 && v < life {
		t2 = v
	}
	t2 = max(t1, t2)
	l.t1, l.t2, l.end = l.starts+t1, l.starts+t2, l.starts+life
	if life == wire.Infinite {
		l.t1, l.t2, l.end = off, off, off
	}
	l.server = server
	if l.state != Requesting {
		l.state = Bound
		l.wake(l.t1)
		return
	}
	few := func(list []netip.Addr) []netip.Addr { return list[:min(len(list), leaseAddrs)] }
	l.routers = few(m.Addrs(nil, wire.DHCPRouters))
	l.servers = few(m.Addrs(nil, wire.DHCPNameServers))
	l.routers = slices.DeleteFunc(l.routers, func(r netip.Addr) bool { return !p.Masked().Contains(r) || r == p.Addr() })
	l.state = Checking
	if l.i.Probe(now, p) != nil {
		l.state = Requesting // another interface of this host has it
		l.send(now, wire.DHCPDecline, everybody)
		l.begin(now, leaseWait)
		return
	}
	l.wake(now + probeTime)
}
