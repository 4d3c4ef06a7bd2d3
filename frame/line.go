package frame

import "bytes"

// Line messages are lines of text without their endings.
//
// By default a line ends with LF; a CR before it belongs to the ending and is stripped, so that lines from any
// system are read; Append ends with LF. With CRLF set a line ends with CR LF, as in the protocols of the Internet,
// and an LF alone is malformed: where one end takes it for a line's end and the other does not, lines can be
// smuggled in (RFC 5321, section 2.3.8, forbids it). A CR alone is an ordinary byte.
//
// A last line without an ending is cut short, which is an error: half a command is not a command.
type Line struct {
	CRLF bool // lines end with CR LF and nothing else
	Max  int  // longest line in bytes, without its ending; 0 for DefaultMax
}

// Check implements Codec.
func (c Line) Check() error { return checkMax("Line", c.Max) }

// MaxMessage implements Codec.
func (c Line) MaxMessage() int { return orDefault(c.Max) }

// MaxFrame implements Codec.
func (c Line) MaxFrame() int { return c.MaxMessage() + 2 }

// Scan implements Codec.
func (c Line) Scan(p []byte, seen int) (Span, error) {
	limit := orDefault(c.Max)
	window := p[:min(len(p), limit+2)] // the LF of the longest line is in there
	i := bytes.IndexByte(window[min(seen, len(window)):], '\n')
	if i < 0 {
		// The longest line may be followed by a CR, as long as that may be followed by an LF.
		if len(window) > limit+1 || len(window) == limit+1 && window[limit] != '\r' {
			return Span{}, c.tooLong(limit)
		}
		return Span{Size: len(p) + 1}, nil
	}
	lf := min(seen, len(window)) + i
	end := lf
	if lf > 0 && p[lf-1] == '\r' {
		end--
	}
	if end > limit {
		return Span{}, c.tooLong(limit)
	}
	if c.CRLF && end == lf {
		return Span{}, scanError(ErrMalformed, "an LF without a CR before it, %d bytes into the line", lf)
	}
	return Span{End: end, Size: lf + 1}, nil
}

func (c Line) tooLong(limit int) error {
	return scanError(ErrTooLong, "the line does not end within the %d bytes that are allowed", limit)
}

// Append implements Codec. A line that contains an LF, or ends with a CR where that would be taken for a part of
// the ending, is malformed.
func (c Line) Append(dst, msg []byte) ([]byte, error) {
	if limit := c.MaxMessage(); len(msg) > limit {
		return dst, tooLongToSend(c, len(msg), limit)
	}
	if i := bytes.IndexByte(msg, '\n'); i >= 0 {
		return dst, encodeError(c, ErrMalformed, "the line contains an LF, %d bytes into it", i)
	}
	dst = append(dst, msg...)
	if c.CRLF {
		return append(dst, '\r', '\n'), nil
	}
	if len(msg) > 0 && msg[len(msg)-1] == '\r' {
		return dst[:len(dst)-len(msg)], encodeError(c, ErrMalformed, "the line ends with a CR, which would be stripped")
	}
	return append(dst, '\n'), nil
}
