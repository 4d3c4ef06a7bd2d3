package memcache

import (
	"fmt"
	"strconv"

	"github.com/plexor-go/plexor/frame"
)

// Bounds.
const (
	// DefaultMaxLine is the longest line in bytes, without its end, where MaxLine is zero: a get of 250 keys of the
	// greatest length fits.
	DefaultMaxLine = 64 << 10
	// MaxKey is the longest key in bytes, as memcached has it. The codecs do not look at keys.
	MaxKey = 250

	longestName = 32 // of a request, in bytes: memcached's own have at most 14

	leastMax  = 64      // of Max: a value's line and the END behind it fit
	largest   = 1 << 30 // of Max and MaxLine, so that their sum fits into an int on any system
	leastLine = len("0\r\n")
	leastMore = len("END\r\n") // what ends a reply of several items has at least so many bytes
)

// What a State of frame holds, for both codecs: places in the frame, in bytes.
const (
	atLine  = iota // where the line begins
	atSeen         // up to where it was looked at
	atBlock        // where the block behind it ends; 0: the line is not complete
	atMore         // not 0: further items come behind this one
)

func bad(format string, args ...any) error {
	return &frame.Error{Offset: -1, Err: frame.ErrMalformed, Reason: fmt.Sprintf(format, args...)}
}

func tooLong(format string, args ...any) error {
	return &frame.Error{Offset: -1, Err: frame.ErrTooLong, Reason: fmt.Sprintf(format, args...)}
}

// limits are the fields that both codecs have.
type limits struct{ max, line int }

func (l limits) check(codec string) error {
	if l.max != 0 && (l.max < leastMax || l.max > largest) {
		return fmt.Errorf("frame: memcache.%s: Max is %d: it must be from %d to %d, or 0 for %d",
			codec, l.max, leastMax, largest, frame.DefaultMax)
	}
	if l.line < 0 || l.line > largest {
		return fmt.Errorf("frame: memcache.%s: MaxLine is %d: it must be from 1 to %d, or 0 for %d",
			codec, l.line, largest, DefaultMaxLine)
	}
	return nil
}

func (l limits) bytes() int {
	if l.max == 0 {
		return frame.DefaultMax
	}
	return l.max
}

// window is how many bytes of a frame may belong to the line that begins at pos, with its end.
func (l limits) window(pos int) int {
	most := l.line
	if most == 0 {
		most = DefaultMaxLine
	}
	return min(most+len("\r\n"), l.bytes()-pos)
}

// endOfLine goes through the line in p from byte from on, and returns the place behind its CR LF; 0 means that it is
// not complete. An error is found at the first byte that shows it, whatever has come behind that.
func endOfLine(p []byte, from int) (int, error) {
	for i := from; i < len(p); i++ {
		switch b := p[i]; {
		case b >= ' ' && b != 0x7f:
		case b == '\r' && i+1 == len(p):
			return 0, nil
		case b == '\r' && p[i+1] == '\n' && i > 0:
			return i + 2, nil
		case b == '\r' && i == 0:
			return 0, bad("a line is empty")
		case b == '\n':
			return 0, bad("an LF without a CR before it, %d bytes into a line", i)
		default:
			return 0, bad("%q in a line, %d bytes into it", b, i)
		}
	}
	return 0, nil
}

// nextWord is the first word of a line, nil if there is none, and what follows it.
func nextWord(line []byte) (word, rest []byte) {
	begin := 0
	for begin < len(line) && line[begin] == ' ' {
		begin++
	}
	end := begin
	for end < len(line) && line[end] != ' ' {
		end++
	}
	if begin == end {
		return nil, nil
	}
	return line[begin:end:end], line[end:]
}

// word is the word of that number in a line, nil if it has not so many.
func word(line []byte, number int) []byte {
	w, line := nextWord(line)
	for ; number > 0 && w != nil; number-- {
		w, line = nextWord(line)
	}
	return w
}

// appendWords appends the words of a line, without its end, to dst.
func appendWords(dst [][]byte, line []byte) [][]byte {
	for w, line := nextWord(line); w != nil; w, line = nextWord(line) {
		dst = append(dst, w)
	}
	return dst
}

// length reads the length of a block of data: decimal digits, without sign or leading zeros.
func length(text []byte, most int) (int, error) {
	if len(text) == 0 {
		return 0, bad("the length of the data is missing")
	}
	n := 0
	for i, b := range text {
		if b < '0' || b > '9' || i > 0 && text[0] == '0' {
			return 0, bad("%q is no length of data", text[:min(len(text), 20)])
		}
		if n = n*10 + int(b-'0'); n > most {
			return 0, tooLong("data of %s bytes is announced, the whole message may have %d", text[:min(len(text), 20)], most)
		}
	}
	return n, nil
}

// checkBlock looks at what stands behind the data of the block that ends at end.
func checkBlock(p []byte, end int) error {
	for i, want := range [2]byte{'\r', '\n'} {
		if at := end - 2 + i; at < len(p) && p[at] != want {
			return bad("%q behind the data that was announced, not CR LF", p[at])
		}
	}
	return nil
}

// spec is a codec's String.
func (l limits) spec(name string) string {
	if l.max != 0 {
		name += ",max=" + strconv.Itoa(l.max)
	}
	if l.line != 0 {
		name += ",line=" + strconv.Itoa(l.line)
	}
	return name
}
