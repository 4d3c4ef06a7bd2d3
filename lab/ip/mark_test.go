package ip

import (
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A mark is one host, with whatever frames a test puts on its link.
type mark struct {
	t   testing.TB
	now time.Duration
	h   *Host
	i   *Interface
	out []string // what it has sent
}

var (
	markMAC  = wire.MAC{2, 0, 0, 0, 0, 1}
	peerMAC  = wire.MAC{2, 0, 0, 0, 0, 2}
	thiefMAC = wire.MAC{2, 0, 0, 0, 0, 66}
)

// newMark is a host at 10.0.0.1 and 2001:db8::1.
func newMark(t testing.TB, l Limits) *mark {
	w := newWorld(t, 5)
	m := &mark{t: t, h: w.host(Options{Limits: l})}
	m.i = m.h.NewInterface("eth", markMAC, 1500)
	w.add(m.i, "10.0.0.1/24", "2001:db8::1/64", "fe80::1/64")
	m.wait(0)
	m.out = nil
	return m
}

// frame puts a frame on the link, and takes what comes back.
func (m *mark) frame(from, to wire.MAC, t wire.EtherType, payload []byte) *mark {
	m.t.Helper()
	e := wire.Ethernet{Dst: to, Src: from, Type: t, Payload: payload}
	b, err := e.Append(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.h.Frame(m.now, m.i, b)
	return m.wait(0)
}

// wait lets d pass.
func (m *mark) wait(d time.Duration) *mark {
	until := m.now + d
	for {
		m.h.Advance(m.now)
		m.h.Flush(m.now, func(_ *Interface, b []byte) {
			var k wire.Packet
			if err := k.Parse(b); err != nil {
				m.t.Fatalf("%x: %v", b, err)
			}
			m.out = append(m.out, k.String())
		})
		holdBounds(m.t, m.h)
		at, ok := m.h.Next()
		if !ok || at > until {
			m.now = until
			return m
		}
		m.now = max(m.now, at)
	}
}

// said holds that lines with these texts were sent, in this order and no others.
func (m *mark) said(texts ...string) {
	m.t.Helper()
	fine := len(m.out) == len(texts)
	for n := range texts {
		fine = fine && strings.Contains(m.out[n], texts[n])
	}
	if !fine {
		m.t.Fatalf("it sent\n\t%s\nwant\n\t%s", strings.Join(m.out, "\n\t"), strings.Join(texts, "\n\t"))
	}
	m.out = nil
}

func (m *mark) arp(from wire.MAC, a wire.ARP) *mark {
	m.t.Helper()
	b, err := a.Append(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.frame(from, wire.Broadcast, wire.EtherTypeARP, b)
}

func (m *mark) ip4(ip wire.IPv4) *mark {
	m.t.Helper()
	if ip.TTL == 0 {
		ip.TTL = 64
	}
	b, err := ip.Append(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.frame(peerMAC, markMAC, wire.EtherTypeIPv4, b)
}

func (m *mark) ip6(ip wire.IPv6) *mark {
	m.t.Helper()
	if ip.HopLimit == 0 {
		ip.HopLimit = 64
	}
	b, err := ip.Append(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.frame(peerMAC, markMAC, wire.EtherTypeIPv6, b)
}

// knows has the host learn that 10.0.0.2 and 2001:db8::2 are the peer.
func (m *mark) knows() *mark {
	m.t.Helper()
	m.arp(peerMAC, wire.ARP{Op: wire.ARPRequest, SenderMAC: peerMAC, SenderIP: addr("10.0.0.2"),
		TargetIP: addr("10.0.0.1")})
	m.h.heard6(m.now, m.i, addr("2001:db8::2"), peerMAC)
	m.out = nil
	return m
}

func (m *mark) neighbor(a string) (n Neighbor) {
	for _, n := range m.h.Neighbors() {
		if n.Addr == addr(a) {
			return n
		}
	}
	return n
}
