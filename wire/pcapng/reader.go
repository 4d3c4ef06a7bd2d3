package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// A Reader reads a capture. The first error stays.
type Reader struct {
	r          io.Reader
	order      binary.ByteOrder
	section    Section
	interfaces []Interface
	packet     Packet
	buf        []byte
	offset     int64 // of the block that is read
	next       int64
	err        error
}

// NewReader makes a Reader. It reads one block at a time, with two reads: give it a bufio.Reader where reads cost.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Section is where the packet that Next returned last comes from.
func (r *Reader) Section() Section { return r.section }

// Interfaces are those of the section up to here. They are not to be changed.
func (r *Reader) Interfaces() []Interface { return r.interfaces }

// Next is the next packet, good until the following call; io.EOF behind the last one.
func (r *Reader) Next() (*Packet, error) {
	for r.err == nil {
		var kind uint32
		var body []byte
		if kind, body, r.err = r.block(); r.err != nil {
			break
		}
		var ok bool
		switch kind {
		case blockSection:
			r.err = r.header(body)
		case blockInterface:
			r.err = r.iface(body)
		case blockPacket:
			ok, r.err = true, r.enhanced(body)
		case blockSimple:
			ok, r.err = true, r.simple(body)
		}
		if ok && r.err == nil {
			return &r.packet, nil
		}
	}
	return nil, r.err
}

// block reads a block: its type, and what is between its lengths.
func (r *Reader) block() (kind uint32, body []byte, err error) {
	r.offset = r.next
	var head [12]byte
	if n, err := io.ReadFull(r.r, head[:8]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) && r.order != nil {
			return 0, nil, io.EOF
		}
		return 0, nil, r.short(err)
	}
	from := 8
	if binary.LittleEndian.Uint32(head[:]) == blockSection { // the same in both orders
		if _, err := io.ReadFull(r.r, head[8:]); err != nil {
			return 0, nil, r.short(err)
		}
		from = 12
		switch uint32(byteOrder) {
		case binary.LittleEndian.Uint32(head[8:]):
			r.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]):
			r.order = binary.BigEndian
		default:
			return 0, nil, formatError(r.offset, "no byte order is %x", head[8:])
		}
	} else if r.order == nil {
		return 0, nil, formatError(r.offset, "it is no section header")
	}
	n := int64(r.order.Uint32(head[4:]))
	switch {
	case n > MaxBlock:
		return 0, nil, limitError(r.offset, "length", n, MaxBlock)
	case n%4 != 0 || n < int64(from)+4:
		return 0, nil, formatError(r.offset, "its length is %d", n)
	}
	if err := r.fill(int(n) - from); err != nil {
		return 0, nil, err
	}
	body = r.buf[:len(r.buf)-4]
	if behind := int64(r.order.Uint32(r.buf[len(r.buf)-4:])); behind != n {
		return 0, nil, formatError(r.offset, "its length is %d before it and %d behind", n, behind)
	}
	r.next += n
	return r.order.Uint32(head[:]), body, nil
}

// fill reads n bytes. The buffer grows with what has come, not with what was announced.
func (r *Reader) fill(n int) error {
	const step = 64 << 10
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		from := len(r.buf)
		more := min(n-from, max(step, cap(r.buf)-from))
		if from+more > cap(r.buf) {
			grown := make([]byte, from, max(2*from, from+more))
			copy(grown, r.buf)
			r.buf = grown
		}
		r.buf = r.buf[:from+more]
		if _, err := io.ReadFull(r.r, r.buf[from:]); err != nil {
			return r.short(err)
		}
	}
	return nil
}

// short is the error of a file that ends within a block, or of its reader.
func (r *Reader) short(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("pcapng: block at byte %d: %w", r.offset, err)
}

// options calls each for every option of b.
func (r *Reader) options(b []byte, each func(code uint16, value []byte) error) error {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == optEnd {
			return nil
		}
		if n > len(b)-4 {
			return formatError(r.offset, "an option has %d bytes of %d", n, len(b)-4)
		}
		if err := each(code, b[4:4+n]); err != nil {
			return err
		}
		b = b[min(len(b), 4+(n+3)&^3):]
	}
	return nil
}

func (r *Reader) header(b []byte) error {
	if len(b) < 12 { // behind the byte order
		return formatError(r.offset, "a section header of %d bytes", len(b))
	}
	if major := r.order.Uint16(b); major != 1 {
		return fmt.Errorf("pcapng: block at byte %d: version %d: %w", r.offset, major, ErrUnsupported)
	}
	r.section, r.interfaces = Section{}, nil
	return r.options(b[12:], func(code uint16, value []byte) error {
		switch code {
		case optComment:
			r.section.Comments = append(r.section.Comments, string(value))
		case optHardware:
			r.section.Hardware = string(value)
		case optSystem:
			r.section.System = string(value)
		case optApplication:
			r.section.Application = string(value)
		}
		return nil
	})
}

func (r *Reader) iface(b []byte) error {
	if len(b) < 8 {
		return formatError(r.offset, "an interface of %d bytes", len(b))
	}
	if len(r.interfaces) == MaxInterfaces {
		return limitError(r.offset, "interfaces", MaxInterfaces+1, MaxInterfaces)
	}
	i := Interface{LinkType: LinkType(r.order.Uint16(b)), SnapLen: r.order.Uint32(b[4:]), resolution: 1e6}
	err := r.options(b[8:], func(code uint16, value []byte) error {
		switch {
		case code == optName:
			i.Name = string(value)
		case code == optDescription:
			i.Description = string(value)
		case code == optResolution && len(value) == 1:
			if i.resolution = resolution(value[0]); i.resolution == 0 {
				return fmt.Errorf("pcapng: block at byte %d: times of resolution %#x: %w", r.offset, value[0], ErrUnsupported)
			}
		case code == optOffset && len(value) == 8:
			i.offset = int64(r.order.Uint64(value))
		}
		return nil
	})
	r.interfaces = append(r.interfaces, i)
	return err
}

// resolution is how many units a second has: 10 to the power of v, or with the first bit set 2 to it. 0: too fine.
func resolution(v byte) uint64 {
	n := uint(v & 0x7f)
	if v&0x80 != 0 {
		if n > 63 {
			return 0
		}
		return 1 << n
	}
	if n > 19 {
		return 0
	}
	u := uint64(1)
	for range n {
		u *= 10
	}
	return u
}

// time is that of a packet, ticks after the interface's beginning.
func (i *Interface) time(ticks uint64) time.Time {
	sec, rest := ticks/i.resolution, ticks%i.resolution
	hi, lo := bits.Mul64(rest, 1e9)
	ns, _ := bits.Div64(hi, lo, i.resolution) // rest is below the resolution: ns is below 10⁹
	return time.Unix(int64(sec)+i.offset, int64(ns)).UTC()
}

func (r *Reader) enhanced(b []byte) error {
	if len(b) < 20 {
		return formatError(r.offset, "a packet block of %d bytes", len(b))
	}
	id, n := r.order.Uint32(b), r.order.Uint32(b[12:])
	if int64(id) >= int64(len(r.interfaces)) {
		return formatError(r.offset, "interface %d of %d", id, len(r.interfaces))
	}
	if int64(n) > int64(len(b)-20) {
		return formatError(r.offset, "a packet has %d bytes of %d", n, len(b)-20)
	}
	i := &r.interfaces[id]
	end := 20 + int(n)
	r.packet = Packet{Interface: int(id), Data: b[20:end:end], Length: int(r.order.Uint32(b[16:])),
		Time: i.time(uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:])))}
	return r.options(b[min(len(b), (end+3)&^3):], func(code uint16, value []byte) error {
		switch {
		case code == optComment:
			r.packet.Comments = append(r.packet.Comments, string(value))
		case code == optFlags && len(value) == 4:
			if d := Direction(r.order.Uint32(value) & 3); d <= Outbound {
				r.packet.Direction = d
			}
		}
		return nil
	})
}

// simple is a packet without a time, of the first interface.
func (r *Reader) simple(b []byte) error {
	if len(b) < 4 || len(r.interfaces) == 0 {
		return formatError(r.offset, "a simple packet of %d bytes with %d interfaces", len(b), len(r.interfaces))
	}
	length := r.order.Uint32(b)
	n := min(int64(length), int64(len(b)-4))
	if snap := r.interfaces[0].SnapLen; snap > 0 {
		n = min(n, int64(snap))
	}
	r.packet = Packet{Data: b[4 : 4+n : 4+n], Length: int(length)}
	return nil
}
