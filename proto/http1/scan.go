package http1

import "bytes"

// A Scanner finds the end of a head in bytes that come in pieces. Each byte is looked at once. Its zero value is
// ready for a head, and it is again when Scan has found one or failed.
type Scanner struct {
	Limits   Limits // filled (WithDefaults)
	Response bool   // the head is a response's: what is no HTTP is ErrStatusLine then

	begun int // where the head begins: behind an empty line, which may come before a request (RFC 9112, section 2.2)
	line  int // where the line begins that is not whole yet
	at    int // up to where it was looked at
	lines int
	ended bool // there was a first line
}

// Scan looks at b, which is all that has come since the head's beginning, and returns how long the head is, with the
// empty line behind it; 0 where more is needed. One empty line before the first is skipped, and counts. It fails as
// soon as the head is too long, or a line's end or beginning is wrong, whatever the rest would be.
func (s *Scanner) Scan(b []byte) (int, error) {
	for {
		if !s.ended && len(b) > s.begun && chars[b[s.begun]]&isToken == 0 && (b[s.begun] != '\r' || s.begun > 0) {
			if b[s.begun] == ' ' || b[s.begun] == '\t' {
				return 0, s.fail(ErrSpace)
			}
			if s.Response {
				return 0, s.fail(ErrStatusLine)
			}
			return 0, s.fail(ErrStartLine) // what speaks another protocol is told so by its first byte
		}
		i := bytes.IndexByte(b[s.at:], '\n')
		if i < 0 {
			s.at = len(b)
			if err := s.tooLong(len(b)); err != nil {
				return 0, s.fail(err)
			}
			return 0, nil
		}
		end := s.at + i // of the line, at its LF
		if err := s.tooLong(end + 1); err != nil {
			return 0, s.fail(err)
		}
		if end == s.line || b[end-1] != '\r' {
			return 0, s.fail(ErrLineEnd)
		}
		line := b[s.line : end-1]
		s.line, s.at = end+1, end+1
		switch {
		case len(line) == 0 && s.ended:
			*s = Scanner{Limits: s.Limits, Response: s.Response}
			return end + 1, nil
		case len(line) == 0 && s.begun == 0 && end == 1:
			s.begun = end + 1
			continue
		case line[0] == ' ' || line[0] == '\t':
			return 0, s.fail(ErrSpace)
		case bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0:
			return 0, s.fail(ErrLineEnd)
		}
		if s.ended {
			if s.lines++; s.lines > s.Limits.Fields {
				return 0, s.fail(ErrTooManyFields)
			}
		}
		s.ended = true
	}
}

// tooLong is why a head of which n bytes have come is refused. A first line without end is a long target rather.
func (s *Scanner) tooLong(n int) error {
	switch {
	case n-s.begun <= s.Limits.Head:
		return nil
	case !s.ended:
		return ErrTargetTooLong
	}
	return ErrHeadTooLong
}

func (s *Scanner) fail(err error) error {
	*s = Scanner{Limits: s.Limits, Response: s.Response}
	return err
}
