package smtp

import "bytes"

// A DataDecoder takes what follows DATA and finds the message in it (RFC 5321, section 4.5.2), in bytes that come in
// pieces. It keeps none of them. Its zero value is ready for a message.
//
//	        CR           LF
//	┌▶ text ──▶ afterCR ───▶ lineStart ── . ──▶ afterDot ── CR ──▶ afterDotCR ── LF ──▶ the end
//	└──────────────────────────┘  └───▶ text      └── else: the dot goes ──▶ text
//
// A CR before something else than LF, an LF behind something else than CR, and a NUL are errors wherever they stand.
type DataDecoder struct {
	TextLine int  // bytes of a line, with its end; 0: no limit
	Plain    bool // there are no dots to take out and no end: for the chunks of BDAT, with which lines are checked

	state dataState
	line  int // bytes of the line so far
}

type dataState uint8

const (
	lineStart dataState = iota
	inText
	afterCR
	afterDot
	afterDotCR
	dataEnd
)

// Decode takes bytes of src and writes the message's to dst, which may be the same memory: there are never more. dst
// has room for as many as it is to take. It returns how many were written and how many taken; end is that the message
// has ended, and then what follows in src is not of it. An error is final: [ErrBareCR], [ErrBareLF], [ErrNUL], or
// [ErrTextLine], behind which alone Decode may go on, to find the end.
func (d *DataDecoder) Decode(dst, src []byte) (written, taken int, end bool, err error) {
	if len(src) > len(dst) {
		src = src[:len(dst)]
	}
	for taken < len(src) {
		c := src[taken]
		switch d.state {
		case lineStart:
			if c == '.' && !d.Plain {
				d.state = afterDot
				taken++
				continue
			}
			d.state = inText
		case afterCR:
			if c != '\n' {
				return written, taken, false, ErrBareCR
			}
			dst[written] = c
			written, taken = written+1, taken+1
			d.state, d.line = lineStart, 0
			continue
		case afterDot:
			if c == '\r' {
				d.state = afterDotCR
				taken++
				continue
			}
			d.state = inText
		case afterDotCR:
			if c != '\n' {
				return written, taken, false, ErrBareCR
			}
			d.state = dataEnd
			return written, taken + 1, true, nil
		case dataEnd:
			return written, taken, true, nil
		}
		n, err := d.text(src[taken:])
		written += copy(dst[written:], src[taken:taken+n])
		taken += n
		if err != nil {
			return written, taken, false, err
		}
	}
	return written, taken, false, nil
}

// text is how many bytes of src are text up to the next CR, which is one of them.
func (d *DataDecoder) text(src []byte) (int, error) {
	n := len(src)
	if i := bytes.IndexByte(src, '\n'); i >= 0 {
		n = i
	}
	var err error
	if i := bytes.IndexByte(src[:n], '\r'); i >= 0 {
		n = i + 1
		d.state = afterCR
	} else if n < len(src) {
		err = ErrBareLF
	}
	if i := bytes.IndexByte(src[:n], 0); i >= 0 {
		return i, ErrNUL
	}
	if err != nil {
		return n, err
	}
	within := d.line <= d.TextLine-1
	if d.line += n; d.TextLine > 0 && within && d.line > d.TextLine-1 {
		return n, ErrTextLine
	}
	return n, nil
}

// Cut is what is wrong if the chunks of BDAT end here: a CR that is the last byte stands alone.
func (d *DataDecoder) Cut() error {
	if d.state == afterCR {
		return ErrBareCR
	}
	return nil
}

// A DataEncoder makes of a message what follows DATA: it doubles dots at the beginnings of lines, and ends the last
// line if it has no end. Its zero value is ready for a message.
type DataEncoder struct {
	// ConvertLF makes a CR LF of each LF that has no CR before it. Without it such a message is refused.
	ConvertLF bool
	// Plain doubles no dots: for the chunks of BDAT.
	Plain bool

	state dataState
}

// Append adds the next bytes of the message to b. A CR or LF that stands alone, or a NUL, fails with [ErrBareCR],
// [ErrBareLF] or [ErrNUL]: what was added before is whole, and may be sent, but no end must be.
func (e *DataEncoder) Append(b, message []byte) ([]byte, error) {
	for len(message) > 0 {
		c := message[0]
		switch e.state {
		case afterCR:
			if c != '\n' {
				return b, ErrBareCR
			}
			b, message = append(b, '\r', '\n'), message[1:]
			e.state = lineStart
			continue
		case lineStart:
			if c == '.' && !e.Plain {
				b = append(b, '.')
			}
		}
		n := bytes.IndexByte(message, '\n')
		if n < 0 {
			n = len(message)
		}
		if i := bytes.IndexByte(message[:n], '\r'); i >= 0 {
			n = i
		}
		if bytes.IndexByte(message[:n], 0) >= 0 {
			return b, ErrNUL
		}
		b = append(b, message[:n]...)
		if n > 0 {
			e.state = inText
		}
		if n == len(message) {
			return b, nil
		}
		if message[n] == '\r' {
			e.state = afterCR // it is written with its LF
		} else {
			if !e.ConvertLF {
				return b, ErrBareLF
			}
			b = append(b, '\r', '\n')
			e.state = lineStart
		}
		message = message[n+1:]
	}
	return b, nil
}

// End adds the end: that of the last line, if it has none, and with DATA the line with the dot. It fails like Append if
// the message ends in a CR.
func (e *DataEncoder) End(b []byte) ([]byte, error) {
	if e.state == afterCR {
		return b, ErrBareCR
	}
	if e.Plain {
		return b, nil
	}
	if e.state == inText {
		b = append(b, '\r', '\n')
	}
	return append(b, '.', '\r', '\n'), nil
}
