package frame

import "encoding/binary"

// Varint frames begin with the message's length as a base-128 varint, seven bits a byte and the lowest first, as
// protobuf writes delimited messages (protobuf.dev/programming-guides/encoding). A length of more bytes than it
// needs is malformed: two encodings of one message are a way past whoever compares them.
type Varint struct {
	Max int // longest message in bytes, 0 for DefaultMax
}

// Check implements Codec.
func (c Varint) Check() error { return checkMax("Varint", c.Max) }

// MaxMessage implements Codec.
func (c Varint) MaxMessage() int { return orDefault(c.Max) }

// MaxFrame implements Codec. It allows for the longest header, since one that is refused is gathered too.
func (c Varint) MaxFrame() int { return binary.MaxVarintLen64 + c.MaxMessage() }

// Scan implements Codec.
func (c Varint) Scan(p []byte, _ int) (Span, error) {
	var v uint64
	for i, b := range p {
		if i == binary.MaxVarintLen64-1 && b > 1 { // nine bytes hold 63 bits, one is left
			return Span{}, scanError(ErrMalformed, "a varint of more than 64 bits")
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if b == 0 && i > 0 {
			return Span{}, scanError(ErrMalformed, "%d written as a varint of %d bytes, more than it needs", v, i+1)
		}
		if limit := orDefault(c.Max); v > uint64(limit) {
			return Span{}, scanError(ErrTooLong, "a length of %d is announced, %d is the longest allowed", v, limit)
		}
		size := i + 1 + int(v)
		return Span{Start: i + 1, End: size, Size: size}, nil
	}
	return Span{Size: len(p) + 1}, nil
}

// Append implements Codec.
func (c Varint) Append(dst, msg []byte) ([]byte, error) {
	if limit := c.MaxMessage(); len(msg) > limit {
		return dst, tooLongToSend(c, len(msg), limit)
	}
	return append(binary.AppendUvarint(dst, uint64(len(msg))), msg...), nil
}
