package wire

import "strconv"

// The kinds of TCP options that this package reads (IANA's "TCP Option Kind Numbers").
const (
	TCPOptEnd        = 0
	TCPOptNop        = 1
	TCPOptMSS        = 2 // RFC 9293, section 3.7.1
	TCPOptScale      = 3 // RFC 7323, section 2
	TCPOptSACKPerm   = 4 // RFC 2018
	TCPOptSACK       = 5 // RFC 2018, 2883
	TCPOptTimestamps = 8 // RFC 7323, section 3
)

// MaxSACK is how many blocks fit in an option area of 40 bytes (RFC 2018, section 3).
const MaxSACK = 4

// MaxWindowScale is the largest shift; a larger one counts as this (RFC 7323, section 2.3).
const MaxWindowScale = 14

// A SACKBlock is a run of bytes that has come, from Left up to and without Right.
type SACKBlock struct{ Left, Right uint32 }

// TCPOptions are the options that an endpoint acts on. Others are passed over, and so is one of these with a length
// that is not its own, as if it were of another kind. Where an option comes twice, the last counts.
type TCPOptions struct {
	HasMSS        bool
	HasScale      bool
	SACKPermitted bool
	HasTimestamps bool
	Scale         uint8 // the shift, as it is on the wire: may be over MaxWindowScale
	SACKs         uint8 // how many of SACK there are, at most MaxSACK
	MSS           uint16
	Value, Echo   uint32 // TSval and TSecr
	SACK          [MaxSACK]SACKBlock
}

// The first four bytes of the options of most segments: NOP, NOP, timestamps, 10 (RFC 7323, appendix A).
const tcpTimestampsOnly = TCPOptNop<<24 | TCPOptNop<<16 | TCPOptTimestamps<<8 | 10

// Parse reads the options of a header. They were checked by TCP.Parse; what is not true in others ends the list.
func (o *TCPOptions) Parse(b []byte) {
	if len(b) == 12 && be.Uint32(b) == tcpTimestampsOnly {
		*o = TCPOptions{HasTimestamps: true, Value: be.Uint32(b[4:]), Echo: be.Uint32(b[8:])}
		return
	}
	*o = TCPOptions{}
	for kind, data, rest, ok := nextTLV(b); ok; kind, data, rest, ok = nextTLV(rest) {
		switch {
		case kind == TCPOptMSS && len(data) == 2:
			o.HasMSS, o.MSS = true, be.Uint16(data)
		case kind == TCPOptScale && len(data) == 1:
			o.HasScale, o.Scale = true, data[0]
		case kind == TCPOptSACKPerm && len(data) == 0:
			o.SACKPermitted = true
		case kind == TCPOptTimestamps && len(data) == 8:
			o.HasTimestamps, o.Value, o.Echo = true, be.Uint32(data), be.Uint32(data[4:])
		case kind == TCPOptSACK && len(data) > 0 && len(data)%8 == 0:
			o.SACKs = uint8(min(len(data)/8, MaxSACK))
			for i := range int(o.SACKs) {
				o.SACK[i] = SACKBlock{be.Uint32(data[8*i:]), be.Uint32(data[8*i+4:])}
			}
		}
	}
}

// Append writes the options behind b, filled up to a multiple of 4 bytes with NOPs, which stand before the odd ones:
// in the order of Linux, so that a trace looks as one expects. With timestamps, MSS, scale and permission they take 20
// bytes, with timestamps alone 12, and each block 8 more, 4 for the first. More than fits is an ErrLength.
func (o *TCPOptions) Append(b []byte) ([]byte, error) {
	if int(o.SACKs) > MaxSACK {
		return b, overLimit("TCP", "SACK blocks", emitted, int(o.SACKs), MaxSACK)
	}
	out := b
	if o.HasMSS {
		out = append(out, TCPOptMSS, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	switch {
	case o.HasTimestamps && o.SACKPermitted:
		out = append(out, TCPOptSACKPerm, 2, TCPOptTimestamps, 10)
	case o.HasTimestamps:
		out = append(out, TCPOptNop, TCPOptNop, TCPOptTimestamps, 10)
	case o.SACKPermitted:
		out = append(out, TCPOptNop, TCPOptNop, TCPOptSACKPerm, 2)
	}
	if o.HasTimestamps {
		out = be.AppendUint32(be.AppendUint32(out, o.Value), o.Echo)
	}
	if o.HasScale {
		out = append(out, TCPOptNop, TCPOptScale, 3, o.Scale)
	}
	if o.SACKs > 0 {
		out = append(out, TCPOptNop, TCPOptNop, TCPOptSACK, byte(2+8*o.SACKs))
		for _, s := range o.SACK[:o.SACKs] {
			out = be.AppendUint32(be.AppendUint32(out, s.Left), s.Right)
		}
	}
	if n := len(out) - len(b); n > TCPMaxOptions {
		return b, badLength("TCP", "options", emitted, n, TCPMaxOptions)
	}
	return out, nil
}

func appendTCPOptionsText(b, options []byte) []byte {
	for first := true; len(options) > 0; first = false {
		if !first {
			b = append(b, ',')
		}
		if options[0] == TCPOptEnd {
			return append(b, "eol"...)
		}
		kind, data, rest, ok := nextTLV(options)
		if !ok {
			return append(b, "bad opt"...)
		}
		b = appendTCPOptionText(b, kind, data)
		options = rest
	}
	return b
}

func appendTCPOptionText(b []byte, kind uint8, data []byte) []byte {
	switch {
	case kind == TCPOptNop:
		return append(b, "nop"...)
	case kind == TCPOptMSS && len(data) == 2:
		return strconv.AppendUint(append(b, "mss "...), uint64(be.Uint16(data)), 10)
	case kind == TCPOptScale && len(data) == 1:
		return strconv.AppendUint(append(b, "wscale "...), uint64(data[0]), 10)
	case kind == TCPOptSACKPerm && len(data) == 0:
		return append(b, "sackOK"...)
	case kind == TCPOptTimestamps && len(data) == 8:
		b = strconv.AppendUint(append(b, "TS val "...), uint64(be.Uint32(data)), 10)
		return strconv.AppendUint(append(b, " ecr "...), uint64(be.Uint32(data[4:])), 10)
	case kind == TCPOptSACK && len(data) > 0 && len(data)%8 == 0:
		b = strconv.AppendInt(append(b, "sack "...), int64(len(data)/8), 10)
		for b = append(b, ' '); len(data) > 0; data = data[8:] {
			b = strconv.AppendUint(append(b, '{'), uint64(be.Uint32(data)), 10)
			b = strconv.AppendUint(append(b, ':'), uint64(be.Uint32(data[4:])), 10)
			b = append(b, '}')
		}
		return b
	}
	b = strconv.AppendUint(append(b, "unknown-"...), uint64(kind), 10)
	if len(data) > 0 {
		b = append(b, " 0x"...)
		for _, x := range data {
			b = appendHex(b, uint64(x), 2)
		}
	}
	return b
}
