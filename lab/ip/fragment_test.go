package ip

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/wire"
)

// A piece is a fragment of a UDP datagram of 24 bytes and its header, in either family.
func (m *mark) piece(six bool, id uint32, from, to int, more bool, change byte) *mark {
	m.t.Helper()
	src, dst := families[0].b, families[0].a
	if six {
		src, dst = families[1].b, families[1].a
	}
	u := wire.UDP{SrcPort: 7, DstPort: 9, Payload: []byte(strings.Repeat("01234567", 9000)[:max(24, to-8)])}
	b, err := u.Append(nil, src, dst)
	if err != nil {
		m.t.Fatal(err)
	}
	data := append([]byte(nil), b[from:to]...)
	data[len(data)-1] ^= change
	if !six {
		ip := wire.IPv4{Protocol: wire.ProtoUDP, ID: uint16(id), Offset: uint16(from), Src: src, Dst: dst, Payload: data}
		if more {
			ip.Flags = wire.MoreFragments
		}
		return m.ip4(ip)
	}
	f := wire.IPv6Fragment{Present: true, More: more, Offset: uint16(from), ID: id}
	ext, err := wire.AppendFragment(nil, wire.ProtoUDP, f)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.ip6(wire.IPv6{Next: wire.ProtoFragment, Protocol: wire.ProtoUDP, Src: src, Dst: dst, Extensions: ext,
		Fragment: f,
		Payload:  data})
}

type cut struct {
	from, to int
	more     bool
	change   byte
}

func TestReassembly(t *testing.T) {
	for _, row := range []struct {
		name string
		cuts []cut
		come int
	}{
		{"in order", []cut{{0, 16, true, 0}, {16, 32, false, 0}}, 1},
		{"the last first", []cut{{16, 32, false, 0}, {0, 16, true, 0}}, 1},
		{"the middle last", []cut{{24, 32, false, 0}, {0, 16, true, 0}, {16, 24, true, 0}}, 1},
		{"a duplicate", []cut{{0, 16, true, 0}, {0, 16, true, 0}, {16, 32, false, 0}}, 1},
		{"another duplicate", []cut{{16, 32, false, 0}, {16, 32, false, 0}, {0, 16, true, 0}}, 1},
		{"an overlap as long as what is missing", []cut{{0, 16, true, 0}, {8, 16, true, 0}, {24, 32, false, 0}}, 0},
		{"one is missing", []cut{{0, 16, true, 0}, {24, 32, false, 0}}, 0},
		{"a duplicate with another text", []cut{{0, 16, true, 0}, {0, 16, true, 1}, {16, 32, false, 0}}, 0},
		{"an overlap from the left", []cut{{0, 24, true, 0}, {16, 32, false, 0}}, 0},
		{"an overlap from the right", []cut{{16, 32, false, 0}, {0, 24, true, 0}}, 0},
		{"one within another", []cut{{0, 24, true, 0}, {8, 16, true, 0}, {24, 32, false, 0}}, 0},
		{"one round another", []cut{{8, 16, true, 0}, {0, 24, true, 0}, {24, 32, false, 0}}, 0},
		{"behind the end", []cut{{16, 24, false, 0}, {24, 32, true, 0}, {0, 16, true, 0}}, 0},
		{"the end before what has come", []cut{{24, 32, true, 0}, {16, 24, false, 0}, {0, 16, true, 0}}, 0},
		{"two ends", []cut{{24, 32, false, 0}, {16, 24, false, 0}, {0, 16, true, 0}}, 0},
		{"an end that is none", []cut{{24, 32, false, 0}, {24, 32, true, 0}, {0, 24, true, 0}}, 0},
		{"what comes after an overlap", []cut{{0, 24, true, 0}, {16, 32, false, 0}, {0, 16, true, 0}, {16, 32, false, 0}}, 0},
	} {
		for _, six := range []bool{false, true} {
			m := newMark(t, Limits{})
			s, err := m.h.ListenUDP(port(map[bool]string{false: "0.0.0.0:9", true: "[::]:9"}[six]))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range row.cuts {
				m.piece(six, 1, c.from, c.to, c.more, c.change)
			}
			refused := row.come == 0 && row.name != "one is missing"
			if list := m.h.assemblies.list; len(list) != 1-row.come || len(list) == 1 && list[0].dead != refused {
				t.Errorf("%s, IPv6 %v: %d datagrams, refused at once: want %v", row.name, six, len(list), refused)
			}
			n := 0
			for d, ok, _ := s.Read(); ok; d, ok, _ = s.Read() {
				if n++; string(d.Data) != "012345670123456701234567" {
					t.Errorf("%s: %q came", row.name, d.Data)
				}
			}
			if n != row.come {
				t.Errorf("%s, IPv6 %v: %d came, want %d", row.name, six, n, row.come)
			}
			m.wait(2 * time.Minute)
			if len(m.h.assemblies.list) != 0 || m.h.assemblies.bytes != 0 || m.h.Dropped.Fragments != 1-row.come {
				t.Errorf("%s, IPv6 %v: %d are left, %d were dropped", row.name, six, len(m.h.assemblies.list),
					m.h.Dropped.Fragments)
			}
		}
	}
}

// TestReassemblyTime has datagrams that do not become whole: the sender is told where the first fragment has come.
func TestReassemblyTime(t *testing.T) {
	for six, want := range map[bool]string{false: "ip reassembly time exceeded",
		true: "time exceeded in-transit (reassembly)"} {
		m := newMark(t, Limits{}).knows()
		m.piece(six, 1, 0, 16, true, 0)
		m.piece(six, 2, 16, 32, false, 0)
		m.wait(29 * time.Second)
		if len(m.h.assemblies.list) != 2 {
			t.Error("they were given up too early")
		}
		m.wait(32 * time.Second)
		n := 0
		for _, line := range m.out {
			if strings.Contains(line, "time exceeded") || strings.Contains(line, "reassembly") {
				n++
			}
		}
		if n != 1 || m.h.Dropped.Fragments != 2 {
			t.Errorf("%d of %s, %d dropped:\n%s", n, want, m.h.Dropped.Fragments, strings.Join(m.out, "\n"))
		}
	}
}

// TestFragmentFlood has first fragments without end, of one source and of many, and one datagram of crumbs.
func TestFragmentFlood(t *testing.T) {
	m := newMark(t, Limits{Assemblies: 20, SourceDatagrams: 5, AssemblyBytes: 20000, SourceBytes: 6000,
		Fragments: 30}).knows()
	for id := range uint32(100) {
		m.piece(false, id, 0, 1400, true, 0)
	}
	if n, bytes := m.h.assemblies.from(families[0].b); n != 4 || bytes != 5600 {
		t.Errorf("one source has %d datagrams, %d bytes", n, bytes)
	}
	for k := range 1000 {
		m.ip4(wire.IPv4{Protocol: wire.ProtoUDP, ID: 1, Flags: wire.MoreFragments, Dst: addr("10.0.0.1"),
			Src: netip.AddrFrom4([4]byte{10, 1, byte(k >> 8), byte(k)}), Payload: make([]byte, 1400)})
	}
	if n := len(m.h.assemblies.list); n != 14 {
		t.Errorf("%d datagrams", n)
	}
	m.wait(time.Minute)
	for n := range 200 {
		m.piece(false, 7, 8*n, 8*n+8, true, 0)
	}
	if len(m.h.assemblies.list) != 1 || m.h.assemblies.bytes != 0 {
		t.Errorf("crumbs: %d bytes", m.h.assemblies.bytes)
	}
}

// TestTinyFragments has first fragments that cut the header of TCP, where a filter would not see the ports or flags.
func TestTinyFragments(t *testing.T) {
	for n, offset := range []int{0, 0, 8} {
		m := newMark(t, Limits{})
		ip := wire.IPv4{Protocol: wire.ProtoTCP, ID: 1, Offset: uint16(offset), Flags: wire.MoreFragments,
			Src: addr("10.0.0.2"),
			Dst: addr("10.0.0.1"), Payload: make([]byte, []int{8, 24, 16}[n])}
		m.ip4(ip)
		if dead := m.h.assemblies.list[0].dead; dead != (n != 1) {
			t.Errorf("offset %d, %d bytes: refused %v", offset, len(ip.Payload), dead)
		}
	}
}
