package ftp

import (
	"errors"
	"strings"
)

// A Command is a line of the control connection (RFC 959, section 5.3).
type Command struct {
	Name string // in upper case
	// Arg is what stands behind the one space after the name, further spaces included (RFC 2640, section 2.2).
	Arg string
}

// What is wrong with a line. All of these end the connection: where the next line begins is not known.
var (
	// ErrLineTooLong is a line of more bytes than Limits.Line.
	ErrLineTooLong = errors.New("ftp: the line is too long")
	// ErrBareLF is a line feed without a carriage return before it. It does not end a line, for it may be the part of a
	// name that somebody had a client send.
	ErrBareLF = errors.New("ftp: a line ends in CR LF, and this LF has no CR before it")
)

// ErrBadCharacter is a CR, or a NUL, inside a line. The line can be refused alone.
var ErrBadCharacter = errors.New("ftp: a CR or a NUL inside the line")

// Of Telnet (RFC 854), which the control connection is by name.
const (
	telnetSE   = 0xf0 // the first of them
	telnetDM   = 0xf2
	telnetWill = 0xfb
	telnetWont = 0xfc
	telnetDo   = 0xfd
	telnetDont = 0xfe
	telnetIAC  = 0xff
)

// A Line is what [ScanLine] finds.
type Line struct {
	Text []byte // without CR LF and Telnet's commands, in memory of its own
	// Refusals answer what Telnet's options were asked for: WONT to DO, DONT to WILL (RFC 1123, section 4.1.2.12).
	Refusals []byte
	// Bad is set if the text has a CR or a NUL.
	Bad bool
}

// ScanLine finds the first line of b. n is how many bytes of b it takes; 0: it is not whole yet. most bounds it.
//
// Telnet's commands are taken out wherever they stand. Of a Synch the mark, or the IAC before it, may be missing, as it
// is where the system has taken the urgent byte out of the stream: so at a line's beginning, what can't begin the name
// of a command (0xF0 and above) is dropped.
func ScanLine(b []byte, most int) (l Line, n int, err error) {
	for i := 0; i < len(b); i++ {
		if i >= most {
			return l, 0, ErrLineTooLong
		}
		switch c := b[i]; {
		case c == telnetIAC:
			if i+1 == len(b) {
				return l, 0, nil
			}
			switch next := b[i+1]; {
			case next == telnetIAC:
				if len(l.Text) > 0 {
					l.Text = append(l.Text, telnetIAC)
					i++
				}
			case next >= telnetWill:
				if i+2 >= len(b) {
					return l, 0, nil
				}
				l.Refusals = appendRefusal(l.Refusals, next, b[i+2])
				i += 2
			case next >= telnetSE:
				i++
			}
		case c >= telnetSE && len(l.Text) == 0:
		case c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			if i+2 > most {
				return l, 0, ErrLineTooLong
			}
			return l, i + 2, nil
		case c == '\n':
			return l, 0, ErrBareLF
		case c == '\r' && i+1 == len(b):
			return l, 0, nil
		default:
			l.Bad = l.Bad || c == '\r' || c == 0
			l.Text = append(l.Text, c)
		}
	}
	return l, 0, nil
}

func appendRefusal(to []byte, asked, option byte) []byte {
	switch asked {
	case telnetWill:
		return append(to, telnetIAC, telnetDont, option)
	case telnetDo:
		return append(to, telnetIAC, telnetWont, option)
	}
	return to // WONT and DONT are what is so anyway
}

// mostName is the longest name of a command, in letters. RFC 959 has four; some extensions have more.
const mostName = 8

// ParseCommand takes a line's text apart. A name is of letters only.
func ParseCommand(text []byte) (c Command, ok bool) {
	name, arg, _ := strings.Cut(string(text), " ")
	if name == "" || len(name) > mostName {
		return c, false
	}
	for i := range len(name) {
		if l := name[i] | 0x20; l < 'a' || l > 'z' {
			return c, false
		}
	}
	return Command{strings.ToUpper(name), arg}, true
}

// AppendCommand appends a command's line to b. It refuses what would be more than one line, or not what was meant: an
// argument with a CR, an LF or a NUL. A byte 0xFF is doubled, as Telnet wants it.
func AppendCommand(b []byte, name, arg string) ([]byte, error) {
	for _, s := range [...]string{name, arg} {
		if strings.ContainsAny(s, "\r\n\x00") {
			return b, ErrBadCharacter
		}
	}
	b = append(b, name...)
	if arg != "" {
		b = append(b, ' ')
		for i := range len(arg) {
			if b = append(b, arg[i]); arg[i] == telnetIAC {
				b = append(b, telnetIAC)
			}
		}
	}
	return append(b, '\r', '\n'), nil
}
