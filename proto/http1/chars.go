package http1

// What characters are, by byte.
const (
	isToken  = 1 << iota // of a method and a field's name (RFC 9110, section 5.6.2)
	isValue              // of a field's value: visible, white space, or above ASCII (section 5.5)
	isTarget             // of a request's target: visible but '#', or above ASCII, as net/http takes it
	isHost               // of a host and port: RFC 3986, section 3.2.2 and 3.2.3
	isHex                // 0-9 a-f A-F
)

var chars = makeChars()

func makeChars() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		letter, digit := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80, '0' <= c && c <= '9'
		visible := c > ' ' && c != 0x7f
		if letter || digit || in(c, "!#$%&'*+-.^_`|~") {
			t[i] |= isToken
		}
		if visible || c == ' ' || c == '\t' {
			t[i] |= isValue
		}
		if visible && c != '#' {
			t[i] |= isTarget
		}
		if letter || digit || in(c, "-._~!$&'()*+,;=%:[]") {
			t[i] |= isHost
		}
		if digit || 'a' <= c|0x20 && c|0x20 <= 'f' && c < 0x80 {
			t[i] |= isHex
		}
	}
	return t
}

func in(c byte, s string) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

// all reports whether each byte is of the kind.
func all(b []byte, kind uint8) bool {
	for _, c := range b {
		if chars[c]&kind == 0 {
			return false
		}
	}
	return true
}

// equal reports whether b is s, but for the case of ASCII letters. s is in lower case.
func equal(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// trim takes blanks and tabs off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// cut takes the first element off a list with commas, without the blanks round it.
func cut(list []byte) (element, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}
