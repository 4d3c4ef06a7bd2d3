package frame

import "fmt"

// Fixed messages all have the same size and nothing between them.
type Fixed struct {
	Size int // of each message, in bytes; this is the maximum too
}

// Check implements Codec.
func (c Fixed) Check() error {
	if c.Size < 1 || c.Size > largestMax {
		return fmt.Errorf("frame: Fixed: Size is %d: it must be from 1 to %d", c.Size, largestMax)
	}
	return nil
}

// MaxMessage implements Codec.
func (c Fixed) MaxMessage() int { return c.Size }

// MaxFrame implements Codec.
func (c Fixed) MaxFrame() int { return c.Size }

// Scan implements Codec.
func (c Fixed) Scan(p []byte, _ int) (Span, error) { return Span{End: c.Size, Size: c.Size}, nil }

// Append implements Codec. A shorter message is malformed, a longer one is too long.
func (c Fixed) Append(dst, msg []byte) ([]byte, error) {
	if len(msg) > c.Size {
		return dst, tooLongToSend(c, len(msg), c.Size)
	}
	if len(msg) < c.Size {
		return dst, encodeError(c, ErrMalformed, "the message has %d bytes, it must have %d", len(msg), c.Size)
	}
	return append(dst, msg...), nil
}
