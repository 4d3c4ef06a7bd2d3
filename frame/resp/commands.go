package resp

import (
	"bytes"
	"strconv"

	"github.com/plexor-go/plexor/frame"
)

// Commands is the codec of what a server receives: arrays of bulk strings. A message is one command, as it came; Args
// takes it apart. The empty command, "*0\r\n", is a message too, without arguments; Redis answers nothing to it.
//
// It implements frame.Resumer.
type Commands struct {
	Max     int // longest command in bytes, with all that frames it; 0 for frame.DefaultMax
	MaxArgs int // most arguments, the command's name among them; 0 for DefaultMaxArgs
	MaxLine int // with Inline: longest line in bytes, without its end; 0 for DefaultMaxLine, or Max if that is less

	// Inline takes lines too, as people type them: words with blanks between them. What is not an array is malformed
	// otherwise: so a browser that was made to send a request here gets no command in (a line of HTTP is one).
	Inline bool
}

func (c Commands) max() int     { return orDefault(c.Max, frame.DefaultMax) }
func (c Commands) maxArgs() int { return orDefault(c.MaxArgs, DefaultMaxArgs) }
func (c Commands) maxLine() int { return min(orDefault(c.MaxLine, DefaultMaxLine), c.max()-2) }

// Check implements frame.Codec.
func (c Commands) Check() error {
	if c.Max != 0 && c.Max < leastBulk {
		return maxTooSmall("resp.Commands", c.Max)
	}
	for _, f := range []struct {
		name    string
		n, most int
	}{{"Max", c.Max, largestMax}, {"MaxArgs", c.MaxArgs, largestCount}, {"MaxLine", c.MaxLine, largestMax}} {
		if err := checkField("resp.Commands", f.name, f.n, f.most); err != nil {
			return err
		}
	}
	return nil
}

// MaxMessage implements frame.Codec.
func (c Commands) MaxMessage() int { return c.max() }

// MaxFrame implements frame.Codec.
func (c Commands) MaxFrame() int { return c.max() }

// Scan implements frame.Codec.
func (c Commands) Scan(p []byte, _ int) (frame.Span, error) {
	var at frame.State
	return c.Resume(p, &at)
}

// Resume implements frame.Resumer.
func (c Commands) Resume(p []byte, at *frame.State) (frame.Span, error) {
	if len(p) == 0 {
		return frame.Span{Size: 1}, nil
	}
	if p[0] != '*' {
		return c.inline(p)
	}
	b := budget{max: c.max(), least: leastBulk, what: "command"}
	pos, left := at[atPos], at[atLeft]
	if pos == 0 {
		n, size, _, err := header(p[1:min(len(p), b.max)], c.maxArgs(), "arguments")
		switch {
		case err != nil:
			return frame.Span{}, err
		case size == 0 && len(p) >= b.max:
			return frame.Span{}, b.exceeded()
		case size == 0:
			return frame.Span{Size: max(len(p)+1, len("*0\r\n"))}, nil
		}
		pos, left = 1+size, n
		if err := b.check(pos, left); err != nil {
			return frame.Span{}, err
		}
	}
	for left > 0 {
		size, err := c.argument(p[pos:], b.room(pos, left))
		if err != nil {
			return frame.Span{}, err
		}
		if size == 0 || size > len(p)-pos {
			at[atPos], at[atLeft] = pos, left
			return b.more(len(p), pos, size, left)
		}
		pos += size
		left--
	}
	at[atPos], at[atLeft] = pos, 0
	return frame.Span{End: pos, Size: pos}, nil
}

// argument goes over the bulk string at p[0], which may have at most room bytes with what frames it. A size of 0, or
// one greater than len(p), means that it has not all come.
func (c Commands) argument(p []byte, room int) (size int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if p[0] != '$' {
		return 0, bad("%q begins an argument: a bulk string begins with $", p[0])
	}
	n, size, null, err := header(p[1:min(len(p), room)], c.max(), "bytes")
	switch {
	case err != nil || size == 0:
		return 0, err
	case null:
		return 0, bad("an argument is null")
	}
	return bulk(p, 1+size, n, room)
}

// inline is a line that a person typed: an LF ends it, with or without a CR before it.
func (c Commands) inline(p []byte) (frame.Span, error) {
	if !c.Inline {
		return frame.Span{}, bad("%q begins a command: an array of bulk strings begins with *", p[0])
	}
	most := c.maxLine()
	i := bytes.IndexByte(p[:min(len(p), most+2)], '\n')
	switch {
	case i >= 0 && len(bytes.TrimSuffix(p[:i], []byte{'\r'})) <= most:
		return frame.Span{End: i + 1, Size: i + 1}, nil
	case i >= 0 || len(p) > most+1 || len(p) == most+1 && p[most] != '\r':
		return frame.Span{}, tooLong("a line does not end within the %d bytes that are allowed", most)
	}
	return frame.Span{Size: len(p) + 1}, nil
}

// Append implements frame.Codec: msg must be exactly one command, as AppendCommand makes it.
func (c Commands) Append(dst, msg []byte) ([]byte, error) { return frame.AppendWhole(c, dst, msg) }

// String implements frame.Codec.
func (c Commands) String() string {
	s := "resp.commands"
	if c.Inline {
		s += ",inline"
	}
	return withBounds(s, "max", c.Max, "args", c.MaxArgs, "line", c.MaxLine)
}

// withBounds appends the bounds that are set: names and numbers in turn.
func withBounds(s string, bounds ...any) string {
	for i := 0; i < len(bounds); i += 2 {
		if n := bounds[i+1].(int); n != 0 {
			s += "," + bounds[i].(string) + "=" + strconv.Itoa(n)
		}
	}
	return s
}

// Args appends to dst the arguments of a command that Commands has found, its name first: views into msg. Of an inline
// command they are its words. An empty command has none.
func Args(dst [][]byte, msg []byte) ([][]byte, error) {
	if len(msg) == 0 || msg[0] != '*' {
		return append(dst, bytes.Fields(msg)...), nil
	}
	v, p, err := Next(msg)
	if err != nil {
		return dst, err
	}
	for range v.Len {
		if v, p, err = Next(p); err != nil {
			return dst, err
		}
		if v.Kind != Bulk || v.Null {
			return dst, bad("an argument is a %v, not a bulk string", v.Kind)
		}
		dst = append(dst, v.Text)
	}
	if len(p) > 0 {
		return dst, bad("%d bytes behind the command", len(p))
	}
	return dst, nil
}
