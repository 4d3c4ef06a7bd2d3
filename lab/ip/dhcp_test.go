package ip

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/wire"
)

// A lender is a DHCP server of one address after the other.
type lender struct {
	w      *world
	h      *Host
	s      *Socket
	next   byte
	life   time.Duration
	silent bool
	nak    bool
	wrong  bool // its answers have another number than the question
	kinds  []wire.DHCPKind
	told   []netip.Addr // where a question went to
}

// lend is a host with a DHCP client, and a server.
func lend(t *testing.T) (l *lender, h *Host, i *Interface, lease *Lease) {
	w := newWorld(t, 4)
	h, s := w.host(Options{}), w.host(Options{})
	i, j := w.cable(h, s, 1500, link.Options{Delay: time.Millisecond})
	w.add(j, "10.0.0.254/24")
	l = &lender{w: w, h: s, s: w.listen(s, "0.0.0.0:67"), next: 10, life: time.Hour}
	lease, err := i.DHCP(w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.DHCP(w.now); err != ErrInUse {
		t.Error("a second client:", err)
	}
	return l, h, i, lease
}

// run lets d pass, with the server at work.
func (l *lender) run(d time.Duration) {
	for until := l.w.now + d; l.w.step(until); {
		for x, ok, _ := l.s.Read(); ok; x, ok, _ = l.s.Read() {
			l.serve(x)
		}
	}
}

func (l *lender) serve(x Datagram) {
	l.w.t.Helper()
	var m wire.DHCPv4
	if err := m.Parse(x.Data); err != nil {
		l.w.t.Fatal(err)
	}
	kind := m.Kind()
	l.kinds, l.told = append(l.kinds, kind), append(l.told, x.To.Addr())
	if kind == wire.DHCPDecline {
		l.next++
	}
	if l.silent || kind != wire.DHCPDiscover && kind != wire.DHCPRequest {
		return
	}
	answer := map[wire.DHCPKind]wire.DHCPKind{wire.DHCPDiscover: wire.DHCPOffer, wire.DHCPRequest: wire.DHCPAck}[kind]
	if l.nak && answer == wire.DHCPAck {
		answer = wire.DHCPNak
	}
	own := addr("10.0.0.254")
	o := wire.AppendDHCPKind(nil, answer)
	o, _ = wire.AppendDHCPAddrs(o, wire.DHCPServerID, own)
	o, _ = wire.AppendDHCPAddrs(o, wire.DHCPRouters, own)
	o, _ = wire.AppendDHCPAddrs(o, wire.DHCPNameServers, own)
	o, _ = wire.AppendDHCPOption(o, wire.DHCPSubnetMask, 255, 255, 255, 0)
	m.Options = wire.AppendDHCPSeconds(o, wire.DHCPLeaseTime, l.life)
	m.Reply, m.YIAddr = true, netip.AddrFrom4([4]byte{10, 0, 0, l.next})
	if l.wrong {
		m.XID++
	}
	to := netip.AddrPortFrom(everybody, wire.DHCPClientPort)
	if !m.CIAddr.IsUnspecified() {
		to = netip.AddrPortFrom(m.CIAddr, wire.DHCPClientPort)
	}
	b, err := m.Append(nil)
	if err == nil {
		err = l.s.SendTo(l.w.now, to, b)
	}
	if err != nil {
		l.w.t.Fatal(err)
	}
}

// asked holds which questions came since the last time.
func (l *lender) asked(kinds ...wire.DHCPKind) {
	l.w.t.Helper()
	if !slices.Equal(l.kinds, kinds) {
		l.w.t.Fatalf("%v: it asked %v, want %v", l.w.now, l.kinds, kinds)
	}
	l.kinds, l.told = nil, nil
}

func TestLease(t *testing.T) {
	l, h, i, lease := lend(t)
	l.run(20 * time.Second)
	l.asked(wire.DHCPDiscover, wire.DHCPRequest)
	if lease.State() != Bound || lease.Prefix() != prefix("10.0.0.10/24") ||
		!slices.Equal(lease.NameServers(), []netip.Addr{addr("10.0.0.254")}) {
		t.Fatalf("%v, %v, %v", lease.State(), lease.Prefix(), lease.NameServers())
	}
	if _, via, ok := h.hop(addr("8.8.8.8")); !ok || via != addr("10.0.0.254") {
		t.Errorf("the route is by %v", via)
	}
	l.run(30 * time.Minute) // T1
	if len(l.told) != 1 || l.told[0] != addr("10.0.0.254") || lease.State() != Bound {
		t.Errorf("it was asked at %v; %v", l.told, lease.State())
	}
	l.asked(wire.DHCPRequest)
	// The server falls silent: asked again and again, then everybody is, then the address is gone.
	l.silent = true
	l.run(40 * time.Minute)
	if lease.State() != Renewing || len(l.told) < 1 || len(l.told) > 3 {
		t.Errorf("%v after %d questions", lease.State(), len(l.told))
	}
	l.run(14 * time.Minute)
	if lease.State() != Rebinding || l.told[len(l.told)-1] != everybody || !h.mine(addr("10.0.0.10")) {
		t.Errorf("%v, asked %v", lease.State(), l.told)
	}
	l.run(8 * time.Minute)
	if lease.State() != Selecting || len(i.Addresses()) != 0 || len(h.Routes()) != 0 || lease.Prefix().IsValid() {
		t.Errorf("%v, %v, %v", lease.State(), i.Addresses(), h.Routes())
	}
	l.silent, l.kinds = false, nil
	l.run(2 * time.Minute)
	if lease.State() != Bound {
		t.Error(lease.State())
	}
	l.kinds = nil
	lease.Release(l.w.now)
	l.run(time.Minute)
	l.asked(wire.DHCPRelease)
	if len(i.Addresses()) != 0 {
		t.Error(i.Addresses())
	}
	if _, err := i.DHCP(l.w.now); err != nil {
		t.Error("after the release:", err)
	}
}

// TestLeaseSilence has no server: the questions become rarer.
func TestLeaseSilence(t *testing.T) {
	l, _, _, lease := lend(t)
	l.silent = true
	l.run(5 * time.Minute)
	if n := len(l.kinds); lease.State() != Selecting || n < 6 || n > 9 {
		t.Errorf("%v, %d questions", lease.State(), n)
	}
}

func TestLeaseRefused(t *testing.T) {
	l, _, _, lease := lend(t)
	l.nak = true
	l.run(25 * time.Second)
	if n := len(l.kinds); n < 4 || n > 6 || lease.State() >= Checking {
		t.Errorf("%v, asked %v", lease.State(), l.kinds) // once in leaseWait
	}
	l.nak = false
	l.run(30 * time.Second)
	if lease.State() != Bound {
		t.Fatal(lease.State())
	}
	// A NAK while it renews takes the address at once.
	l.nak = true
	l.run(30 * time.Minute)
	if lease.State() >= Checking || lease.Prefix().IsValid() {
		t.Error(lease.State(), lease.Prefix())
	}
}

// TestLeaseDeclined has an address that somebody else uses.
func TestLeaseDeclined(t *testing.T) {
	l, _, _, lease := lend(t)
	l.w.add(l.h.interfaces[0], "10.0.0.10/24")
	l.run(time.Minute)
	l.asked(wire.DHCPDiscover, wire.DHCPRequest, wire.DHCPDecline, wire.DHCPDiscover, wire.DHCPRequest)
	if lease.Prefix() != prefix("10.0.0.11/24") {
		t.Error(lease.Prefix())
	}
}

// TestLeaseGuessed has answers with another number, and a lease that is too short to be meant.
func TestLeaseGuessed(t *testing.T) {
	l, h, _, lease := lend(t)
	l.wrong = true
	l.run(20 * time.Second)
	if lease.State() != Selecting || h.Dropped.Advice == 0 {
		t.Errorf("%v, %d were dropped", lease.State(), h.Dropped.Advice)
	}
	l.wrong, l.life = false, time.Second
	l.run(time.Minute)
	if lease.State() >= Checking {
		t.Error(lease.State())
	}
}
