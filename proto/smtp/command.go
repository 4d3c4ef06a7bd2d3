package smtp

import (
	"strconv"
	"strings"
)

// A Command is a line of a client, taken apart.
type Command struct {
	Verb string // in capitals
	Arg  string // what stands behind it and a space, without spaces at its end
}

// verbs are those that are known. A Command's Verb is one of these strings, so that it costs nothing.
var verbs = [...]string{"EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN",
	"HELP", "AUTH", "STARTTLS"}

// ParseCommand takes a line apart, which comes without its end. It fails with [ErrUnknown] if that begins with no verb,
// [ErrHTTP] if it is the first line of a request of HTTP, and [ErrSyntax] if there are control characters in it. A verb
// that is a word, but not known, is no error.
func ParseCommand(line []byte) (Command, error) {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return Command{}, ErrSyntax
		}
	}
	end := 0
	for end < len(line) && (isAlnum(line[end]) || line[end] == '-') {
		end++
	}
	word, rest := line[:end], line[end:]
	if end == 0 || len(rest) > 0 && rest[0] != ' ' && rest[0] != '\t' {
		return Command{}, ErrUnknown
	}
	c := Command{Arg: strings.Trim(string(rest), " \t")}
	for _, v := range verbs {
		if equalFold(word, v) {
			c.Verb = v
			return c, nil
		}
	}
	if isHTTP(string(word), c.Arg) {
		return c, ErrHTTP
	}
	c.Verb = strings.ToUpper(string(word))
	return c, nil
}

// equalFold reports whether b is the word v, which is in capitals, in any case.
func equalFold(b []byte, v string) bool {
	if len(b) != len(v) {
		return false
	}
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != v[i] {
			return false
		}
	}
	return true
}

// isHTTP reports whether a line begins a request of HTTP. A browser can be made to send one to any port, with commands
// of SMTP in its body.
func isHTTP(word, arg string) bool { return word != "" && strings.Contains(arg, " HTTP/") }

// ParseMail reads what stands behind MAIL: FROM: and the sender's path, with parameters. Those that are not known fail
// with [ErrParameter], addresses in UTF-8 without SMTPUTF8 with [ErrNeedUTF8].
func ParseMail(arg string) (from Mailbox, o *MailOptions, err error) {
	rest, err := cutKey(arg, "FROM:", ErrSender)
	if err != nil {
		return from, nil, err
	}
	from, rest, err = ParsePath(rest)
	if err != nil || from.Domain == "" && !from.IsNull() {
		return from, nil, ErrSender
	}
	o = new(MailOptions)
	if err := o.parse(rest); err != nil {
		return from, nil, err
	}
	if !o.UTF8 && !from.IsASCII() {
		return from, nil, ErrNeedUTF8
	}
	return from, o, nil
}

// ParseRcpt reads what stands behind RCPT: TO: and the recipient's path, with parameters. utf8 is whether the message
// has SMTPUTF8.
func ParseRcpt(arg string, utf8 bool) (to Mailbox, o *RcptOptions, err error) {
	rest, err := cutKey(arg, "TO:", ErrPath)
	if err != nil {
		return to, nil, err
	}
	to, rest, err = ParsePath(rest)
	if err != nil || to.IsNull() {
		return to, nil, ErrPath
	}
	o = new(RcptOptions)
	if err := o.parse(rest, utf8); err != nil {
		return to, nil, err
	}
	if !utf8 && !to.IsASCII() {
		return to, nil, ErrNeedUTF8
	}
	return to, o, nil
}

// cutKey is what stands behind FROM: or TO:. Spaces behind the colon are no part of the syntax, but common.
func cutKey(arg, key string, bad error) (string, error) {
	if len(arg) < len(key) || !strings.EqualFold(arg[:len(key)], key) {
		return "", bad
	}
	return strings.TrimLeft(arg[len(key):], " "), nil
}

// ParseBdat reads what stands behind BDAT: the size of a chunk, and whether it is the last (RFC 3030, section 2).
func ParseBdat(arg string) (size int64, last bool, err error) {
	number, rest, more := strings.Cut(arg, " ")
	if more {
		if !strings.EqualFold(rest, "LAST") {
			return 0, false, ErrSyntax
		}
		last = true
	}
	size, ok := parseSize(number)
	if !ok {
		return 0, false, ErrSyntax
	}
	return size, last, nil
}

// mostDigits is how many digits a size may have (RFC 1870, section 4, has 20; more than 18 fit into no int64 for sure,
// and would be 10^18 bytes).
const mostDigits = 18

// parseSize reads digits.
func parseSize(s string) (int64, bool) {
	if s == "" || len(s) > mostDigits {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
