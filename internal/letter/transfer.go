package letter

import (
	"bytes"
	"io"
)

// A decoder is a reader of what a step writes to a buffer of at least 3 bytes; 0 is the end.
type decoder struct {
	step func(dst []byte) int
	buf  [4096]byte
	left []byte
}

func (d *decoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(d.left) == 0 {
		if d.left = d.buf[:d.step(d.buf[:])]; len(d.left) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, d.left)
	d.left = d.left[n:]
	return n, nil
}

// base64Text decodes base64 (RFC 2045, section 6.8) and leaves out what is none. Behind padding it begins anew, for
// some mailers join what they have encoded apart.
type base64Text struct {
	src  []byte
	bits uint32
	have int // characters in bits, 0 to 3
}

func (t *base64Text) step(dst []byte) (n int) {
	for len(t.src) > 0 && len(dst)-n >= 3 {
		c := t.src[0]
		t.src = t.src[1:]
		v, ok := base64Value(c)
		switch {
		case c == '=':
			n += t.flush(dst[n:])
		case ok:
			t.bits = t.bits<<6 | v
			if t.have++; t.have == 4 {
				dst[n], dst[n+1], dst[n+2] = byte(t.bits>>16), byte(t.bits>>8), byte(t.bits)
				n, t.have, t.bits = n+3, 0, 0
			}
		}
	}
	if len(t.src) == 0 && len(dst)-n >= 3 {
		n += t.flush(dst[n:])
	}
	return n
}

// flush writes the one or two bytes that less than four characters make.
func (t *base64Text) flush(dst []byte) (n int) {
	switch t.have {
	case 2:
		dst[0], n = byte(t.bits>>4), 1
	case 3:
		dst[0], dst[1], n = byte(t.bits>>10), byte(t.bits>>2), 2
	}
	t.bits, t.have = 0, 0
	return n
}

func base64Value(c byte) (v uint32, ok bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return uint32(c - 'A'), true
	case 'a' <= c && c <= 'z':
		return uint32(c-'a') + 26, true
	case '0' <= c && c <= '9':
		return uint32(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

// quotedText decodes quoted-printable (RFC 2045, section 6.7). What is wrong stands as it is.
type quotedText struct{ src []byte }

func (t *quotedText) step(dst []byte) (n int) {
	for len(t.src) > 0 && n < len(dst) {
		i := bytes.IndexByte(t.src, '=')
		if i < 0 {
			i = len(t.src)
		}
		if i > 0 {
			took := copy(dst[n:], t.src[:i])
			n, t.src = n+took, t.src[took:]
			continue
		}
		if high, low, ok := hexPair(t.src); ok {
			dst[n] = high<<4 | low
			n, t.src = n+1, t.src[3:]
			continue
		}
		if rest, ok := softBreak(t.src[1:]); ok {
			t.src = rest
			continue
		}
		dst[n] = '='
		n, t.src = n+1, t.src[1:]
	}
	return n
}

func hexPair(b []byte) (high, low byte, ok bool) {
	if len(b) < 3 {
		return 0, 0, false
	}
	high, ok = hexValue(b[1])
	if !ok {
		return 0, 0, false
	}
	low, ok = hexValue(b[2])
	return high, low, ok
}

func hexValue(c byte) (v byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// mostPadding is how many blanks may stand between the sign of a soft line break and the line's end: a line has 76.
const mostPadding = 76

// softBreak reports whether b is the end of a line, and what follows it.
func softBreak(b []byte) (rest []byte, ok bool) {
	i := 0
	for i < len(b) && i < mostPadding && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	b = b[i:]
	switch {
	case len(b) == 0:
		return b, true
	case b[0] == '\n':
		return b[1:], true
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return b[2:], true
	}
	return nil, false
}
