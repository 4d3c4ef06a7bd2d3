package memcache

import (
	"bytes"

	"github.com/plexor-go/plexor/frame"
)

// Replies is the codec of what a client receives: one reply to one request. That is a line, or a line VA with a block
// of data, or items (VALUE with data, STAT, ITEM and PREFIX) up to the line END, or up to an error. A message is the
// reply as it came; Next takes it apart. The lines of lru_crawler metadump, which end with LF alone, and of watch,
// which have no end, are not for it.
//
// It implements frame.Resumer.
type Replies struct {
	Max     int // longest reply in bytes, with all its items, lines and line ends; at least 64; 0 for frame.DefaultMax
	MaxLine int // longest line in bytes, without its end; 0 for DefaultMaxLine, or Max if that is less
}

func (c Replies) limits() limits { return limits{c.Max, c.MaxLine} }

// Check implements frame.Codec.
func (c Replies) Check() error { return c.limits().check("Replies") }

// MaxMessage implements frame.Codec.
func (c Replies) MaxMessage() int { return c.limits().bytes() }

// MaxFrame implements frame.Codec.
func (c Replies) MaxFrame() int { return c.limits().bytes() }

// Scan implements frame.Codec.
func (c Replies) Scan(p []byte, _ int) (frame.Span, error) {
	var at frame.State
	return c.Resume(p, &at)
}

// Resume implements frame.Resumer.
func (c Replies) Resume(p []byte, at *frame.State) (frame.Span, error) {
	for {
		pos := at[atLine]
		if at[atBlock] == 0 {
			window := c.limits().window(pos)
			line := p[pos:min(len(p), pos+window)]
			end, err := endOfLine(line, max(0, at[atSeen]-pos))
			switch {
			case err != nil:
				return frame.Span{}, err
			case end == 0 && len(p)-pos >= window:
				return frame.Span{}, tooLong("a line does not end within the %d bytes that are left for it", window-2)
			case end == 0:
				at[atSeen] = pos + len(bytes.TrimSuffix(line, []byte{'\r'}))
				least := leastLine
				if at[atMore] != 0 {
					least = leastMore
				}
				return frame.Span{Size: max(len(p)+1, pos+least)}, nil
			}
			if err := c.item(line[:end-2], pos+end, at); err != nil {
				return frame.Span{}, err
			}
		}
		end := at[atBlock] // of the line, if it has no block
		if err := checkBlock(p, end); err != nil {
			return frame.Span{}, err
		}
		switch {
		case at[atMore] == 0:
			return frame.Span{End: end, Size: end}, nil
		case end > len(p):
			return frame.Span{Size: end + leastMore}, nil
		}
		at[atLine], at[atSeen], at[atBlock] = end, end, 0
	}
}

// item notes in at what follows the line of an item, given without its end, which is at end.
func (c Replies) item(line []byte, end int, at *frame.State) error {
	if line[0] == ' ' {
		return bad("a line of a reply begins with a blank")
	}
	place, more := lengthIn(line)
	if at[atMore] != 0 && !more && !endsItems(line) {
		return bad("%q among the items of a reply", line[:min(len(line), 20)])
	}
	if at[atMore] = 0; more {
		at[atMore] = 1
	}
	if place > 0 {
		n, err := length(word(line, place), c.MaxMessage())
		if err != nil {
			return err
		}
		end += n + 2
	}
	if least := end + at[atMore]*leastMore; least > c.MaxMessage() {
		return tooLong("the reply has at least %d bytes, %d are allowed", least, c.MaxMessage())
	}
	at[atBlock] = end
	return nil
}

// lengthIn says which word of a reply's line is the length of its data, 0 for none, and whether it is an item behind
// which others come, or the END.
func lengthIn(line []byte) (place int, more bool) {
	name, _ := nextWord(line)
	switch string(name) {
	case "VALUE":
		return 3, true
	case "VA":
		return 1, false
	case "STAT", "ITEM", "PREFIX":
		return 0, true
	}
	return 0, false
}

// endsItems says whether a line ends the items of a reply: END, or an error that befell the server in their midst.
func endsItems(line []byte) bool {
	name, _ := nextWord(line)
	switch string(name) {
	case "END", "ERROR", "CLIENT_ERROR", "SERVER_ERROR":
		return true
	}
	return false
}

// Append implements frame.Codec: msg must be exactly one reply.
func (c Replies) Append(dst, msg []byte) ([]byte, error) { return frame.AppendWhole(c, dst, msg) }

// String implements frame.Codec.
func (c Replies) String() string { return c.limits().spec("memcache.replies") }

// Next reads the first item of p, which is a reply or what is left of one: it appends the words of its line to dst, and
// returns its data (nil if its line announces none) and what follows. All are views into p. An error's text is words
// too; its line as it came is p up to the CR.
func Next(dst [][]byte, p []byte) (words [][]byte, data, rest []byte, err error) {
	end, err := endOfLine(p, 0)
	if err == nil && end == 0 {
		err = bad("the line of %d bytes is cut short", len(p))
	}
	if err != nil {
		return dst, nil, nil, err
	}
	line := p[:end-2]
	place, _ := lengthIn(line)
	if place == 0 {
		return appendWords(dst, line), nil, p[end:], nil
	}
	n, err := length(word(line, place), largest)
	if err == nil && n+2 > len(p)-end {
		err = bad("the data of %d bytes is cut short", n)
	}
	if err == nil {
		err = checkBlock(p, end+n+2)
	}
	if err != nil {
		return dst, nil, nil, err
	}
	return appendWords(dst, line), p[end : end+n : end+n], p[end+n+2:], nil
}
