package frame

import (
	"fmt"
	"math"
)

// DefaultMax is the longest message, in bytes, that a codec accepts and sends when its Max is zero: 1 MiB.
const DefaultMax = 1 << 20

// largestMax is the largest Max that Check allows: half of what an int holds, so that a header, an offset and
// a trailer can be added to it on 32-bit systems too.
const largestMax = math.MaxInt >> 1

// A Codec says where a message begins and ends on a byte stream. The codecs of this package are small values
// to be written as literals and compared with ==; all methods may be called from any goroutine.
type Codec interface {
	// Check reports what is wrong with the codec's own fields, or nil. NewDecoder, NewReader, NewWriter and
	// Parse call it; the other methods may be called only on a codec that passes.
	Check() error

	// MaxMessage is the length in bytes of the longest message, as it is handed out and as Append takes it.
	MaxMessage() int

	// MaxFrame bounds what is gathered for one frame, in bytes: the longest message with its header and trailer.
	MaxFrame() int

	// Scan looks at the beginning of p, which is where a frame begins, and says how long that frame is. It
	// keeps no view of p and does not change it. The first seen bytes of p were there at an earlier call
	// for the same frame, which found it incomplete: a codec that searches need not search them again. It is called
	// again for a frame once as many bytes have come as it asked for: so a codec that has to begin anew each time
	// (nested values, say) asks for as many as must still come, and is called few times.
	//
	// An error means that no continuation of p can be right; it should wrap ErrTooLong or ErrMalformed.
	// What Scan finds must not depend on what follows the frame in p.
	Scan(p []byte, seen int) (Span, error)

	// Append appends the frame of msg to dst and returns the longer slice, as the built-in append does. If
	// msg cannot be sent (too long, or it would arrive as something else) it returns dst unchanged and an
	// *Error with Offset -1 that wraps ErrTooLong or ErrMalformed. It keeps neither slice.
	Append(dst, msg []byte) ([]byte, error)

	// String is the spec that Parse turns into the codec again.
	String() string
}

// A Span is what Codec.Scan found.
//
// If Size is at most the length of what was scanned, the frame is complete: it is the first Size bytes, at
// least one, and the message is the bytes from Start up to End of them. Otherwise the frame is incomplete, at
// least Size bytes are needed to say more, and Start and End mean nothing. Size never exceeds MaxFrame.
type Span struct {
	Start, End, Size int
}

// AppendWhole is Append for codecs whose message is the frame itself: it appends msg, which must be exactly one frame
// of c by what c.Scan says of it, or returns dst unchanged and an *Error as Append's.
func AppendWhole(c Codec, dst, msg []byte) ([]byte, error) {
	if c == nil {
		return dst, errNoCodec
	}
	if n, most := len(msg), c.MaxMessage(); n > most {
		return dst, tooLongToSend(c, n, most)
	}
	s, err := c.Scan(msg, 0)
	switch {
	case err != nil:
		return dst, locate(c, -1, err)
	case len(msg) == 0 || s.Size > len(msg):
		return dst, encodeError(c, ErrMalformed, "the message of %d bytes is only the beginning of a frame", len(msg))
	case s.Size < len(msg) || s.Start > 0 || s.End < s.Size:
		return dst, encodeError(c, ErrMalformed, "the message has %d bytes, the frame that it begins with %d", len(msg),
			s.Size)
	}
	return append(dst, msg...), nil
}

// orDefault is the maximum that a codec's Max field stands for.
func orDefault(max int) int {
	if max == 0 {
		return DefaultMax
	}
	return max
}

// checkMax checks the Max field of the codec named.
func checkMax(codec string, max int) error {
	if max < 0 {
		return fmt.Errorf("frame: %s: Max is %d: it must be positive, or 0 for %d", codec, max, DefaultMax)
	}
	if max > largestMax {
		return fmt.Errorf("frame: %s: Max is %d: this system allows at most %d", codec, max, largestMax)
	}
	return nil
}

// tooLongToSend is Append's error for a message of n bytes where max are allowed.
func tooLongToSend(c Codec, n, max int) error {
	return encodeError(c, ErrTooLong, "the message has %d bytes, %d are allowed", n, max)
}
