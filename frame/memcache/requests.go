package memcache

import (
	"bytes"

	"github.com/plexor-go/plexor/frame"
)

// Requests is the codec of what a server receives: a line, and behind a storage command (set, add, replace, append,
// prepend, cas and ms) the block of data that it announces. A message is one request, as it came; Words takes it apart.
//
// It implements frame.Resumer.
type Requests struct {
	Max     int // longest request in bytes, with its line and line ends; at least 64; 0 for frame.DefaultMax
	MaxLine int // longest line in bytes, without its end; 0 for DefaultMaxLine, or Max if that is less
}

func (c Requests) limits() limits { return limits{c.Max, c.MaxLine} }

// Check implements frame.Codec.
func (c Requests) Check() error { return c.limits().check("Requests") }

// MaxMessage implements frame.Codec.
func (c Requests) MaxMessage() int { return c.limits().bytes() }

// MaxFrame implements frame.Codec.
func (c Requests) MaxFrame() int { return c.limits().bytes() }

// Scan implements frame.Codec.
func (c Requests) Scan(p []byte, _ int) (frame.Span, error) {
	var at frame.State
	return c.Resume(p, &at)
}

// Resume implements frame.Resumer.
func (c Requests) Resume(p []byte, at *frame.State) (frame.Span, error) {
	if at[atBlock] == 0 {
		window := c.limits().window(0)
		head := p[:min(len(p), window)]
		if at[atSeen] == 0 {
			if err := checkName(head); err != nil {
				return frame.Span{}, err
			}
		}
		end, err := endOfLine(head, at[atSeen])
		switch {
		case err != nil:
			return frame.Span{}, err
		case end == 0 && len(p) >= window:
			return frame.Span{}, tooLong("a request's line does not end within the %d bytes that are allowed", window-2)
		case end == 0:
			at[atSeen] = seen(head)
			return frame.Span{Size: max(len(p)+1, leastLine)}, nil
		}
		if at[atBlock], err = c.block(p[:end-2], end); err != nil {
			return frame.Span{}, err
		}
	}
	if err := checkBlock(p, at[atBlock]); err != nil {
		return frame.Span{}, err
	}
	return frame.Span{End: at[atBlock], Size: at[atBlock]}, nil
}

// seen is how much of the beginning of a line need not be looked at again: its name has to be complete, and a CR at the
// end is looked at together with what comes.
func seen(line []byte) int {
	if bytes.IndexByte(line, ' ') < 0 {
		return 0
	}
	return len(bytes.TrimSuffix(line, []byte{'\r'}))
}

// checkName checks the name that a request begins with, as far as it has come.
func checkName(p []byte) error {
	for i, b := range p {
		switch {
		case i == longestName:
			return bad("the name of a request does not end within %d bytes", longestName)
		case b >= 'a' && b <= 'z' || b == '_':
		case i > 0 && (b == ' ' || b == '\r' || b == '\n'):
			return nil // endOfLine says whether the line is right
		default:
			return bad("%q in the name of a request: it has letters in lower case", b)
		}
	}
	return nil
}

// block says where the request ends whose line is given without its end, which is at end.
func (c Requests) block(line []byte, end int) (int, error) {
	place, ok := lengthOf(line)
	if !ok {
		return end, nil
	}
	n, err := length(word(line, place), c.MaxMessage())
	if err != nil {
		return 0, err
	}
	if end += n + 2; end > c.MaxMessage() {
		return 0, tooLong("the request has %d bytes, %d are allowed", end, c.MaxMessage())
	}
	return end, nil
}

// lengthOf says which word of a request is the length of its data, if it has any.
func lengthOf(line []byte) (place int, ok bool) {
	name, _ := nextWord(line)
	switch string(name) {
	case "set", "add", "replace", "append", "prepend", "cas":
		return 4, true
	case "ms":
		return 2, true
	}
	return 0, false
}

// Append implements frame.Codec: msg must be exactly one request, as AppendStore and AppendLine make it.
func (c Requests) Append(dst, msg []byte) ([]byte, error) { return frame.AppendWhole(c, dst, msg) }

// String implements frame.Codec.
func (c Requests) String() string { return c.limits().spec("memcache.requests") }

// Words appends to dst the words of a request that Requests has found, its name first, and returns its data: both are
// views into msg. data is nil for a request that has none. By what rule the words' number and kind are right is the
// request's affair.
func Words(dst [][]byte, msg []byte) (words [][]byte, data []byte, err error) {
	s, err := Requests{Max: largest, MaxLine: largest}.Scan(msg, 0)
	if err != nil {
		return dst, nil, err
	}
	if s.Size != len(msg) {
		return dst, nil, bad("%d bytes, where the request has %d", len(msg), s.Size)
	}
	line, block := cut(msg)
	if _, ok := lengthOf(line); ok {
		data = block[: len(block)-2 : len(block)-2]
	}
	return appendWords(dst, line), data, nil
}

// cut cuts a message behind its first line, which it returns without its end. The message is a whole one.
func cut(msg []byte) (line, rest []byte) {
	i := bytes.IndexByte(msg, '\n')
	return msg[:i-1], msg[i+1:]
}
