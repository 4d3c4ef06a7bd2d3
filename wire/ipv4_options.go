package wire

import "strconv"

// The IPv4 options of RFC 791, section 3.1, and RFC 2113. The numbers hold the copied flag and the class: an option
// whose first bit is set is copied into every fragment.
const (
	IPv4OptEnd         = 0
	IPv4OptNop         = 1
	IPv4OptRecordRoute = 7
	IPv4OptTimestamp   = 68
	IPv4OptLooseRoute  = 131
	IPv4OptRouterAlert = 148
	IPv4OptStrictRoute = 137
)

// IPv4Options are the bytes of a header's options, a multiple of 4. They end at an IPv4OptEnd or with the header.
type IPv4Options []byte

// An IPv4Option is one of them. Data is what follows the length byte; End and Nop have none.
type IPv4Option struct {
	Type uint8
	Data []byte // a view
}

// Copied reports whether each fragment has to have the option, and not only the first.
func (o IPv4Option) Copied() bool { return o.Type&0x80 != 0 }

// Next returns the first option and the rest. It is not ok at the end:
//
//	for o, rest, ok := h.Options.Next(); ok; o, rest, ok = rest.Next() { … }
func (o IPv4Options) Next() (opt IPv4Option, rest IPv4Options, ok bool) {
	kind, data, after, ok := nextTLV(o)
	return IPv4Option{kind, data}, after, ok
}

// nextTLV takes an option of the form that IPv4 and TCP share: 0 ends the list, 1 is a filler, and every other has a
// length that counts type and length too.
func nextTLV(o []byte) (kind uint8, data, rest []byte, ok bool) {
	switch {
	case len(o) == 0 || o[0] == 0:
		return 0, nil, nil, false
	case o[0] == 1:
		return 1, nil, o[1:], true
	case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
		return 0, nil, nil, false // only where nobody has parsed it
	}
	n := int(o[1])
	return o[0], cut(o, 2, n), o[n:], true
}

// checkTLV finds the first option whose length is not true. The options begin at offset of the header.
func checkTLV(format string, o []byte, offset int) error {
	for i := 0; i < len(o); {
		switch {
		case o[i] == 0:
			return nil
		case o[i] == 1:
			i++
			continue
		}
		if i+1 >= len(o) {
			return truncated(format, "option", offset+i, 1, 2)
		}
		if n := int(o[i+1]); n < 2 || n > len(o)-i {
			return badLength(format, "option", offset+i, n, len(o)-i)
		}
		i += int(o[i+1])
	}
	return nil
}

func (o IPv4Options) check(offset int) error { return checkTLV("IPv4", o, offset) }

// AppendIPv4Option writes one option behind the others. PadOptions makes them a multiple of 4 bytes long.
func AppendIPv4Option(o IPv4Options, kind uint8, data ...byte) (IPv4Options, error) {
	if kind == IPv4OptEnd || kind == IPv4OptNop {
		return append(o, kind), nil
	}
	if len(data)+2 > IPv4MaxOptions {
		return o, badLength("IPv4", "option", emitted, len(data)+2, IPv4MaxOptions)
	}
	return append(append(o, kind, byte(len(data)+2)), data...), nil
}

// PadOptions fills options of IPv4 or TCP up to a multiple of 4 bytes with End.
func PadOptions(o []byte) []byte {
	for len(o)%4 != 0 {
		o = append(o, 0)
	}
	return o
}

func (o IPv4Options) text(b []byte) []byte {
	start := len(b)
	comma := func() {
		if len(b) > start {
			b = append(b, ',')
		}
	}
	for opt, rest, ok := o.Next(); ok; opt, rest, ok = rest.Next() {
		comma()
		switch opt.Type {
		case IPv4OptNop:
			b = append(b, "NOP"...)
		case IPv4OptRecordRoute:
			b = opt.route(append(b, "RR"...))
		case IPv4OptTimestamp:
			b = append(b, "TS"...)
		case IPv4OptLooseRoute:
			b = opt.route(append(b, "LSRR"...))
		case IPv4OptStrictRoute:
			b = opt.route(append(b, "SSRR"...))
		case IPv4OptRouterAlert:
			b = append(b, "RA"...)
		default:
			b = strconv.AppendUint(append(b, "unknown "...), uint64(opt.Type), 10)
		}
		o = rest
	}
	if len(o) > 0 && o[0] == IPv4OptEnd {
		comma()
		b = append(b, "EOL"...)
	}
	return b
}

// route writes the addresses of a route option. A comma ends those before the pointer, which counts bytes from the
// option's first as 1 (RFC 791, section 3.1).
func (o IPv4Option) route(b []byte) []byte {
	if len(o.Data) == 0 {
		return b
	}
	for i := 1; i+4 <= len(o.Data); i += 4 {
		b = addr4(o.Data[i : i+4]).AppendTo(append(b, ' '))
		if int(o.Data[0])-1 > i+2 {
			b = append(b, ',')
		}
	}
	return b
}
