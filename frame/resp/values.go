package resp

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/plexor-go/plexor/frame"
)

// Values is the codec of what a client receives: any value of RESP2 and RESP3, with all that is nested in it, and with
// the attributes that stand before it. A message is the value as it came; Next takes it apart.
//
// It implements frame.Resumer.
type Values struct {
	Max int // longest value in bytes, with all that frames it; 0 for frame.DefaultMax

	// MaxLine is the longest simple string, error or number in bytes, without what frames it; 0 for DefaultMaxLine, or Max
	// if that is less.
	MaxLine int

	MaxElements int // most values in a message; 0 for DefaultMaxElements
	MaxDepth    int // how deep they may be nested, at most 1024; 0 for DefaultMaxDepth
}

func (c Values) max() int         { return orDefault(c.Max, frame.DefaultMax) }
func (c Values) maxLine() int     { return min(orDefault(c.MaxLine, DefaultMaxLine), c.max()-3) }
func (c Values) maxElements() int { return orDefault(c.MaxElements, DefaultMaxElements) }
func (c Values) maxDepth() int    { return orDefault(c.MaxDepth, DefaultMaxDepth) }

// Check implements frame.Codec.
func (c Values) Check() error {
	if c.Max != 0 && c.Max < leastBulk {
		return maxTooSmall("resp.Values", c.Max)
	}
	for _, f := range []struct {
		name    string
		n, most int
	}{{"Max", c.Max, largestMax}, {"MaxLine", c.MaxLine, largestMax}, {"MaxElements", c.MaxElements, largestCount},
		{"MaxDepth", c.MaxDepth, largestDepth}} {
		if err := checkField("resp.Values", f.name, f.n, f.most); err != nil {
			return err
		}
	}
	return nil
}

// MaxMessage implements frame.Codec.
func (c Values) MaxMessage() int { return c.max() }

// MaxFrame implements frame.Codec.
func (c Values) MaxFrame() int { return c.max() }

// Scan implements frame.Codec.
func (c Values) Scan(p []byte, _ int) (frame.Span, error) {
	var at frame.State
	return c.Resume(p, &at)
}

// Resume implements frame.Resumer. It counts the values that must still come, and looks at how they are nested once all
// are there.
func (c Values) Resume(p []byte, at *frame.State) (frame.Span, error) {
	if *at == (frame.State{}) {
		at[atLeft], at[atElements] = 1, 1
	}
	b := budget{max: c.max(), least: leastElement, what: "value"}
	for at[atLeft] > 0 {
		pos := at[atPos]
		v, size, err := c.one(p[pos:], b.room(pos, at[atLeft]))
		if err != nil {
			return frame.Span{}, err
		}
		if size == 0 || size > len(p)-pos {
			return b.more(len(p), pos, size, at[atLeft])
		}
		at[atPos] += size
		if v.Kind != Attribute { // which stands before a value, and is none
			at[atLeft]--
		}
		if inside := v.inside(); inside > 0 {
			at[atNested]++
			at[atElements] += inside
			at[atLeft] += inside
			if at[atElements] > c.maxElements() {
				return frame.Span{}, tooLong("the value has at least %d in it, %d are allowed", at[atElements], c.maxElements())
			}
		}
		// For an attribute too: the value that it stands before has still to come.
		if err := b.check(at[atPos], at[atLeft]); err != nil {
			return frame.Span{}, err
		}
	}
	if at[atNested] > c.maxDepth() {
		if err := c.checkDepth(p[:at[atPos]]); err != nil {
			return frame.Span{}, err
		}
	}
	return frame.Span{End: at[atPos], Size: at[atPos]}, nil
}

// one reads the value at p[0], of an aggregate the header alone; it may have at most room bytes. A size of 0, or one
// greater than len(p), means that it has not all come.
func (c Values) one(p []byte, room int) (v Value, size int, err error) {
	if len(p) == 0 {
		return v, 0, nil
	}
	kind := Kind(p[0])
	if !kind.known() {
		return v, 0, bad("%q begins a value: no type has it", p[0])
	}
	p = p[:min(len(p), room)]
	if !kind.hasLength() {
		text, n, err := line(p[1:], c.maxLine())
		if err != nil || n == 0 {
			return v, 0, err
		}
		v = Value{Kind: kind, Text: text}
		return v, 1 + n, v.check()
	}
	what, bound := "elements", c.maxElements()
	if kind.isText() {
		what, bound = "bytes", c.max()
	}
	length, n, null, err := header(p[1:], bound, what)
	if err != nil || n == 0 {
		return v, 0, err
	}
	v = Value{Kind: kind}
	size = 1 + n
	if null {
		if kind != Bulk && kind != Array {
			return v, 0, bad("a %v has the length -1, which is for bulk strings and arrays", kind)
		}
		v.Null = true
		return v, size, nil
	}
	if !kind.isText() {
		v.Len = length
		return v, size, nil
	}
	end, err := bulk(p, size, length, room)
	if err != nil {
		return v, 0, err
	}
	if end <= len(p) {
		v.Text = p[size : size+length : size+length]
		if kind == Verbatim && (len(v.Text) < 4 || v.Text[3] != ':') {
			return v, 0, bad("a verbatim string begins with three letters and a colon, not with %q", clip(v.Text))
		}
	}
	return v, end, nil
}

// checkDepth follows how the values of a whole message are nested.
func (c Values) checkDepth(p []byte) error {
	depth := c.maxDepth()
	var stack []int // values left in each aggregate that is open
	for len(p) > 0 {
		v, size, err := c.one(p, len(p))
		if err != nil {
			return err
		}
		p = p[size:]
		inside := v.inside()
		if len(stack) > 0 && v.Kind != Attribute {
			stack[len(stack)-1]--
		}
		if inside > 0 {
			if stack = append(stack, inside); len(stack) > depth {
				return tooLong("values are nested more than %d deep", depth)
			}
		}
		for len(stack) > 0 && stack[len(stack)-1] == 0 {
			stack = stack[:len(stack)-1]
		}
	}
	return nil
}

// Append implements frame.Codec: msg must be exactly one value, as the functions that begin with Append make it.
func (c Values) Append(dst, msg []byte) ([]byte, error) { return frame.AppendWhole(c, dst, msg) }

// String implements frame.Codec.
func (c Values) String() string {
	return withBounds("resp.values", "max", c.Max, "line", c.MaxLine, "elements", c.MaxElements, "depth", c.MaxDepth)
}

// A Kind is a value's type: the byte that it begins with.
type Kind byte

// The types, in RESP2 and RESP3 the first five, in RESP3 the others.
const (
	Simple    Kind = '+' // a line of text
	Error     Kind = '-' // a line that begins with a code in capitals
	Int       Kind = ':' // a signed number of 64 bits
	Bulk      Kind = '$' // any bytes
	Array     Kind = '*'
	Null      Kind = '_'
	Bool      Kind = '#' // t or f
	Double    Kind = ','
	Big       Kind = '(' // a number of any size
	BulkError Kind = '!'
	Verbatim  Kind = '=' // text behind three letters that say what it is, and a colon
	Map       Kind = '%' // of Len pairs: twice as many values follow
	Attribute Kind = '|' // as a map; says something of the value behind it, and is none
	Set       Kind = '~'
	Push      Kind = '>' // was not asked for
)

var kindNames = map[Kind]string{Simple: "simple string", Error: "error", Int: "number", Bulk: "bulk string",
	Array: "array", Null: "null", Bool: "boolean", Double: "double", Big: "big number", BulkError: "bulk error",
	Verbatim: "verbatim string", Map: "map", Attribute: "attribute", Set: "set", Push: "push"}

// String is the type's name.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("Kind(%q)", byte(k))
}

// What a kind's line is: what it says itself, or a length, of values or of bytes.
const (
	isLine = 1 + iota
	countsValues
	countsBytes
)

var kinds = [256]uint8{
	Simple: isLine, Error: isLine, Int: isLine, Null: isLine, Bool: isLine, Double: isLine, Big: isLine,
	Array: countsValues, Map: countsValues, Attribute: countsValues, Set: countsValues, Push: countsValues,
	Bulk: countsBytes, BulkError: countsBytes, Verbatim: countsBytes,
}

func (k Kind) known() bool     { return kinds[k] != 0 }
func (k Kind) hasLength() bool { return kinds[k] >= countsValues }
func (k Kind) isText() bool    { return kinds[k] == countsBytes }

// A Value is one item of a message. The values in an aggregate are items of their own, behind it.
type Value struct {
	Kind Kind
	Null bool   // Null itself, or a bulk string or an array of length -1
	Text []byte // the text, or the digits of a number: a view into the message
	Len  int    // of an aggregate: how many values follow that belong to it, of a Map and an Attribute pairs
}

// inside is how many values follow that belong to it.
func (v Value) inside() int {
	if v.Kind == Map || v.Kind == Attribute {
		return 2 * v.Len
	}
	return v.Len
}

// Next reads the first item of p, which is a message or what is left of one, and returns the bytes behind it. An
// aggregate is its header: what is in it comes with the next calls. p must come from Values, whose bounds then hold, or
// be bounded otherwise.
func Next(p []byte) (v Value, rest []byte, err error) {
	all := Values{Max: largestMax, MaxLine: largestMax, MaxElements: largestCount}
	v, size, err := all.one(p, largestMax)
	if err != nil {
		return Value{}, nil, err
	}
	if size == 0 || size > len(p) {
		return Value{}, nil, bad("the value of %d bytes is cut short", len(p))
	}
	v.Null = v.Null || v.Kind == Null
	return v, p[size:], nil
}

// Int is the number that a value of type Int says.
func (v Value) Int() (int64, error) {
	if v.Kind != Int {
		return 0, bad("a %v is no number", v.Kind)
	}
	n, err := strconv.ParseInt(string(v.Text), 10, 64)
	if err != nil {
		return 0, bad("%q is no number of 64 bits", clip(v.Text))
	}
	return n, nil
}

// Double is the number that a value of type Double says: inf, -inf and nan too.
func (v Value) Double() (float64, error) {
	if v.Kind != Double {
		return 0, bad("a %v is no double", v.Kind)
	}
	if !isDouble(v.Text) {
		return 0, bad("%q is no double", clip(v.Text))
	}
	f, err := strconv.ParseFloat(string(v.Text), 64)
	if err != nil && !math.IsInf(f, 0) { // too large a number is infinite
		return 0, bad("%q is no double", clip(v.Text))
	}
	return f, nil
}

// check says whether the line of a value is what its type says.
func (v Value) check() error {
	ok := true
	switch v.Kind {
	case Int:
		_, err := v.Int()
		ok = err == nil
	case Null:
		ok = len(v.Text) == 0
	case Bool:
		ok = string(v.Text) == "t" || string(v.Text) == "f"
	case Double:
		ok = isDouble(v.Text)
	case Big:
		digits := bytes.TrimLeft(v.Text, "+-")
		ok = len(digits) > 0 && len(v.Text)-len(digits) <= 1 && bytes.IndexFunc(digits, notDigit) < 0
	}
	if !ok {
		return bad("%q is no %v", clip(v.Text), v.Kind)
	}
	return nil
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

// isDouble says whether text is a number by RESP3's grammar: digits, a fraction, an exponent, or inf and nan. Forms
// that strconv reads besides (0x, underscores, "infinity") are not of it.
func isDouble(text []byte) bool {
	switch string(text) {
	case "inf", "-inf", "+inf", "nan":
		return true
	}
	rest := text
	if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	digits := func(p []byte) bool { return len(p) > 0 && bytes.IndexFunc(p, notDigit) < 0 }
	if i := bytes.IndexAny(rest, "eE"); i >= 0 {
		exponent := rest[i+1:]
		if len(exponent) > 0 && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if !digits(exponent) {
			return false
		}
		rest = rest[:i]
	}
	whole, fraction, hasFraction := bytes.Cut(rest, []byte{'.'})
	return digits(whole) && (!hasFraction || digits(fraction))
}
