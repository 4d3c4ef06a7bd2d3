package smtp

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Reply is what a server answers (RFC 5321, section 4.2).
type Reply struct {
	Code     int      // 200 to 599
	Enhanced Enhanced // of the last line that has one; the zero one: none
	Lines    []string // the texts, without codes
}

// Text is the lines in one, with line feeds between.
func (r *Reply) Text() string { return strings.Join(r.Lines, "\n") }

// err is r as an error.
func (r *Reply) err() *Error { return &Error{r.Code, r.Enhanced, r.Text()} }

// mostReplyLine is how long a line of a reply may be with its line end (RFC 5321, section 4.5.3.1.5).
const mostReplyLine = 512

// AppendReply adds a reply to b. Each line of text is one of the reply, and has the enhanced code (RFC 2034, section
// 4). Characters that could end a line, or that no line may have, become question marks, and what a line has beyond 512
// bytes is left out.
func AppendReply(b []byte, code int, enhanced Enhanced, text string) []byte {
	for more := true; more; {
		var line string
		line, text, more = strings.Cut(text, "\n")
		begin := len(b)
		b = strconv.AppendInt(b, int64(code), 10)
		if more {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if enhanced != (Enhanced{}) {
			b = append(enhanced.append(b), ' ')
		}
		for _, r := range strings.TrimSuffix(line, "\r") {
			if len(b)-begin > mostReplyLine-2-utf8.UTFMax {
				break
			}
			if r < ' ' && r != '\t' || r == 0x7f || r == utf8.RuneError {
				r = '?'
			}
			b = utf8.AppendRune(b, r)
		}
		b = append(b, '\r', '\n')
	}
	return b
}

// A ReplyParser reads replies from bytes that come in pieces. Its zero value, with the limits, is ready for a reply.
type ReplyParser struct {
	Line  int // bytes of a line, with its end
	Lines int // of a reply

	reply Reply
	scan  Scanner
}

// An errReply is what a server sends that is no reply.
type errReply string

func (e errReply) Error() string { return "smtp: the server's reply " + string(e) }

// The errors of a [ReplyParser]. The connection is of no use behind one.
const (
	ErrReplySyntax = errReply("does not begin with a code, or its lines have different codes")
	ErrReplyEnd    = errReply("has a line that does not end in CR LF")
	ErrReplyLong   = errReply("has a line that is too long, or too many lines")
)

// Parse takes whole lines from the beginning of b, and returns how many bytes they are; done says that the reply is
// whole, which Reply then returns. The rest of b is to come again, with more behind it.
func (p *ReplyParser) Parse(b []byte) (n int, done bool, err error) {
	p.scan.Limit = p.Line
	for {
		l, _, err := p.scan.Scan(b[n:])
		switch {
		case err == ErrLineEnd:
			return n, false, ErrReplyEnd
		case err != nil:
			return n, false, ErrReplyLong
		case l == 0:
			return n, false, nil
		}
		last, err := p.line(b[n : n+l-2])
		n += l
		if err != nil || last {
			return n, last, err
		}
	}
}

// Reply is the whole reply, behind a Parse that was done. It is the caller's.
func (p *ReplyParser) Reply() Reply {
	r := p.reply
	p.reply = Reply{}
	return r
}

func (p *ReplyParser) line(line []byte) (last bool, err error) {
	code, ok := parseCode(line)
	if !ok || len(p.reply.Lines) > 0 && code != p.reply.Code || bytes.IndexByte(line, 0) >= 0 {
		return false, ErrReplySyntax
	}
	if len(p.reply.Lines) == p.Lines {
		return false, ErrReplyLong
	}
	p.reply.Code = code
	text := ""
	last = true
	if len(line) > 3 {
		last = line[3] == ' '
		text = string(line[4:])
	}
	if e, rest, ok := cutEnhanced(text); ok && int(e[0]) == code/100 {
		p.reply.Enhanced, text = e, rest
	}
	p.reply.Lines = append(p.reply.Lines, text)
	return last, nil
}

// parseCode reads the code of a line, which a space, a hyphen or nothing follows.
func parseCode(line []byte) (int, bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' || line[0] < '2' || line[0] > '5' {
		return 0, false
	}
	for _, c := range line[1:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'), true
}

// cutEnhanced reads an enhanced code at the beginning of text.
func cutEnhanced(text string) (e Enhanced, rest string, ok bool) {
	word, rest, _ := strings.Cut(text, " ")
	if len(word) < 5 || len(word) > 9 || word[1] != '.' || word[0] != '2' && word[0] != '4' && word[0] != '5' {
		return e, text, false
	}
	subject, detail, two := strings.Cut(word[2:], ".")
	a, err1 := strconv.ParseUint(subject, 10, 10)
	b, err2 := strconv.ParseUint(detail, 10, 10)
	if !two || err1 != nil || err2 != nil || len(subject) > 3 || len(detail) > 3 {
		return e, text, false
	}
	return Enhanced{uint16(word[0] - '0'), uint16(a), uint16(b)}, rest, true
}
