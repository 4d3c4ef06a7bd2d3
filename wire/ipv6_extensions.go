package wire

import "strconv"

// fragmentLen is the length of a fragment header in bytes.
const fragmentLen = 8

// isExtension reports whether IPv6.Parse walks through the header.
func (p Protocol) isExtension() bool {
	switch p {
	case ProtoHopByHop, ProtoRouting, ProtoFragment, ProtoDestOpts, ProtoAuth:
		return true
	}
	return false
}

// extensionLen is how long the header of type p at the start of b is, all of which is there.
func extensionLen(p Protocol, b []byte) (int, error) {
	if len(b) < 8 {
		return 0, truncated("IPv6", "extension header", 0, len(b), 8)
	}
	n := 8 + int(b[1])*8 // in units of 8 bytes, without the first
	switch p {
	case ProtoFragment:
		n = fragmentLen // the byte is reserved
	case ProtoAuth:
		n = 8 + int(b[1])*4 // in units of 4 bytes, without the first two (RFC 4302, section 2.2)
	}
	if n > len(b) {
		return 0, badLength("IPv6", "extension header length", 1, n, len(b))
	}
	return n, nil
}

func parseFragment(b []byte) IPv6Fragment {
	v := be.Uint16(b[2:])
	return IPv6Fragment{Present: true, More: v&1 != 0, Offset: v &^ 7, ID: be.Uint32(b[4:])}
}

// An IPv6Extension is one extension header. Data is the whole header, its first byte the type of the next.
type IPv6Extension struct {
	Type Protocol
	Next Protocol
	Data []byte // a view
}

// Options are those of a hop-by-hop or destination options header, and none for others.
func (e IPv6Extension) Options() IPv6Options {
	if (e.Type != ProtoHopByHop && e.Type != ProtoDestOpts) || len(e.Data) < 2 {
		return nil
	}
	return IPv6Options(e.Data[2:])
}

// Extension returns the extension header at offset of h.Extensions, and the offset of the following. It is not ok at
// the end. The first one's offset is 0 and its type h.Next; the type of each other is the Next of the one before:
//
//	for e, to, ok := h.Extension(h.Next, 0); ok; e, to, ok = h.Extension(e.Next, to) { … }
func (h *IPv6) Extension(t Protocol, offset int) (e IPv6Extension, to int, ok bool) {
	if offset < 0 || offset >= len(h.Extensions) {
		return e, offset, false
	}
	n, err := extensionLen(t, h.Extensions[offset:])
	if err != nil {
		return e, offset, false
	}
	data := cut(h.Extensions, offset, offset+n)
	return IPv6Extension{t, Protocol(data[0]), data}, offset + n, true
}

// AppendExtension writes a hop-by-hop or destination options header with these options behind the extensions ext, and
// fills it up to a multiple of 8 bytes with Pad1 or PadN. What follows it is of type next.
func AppendExtension(ext []byte, next Protocol, options IPv6Options) ([]byte, error) {
	n := (2 + len(options) + 7) &^ 7
	if n > 8+255*8 {
		return ext, badLength("IPv6", "extension header", emitted, n, 8+255*8)
	}
	if err := options.check(0); err != nil {
		return ext, emitting(err)
	}
	ext = append(append(ext, byte(next), byte(n/8-1)), options...)
	switch pad := n - 2 - len(options); pad {
	case 0:
	case 1:
		ext = append(ext, ipv6OptPad1)
	default:
		ext = append(ext, ipv6OptPadN, byte(pad-2))
		for range pad - 2 {
			ext = append(ext, 0)
		}
	}
	return ext, nil
}

// AppendFragment writes a fragment header behind the extensions ext. The fragment is of type next. Present is not
// looked at.
func AppendFragment(ext []byte, next Protocol, f IPv6Fragment) ([]byte, error) {
	if f.Offset%8 != 0 {
		return ext, badLength("IPv6", "fragment offset", emitted, int(f.Offset), int(f.Offset)&^7)
	}
	ext, p := extend(ext, fragmentLen)
	p[0], p[1] = byte(next), 0
	v := f.Offset
	if f.More {
		v |= 1
	}
	be.PutUint16(p[2:], v)
	be.PutUint32(p[4:], f.ID)
	return ext, nil
}

// The options of hop-by-hop and destination options headers that this package names.
const (
	ipv6OptPad1        = 0
	ipv6OptPadN        = 1
	IPv6OptRouterAlert = 5    // RFC 2711
	IPv6OptJumbo       = 0xc2 // RFC 2675
)

// IPv6Options are the bytes of an options header behind its first two.
type IPv6Options []byte

// An IPv6Option is one of them.
type IPv6Option struct {
	Type uint8
	Data []byte // a view
}

// An IPv6Action is what a host that does not know an option has to do (RFC 8200, section 4.2).
type IPv6Action uint8

// The two highest bits of an option's type.
const (
	IPv6Skip           IPv6Action = iota // pass over it
	IPv6Discard                          // drop the packet
	IPv6Report                           // and send a parameter problem, code 2
	IPv6ReportUnicast                    // so, unless the destination was a multicast address
	ipv6ActionPosition = 6
)

// Action is what a host that does not know the option does.
func (o IPv6Option) Action() IPv6Action { return IPv6Action(o.Type >> ipv6ActionPosition) }

// Next returns the first option that is no padding, and the rest. It is not ok at the end.
func (o IPv6Options) Next() (opt IPv6Option, rest IPv6Options, ok bool) {
	for len(o) > 0 {
		if o[0] == ipv6OptPad1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || int(o[1]) > len(o)-2 {
			return opt, nil, false // only where nobody has parsed it
		}
		n := 2 + int(o[1])
		if o[0] != ipv6OptPadN {
			return IPv6Option{o[0], cut(o, 2, n)}, o[n:], true
		}
		o = o[n:]
	}
	return opt, nil, false
}

// check finds the first option whose length is not true. The options begin at offset of the header.
func (o IPv6Options) check(offset int) error {
	for i := 0; i < len(o); {
		if o[i] == ipv6OptPad1 {
			i++
			continue
		}
		if i+1 >= len(o) {
			return truncated("IPv6", "option", offset+i, 1, 2)
		}
		if int(o[i+1]) > len(o)-i-2 {
			return badLength("IPv6", "option", offset+i, int(o[i+1]), len(o)-i-2)
		}
		i += 2 + int(o[i+1])
	}
	return nil
}

// AppendIPv6Option writes one option behind the others.
func AppendIPv6Option(o IPv6Options, kind uint8, data ...byte) (IPv6Options, error) {
	if kind == ipv6OptPad1 {
		return append(o, kind), nil
	}
	if len(data) > 255 {
		return o, badLength("IPv6", "option", emitted, len(data), 255)
	}
	return append(append(o, kind, byte(len(data))), data...), nil
}

// String is the header as tcpdump has it, as in "frag (0x12345678:0|1448)" with the length left out.
func (f IPv6Fragment) String() string {
	b := appendHex([]byte("frag (0x"), uint64(f.ID), 8)
	b = strconv.AppendUint(append(b, ':'), uint64(f.Offset), 10)
	return string(append(b, ')'))
}
