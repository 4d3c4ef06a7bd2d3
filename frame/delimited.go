package frame

import (
	"bytes"
	"fmt"
)

// maxDelim bounds the delimiter: looking for one costs up to its length for every byte of a hostile stream.
const maxDelim = 255

// Delimited messages are each followed by a fixed byte sequence, which is not handed out. The first occurrence of
// it ends the message.
type Delimited struct {
	Delim string // the bytes that end a message, 1 to 255 of them
	Max   int    // longest message in bytes, without the delimiter; 0 for DefaultMax
}

// Check implements Codec.
func (c Delimited) Check() error {
	if n := len(c.Delim); n == 0 || n > maxDelim {
		return fmt.Errorf("frame: Delimited: Delim has %d bytes: it must have 1 to %d", n, maxDelim)
	}
	return checkMax("Delimited", c.Max)
}

// MaxMessage implements Codec.
func (c Delimited) MaxMessage() int { return orDefault(c.Max) }

// MaxFrame implements Codec.
func (c Delimited) MaxFrame() int { return c.MaxMessage() + len(c.Delim) }

// Scan implements Codec.
func (c Delimited) Scan(p []byte, seen int) (Span, error) {
	limit, n := orDefault(c.Max), len(c.Delim)
	window := p[:min(len(p), limit+n)] // the delimiter of the longest message is in there
	from := max(0, min(seen, len(window))-n+1)
	if i := c.index(window[from:]); i >= 0 {
		return Span{End: from + i, Size: from + i + n}, nil
	}
	if len(window) == limit+n {
		return Span{}, scanError(ErrTooLong, "no delimiter after the %d bytes that are allowed", limit)
	}
	return Span{Size: max(len(p)+1, n)}, nil
}

// index is where the delimiter begins in p, or -1.
func (c Delimited) index(p []byte) int {
	// A short string is converted on the stack, a longer one would be allocated: so look for its beginning.
	const short = 32
	if len(c.Delim) == 1 {
		return bytes.IndexByte(p, c.Delim[0])
	}
	if len(c.Delim) <= short {
		return bytes.Index(p, []byte(c.Delim))
	}
	for from := 0; ; from++ {
		i := bytes.Index(p[from:], []byte(c.Delim[:short]))
		if i < 0 || len(p)-from-i < len(c.Delim) {
			return -1
		}
		from += i
		if string(p[from:from+len(c.Delim)]) == c.Delim {
			return from
		}
	}
}

// Append implements Codec. A message in which, or across whose end, the delimiter occurs early is malformed.
func (c Delimited) Append(dst, msg []byte) ([]byte, error) {
	if limit := c.MaxMessage(); len(msg) > limit {
		return dst, tooLongToSend(c, len(msg), limit)
	}
	at := len(dst)
	dst = append(append(dst, msg...), c.Delim...)
	if i := c.index(dst[at:]); i != len(msg) {
		return dst[:at], encodeError(c, ErrMalformed, "the delimiter occurs %d bytes into the message of %d", i, len(msg))
	}
	return dst, nil
}
