package frame

import (
	"encoding/binary"
	"math"
)

// Multiprocessing is the format of Python's multiprocessing.connection on sockets and pipes (send_bytes and
// recv_bytes; CPython's Lib/multiprocessing/connection.py): a signed length of 4 bytes, big endian; or, for
// messages from 2 GiB on, a length of -1, followed by the length in 8 bytes, unsigned and big endian. Any other
// negative length is malformed. Objects (send and recv) are pickles in the same frames.
type Multiprocessing struct {
	Max int // longest message in bytes, 0 for DefaultMax
}

// Check implements Codec.
func (c Multiprocessing) Check() error { return checkMax("Multiprocessing", c.Max) }

// MaxMessage implements Codec.
func (c Multiprocessing) MaxMessage() int { return orDefault(c.Max) }

// MaxFrame implements Codec.
func (c Multiprocessing) MaxFrame() int { return 12 + c.MaxMessage() }

// Scan implements Codec.
func (c Multiprocessing) Scan(p []byte, _ int) (Span, error) {
	if len(p) < 4 {
		return Span{Size: 4}, nil
	}
	head := 4
	v := uint64(binary.BigEndian.Uint32(p))
	if n := int32(v); n < -1 {
		return Span{}, scanError(ErrMalformed, "a length of %d is announced", n)
	} else if n == -1 {
		if head = 12; len(p) < head {
			return Span{Size: head}, nil
		}
		v = binary.BigEndian.Uint64(p[4:])
	}
	if limit := orDefault(c.Max); v > uint64(limit) {
		return Span{}, scanError(ErrTooLong, "a length of %d is announced, %d is the longest allowed", v, limit)
	}
	return Span{Start: head, End: head + int(v), Size: head + int(v)}, nil
}

// Append implements Codec.
func (c Multiprocessing) Append(dst, msg []byte) ([]byte, error) {
	if limit := c.MaxMessage(); len(msg) > limit {
		return dst, tooLongToSend(c, len(msg), limit)
	}
	if len(msg) <= math.MaxInt32 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(msg)))
	} else {
		dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32)
		dst = binary.BigEndian.AppendUint64(dst, uint64(len(msg)))
	}
	return append(dst, msg...), nil
}
