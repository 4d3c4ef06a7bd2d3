package wire

import (
	"errors"
	"strconv"
	"testing"
	"time"
	"unsafe"
)

func itoa(n int) string { return strconv.Itoa(n) }

// none holds that f allocates nothing.
func none(t *testing.T, name string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s: %v allocations", name, n)
	}
}

// TestAllocations holds that every format is parsed, verified, walked and emitted without an allocation.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var p Packet
	buf := make([]byte, 0, 4096)
	for _, s := range samples(t) {
		none(t, "parse "+s.name, func() {
			if p.Parse(s.frame) != nil {
				t.Fatal(s.name)
			}
		})
		none(t, "the line of "+s.name, func() { p.AppendText(buf) })
		none(t, "walk "+s.name, func() { walk(&p) })
		none(t, "emit "+s.name, func() {
			if err := emitAll(buf, &p); err != nil {
				t.Fatal(s.name, err)
			}
		})
	}
}

// walk takes everything that can be had of a packet without a copy.
func walk(p *Packet) (n int) {
	for o, rest, ok := p.IPv4.Options.Next(); ok; o, rest, ok = rest.Next() {
		n += len(o.Data)
	}
	for e, to, ok := p.IPv6.Extension(p.IPv6.Next, 0); ok; e, to, ok = p.IPv6.Extension(e.Next, to) {
		for o, rest, ok := e.Options().Next(); ok; o, rest, ok = rest.Next() {
			n += len(o.Data)
		}
	}
	var o TCPOptions
	o.Parse(p.TCP.Options)
	n += int(o.MSS)
	if q, ok := p.DNS.Question(); ok && q.Name.Is("example.com") {
		n++
	}
	for r, rest, ok := p.DNS.Records().Next(); ok; r, rest, ok = rest.Next() {
		a, _ := r.Addr()
		n += a.BitLen()
		if target, ok := r.Target(); ok && target.Equal(r.Name) {
			n++
		}
	}
	if d, ok := p.DHCPv4.Seconds(DHCPLeaseTime); ok {
		n += int(d / time.Second)
	}
	return n
}

// emitAll writes each format that a packet has.
func emitAll(buf []byte, p *Packet) (err error) {
	check := func(_ []byte, e error) {
		if err == nil {
			err = e
		}
	}
	src, dst := p.IPv4.Src, p.IPv4.Dst
	if p.Layers&HasIPv6 != 0 {
		src, dst = p.IPv6.Src, p.IPv6.Dst
	}
	if p.Layers&HasEthernet != 0 {
		check(p.Ethernet.Append(buf))
	}
	if p.Layers&HasVLAN != 0 {
		check(p.VLAN.Append(buf))
	}
	if p.Layers&HasLLC != 0 {
		check(p.LLC.Append(buf))
	}
	if p.Layers&HasBPDU != 0 {
		check(p.BPDU.Append(buf))
	}
	if p.Layers&HasARP != 0 {
		check(p.ARP.Append(buf))
	}
	if p.Layers&HasIPv4 != 0 {
		check(p.IPv4.Append(buf))
	}
	if p.Layers&HasIPv6 != 0 {
		check(p.IPv6.Append(buf))
	}
	if p.Layers&HasICMPv4 != 0 {
		check(p.ICMPv4.Append(buf))
	}
	if p.Layers&HasICMPv6 != 0 {
		check(p.ICMPv6.Append(buf, src, dst))
	}
	if p.Layers&HasUDP != 0 {
		check(p.UDP.Append(buf, src, dst))
	}
	if p.Layers&HasTCP != 0 {
		check(p.TCP.Append(buf, src, dst))
	}
	if p.Layers&HasDHCPv4 != 0 {
		check(p.DHCPv4.Append(buf))
	}
	if p.Layers&HasDNS != 0 {
		d := NewDNSBuilder(buf, p.DNS.ID, p.DNS.Flags)
		if q, ok := p.DNS.Question(); ok {
			d.CopyQuestion(q)
		}
		for r, rest, ok := p.DNS.Records().Next(); ok; r, rest, ok = rest.Next() {
			d.CopyRecord(r)
		}
		check(d.Finish())
	}
	return err
}

// TestErrorSize holds what an error costs, as the package's documentation says.
func TestErrorSize(t *testing.T) {
	if n := unsafe.Sizeof(Error{}); n != 72 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("an Error is %d bytes", n)
	}
	if !raceEnabled {
		if n := testing.AllocsPerRun(100, func() {
			if !errors.Is(new(IPv4).Parse(nil), ErrTruncated) {
				t.Fatal("no error")
			}
		}); n != 1 {
			t.Errorf("an error is %v allocations", n)
		}
	}
}
