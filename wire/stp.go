package wire

import (
	"strconv"
	"time"
)

// The lengths of the three kinds of BPDU, in bytes (IEEE 802.1D-2004, section 9.3).
const (
	BPDUTopologyLen = 4
	BPDUConfigLen   = 35
	BPDURapidLen    = 36
)

// SpanningTreeGroup is where bridges send their BPDUs to: frames to it are never forwarded.
var SpanningTreeGroup = MAC{0x01, 0x80, 0xc2, 0, 0, 0}

// A BPDUType is the kind of a BPDU.
type BPDUType uint8

// The kinds: a configuration, of IEEE 802.1D-1998; a rapid one; and a notice that the topology has changed.
const (
	BPDUConfig   BPDUType = 0x00
	BPDURapid    BPDUType = 0x02
	BPDUTopology BPDUType = 0x80
)

// BPDUFlags are the flags of a configuration; between the first and the last, a rapid one has the port's role and
// state.
type BPDUFlags uint8

// The flags of IEEE 802.1D-2004, section 9.3.3. BPDURole masks the role's two bits.
const (
	BPDUTopologyChange BPDUFlags = 0x01
	BPDUProposal       BPDUFlags = 0x02
	BPDURole           BPDUFlags = 0x0c
	BPDULearning       BPDUFlags = 0x10
	BPDUForwarding     BPDUFlags = 0x20
	BPDUAgreement      BPDUFlags = 0x40
	BPDUTopologyAck    BPDUFlags = 0x80
)

// A BridgeID is a bridge's place in the election of the root: the lower one wins.
type BridgeID struct {
	Priority uint16 // with, in its low 12 bits, the VLAN in newer bridges
	MAC      MAC
}

// Less reports whether b wins against o.
func (b BridgeID) Less(o BridgeID) bool { return b.number() < o.number() }

func (b BridgeID) number() uint64 {
	v := uint64(b.Priority)
	for _, x := range b.MAC {
		v = v<<8 | uint64(x)
	}
	return v
}

// String is the identifier as tcpdump has it, as in "8000.02:00:00:00:00:01".
func (b BridgeID) String() string { return string(b.text(nil)) }

func (b BridgeID) text(t []byte) []byte {
	return b.MAC.text(append(appendHex(t, uint64(b.Priority), 4), '.'))
}

// A BPDU is a message between bridges (IEEE 802.1D-2004, section 9): the payload of an LLC frame with both service
// access points 0x42. A topology notice has nothing but its type.
//
//	0          2         3      4       5      13          17         25     27    29        31      33      35
//	| protocol | version | type | flags | root | root cost | bridge | port | age | max age | hello | delay | v1 length
//
// Times are units of 1/256 s on the wire, and Append rounds down.
type BPDU struct {
	Version  uint8 // 0, or 2 in a rapid one, or more: then Extra is what follows
	Type     BPDUType
	Flags    BPDUFlags
	Port     uint16 // of the sender; its priority in the high bits
	Root     BridgeID
	RootCost uint32 // of the sender's path to the root
	Bridge   BridgeID
	Age      time.Duration // of this information, since it left the root
	MaxAge   time.Duration
	Hello    time.Duration
	Delay    time.Duration // forward delay
	Extra    []byte        // behind what is known: version 1's length and what follows
}

// maxBPDUTime is the largest time that the 16 bits hold.
const maxBPDUTime = (1<<16 - 1) * bpduUnit

// bpduUnit is the unit of times on the wire.
const bpduUnit = time.Second / 256

// Parse reads a message: all of b.
func (h *BPDU) Parse(b []byte) error {
	if len(b) < BPDUTopologyLen {
		return truncated("STP", "header", 0, len(b), BPDUTopologyLen)
	}
	if p := be.Uint16(b); p != 0 {
		return badValue("STP", "protocol", 0, int(p))
	}
	*h = BPDU{Version: b[2], Type: BPDUType(b[3])}
	switch h.Type {
	case BPDUTopology:
		h.Extra = cut(b, BPDUTopologyLen, len(b))
		return nil
	case BPDUConfig:
	case BPDURapid:
		if h.Version < 2 {
			return badValue("STP", "version", 2, int(h.Version))
		}
		if len(b) < BPDURapidLen {
			return truncated("STP", "rapid BPDU", 0, len(b), BPDURapidLen)
		}
	default:
		return unsupported("STP", "type", 3, int(h.Type))
	}
	if len(b) < BPDUConfigLen {
		return truncated("STP", "configuration", 0, len(b), BPDUConfigLen)
	}
	h.Flags, h.RootCost, h.Port = BPDUFlags(b[4]), be.Uint32(b[13:]), be.Uint16(b[25:])
	h.Root = BridgeID{be.Uint16(b[5:]), MAC(b[7:13])}
	h.Bridge = BridgeID{be.Uint16(b[17:]), MAC(b[19:25])}
	h.Age, h.MaxAge = bpduTime(b[27:]), bpduTime(b[29:])
	h.Hello, h.Delay = bpduTime(b[31:]), bpduTime(b[33:])
	h.Extra = cut(b, BPDUConfigLen, len(b))
	return nil
}

func bpduTime(b []byte) time.Duration { return time.Duration(be.Uint16(b)) * bpduUnit }

// Append writes the message. A rapid one without Extra gets version 1's length, 0.
func (h *BPDU) Append(b []byte) ([]byte, error) {
	switch h.Type {
	case BPDUTopology:
		return append(append(b, 0, 0, h.Version, byte(h.Type)), h.Extra...), nil
	case BPDUConfig:
	case BPDURapid:
		if h.Version < 2 {
			return b, badValue("STP", "version", emitted, int(h.Version))
		}
	default:
		return b, unsupported("STP", "type", emitted, int(h.Type))
	}
	times := [...]time.Duration{h.Age, h.MaxAge, h.Hello, h.Delay}
	for _, d := range times {
		if d < 0 || d > maxBPDUTime {
			return b, badValue("STP", "time", emitted, int(d/bpduUnit))
		}
	}
	b, p := extend(b, BPDUConfigLen)
	p[0], p[1], p[2], p[3], p[4] = 0, 0, h.Version, byte(h.Type), byte(h.Flags)
	be.PutUint16(p[5:], h.Root.Priority)
	copy(p[7:], h.Root.MAC[:])
	be.PutUint32(p[13:], h.RootCost)
	be.PutUint16(p[17:], h.Bridge.Priority)
	copy(p[19:], h.Bridge.MAC[:])
	be.PutUint16(p[25:], h.Port)
	for i, d := range times {
		be.PutUint16(p[27+2*i:], uint16(d/bpduUnit))
	}
	if h.Type == BPDURapid && len(h.Extra) == 0 {
		return append(b, 0), nil
	}
	return append(b, h.Extra...), nil
}

// String is tcpdump's line, as in "STP 802.1d, Config, Flags [none], bridge-id 8000.02:00:00:00:00:01.8001, length 35".
func (h *BPDU) String() string { return string(h.text(nil)) }

func (h *BPDU) text(b []byte) []byte {
	switch h.Version {
	case 0:
		b = append(b, "STP 802.1d"...)
	case 2:
		b = append(b, "STP 802.1w"...)
	case 3:
		b = append(b, "STP 802.1s"...)
	default:
		b = strconv.AppendUint(append(b, "STP Unknown STP protocol (0x"...), uint64(h.Version), 16)
		b = append(b, ')')
	}
	switch h.Type {
	case BPDUTopology:
		return append(b, ", Topology Change"...)
	case BPDUConfig:
		b = append(b, ", Config"...)
	default:
		b = append(b, ", Rapid STP"...)
	}
	b = h.flags(append(b, ", Flags ["...))
	b = h.Bridge.text(append(b, "], bridge-id "...))
	b = appendHex(append(b, '.'), uint64(h.Port), 4)
	return strconv.AppendInt(append(b, ", length "...), int64(BPDUConfigLen+len(h.Extra)), 10)
}

func (h *BPDU) flags(b []byte) []byte {
	n := len(b)
	for _, f := range [...]struct {
		bit  BPDUFlags
		name string
	}{
		{BPDUTopologyChange, "Topology change"}, {BPDUProposal, "Proposal"}, {BPDULearning, "Learn"},
		{BPDUForwarding, "Forward"}, {BPDUAgreement, "Agreement"}, {BPDUTopologyAck, "Topology change ACK"},
	} {
		if h.Flags&f.bit == 0 {
			continue
		}
		if len(b) > n {
			b = append(b, ", "...)
		}
		b = append(b, f.name...)
	}
	if len(b) == n {
		return append(b, "none"...)
	}
	return b
}
