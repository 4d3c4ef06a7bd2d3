package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

// seed gives a fuzz target what part finds in each sample.
func seed(f *testing.F, layer Layers, part func(p *Packet) []byte) {
	for _, s := range samples(f) {
		var p Packet
		if err := p.Parse(s.frame); err != nil {
			f.Fatalf("%s: %v", s.name, err)
		}
		if p.Layers&layer != 0 {
			f.Add(part(&p))
		}
	}
}

// ipPayload is what the IP packet of p carries.
func ipPayload(p *Packet) []byte {
	if p.Layers&HasIPv6 != 0 {
		return p.IPv6.Payload
	}
	return p.IPv4.Payload
}

// checkError holds an error of Parse: it is one of ours, of a kind, and says a place in b, or right behind it.
func checkError(t *testing.T, b []byte, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%x: the error %v is a %T", b, err, err)
	}
	switch e.Err {
	case ErrTruncated, ErrLength, ErrValue, ErrUnsupported, ErrLimit:
	default:
		t.Fatalf("%x: %v is of no kind", b, err)
	}
	if e.Offset < 0 || e.Offset > len(b) || e.Format == "" || e.Field == "" || e.Error() == "" {
		t.Fatalf("%x: %#v does not say where", b, e)
	}
}

// checkSame holds what was emitted against the n bytes that were parsed, but for the checksum at offset sum, or -1. The
// checksum that was emitted is right: verify says so.
func checkSame(t *testing.T, b []byte, n, sum int, out []byte, err error, verify func(out []byte) error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%x was parsed, and is not emitted: %v", b[:n], err)
	}
	if verify != nil {
		if err := verify(out); err != nil {
			t.Fatalf("%x was emitted as %x: %v", b[:n], out, err)
		}
	}
	want := bytes.Clone(b[:n])
	if sum >= 0 && len(out) >= sum+2 {
		copy(want[sum:sum+2], out[sum:])
	}
	if !bytes.Equal(out, want) {
		t.Fatalf("parsed  %x\nemitted %x", want, out)
	}
}

func FuzzEthernet(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.frame)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Ethernet
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		out, err := h.Append(nil)
		checkSame(t, b, len(b), -1, out, err, nil)
		_ = h.String()
	})
}

func FuzzVLAN(f *testing.F) {
	seed(f, HasVLAN, func(p *Packet) []byte { return p.Ethernet.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h VLAN
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		out, err := h.Append(nil)
		checkSame(t, b, len(b), -1, out, err, nil)
		_ = h.String()
	})
}

func FuzzLLC(f *testing.F) {
	seed(f, HasLLC, func(p *Packet) []byte { return p.Ethernet.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h LLC
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		out, err := h.Append(nil)
		checkSame(t, b, len(b), -1, out, err, nil)
		_ = h.String()
	})
}

func FuzzBPDU(f *testing.F) {
	seed(f, HasBPDU, func(p *Packet) []byte { return p.LLC.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h BPDU
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		out, err := h.Append(nil)
		checkSame(t, b, len(b), -1, out, err, nil)
		_ = h.String()
	})
}

func FuzzARP(f *testing.F) {
	seed(f, HasARP, func(p *Packet) []byte { return p.Ethernet.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h ARP
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		out, err := h.Append(nil)
		checkSame(t, b, ARPLen, -1, out, err, nil)
		_ = h.String()
	})
}

func FuzzIPv4(f *testing.F) {
	seed(f, HasIPv4, func(p *Packet) []byte { return p.Ethernet.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, q IPv4
		if err := q.ParseQuote(b); err != nil {
			checkError(t, b, err)
		} else {
			_ = q.String()
		}
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		n := IPv4MinLen + len(h.Options) + len(h.Payload)
		out, err := h.Append(nil)
		checkSame(t, b, n, 10, out, err, h.Verify)
		for o, rest, ok := h.Options.Next(); ok; o, rest, ok = rest.Next() {
			_ = o.Copied()
		}
		_ = h.String()
		if DecrementTTL(out) {
			if err := h.Verify(out); err != nil {
				t.Fatalf("%x: after DecrementTTL: %v", out, err)
			}
		}
	})
}

func FuzzIPv6(f *testing.F) {
	seed(f, HasIPv6, func(p *Packet) []byte { return p.Ethernet.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, q IPv6
		if err := q.ParseQuote(b); err != nil {
			checkError(t, b, err)
		} else {
			_ = q.String()
		}
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		out, err := h.Append(nil)
		checkSame(t, b, IPv6Len+len(h.Extensions)+len(h.Payload), -1, out, err, nil)
		last := h.Next
		for e, to, ok := h.Extension(h.Next, 0); ok; e, to, ok = h.Extension(e.Next, to) {
			last = e.Next
			for o, rest, ok := e.Options().Next(); ok; o, rest, ok = rest.Next() {
				_ = o.Action()
			}
		}
		if last != h.Protocol {
			t.Fatalf("%x: the last extension's next header is %d, and the protocol %d", b, last, h.Protocol)
		}
		_, _ = h.String(), h.Fragment.String()
	})
}

func FuzzICMPv4(f *testing.F) {
	seed(f, HasICMPv4, ipPayload)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h ICMPv4
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		_ = h.String()
		_ = h.Original()
		if len(b) <= maxIP {
			out, err := h.Append(nil)
			checkSame(t, b, len(b), 2, out, err, h.Verify)
		}
	})
}

func FuzzICMPv6(f *testing.F) {
	seed(f, HasICMPv6, ipPayload)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h ICMPv6
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		_ = h.String()
		if len(b) <= maxIP {
			out, err := h.Append(nil, ip6A, ip6B)
			checkSame(t, b, len(b), 2, out, err, func(out []byte) error { return h.Verify(out, ip6A, ip6B) })
		}
	})
}

// An ndpMessage is any message of neighbor discovery.
type ndpMessage interface {
	Parse(b []byte) error
	Append(b []byte, src, dst netip.Addr) ([]byte, error)
	String() string
}

func FuzzNDP(f *testing.F) {
	seed(f, HasICMPv6, ipPayload)
	f.Fuzz(func(t *testing.T, b []byte) {
		var (
			rs RouterSolicitation
			ra RouterAdvertisement
			ns NeighborSolicitation
			na NeighborAdvertisement
			re NeighborRedirect
		)
		for _, m := range []ndpMessage{&rs, &ra, &ns, &na, &re} {
			if err := m.Parse(b); err != nil {
				checkError(t, b, err)
				continue
			}
			_ = m.String()
			if len(b) <= maxIP {
				out, err := m.Append(nil, ip6A, ip6B)
				checkSame(t, b, len(b), 2, out, err, func(out []byte) error { return verifyICMPv6(out, ip6A, ip6B) })
			}
		}
		for o, rest, ok := ra.Options.Next(); ok; o, rest, ok = rest.Next() {
			o.LinkAddr()
			o.MTU()
			o.Prefix()
			o.Servers(nil)
		}
	})
}

func FuzzUDP(f *testing.F) {
	seed(f, HasUDP, ipPayload)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, q UDP
		if err := q.ParseQuote(b); err != nil {
			checkError(t, b, err)
		}
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		sum := 6
		if h.NoChecksum {
			sum = -1
		}
		out, err := h.Append(nil, ip4A, ip4B)
		checkSame(t, b, UDPLen+len(h.Payload), sum, out, err, func(out []byte) error {
			var back UDP
			if err := back.Parse(out); err != nil {
				return err
			}
			return back.Verify(out, ip4A, ip4B)
		})
		_ = h.String()
	})
}

func FuzzTCP(f *testing.F) {
	seed(f, HasTCP, ipPayload)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, q TCP
		if err := q.ParseQuote(b); err != nil {
			checkError(t, b, err)
		}
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		_ = h.String()
		if len(b) <= maxIP {
			out, err := h.Append(nil, ip6A, ip6B)
			checkSame(t, b, len(b), 16, out, err, func(out []byte) error { return h.Verify(out, ip6A, ip6B) })
		}
	})
}

func FuzzTCPOptions(f *testing.F) {
	seed(f, HasTCP, func(p *Packet) []byte { return p.TCP.Options })
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again TCPOptions
		o.Parse(b) // whatever nobody has checked
		_ = appendTCPOptionsText(nil, b)
		out, err := o.Append(nil)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Err != ErrLength {
				t.Fatalf("%x: %v", b, err)
			}
			return
		}
		if len(out)%4 != 0 || checkTLV("TCP", out, 0) != nil {
			t.Fatalf("%x: %+v is emitted as %x", b, o, out)
		}
		if again.Parse(out); again != o {
			t.Fatalf("%x: %+v, emitted as %x, is %+v", b, o, out, again)
		}
	})
}

func FuzzDHCPv4(f *testing.F) {
	seed(f, HasDHCPv4, func(p *Packet) []byte { return p.UDP.Payload })
	f.Fuzz(func(t *testing.T, b []byte) {
		var h DHCPv4
		if err := h.Parse(b); err != nil {
			checkError(t, b, err)
			return
		}
		for code := range uint8(255) {
			h.Option(code)
			h.Addr(code)
			h.Addrs(nil, code)
			h.Seconds(code)
		}
		_, _ = h.String(), h.Kind().String()
		if len(h.Options) <= maxIP-DHCPMinLen-1 {
			out, err := h.Append(nil)
			checkSame(t, b, len(b), -1, out, err, nil)
		}
	})
}

func FuzzPacket(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.frame)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		for _, parse := range []func([]byte) error{p.Parse, p.ParseIP} {
			if err := parse(b); err != nil {
				checkError(t, b, err)
			}
			if p.Offset < 0 || p.Offset+len(p.Payload) > len(b) || p.String() == "" {
				t.Fatalf("%x: payload of %d bytes at %d", b, len(p.Payload), p.Offset)
			}
		}
	})
}
