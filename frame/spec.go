package frame

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A spec is a name, for some codecs a colon and an argument, then options behind commas:
//
//	spec   = one [ "~" one ]
//	one    = name [ ":" argument ] *( "," option )
//	option = key / key "=" number
//
// It is made to stand in the query of a URL as it is: commas, colons, backslashes and equals signs mean nothing
// there between "?frame=" and the next "&", and what does mean something (and any space, comma, or byte that is
// not printable ASCII) String writes as an escape.

// Parse makes a codec from its spec, for command lines and configuration:
//
//	len1 len2 len3 len4 len8   Length, big endian; len2le and so on: little endian; len2be: as len2
//	multiprocessing            Multiprocessing
//	varint                     Varint
//	line, crlf                 Line, with CRLF for the latter
//	delim:BYTES                Delimited
//	netstring                  Netstring
//	fixed:SIZE                 Fixed
//
// Options follow behind commas, in any order, each once:
//
//	max=SIZE                   Max, for all but fixed; without it DefaultMax
//	offset=N adjust=N strip=N  the fields of Length of that name, in bytes
//	inclusive keep             the fields of Length of that name, set
//
// Two of them with a tilde between, as in "line~len4", are a Pair: what is received, and what is sent.
//
// A SIZE is a number of bytes, or a number with KiB, MiB or GiB behind it. BYTES stand for themselves, but for
// \r, \n, \t, \0, \\, \, (a comma) and \xHH (a byte in hexadecimal; a tilde is \x7e).
//
// For example "len4,max=65536", or "len2le,offset=1,adjust=-3,keep", or "delim:\r\n\r\n". The codec's String
// method prints the spec back in one normal form, in which any codec that passes Check can be written, and
// Parse makes the same codec of it. An error says what is wrong and what would be right.
func Parse(spec string) (Codec, error) {
	c, err := parsePair(spec)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("frame: spec %q: %s", spec, strings.TrimPrefix(err.Error(), "frame: "))
	}
	return c, nil
}

// names is what Parse knows, for its error.
const names = "len1 to len4 or len8 (and len2le for little endian), multiprocessing, varint, line, crlf, " +
	"delim:BYTES, netstring or fixed:SIZE"

func parsePair(spec string) (Codec, error) {
	in, out, pair := strings.Cut(spec, "~")
	c, err := parse(in)
	if err != nil || !pair {
		return c, err
	}
	if strings.Contains(out, "~") {
		return nil, errors.New(`there are two tildes: a pair has one, and a tilde in a delimiter is \x7e`)
	}
	o, err := parse(out)
	return Pair{In: c, Out: o}, err
}

func parse(spec string) (Codec, error) {
	parts := split(spec)
	name, arg, hasArg := strings.Cut(parts[0], ":")
	options := parts[1:]
	switch name {
	case "":
		return nil, errors.New("the name is missing: want " + names)
	case "delim":
		return parseDelim(arg, hasArg, options)
	case "fixed":
		return parseFixed(arg, hasArg, options)
	}
	if hasArg {
		return nil, fmt.Errorf("a colon follows %q: only delim: and fixed: have an argument; options follow a comma", name)
	}
	if field, ok := strings.CutPrefix(name, "len"); ok {
		return parseLength(field, options)
	}
	switch name {
	case "multiprocessing":
		var c Multiprocessing
		err := set(options, option{key: "max", size: &c.Max})
		return c, err
	case "varint":
		var c Varint
		err := set(options, option{key: "max", size: &c.Max})
		return c, err
	case "line", "crlf":
		c := Line{CRLF: name == "crlf"}
		err := set(options, option{key: "max", size: &c.Max})
		return c, err
	case "netstring":
		var c Netstring
		err := set(options, option{key: "max", size: &c.Max})
		return c, err
	}
	return nil, fmt.Errorf("no codec has the name %q: want %s", name, names)
}

// split cuts spec at its commas, but not at those behind a backslash.
func split(spec string) (parts []string) {
	from := 0
	for i := 0; i < len(spec); i++ {
		switch spec[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, spec[from:i])
			from = i + 1
		}
	}
	return append(parts, spec[from:])
}

func parseLength(field string, options []string) (Codec, error) {
	width, little := strings.CutSuffix(field, "le")
	if !little {
		width = strings.TrimSuffix(field, "be")
	}
	switch width {
	case "1", "2", "3", "4", "8":
	default:
		return nil, errors.New("a length field is 1, 2, 3, 4 or 8 bytes wide, as in len4; le behind it makes it little " +
			"endian, as in len4le")
	}
	c := Length{Bytes: int(width[0] - '0'), LittleEndian: little}
	err := set(options,
		option{key: "offset", number: &c.Offset},
		option{key: "adjust", number: &c.Adjust},
		option{key: "inclusive", flag: &c.Inclusive},
		option{key: "keep", flag: &c.Keep},
		option{key: "strip", number: &c.Strip},
		option{key: "max", size: &c.Max})
	if err == nil && c.Strip == 0 && has(options, "strip") {
		err = errors.New("strip=0: to strip nothing write keep; without strip the header is stripped")
	}
	return c, err
}

func parseDelim(arg string, hasArg bool, options []string) (Codec, error) {
	if !hasArg || arg == "" {
		return nil, errors.New(`delim needs the bytes that end a message, as in delim:\r\n\r\n`)
	}
	delim, err := unescape(arg)
	if err != nil {
		return nil, err
	}
	c := Delimited{Delim: delim}
	err = set(options, option{key: "max", size: &c.Max})
	return c, err
}

func parseFixed(arg string, hasArg bool, options []string) (Codec, error) {
	if !hasArg || arg == "" {
		return nil, errors.New("fixed needs the size of a message, as in fixed:16")
	}
	if has(options, "max") {
		return nil, errors.New("fixed takes no max: its size is its maximum")
	}
	size, err := parseSize(arg)
	if err != nil {
		return nil, fmt.Errorf("fixed:%s: %w", arg, err)
	}
	c := Fixed{Size: size}
	return c, set(options)
}

// An option is a key that may stand behind a comma, and where its value goes: one of flag, number and size.
type option struct {
	key    string
	flag   *bool
	number *int // in decimal, negative too
	size   *int // positive, with a unit
}

// has says whether one of options has the key.
func has(options []string, key string) bool {
	for _, o := range options {
		if k, _, _ := strings.Cut(o, "="); k == key {
			return true
		}
	}
	return false
}

// set stores what options say where the known ones point.
func set(options []string, known ...option) error {
	for i, o := range options {
		key, value, hasValue := strings.Cut(o, "=")
		if has(options[:i], key) {
			return fmt.Errorf("option %s is there twice", key)
		}
		if err := setOne(key, value, hasValue, known); err != nil {
			return err
		}
	}
	return nil
}

func setOne(key, value string, hasValue bool, known []option) (err error) {
	var keys []string
	for _, k := range known {
		keys = append(keys, k.key)
		switch {
		case k.key != key:
			continue
		case k.flag != nil && hasValue:
			return fmt.Errorf("option %s takes no value", key)
		case k.flag != nil:
			*k.flag = true
			return nil
		case !hasValue:
			return fmt.Errorf("option %s needs a number, as in %s=16", key, key)
		case k.number != nil:
			*k.number, err = parseNumber(value)
		default:
			*k.size, err = parseSize(value)
		}
		if err != nil {
			return fmt.Errorf("option %s=%s: %w", key, value, err)
		}
		return nil
	}
	if len(keys) == 0 {
		return fmt.Errorf("unknown option %q: this codec has none", key)
	}
	return fmt.Errorf("unknown option %q: this codec has %s", key, strings.Join(keys, ", "))
}

var errRange = errors.New("the number is too large")

// parseNumber reads a whole number in decimal.
func parseNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errRange
	case err != nil || s[0] == '+':
		return 0, errors.New("that is no whole number")
	}
	return n, nil
}

// parseSize reads a positive number of bytes, with or without a unit.
func parseSize(s string) (int, error) {
	digits, shift := s, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if d, ok := strings.CutSuffix(s, unit); ok {
			digits, shift = d, 10*(i+1)
		}
	}
	n, err := parseNumber(digits)
	if errors.Is(err, errRange) {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("%w; want bytes, as in 65536 or 64KiB", err)
	}
	if n < 1 {
		return 0, errors.New("a size must be positive")
	}
	if n > largestMax>>shift {
		return 0, fmt.Errorf("the size is too large: at most %d bytes", largestMax)
	}
	return n << shift, nil
}

// unescape reads the bytes of a delim spec.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", errors.New(`a backslash at the end: write \\ for one`)
		}
		switch s[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '0':
			b.WriteByte(0)
		case '\\', ',':
			b.WriteByte(s[i])
		case 'x':
			v, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
			if err != nil || i+3 > len(s) {
				return "", errors.New(`\x needs two hexadecimal digits behind it, as in \x1f`)
			}
			b.WriteByte(byte(v))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c: want \r, \n, \t, \0, \\, \, or \xHH`, s[i])
		}
	}
	return b.String(), nil
}

// escape is the opposite of unescape, and leaves nothing that means something in a spec or in a URL's query.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\\':
			b.WriteString(`\\`)
		case c <= ' ' || c >= 0x7f || strings.IndexByte(`,&;#+%"'<>~`, c) >= 0:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// withMax appends the option max, unless it is the default.
func withMax(spec string, max int) string {
	if max != 0 {
		spec += ",max=" + strconv.Itoa(max)
	}
	return spec
}

// String implements Codec.
func (c Length) String() string {
	s := "len" + strconv.Itoa(c.Bytes)
	if c.LittleEndian {
		s += "le"
	}
	if c.Offset != 0 {
		s += ",offset=" + strconv.Itoa(c.Offset)
	}
	if c.Adjust != 0 {
		s += ",adjust=" + strconv.Itoa(c.Adjust)
	}
	if c.Inclusive {
		s += ",inclusive"
	}
	if c.Keep {
		s += ",keep"
	}
	if c.Strip != 0 {
		s += ",strip=" + strconv.Itoa(c.Strip)
	}
	return withMax(s, c.Max)
}

// String implements Codec.
func (c Multiprocessing) String() string { return withMax("multiprocessing", c.Max) }

// String implements Codec.
func (c Varint) String() string { return withMax("varint", c.Max) }

// String implements Codec.
func (c Line) String() string {
	if c.CRLF {
		return withMax("crlf", c.Max)
	}
	return withMax("line", c.Max)
}

// String implements Codec.
func (c Delimited) String() string { return withMax("delim:"+escape(c.Delim), c.Max) }

// String implements Codec.
func (c Netstring) String() string { return withMax("netstring", c.Max) }

// String implements Codec.
func (c Fixed) String() string { return "fixed:" + strconv.Itoa(c.Size) }
