package ftp

import (
	"errors"
	"fmt"
	"strings"
)

// A Reply is an answer of a server (RFC 959, section 4.2): a code of three digits, and lines of text.
type Reply struct {
	Code  int
	Lines []string
}

// String is the reply in one line.
func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, strings.Join(r.Lines, " / ")) }

// Class is the first digit: 1 is under way, 2 is done, 3 is to go on, 4 has failed for now, 5 has failed.
func (r Reply) Class() int { return r.Code / 100 }

// An Error is a reply that says that something failed.
type Error struct {
	Command string // its name
	Reply   Reply
}

func (e *Error) Error() string { return "ftp: " + e.Command + ": " + e.Reply.String() }

// Temporary reports whether the server thinks that the same may work later: its code is one of 400 to 499.
func (e *Error) Temporary() bool { return e.Reply.Class() == 4 }

// AppendReply appends a reply to b. Lines inside a reply of several that begin with a digit get a space in front, so
// that none is taken for the last. A CR, an LF or a NUL becomes a question mark: so nothing that a peer has sent and
// that a text repeats makes a second reply.
func AppendReply(b []byte, code int, lines ...string) []byte {
	if len(lines) == 0 {
		lines = []string{""}
	}
	for i, line := range lines {
		switch {
		case i == len(lines)-1:
			b = fmt.Appendf(b, "%03d ", code)
		case i == 0:
			b = fmt.Appendf(b, "%03d-", code)
		case line != "" && '0' <= line[0] && line[0] <= '9':
			b = append(b, ' ')
		}
		b = append(appendClean(b, line), '\r', '\n')
	}
	return b
}

// appendClean appends s without what ends a line.
func appendClean(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\r', '\n', 0:
			b = append(b, '?')
		case telnetIAC:
			b = append(b, c, c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// The errors of replies.
var (
	// ErrBadReply is what is no reply.
	ErrBadReply = errors.New("ftp: that is no reply")
	// ErrReplyTooLong is a reply with more lines, or longer ones, than a client's limits allow.
	ErrReplyTooLong = errors.New("ftp: the reply is too long")
)

// A ReplyParser puts a reply together from its lines. The zero value begins one.
type ReplyParser struct {
	reply   Reply
	started bool
}

// Line takes the next line, without its end. done: the reply is whole, and the parser begins the next. A line ends a
// reply of several if it begins with the same code and a space; all else inside is text (RFC 959, section 4.2).
func (p *ReplyParser) Line(line string) (r Reply, done bool, err error) {
	code, sep, text := splitReply(line)
	if !p.started {
		if code == 0 {
			return r, false, ErrBadReply
		}
		if sep != '-' {
			return Reply{code, []string{text}}, true, nil
		}
		p.reply, p.started = Reply{code, []string{text}}, true
		return r, false, nil
	}
	if code == p.reply.Code && sep == ' ' {
		r = p.reply
		r.Lines = append(r.Lines, text)
		*p = ReplyParser{}
		return r, true, nil
	}
	p.reply.Lines = append(p.reply.Lines, line)
	return r, false, nil
}

// splitReply takes a line apart; the code is 0 if it has none, and the separator a space for a line that is a code
// alone.
func splitReply(line string) (code int, sep byte, text string) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' {
		return 0, 0, ""
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, 0, ""
		}
		code = code*10 + int(c-'0')
	}
	if len(line) == 3 {
		return code, ' ', ""
	}
	if sep = line[3]; sep != ' ' && sep != '-' {
		return 0, 0, ""
	}
	return code, sep, line[4:]
}
