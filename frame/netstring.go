package frame

import "strconv"

// Netstring frames are D. J. Bernstein's (cr.yp.to/proto/netstrings.txt): the message's length in decimal digits,
// a colon, the message, a comma, as in "5:hello,". A leading zero is malformed, but for the empty message "0:,".
type Netstring struct {
	Max int // longest message in bytes, 0 for DefaultMax
}

// Check implements Codec.
func (c Netstring) Check() error { return checkMax("Netstring", c.Max) }

// MaxMessage implements Codec.
func (c Netstring) MaxMessage() int { return orDefault(c.Max) }

// MaxFrame implements Codec.
func (c Netstring) MaxFrame() int {
	size := 2 + c.MaxMessage() // colon, message, comma
	for n := c.MaxMessage(); n > 0; n /= 10 {
		size++
	}
	return size
}

// Scan implements Codec.
func (c Netstring) Scan(p []byte, _ int) (Span, error) {
	limit := orDefault(c.Max)
	v := 0
	for i, b := range p {
		switch {
		case b == ':' && i > 0:
			end := i + 1 + v
			if end < len(p) && p[end] != ',' {
				return Span{}, scanError(ErrMalformed, "%q behind the %d bytes of the message, not a comma", p[end], v)
			}
			return Span{Start: i + 1, End: end, Size: end + 1}, nil
		case b < '0' || b > '9':
			return Span{}, scanError(ErrMalformed, "%q in the length, %d bytes into the frame", b, i)
		case i == 1 && p[0] == '0':
			return Span{}, scanError(ErrMalformed, "a length with a leading zero")
		}
		digit := int(b - '0')
		if v > limit/10 || v*10+digit > limit {
			return Span{}, scanError(ErrTooLong, "a length of at least %d%d is announced, %d is the longest allowed", v, digit,
				limit)
		}
		v = v*10 + digit
	}
	return Span{Size: max(len(p)+1, len("0:,"))}, nil
}

// Append implements Codec.
func (c Netstring) Append(dst, msg []byte) ([]byte, error) {
	if limit := c.MaxMessage(); len(msg) > limit {
		return dst, tooLongToSend(c, len(msg), limit)
	}
	dst = strconv.AppendInt(dst, int64(len(msg)), 10)
	dst = append(dst, ':')
	return append(append(dst, msg...), ','), nil
}
