package wire

import "strconv"

// A MAC is the address of a network card (IEEE 802, EUI-48).
type MAC [6]byte

// Broadcast is every card's address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ParseMAC reads "02:00:5e:10:00:01": six pairs of hexadecimal digits with colons between them.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != 17 {
		return MAC{}, badLength("MAC", "text", 0, len(s), 17)
	}
	for i := range m {
		hi, lo := hexDigit(s[3*i]), hexDigit(s[3*i+1])
		if hi < 0 || lo < 0 {
			return MAC{}, badValue("MAC", "digits", 3*i, i)
		}
		if i < 5 && s[3*i+2] != ':' {
			return MAC{}, badValue("MAC", "colon", 3*i+2, int(s[3*i+2]))
		}
		m[i] = byte(hi<<4 | lo)
	}
	return m, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// IsMulticast reports whether the address is that of a group; the broadcast address is one.
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// IsLocal reports whether the address was made up here, rather than by the card's manufacturer.
func (m MAC) IsLocal() bool { return m[0]&2 != 0 }

// String is the address in the form that ParseMAC reads.
func (m MAC) String() string { return string(m.text(nil)) }

func (m MAC) text(b []byte) []byte {
	for i, x := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = appendHex(b, uint64(x), 2)
	}
	return b
}

// EthernetLen is the length of an Ethernet header in bytes.
const EthernetLen = 14

// EthernetMin is the length of the shortest frame, without the checksum of 4 bytes behind it (IEEE 802.3). A card
// fills a shorter one up with zeros. PadEthernet does that.
const EthernetMin = 60

// Ethernet is a frame as a driver sees it: without preamble and without the frame check sequence.
//
//	0        6        12     14
//	| dst    | src    | type | payload … | padding …
//
// An Ethernet II frame has an ether type. An IEEE 802.3 frame has the length of its payload in the same place, and its
// payload begins with an [LLC] header; there, and only there, this format knows where the payload ends, and Parse puts
// what follows into Pad.
type Ethernet struct {
	Dst, Src MAC
	Type     EtherType // at most MaxLength: an 802.3 frame; Append writes the payload's length then
	Payload  []byte
	Pad      []byte // behind the payload of an 802.3 frame
}

// Parse reads a frame.
func (h *Ethernet) Parse(b []byte) error {
	if len(b) < EthernetLen {
		return truncated("Ethernet", "header", 0, len(b), EthernetLen)
	}
	h.Dst, h.Src = MAC(b[0:6]), MAC(b[6:12])
	var err error
	h.Type, h.Payload, h.Pad, err = parseType("Ethernet", b, 12)
	return err
}

// parseType reads the type or length at offset, and what follows it.
func parseType(format string, b []byte, offset int) (t EtherType, payload, pad []byte, err error) {
	t = EtherType(be.Uint16(b[offset:]))
	from, to := offset+2, len(b)
	if t.IsLength() {
		if int(t) > len(b)-from {
			return t, nil, nil, badLength(format, "length", offset, int(t), len(b)-from)
		}
		to = from + int(t)
		pad = cut(b, to, len(b))
	} else if t < minEtherType {
		return t, nil, nil, badValue(format, "type", offset, int(t))
	}
	return t, cut(b, from, to), pad, nil
}

// checkType says what a frame with n bytes of payload has in the place of its type.
func checkType(format string, t EtherType, n int) (EtherType, error) {
	switch {
	case t >= minEtherType:
		return t, nil
	case !t.IsLength():
		return t, badValue(format, "type", emitted, int(t))
	case n > int(MaxLength):
		return t, badLength(format, "length", emitted, n, int(MaxLength))
	}
	return EtherType(n), nil
}

// AppendHeader writes the header of a frame whose payload of n bytes is to follow. Payload and Pad are not looked at.
func (h *Ethernet) AppendHeader(b []byte, n int) ([]byte, error) {
	t, err := checkType("Ethernet", h.Type, n)
	if err != nil {
		return b, err
	}
	b, p := extend(b, EthernetLen)
	copy(p[0:6], h.Dst[:])
	copy(p[6:12], h.Src[:])
	be.PutUint16(p[12:], uint16(t))
	return b, nil
}

// Append writes the frame.
func (h *Ethernet) Append(b []byte) ([]byte, error) {
	out, err := h.AppendHeader(b, len(h.Payload))
	if err != nil {
		return b, err
	}
	return append(append(out, h.Payload...), h.Pad...), nil
}

// PadEthernet fills the frame up with zeros to EthernetMin. The frame began at start.
func PadEthernet(b []byte, start int) []byte {
	short := EthernetMin - (len(b) - start)
	if short <= 0 {
		return b
	}
	b, p := extend(b, short)
	clear(p)
	return b
}

// String is what tcpdump -e puts before the payload, as in
// "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42".
func (h *Ethernet) String() string { return string(h.text(nil)) }

func (h *Ethernet) text(b []byte) []byte {
	b = append(h.Src.text(b), " > "...)
	b = append(h.Dst.text(b), ", "...)
	if h.Type.IsLength() {
		b = append(b, "802.3"...)
	} else {
		b = h.Type.text(append(b, "ethertype "...))
	}
	b = append(b, ", length "...)
	n := len(h.Payload)
	if !h.Type.IsLength() {
		n += EthernetLen
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// VLANLen is the length of a tag in bytes.
const VLANLen = 4

// VLAN is a tag of IEEE 802.1Q and the rest of its frame. It stands behind the addresses, in the place of the type, and
// the type of the frame comes after it: so it is read as the payload of an Ethernet of type EtherTypeVLAN, and may be
// the payload of another tag.
//
//	 0 1 2 3 4 5 6 7 8 9 …      16
//	| PCP |D| VLAN identifier  | type
type VLAN struct {
	Priority     uint8  // 0 to 7, the PCP
	DropEligible bool   // drop this one first (802.1Q-2011; before, the canonical format indicator)
	ID           uint16 // 0 (priority only) to 4095 (reserved)
	Type         EtherType
	Payload      []byte
	Pad          []byte // behind the payload where Type is a length
}

// Parse reads a tag, from the two bytes that follow the ether type 0x8100.
func (h *VLAN) Parse(b []byte) error {
	if len(b) < VLANLen {
		return truncated("VLAN", "tag", 0, len(b), VLANLen)
	}
	tci := be.Uint16(b)
	h.Priority, h.DropEligible, h.ID = uint8(tci>>13), tci&0x1000 != 0, tci&0xfff
	var err error
	h.Type, h.Payload, h.Pad, err = parseType("VLAN", b, 2)
	return err
}

// AppendHeader writes the tag of a frame whose payload of n bytes is to follow.
func (h *VLAN) AppendHeader(b []byte, n int) ([]byte, error) {
	t, err := checkType("VLAN", h.Type, n)
	switch {
	case err != nil:
		return b, err
	case h.Priority > 7:
		return b, badValue("VLAN", "priority", emitted, int(h.Priority))
	case h.ID > 0xfff:
		return b, badValue("VLAN", "identifier", emitted, int(h.ID))
	}
	tci := uint16(h.Priority)<<13 | h.ID
	if h.DropEligible {
		tci |= 0x1000
	}
	b, p := extend(b, VLANLen)
	be.PutUint16(p, tci)
	be.PutUint16(p[2:], uint16(t))
	return b, nil
}

// Append writes the tag and the payload.
func (h *VLAN) Append(b []byte) ([]byte, error) {
	out, err := h.AppendHeader(b, len(h.Payload))
	if err != nil {
		return b, err
	}
	return append(append(out, h.Payload...), h.Pad...), nil
}

// String is the tag as tcpdump -e has it, as in "vlan 5, p 0, ethertype IPv4 (0x0800)".
func (h *VLAN) String() string { return string(h.text(nil)) }

func (h *VLAN) text(b []byte) []byte {
	b = strconv.AppendInt(append(b, "vlan "...), int64(h.ID), 10)
	b = strconv.AppendInt(append(b, ", p "...), int64(h.Priority), 10)
	if h.DropEligible {
		b = append(b, ", DEI"...)
	}
	if h.Type.IsLength() {
		return append(b, ", 802.3"...)
	}
	return h.Type.text(append(b, ", ethertype "...))
}

// LLCLen is the length of the LLC header that this package reads, in bytes.
const LLCLen = 3

// The service access point of spanning tree, and the control field of an unnumbered information frame (IEEE 802.2).
const (
	SAPSpanningTree  = 0x42
	ControlUnnumber  = 0x03
	controlUnnumMask = 0x03
)

// LLC is the header that an IEEE 802.3 frame's payload begins with, of the unnumbered kind (one byte of control), which
// spanning tree uses.
type LLC struct {
	DSAP, SSAP uint8 // service access points: whom the payload is for and from
	Control    uint8 // the low two bits are 11
	Payload    []byte
}

// Parse reads the payload of an 802.3 frame. Numbered frames, with two bytes of control, are ErrUnsupported.
func (h *LLC) Parse(b []byte) error {
	if len(b) < LLCLen {
		return truncated("LLC", "header", 0, len(b), LLCLen)
	}
	h.DSAP, h.SSAP, h.Control = b[0], b[1], b[2]
	h.Payload = cut(b, LLCLen, len(b))
	if h.Control&controlUnnumMask != controlUnnumMask {
		return unsupported("LLC", "control", 2, int(h.Control))
	}
	return nil
}

// Append writes header and payload.
func (h *LLC) Append(b []byte) ([]byte, error) {
	if h.Control&controlUnnumMask != controlUnnumMask {
		return b, unsupported("LLC", "control", emitted, int(h.Control))
	}
	return append(append(b, h.DSAP, h.SSAP, h.Control), h.Payload...), nil
}

// String is the header as tcpdump has it.
func (h *LLC) String() string { return string(h.text(nil)) }

func (h *LLC) text(b []byte) []byte {
	b = appendHex(append(b, "LLC, dsap 0x"...), uint64(h.DSAP), 2)
	b = appendHex(append(b, ", ssap 0x"...), uint64(h.SSAP), 2)
	return appendHex(append(b, ", ctrl 0x"...), uint64(h.Control), 2)
}
