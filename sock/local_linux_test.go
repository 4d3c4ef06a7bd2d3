package sock

import (
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket on all addresses tells which one each datagram of a batch was sent to, and sends from the one that it is
// told.
func TestLocal(t *testing.T) {
	for _, row := range []struct {
		server string
		asked  []string
	}{
		{"udp://0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}},
		{"udp://:0", []string{"127.0.0.2", "::1", "127.0.0.1"}},
		{"udp://:0?v6only=yes", []string{"::1"}},
	} {
		t.Run(row.server, func(t *testing.T) {
			if row.server != "udp://0.0.0.0:0" {
				needIPv6(t)
			}
			s, at := listen(t, row.server)
			if err := s.TellLocal(); err != nil {
				t.Fatal(err)
			}
			batch := NewBatch(8)
			var clients []Socket
			for _, ip := range row.asked {
				a := at
				a.Host = ip
				c, connected, err := Connect(a, Options{})
				if err != nil || !connected {
					t.Fatalf("Connect to %v: %v, %v", a, connected, err)
				}
				t.Cleanup(func() { c.Close() })
				if _, err := c.Send([]byte(ip)); err != nil {
					t.Fatal(err)
				}
				clients = append(clients, c)
			}
			awaitReadable(t, s)
			ds := make([]Datagram, len(clients))
			for i := range ds {
				ds[i].Data = make([]byte, 20)
			}
			n, err := batch.RecvLocal(s, ds)
			if n != len(ds) || err != nil {
				t.Fatalf("RecvLocal: %d, %v, want %d", n, err, len(ds))
			}
			for i := range ds {
				d := &ds[i]
				d.Data = d.Data[:d.N]
				if d.Local.String() != string(d.Data) {
					t.Errorf("%s was asked, and Local is %v", d.Data, d.Local)
				}
			}
			if n, err := batch.Send(s, ds); n != len(ds) || err != nil {
				t.Fatalf("Send: %d, %v, want %d", n, err, len(ds))
			}
			for i, c := range clients { // each is connected, and takes nothing from elsewhere
				if d := recvBatch(t, batch, c, 1, 20)[0]; string(d.Data[:d.N]) != row.asked[i] || d.Local.IsValid() {
					t.Errorf("the one that asked %s got %q, Local %v", row.asked[i], d.Data[:d.N], d.Local)
				}
			}
			if n, err := batch.RecvLocal(s, ds); n != 0 || err != ErrWouldBlock {
				t.Errorf("RecvLocal with nothing there: %d, %v, want 0, ErrWouldBlock itself", n, err)
			}
		})
	}
}

// An address of the other family, or of no interface, is refused, and what was sent before it has left.
func TestSendFromNowhere(t *testing.T) {
	needIPv6(t)
	s, at := listen(t, "udp://:0")
	batch := NewBatch(4)
	v4 := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(at.Port))
	v6 := netip.AddrPortFrom(netip.MustParseAddr("::1"), uint16(at.Port))
	for _, row := range []struct {
		local string
		peer  netip.AddrPort
	}{{"::1", v4}, {"127.0.0.1", v6}, {"2001:db8::7", v6}, {"fe80::1", v6}} {
		x := Datagram{Data: []byte("x"), Peer: row.peer}
		ds := []Datagram{x, x}
		ds[1].Local = netip.MustParseAddr(row.local)
		if n, err := batch.Send(s, ds); n != 1 || err != syscall.EINVAL {
			t.Errorf("from %s to %v: %d, %v, want 1 that has none, and EINVAL", row.local, row.peer, n, err)
		}
	}
}

// Sending and receiving with local addresses does not allocate once the batch has its arrays.
func TestLocalAllocates(t *testing.T) {
	s, at := listen(t, "udp://0.0.0.0:0")
	if err := s.TellLocal(); err != nil {
		t.Fatal(err)
	}
	batch := NewBatch(1)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), uint16(at.Port))
	out := []Datagram{{Data: []byte("x"), Peer: to, Local: netip.MustParseAddr("127.0.0.3")}}
	in := []Datagram{{Data: make([]byte, 10)}}
	allocs := testing.AllocsPerRun(100, func() {
		if n, err := batch.Send(s, out); n != 1 || err != nil {
			t.Fatalf("Send: %d, %v", n, err)
		}
		if n, err := batch.RecvLocal(s, in); n != 1 || err != nil {
			t.Fatalf("RecvLocal: %d, %v", n, err)
		}
	})
	if allocs != 0 || in[0].Local != to.Addr() || in[0].Peer.Addr() != out[0].Local {
		t.Errorf("%v allocations; Local %v, Peer %v; want none, %v, %v",
			allocs, in[0].Local, in[0].Peer, to.Addr(), out[0].Local)
	}
}

// Control data is read as far as it is what it says.
func TestLocalOf(t *testing.T) {
	message := func(level, kind int32, length int, data ...byte) []byte {
		b := make([]byte, unix.CmsgSpace(len(data)))
		h := unix.Cmsghdr{Level: level, Type: kind}
		h.SetLen(length)
		copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&h)), unix.SizeofCmsghdr))
		copy(b[unix.CmsgLen(0):], data)
		return b
	}
	whole := func(level, kind int32, data ...byte) []byte {
		return message(level, kind, unix.CmsgLen(len(data)), data...)
	}
	v6 := func(ip string, index byte) []byte {
		a := netip.MustParseAddr(ip).As16()
		return whole(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(a[:], index, 0, 0, 0)...)
	}
	v4 := whole(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, 0, 0, 0, 127, 0, 0, 1, 127, 255, 255, 255)
	stamp := whole(unix.SOL_SOCKET, unix.SO_TIMESTAMP, make([]byte, 16)...)
	for _, row := range []struct {
		name    string
		control []byte
		want    string
	}{
		{"none", nil, "invalid IP"},
		{"IPv4", v4, "127.0.0.1"},
		{"IPv6", v6("2001:db8::1", 1), "2001:db8::1"},
		{"link-local", v6("fe80::1", 1), "fe80::1%" + zones.name(1)},
		{"multicast", v6("ff02::1", 1), "::"},
		{"IPv4 in both forms", append(v6("::ffff:127.255.255.255", 1), v4...), "127.0.0.1"},
		{"IPv4 in IPv6's form", v6("::ffff:127.0.0.9", 1), "127.0.0.9"},
		{"behind another", append(stamp, v4...), "127.0.0.1"},
		{"cut head", v4[:unix.SizeofCmsghdr-1], "invalid IP"},
		{"cut", v4[:len(v4)-5], "invalid IP"},
		{"too short", whole(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, 2, 3), "invalid IP"},
		{"too short, IPv6", whole(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 1, 2, 3), "invalid IP"},
		{"length 0", message(unix.IPPROTO_IP, unix.IP_PKTINFO, 0, make([]byte, 12)...), "invalid IP"},
		{"length too great", message(unix.IPPROTO_IP, unix.IP_PKTINFO, 1000, make([]byte, 12)...), "invalid IP"},
	} {
		if got := LocalOf(row.control).String(); got != row.want {
			t.Errorf("%s: %v, want %s", row.name, got, row.want)
		}
	}
}
