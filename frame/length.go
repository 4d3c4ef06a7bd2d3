package frame

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// Bounds of Length's fields, in bytes, so that sums of them fit into an int on any system. Headers are small.
const (
	maxOffset = 1 << 16
	maxAdjust = 1 << 24
)

// Length frames carry the length of the message in a field of their header, an unsigned integer:
//
//	|<- Offset ->|<- Bytes ->|
//	+------------+-----------+----------------------------+
//	|  a header  |  length   |  length + Adjust bytes     |
//	+------------+-----------+----------------------------+
//	|<- stripped, unless Keep ->|<- the message ...       |
//
// Length{Bytes: 4} is the plain case: four bytes, big endian, then as many bytes of message. Each format that
// Netty's LengthFieldBasedFrameDecoder describes can be said: lengthFieldOffset is Offset, lengthFieldLength is
// Bytes, lengthAdjustment is Adjust, initialBytesToStrip is Strip (and 0 is Keep); its maxFrameLength counts the
// frame, and Max counts the message. Twisted's Int8-, Int16- and Int32StringReceiver are Bytes 1, 2 and 4.
//
// What is stripped is not checked when it arrives, and Append writes zeros there, but for the length. To send or
// to see more than the message, keep the header: the message then begins with it, and Append puts the length into
// its place (whatever stood there).
type Length struct {
	Bytes        int  // width of the length field: 1, 2, 3, 4 or 8 bytes
	LittleEndian bool // the field's low byte comes first; otherwise big endian, the network's order
	Inclusive    bool // the length counts the length field's own bytes too (the same as Adjust: -Bytes)
	Keep         bool // messages begin with the header, nothing is stripped
	Offset       int  // bytes of header before the length field, at most 65536
	// added to the length: positive if it does not count all that follows, negative if it counts more; at most 16 MiB
	// either way
	Adjust int
	// bytes stripped from the frame's front, at most 128 KiB; 0 for the header up to and with the length field
	Strip int
	// longest message in bytes (with the header, if that is kept), 0 for DefaultMax or what the field can say
	Max int
}

// head is the size of the header up to and with the length field.
func (c Length) head() int { return c.Offset + c.Bytes }

// strip is how many bytes of a frame do not belong to its message.
func (c Length) strip() int {
	if c.Keep {
		return 0
	}
	if c.Strip == 0 {
		return c.head()
	}
	return c.Strip
}

// extra is what a frame has on top of the length it announces.
func (c Length) extra() int {
	if c.Inclusive {
		return c.Offset + c.Adjust
	}
	return c.Offset + c.Bytes + c.Adjust
}

// fieldMax is the largest length that the field can say.
func (c Length) fieldMax() uint64 { return 1<<(8*c.Bytes-1)<<1 - 1 }

// capacity is the longest message that the field can announce; it may be negative.
func (c Length) capacity() int {
	most := int64(c.extra() - c.strip())
	if v := c.fieldMax(); v < largestMax {
		return int(min(int64(v)+most, largestMax))
	}
	return largestMax
}

// least is the shortest frame: it has its header, all that is stripped, and no negative length.
func (c Length) least() int { return max(c.head(), c.strip(), c.extra()) }

// Check implements Codec.
func (c Length) Check() error {
	bad := func(format string, args ...any) error { return fmt.Errorf("frame: Length: "+format, args...) }
	switch c.Bytes {
	case 1, 2, 3, 4, 8:
	default:
		return bad("Bytes is %d: a length field is 1, 2, 3, 4 or 8 bytes wide", c.Bytes)
	}
	if c.Offset < 0 || c.Offset > maxOffset {
		return bad("Offset is %d: it must be from 0 to %d", c.Offset, maxOffset)
	}
	if c.Adjust < -maxAdjust || c.Adjust > maxAdjust {
		return bad("Adjust is %d: it must be from %d to %d", c.Adjust, -maxAdjust, maxAdjust)
	}
	if c.Strip < 0 || c.Strip > 2*maxOffset {
		return bad("Strip is %d: it must be from 0 to %d", c.Strip, 2*maxOffset)
	}
	if c.Keep && c.Strip != 0 {
		return bad("Keep strips nothing and Strip strips %d bytes: set one of them", c.Strip)
	}
	if err := checkMax("Length", c.Max); err != nil {
		return err
	}
	least, capacity := c.least()-c.strip(), c.capacity()
	if capacity < least {
		return bad("Adjust is %d: with it no length that %d bytes can say announces a whole frame", c.Adjust, c.Bytes)
	}
	if c.Max > capacity {
		return bad("Max is %d: with %d bytes of length no message is longer than %d", c.Max, c.Bytes, capacity)
	}
	if c.MaxMessage() < least {
		return bad("Max is %d: the shortest message has %d bytes (what is kept of the header, and Adjust)", c.MaxMessage(),
			least)
	}
	return nil
}

// MaxMessage implements Codec.
func (c Length) MaxMessage() int {
	if c.Max != 0 {
		return c.Max
	}
	return min(DefaultMax, c.capacity())
}

// MaxFrame implements Codec.
func (c Length) MaxFrame() int { return c.strip() + c.MaxMessage() }

// Scan implements Codec.
func (c Length) Scan(p []byte, seen int) (Span, error) {
	s := newScanner(c)
	return s.Scan(p, seen)
}

// A lengthScanner is a Length with what Scan needs worked out. A Decoder uses it in place of the Length: called
// through the interface, a method of a struct as large as Length first copies it, and that alone is half the cost
// of a message of 64 bytes (13 ns against 7).
type lengthScanner struct {
	Length
	head, strip, extra int
	limit              uint64 // the largest length to be accepted
	shift              uint8  // 64 less the bits of the length field
}

func newScanner(c Length) lengthScanner {
	s := lengthScanner{Length: c, head: c.head(), strip: c.strip(), extra: c.extra(), shift: uint8(64 - 8*c.Bytes)}
	s.limit = uint64(c.MaxFrame() - s.extra) // not negative, see Check
	return s
}

// lastScanner is the scanner that a Decoder took last. The decoders of a server are for the same codec, and share
// one.
var lastScanner atomic.Pointer[lengthScanner]

// sharedScanner returns a scanner for c, which must pass Check.
func sharedScanner(c Length) *lengthScanner {
	if s := lastScanner.Load(); s != nil && s.Length == c {
		return s
	}
	s := newScanner(c)
	lastScanner.Store(&s)
	return &s
}

// Scan implements Codec.
func (s *lengthScanner) Scan(p []byte, _ int) (Span, error) {
	if len(p) < s.head {
		return Span{Size: s.head}, nil
	}
	var v uint64
	if f := p[s.Offset:]; len(f) < 8 {
		v = readField(f[:s.Bytes], s.LittleEndian)
	} else if s.LittleEndian { // the usual case: read 8 bytes at once, and leave out what is too much
		v = binary.LittleEndian.Uint64(f) << (s.shift & 63) >> (s.shift & 63)
	} else {
		v = binary.BigEndian.Uint64(f) >> (s.shift & 63)
	}
	if v > s.limit {
		return Span{}, scanError(ErrTooLong, "a length of %d is announced, %d is the longest allowed", v, s.limit)
	}
	size := int(v) + s.extra
	if size < s.head || size < s.strip {
		return Span{}, scanError(ErrMalformed, "a length of %d means a frame of %d bytes, less than its header of %d",
			v, size, max(s.head, s.strip))
	}
	return Span{Start: s.strip, End: size, Size: size}, nil
}

// readField reads the length field f.
func readField(f []byte, littleEndian bool) (v uint64) {
	for i := range f {
		if littleEndian {
			v = v<<8 | uint64(f[len(f)-1-i])
		} else {
			v = v<<8 | uint64(f[i])
		}
	}
	return v
}

// Append implements Codec.
func (c Length) Append(dst, msg []byte) ([]byte, error) {
	head, strip, extra := c.Offset+c.Bytes, c.strip(), c.extra()
	size := strip + len(msg)
	if len(msg) > orDefault(c.Max) || size > extra && uint64(size-extra) > c.fieldMax() {
		return dst, tooLongToSend(c, len(msg), c.MaxMessage())
	}
	if size < head || size < extra {
		return dst, encodeError(c, ErrMalformed, "the message has %d bytes, the shortest that can be announced has %d",
			len(msg), c.least()-strip)
	}
	at := len(dst)
	dst = append(dst, make([]byte, strip)...) // which allocates nothing but room in dst
	dst = append(dst, msg...)
	writeField(dst[at+c.Offset:at+head], uint64(size-extra), c.LittleEndian)
	return dst, nil
}

// writeField writes v into the length field f.
func writeField(f []byte, v uint64, littleEndian bool) {
	for i := range f {
		if littleEndian {
			f[i] = byte(v >> (8 * i))
		} else {
			f[len(f)-1-i] = byte(v >> (8 * i))
		}
	}
}
