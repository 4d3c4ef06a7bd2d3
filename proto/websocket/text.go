package websocket

import "unicode/utf8"

// A runes checks UTF-8 that comes in pieces (RFC 3629). Its zero value is between two characters.
type runes struct {
	left      uint8 // bytes of a character that are still to come
	low, high uint8 // what the next of them may be
}

// check takes the next piece, and reports false at the first byte that no continuation could make right.
func (r *runes) check(b []byte) bool {
	if r.left == 0 { // all but the last character, which may be cut, at once
		whole := len(b)
		for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
			if c := b[len(b)-i]; c >= 0xc0 {
				whole = len(b) - i
				break
			} else if c < 0x80 {
				break
			}
		}
		if !utf8.Valid(b[:whole]) {
			return false
		}
		b = b[whole:]
	}
	for _, c := range b {
		if !r.next(c) {
			return false
		}
	}
	return true
}

// ended reports whether no character is cut.
func (r *runes) ended() bool { return r.left == 0 }

// next is RFC 3629, section 4: the second byte of some characters has a narrower range, so that none is longer than
// needed, a surrogate, or above U+10FFFF.
func (r *runes) next(c byte) bool {
	if r.left > 0 {
		if c < r.low || c > r.high {
			return false
		}
		r.left, r.low, r.high = r.left-1, 0x80, 0xbf
		return true
	}
	r.low, r.high = 0x80, 0xbf
	switch {
	case c < 0x80:
	case 0xc2 <= c && c <= 0xdf:
		r.left = 1
	case 0xe0 <= c && c <= 0xef:
		r.left = 2
		switch c {
		case 0xe0:
			r.low = 0xa0
		case 0xed:
			r.high = 0x9f
		}
	case 0xf0 <= c && c <= 0xf4:
		r.left = 3
		switch c {
		case 0xf0:
			r.low = 0x90
		case 0xf4:
			r.high = 0x8f
		}
	default:
		return false
	}
	return true
}

// validPrefix is how many bytes of s, at most most, are whole characters.
func validPrefix(s string, most int) int {
	n := 0
	for n < len(s) {
		r, size := utf8.DecodeRuneInString(s[n:])
		if r == utf8.RuneError && size <= 1 || n+size > most {
			break
		}
		n += size
	}
	return n
}
