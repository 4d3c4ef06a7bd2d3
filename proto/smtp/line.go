package smtp

import "bytes"

// A Scanner finds the end of a line in bytes that come in pieces. Each byte is looked at once. Its zero value, with a
// Limit, is ready for a line, and it is again when Scan has found one.
type Scanner struct {
	Limit int // bytes of a line, with its end

	at   int  // up to where it was looked at
	long bool // the line is too long, and its beginning is gone
}

// Scan looks at b, which is all that has come since the line's beginning, and returns how long the line is, with its CR
// LF; 0 where more is needed. [ErrLineEnd] is a line with a CR or LF that is none of its end: nobody knows where the
// next one begins. [ErrLineTooLong] says that the first n bytes of b are a part of a line that is too long, or its end:
// they are to be dropped, and ended says whether the next line begins there.
func (s *Scanner) Scan(b []byte) (n int, ended bool, err error) {
	i := bytes.IndexByte(b[s.at:], '\n')
	if i < 0 {
		begin := max(s.at-1, 0) // a CR at the very end may be that of CR LF
		if c := bytes.IndexByte(b[begin:], '\r'); c >= 0 && begin+c+1 < len(b) {
			return 0, false, ErrLineEnd
		}
		if s.at = len(b); len(b) < s.Limit {
			return 0, false, nil
		}
		s.long, s.at = true, 0
		if n = len(b); b[n-1] == '\r' {
			n-- // which is needed to know its LF
		}
		return n, false, ErrLineTooLong
	}
	n = s.at + i + 1
	if n < 2 || bytes.IndexByte(b[:n], '\r') != n-2 {
		return 0, false, ErrLineEnd
	}
	s.at = 0
	if s.long || n > s.Limit {
		s.long = false
		return n, true, ErrLineTooLong
	}
	return n, true, nil
}

// InLong reports whether a line that is too long has not ended.
func (s *Scanner) InLong() bool { return s.long }
