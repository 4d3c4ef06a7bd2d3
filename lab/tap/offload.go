package tap

import (
	"bytes"
	"encoding/binary"

	"github.com/plexor-go/plexor/wire"
)

// A frame of a device with Options.Offload has struct virtio_net_hdr of linux/virtio_net.h before it, in the machine's
// order of bytes:
//
//	0       1          2         4          6            8             10
//	| flags | gso type | hdr len | gso size | csum start | csum offset | frame
//
// With it one frame is many segments of TCP that differ in their numbers alone: so a call of the system, and a walk
// through each layer of both stacks, moves up to 64 KiB.
const (
	offloadLen    = 10
	needsChecksum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM: the field has the sum of the pseudo-header
	gsoTCP4       = 1 // VIRTIO_NET_HDR_GSO_TCPV4
	gsoTCP6       = 4 // VIRTIO_NET_HDR_GSO_TCPV6

	mostMerged = 65535 // bytes of an IP packet
	tcpSumAt   = 16    // the checksum's place in TCP's header
)

var native = binary.NativeEndian

// received takes the header off a frame of the kernel's, and completes the checksum where that was left to the card.
// It is nil where the header cannot be.
func received(b []byte) []byte {
	if len(b) < offloadLen {
		return nil
	}
	h, frame := b[:offloadLen], b[offloadLen:]
	if h[0]&needsChecksum != 0 {
		start, offset := int(native.Uint16(h[6:])), int(native.Uint16(h[8:]))
		if start+offset+2 > len(frame) {
			return nil
		}
		sum := wire.Sum(0).Bytes(frame[start:]).Checksum()
		if sum == 0 {
			sum = 0xffff // the same number; in UDP's header 0 says that there is none, which IPv6 refuses
		}
		binary.BigEndian.PutUint16(frame[start+offset:], sum)
	}
	return frame
}

// A merger makes one frame of segments that follow each other. Frames go out in the order in which they came.
type merger struct {
	write func([]byte)
	buf   []byte // the header of offload, and the frame; empty: none waits
	ip    int    // where TCP's header begins, in the frame
	text  int    // and where its text does
	size  int    // of the first segment's text; those behind it have as much, but for the last
	count int
	next  uint32 // the number after it
}

// layout is where TCP's header and text begin in a frame that may be merged: a segment with text and no flags but ACK
// and PSH, in a packet without options and extension headers.
func layout(b []byte) (ip, text int, ok bool) {
	if len(b) < wire.EthernetLen+wire.IPv4MinLen+wire.TCPMinLen {
		return 0, 0, false
	}
	p := b[wire.EthernetLen:]
	switch kind := wire.EtherType(binary.BigEndian.Uint16(b[12:])); {
	case kind == wire.EtherTypeIPv4 && p[0] == 0x45 && wire.Protocol(p[9]) == wire.ProtoTCP && p[6]&0x3f == 0 && p[7] == 0:
		ip = wire.EthernetLen + wire.IPv4MinLen
	case kind == wire.EtherTypeIPv6 && wire.Protocol(p[6]) == wire.ProtoTCP &&
		len(b) > wire.EthernetLen+wire.IPv6Len+wire.TCPMinLen:
		ip = wire.EthernetLen + wire.IPv6Len
	default:
		return 0, 0, false
	}
	text = ip + int(b[ip+12]>>4)*4
	flags := wire.TCPFlags(binary.BigEndian.Uint16(b[ip+12:]) & 0xfff)
	return ip, text, text < len(b) && flags&^wire.PSH == wire.ACK
}

// add takes a frame, which is copied.
func (m *merger) add(b []byte) {
	ip, text, ok := layout(b)
	if ok && m.follows(b, ip, text) {
		n := len(b) - text
		m.buf = append(m.buf, b[text:]...)
		m.count++
		m.next += uint32(n)
		push := b[ip+13] & byte(wire.PSH)
		if m.buf[offloadLen+ip+13] |= push; push != 0 || n < m.size {
			m.flush()
		}
		return
	}
	m.flush()
	m.buf = append(append(m.buf[:0], make([]byte, offloadLen)...), b...)
	m.count = 1
	if !ok || b[ip+13]&byte(wire.PSH) != 0 {
		m.flush()
		return
	}
	m.ip, m.text, m.size = ip, text, len(b)-text
	m.next = binary.BigEndian.Uint32(b[ip+4:]) + uint32(m.size)
}

// follows reports whether a segment is the next of the frame that waits, and differs in nothing else.
func (m *merger) follows(b []byte, ip, text int) bool {
	if len(m.buf) == 0 || ip != m.ip || text != m.text || len(b)-text > m.size ||
		len(m.buf)-offloadLen-wire.EthernetLen+len(b)-text > mostMerged ||
		binary.BigEndian.Uint32(b[ip+4:]) != m.next {
		return false
	}
	first := m.buf[offloadLen:]
	same := func(from, to int) bool { return bytes.Equal(first[from:to], b[from:to]) }
	if ip == wire.EthernetLen+wire.IPv4MinLen { // but for its length, its number and its checksum
		if !same(0, wire.EthernetLen+2) || !same(wire.EthernetLen+6, wire.EthernetLen+10) ||
			!same(wire.EthernetLen+12, ip) {
			return false
		}
	} else if !same(0, wire.EthernetLen+4) || !same(wire.EthernetLen+6, ip) {
		return false
	}
	// The ports; the acknowledgment and the header's length; the window; the urgent pointer and the options.
	return same(ip, ip+4) && same(ip+8, ip+13) && same(ip+14, ip+16) && same(ip+18, text)
}

// flush sends what waits.
func (m *merger) flush() {
	if len(m.buf) == 0 {
		return
	}
	if m.count > 1 {
		m.seal()
	}
	m.write(m.buf)
	m.buf = m.buf[:0]
}

// seal sets the lengths and sums of a frame of several segments.
func (m *merger) seal() {
	h, b := m.buf[:offloadLen], m.buf[offloadLen:]
	p, n := b[wire.EthernetLen:m.ip], len(b)-m.ip
	addresses := p[8:]
	if len(p) == wire.IPv4MinLen {
		h[1], addresses = gsoTCP4, p[12:]
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)+n))
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], wire.Checksum(p))
	} else {
		h[1] = gsoTCP6
		binary.BigEndian.PutUint16(p[4:], uint16(n))
	}
	pseudo := wire.Sum(0).Bytes(addresses).Uint16(uint16(wire.ProtoTCP)).Uint32(uint32(n))
	binary.BigEndian.PutUint16(b[m.ip+tcpSumAt:], ^pseudo.Checksum())
	h[0] = needsChecksum
	native.PutUint16(h[2:], uint16(m.text))
	native.PutUint16(h[4:], uint16(m.size))
	native.PutUint16(h[6:], uint16(m.ip))
	native.PutUint16(h[8:], tcpSumAt)
}
