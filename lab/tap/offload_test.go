package tap

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/plexor-go/plexor/wire"
)

// noise is text by chance.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	r.Read(b) // it never fails
	return b
}

// TestReceived gives frames whose header cannot be.
func TestReceived(t *testing.T) {
	for _, row := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"half a header", make([]byte, offloadLen-1)},
		{"a sum behind the end", append([]byte{needsChecksum, 0, 0, 0, 0, 0, 59, 59, 0, 0}, make([]byte, 60)...)},
		{"a sum far behind the end", append([]byte{needsChecksum, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 1, 2, 3)},
	} {
		if got := received(row.b); got != nil {
			t.Errorf("%s: a frame of %d bytes", row.name, len(got))
		}
	}
}

// TestReceivedSum completes a checksum that is 0: UDP over IPv6 has no such, and 0xffff is the same number.
func TestReceivedSum(t *testing.T) {
	const start = wire.EthernetLen + wire.IPv6Len
	src, dst := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	payload := []byte{0, 0}
	h := wire.UDP{SrcPort: 1, DstPort: 2, Payload: payload}
	b, err := h.Append(nil, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	copy(payload, b[6:8]) // text that makes the sum 0
	pseudo := wire.Pseudo(src, dst, wire.ProtoUDP, len(b))
	binary.BigEndian.PutUint16(b[6:], ^pseudo.Checksum()) // what the kernel leaves there for the card
	copy(b[8:], payload)
	frame := make([]byte, offloadLen+start)
	frame[0] = needsChecksum
	native.PutUint16(frame[6:], start)
	native.PutUint16(frame[8:], 6)
	got := received(append(frame, b...))[start:]
	if err := h.Parse(got); err != nil || h.NoChecksum || h.Verify(got, src, dst) != nil {
		t.Errorf("the checksum is %#04x, %v, %v", h.Checksum, err, h.Verify(got, src, dst))
	}
}

// frameOf is a segment with text in a frame.
func frameOf(t *testing.T, src, dst string, seq uint32, flags wire.TCPFlags, text []byte) []byte {
	t.Helper()
	a, b := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	h := wire.TCP{SrcPort: 1, DstPort: 2, Seq: seq, Ack: 5, Flags: flags, Window: 9, Payload: text}
	e := wire.Ethernet{Dst: wire.MAC{2, 1}, Src: wire.MAC{2, 2}, Type: wire.EtherTypeIPv4}
	p, err := h.Append(nil, a, b)
	if err == nil && a.Is4() {
		ip := wire.IPv4{Src: a, Dst: b, Protocol: wire.ProtoTCP, TTL: 64, ID: uint16(seq), Payload: p}
		e.Payload, err = ip.Append(nil)
	} else if err == nil {
		e.Type = wire.EtherTypeIPv6
		ip := wire.IPv6{Src: a, Dst: b, Next: wire.ProtoTCP, Protocol: wire.ProtoTCP, HopLimit: 64, Payload: p}
		e.Payload, err = ip.Append(nil)
	}
	if err == nil {
		p, err = e.Append(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMerger merges what follows and nothing else, and keeps the order. What comes out has right sums once the card has
// completed them.
func TestMerger(t *testing.T) {
	const four, other, six = "10.0.0.1", "10.0.0.3", "fd00::1"
	text := noise(1, 200_000)
	for _, row := range []struct {
		name   string
		frames [][]byte
		want   []int // the bytes of TCP's text in each frame that comes out
	}{
		{"one after the other", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 101, wire.ACK, text[100:200])}, []int{200}},
		{"IPv6", [][]byte{frameOf(t, six, "fd00::2", 1, wire.ACK, text[:100]),
			frameOf(t, six, "fd00::2", 101, wire.ACK, text[100:200])}, []int{200}},
		{"over the end of the numbers", [][]byte{frameOf(t, four, "10.0.0.2", 1<<32-50, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 50, wire.ACK, text[100:200])}, []int{200}},
		{"a hole", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 102, wire.ACK, text[100:200])}, []int{100, 100}},
		{"another host", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, other, "10.0.0.2", 101, wire.ACK, text[100:200])}, []int{100, 100}},
		{"a longer one", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 101, wire.ACK, text[100:201])}, []int{100, 101}},
		{"a shorter one ends it", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 101, wire.ACK, text[100:150]),
			frameOf(t, four, "10.0.0.2", 151, wire.ACK, text[150:200])}, []int{150, 50}},
		{"PSH ends it", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 101, wire.ACK|wire.PSH, text[100:200]),
			frameOf(t, four, "10.0.0.2", 201, wire.ACK, text[200:300])}, []int{200, 100}},
		{"a FIN stays alone", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]),
			frameOf(t, four, "10.0.0.2", 101, wire.ACK|wire.FIN, text[100:200])}, []int{100, 100}},
		{"no more than a packet", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:40_000]),
			frameOf(t, four, "10.0.0.2", 40_001, wire.ACK, text[40_000:80_000])}, []int{40_000, 40_000}},
		{"not TCP", [][]byte{frameOf(t, four, "10.0.0.2", 1, wire.ACK, text[:100]), make([]byte, 60),
			frameOf(t, four, "10.0.0.2", 101, wire.ACK, text[100:200])}, []int{100, -1, 100}},
	} {
		var got []int
		m := &merger{write: func(b []byte) {
			var k wire.Ethernet
			frame := received(bytes.Clone(b))
			if err := k.Parse(frame); err != nil {
				t.Fatal(err)
			}
			got = append(got, textOf(t, k))
		}}
		for _, f := range row.frames {
			m.add(f)
		}
		m.flush()
		m.flush()
		if len(got) != len(row.want) {
			t.Fatalf("%s: frames with %d bytes, want %d", row.name, got, row.want)
		}
		for i := range got {
			if got[i] != row.want[i] {
				t.Errorf("%s: frames with %d bytes, want %d", row.name, got, row.want)
			}
		}
	}
}

// textOf is how many bytes of TCP's text a frame has, whose sums have to be right; -1 where it is another.
func textOf(t *testing.T, e wire.Ethernet) int {
	t.Helper()
	var four wire.IPv4
	var six wire.IPv6
	var h wire.TCP
	var src, dst netip.Addr
	var b []byte
	switch {
	case e.Type == wire.EtherTypeIPv4 && four.Parse(e.Payload) == nil:
		if err := four.Verify(e.Payload); err != nil {
			t.Error(err)
		}
		src, dst, b = four.Src, four.Dst, four.Payload
	case e.Type == wire.EtherTypeIPv6 && six.Parse(e.Payload) == nil:
		src, dst, b = six.Src, six.Dst, six.Payload
	default:
		return -1
	}
	if err := h.Parse(b); err != nil {
		t.Error(err)
	}
	if err := h.Verify(b, src, dst); err != nil {
		t.Error(err)
	}
	return len(h.Payload)
}
