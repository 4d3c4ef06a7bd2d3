package resp

import (
	"bytes"
	"fmt"

	"github.com/plexor-go/plexor/frame"
)

// Bounds where a codec's own field is zero.
const (
	DefaultMaxArgs     = 1 << 16  // arguments of a command; each costs a view of 24 bytes when it is taken apart
	DefaultMaxLine     = 64 << 10 // bytes of a simple string, an error or an inline command, as Redis has it
	DefaultMaxElements = 1 << 20  // values in one message, nested ones too
	DefaultMaxDepth    = 32       // arrays in arrays; no command of Redis answers more than 7
	largestDepth       = 1 << 10  // of MaxDepth: what is nested is followed on a stack
	largestMax         = 1 << 30  // of Max and MaxLine, so that it and what is counted fit into an int on any system
	largestCount       = 1 << 27  // of MaxArgs and MaxElements, so that these many times leastBulk do too
	leastElement       = len("_\r\n")
	leastBulk          = len("$0\r\n\r\n")
	longestLength      = 20 // digits, so that a number without end is refused
)

// What a State of frame holds, for both codecs.
const (
	atPos      = iota // bytes that were gone through
	atLeft            // values that must still come
	atElements        // values that came or were announced
	atNested          // aggregates among them
)

func bad(format string, args ...any) error {
	return &frame.Error{Offset: -1, Err: frame.ErrMalformed, Reason: fmt.Sprintf(format, args...)}
}

func tooLong(format string, args ...any) error {
	return &frame.Error{Offset: -1, Err: frame.ErrTooLong, Reason: fmt.Sprintf(format, args...)}
}

// orDefault is n, or what stands for a field that is zero.
func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func maxTooSmall(codec string, n int) error {
	return fmt.Errorf("frame: %s: Max is %d: it must be at least %d, or 0 for %d", codec, n, leastBulk, frame.DefaultMax)
}

// checkField checks a field that is a bound.
func checkField(codec, field string, n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("frame: %s: %s is %d: it must be from 1 to %d, or 0 for the default", codec, field, n, most)
	}
	return nil
}

// line finds the line that begins at p[0]: text without the CR LF, and the bytes up to and with that; size 0 means that
// it is not complete.
func line(p []byte, most int) (text []byte, size int, err error) {
	i := bytes.IndexByte(p[:min(len(p), most+2)], '\n')
	switch {
	case i > 0 && p[i-1] == '\r':
		text = p[:i-1]
		if at := bytes.IndexByte(text, '\r'); at >= 0 {
			return nil, 0, bad("a CR without an LF behind it, %d bytes into a line", at)
		}
		return text, i + 1, nil
	case i >= 0 && i <= most:
		return nil, 0, bad("an LF without a CR before it, %d bytes into a line", i)
	case i >= 0 || len(p) > most+1 || len(p) == most+1 && p[most] != '\r':
		return nil, 0, tooLong("a line does not end within the %d bytes that are allowed", most)
	}
	return nil, 0, nil
}

// header reads the line that begins at p[0] and is a length: a size of 0 means that it is not complete.
func header(p []byte, most int, what string) (n, size int, null bool, err error) {
	// Nearly all are a few digits and CR LF. What is not has its own ways to be wrong.
	for i, b := range p[:min(len(p), len("12345678\r"))] {
		if digit := b - '0'; digit <= 9 {
			n = n*10 + int(digit)
			continue
		}
		if b != '\r' || i == 0 || i+1 >= len(p) || p[i+1] != '\n' || n > most || p[0] == '0' && i > 1 {
			break
		}
		return n, i + 2, false, nil
	}
	text, size, err := line(p, longestLength)
	if err != nil || size == 0 {
		return 0, 0, false, err
	}
	n, null, err = length(text, most, what)
	return n, size, null, err
}

// length reads the decimal number of a header, without sign or leading zeros; -1 is null.
func length(text []byte, most int, what string) (n int, null bool, err error) {
	if string(text) == "-1" {
		return 0, true, nil
	}
	if len(text) == 0 || len(text) > 1 && text[0] == '0' {
		return 0, false, bad("%q is no length of %s", text, what)
	}
	for _, b := range text {
		if b < '0' || b > '9' {
			return 0, false, bad("%q is no length of %s", clip(text), what)
		}
		if digit := int(b - '0'); n > most/10 || n*10+digit > most {
			return 0, false, tooLong("%s of %s is announced, %d is the most allowed", what, clip(text), most)
		}
		n = n*10 + int(b-'0')
	}
	return n, false, nil
}

// clip bounds what an error quotes of a peer's bytes.
func clip(p []byte) []byte { return p[:min(len(p), longestLength)] }

// bulk goes over the bulk string of n bytes behind the header of from bytes at p[0], and returns its size. It may be
// greater than len(p), but not than room.
func bulk(p []byte, from, n, room int) (size int, err error) {
	size = from + n + 2
	if size > room {
		return 0, tooLong("a string of %d bytes is announced, for which %d are left", n, max(0, room-from-2))
	}
	for i, want := range [2]byte{'\r', '\n'} {
		if at := from + n + i; at < len(p) && p[at] != want {
			return 0, bad("%q behind the %d bytes of a string, not CR LF", p[at], n)
		}
	}
	return size, nil
}

// A budget is how many bytes a message of elements may have, each at least so many. An error is found at the first byte
// that shows it, whatever has come behind that: so the same stream gives the same error, however it is cut.
type budget struct {
	max, least int
	what       string
}

// check refuses a message of which pos bytes have come and left elements must still come, if it can't fit any more.
func (b budget) check(pos, left int) error {
	if pos+left*b.least > b.max {
		return b.exceeded()
	}
	return nil
}

// room is how many bytes the element at pos may have, with left elements to come, it among them.
func (b budget) room(pos, left int) int { return b.max - pos - (left-1)*b.least }

// more is what to ask for when have bytes have come and the element at pos is not complete. A size of 0 is not known.
func (b budget) more(have, pos, size, left int) (frame.Span, error) {
	if size == 0 {
		if have-pos >= b.room(pos, left) {
			return frame.Span{}, b.exceeded()
		}
		size = max(have+1-pos, b.least)
	}
	return frame.Span{Size: pos + size + (left-1)*b.least}, nil
}

func (b budget) exceeded() error {
	return tooLong("the %s has more than the %d bytes that are allowed", b.what, b.max)
}
