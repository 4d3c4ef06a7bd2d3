package smtp

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// A Mailbox is an address (RFC 5321, section 4.1.2). The zero one is the null reverse-path, <>. It may have other
// characters than ASCII where SMTPUTF8 (RFC 6531) was agreed on.
type Mailbox struct {
	// Local is what stands before the @, without quotes and with the case that it came in.
	Local string
	// Domain is a name, or an address in brackets: [192.0.2.1], [IPv6:2001:db8::1]. It is empty for <Postmaster>.
	Domain string
}

// Lengths that RFC 5321 has (section 4.5.3.1), in bytes.
const (
	mostLocal  = 64
	mostDomain = 255
	mostLabel  = 63
)

// IsNull reports whether m is the null reverse-path.
func (m Mailbox) IsNull() bool { return m == Mailbox{} }

// IsASCII reports whether m can be sent without SMTPUTF8.
func (m Mailbox) IsASCII() bool { return isASCII(m.Local) && isASCII(m.Domain) }

func isASCII[S string | []byte](s S) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// String is the address as it is sent, without angle brackets: the local part is in quotes where it has to be.
func (m Mailbox) String() string { return string(m.Append(nil)) }

// Append adds what String returns.
func (m Mailbox) Append(b []byte) []byte {
	if isDotString(m.Local) || m.IsNull() {
		b = append(b, m.Local...)
	} else {
		b = append(b, '"')
		for i := range len(m.Local) {
			if c := m.Local[i]; c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, m.Local[i])
		}
		b = append(b, '"')
	}
	if m.Domain != "" {
		b = append(append(b, '@'), m.Domain...)
	}
	return b
}

// AppendPath adds the address in angle brackets.
func (m Mailbox) AppendPath(b []byte) []byte { return append(m.Append(append(b, '<')), '>') }

// valid reports whether m can be sent: no byte of it would end what it stands in.
func (m Mailbox) valid() bool {
	if m.IsNull() {
		return true
	}
	if m.Domain == "" {
		return strings.EqualFold(m.Local, postmaster)
	}
	return len(m.Local) <= mostLocal && isQuotable(m.Local) && isDomain(m.Domain, false)
}

// postmaster is the mailbox that may stand without a domain (RFC 5321, section 4.5.1).
const postmaster = "postmaster"

// ParseMailbox reads an address as people write it: without angle brackets, with other characters than ASCII if it has
// them. The empty string is the null reverse-path.
func ParseMailbox(s string) (Mailbox, error) {
	if s == "" {
		return Mailbox{}, nil
	}
	m, rest, ok := parseMailbox(s)
	if !ok || rest != "" {
		return Mailbox{}, ErrPath
	}
	return m, nil
}

// ParsePath reads a path (RFC 5321, section 4.1.2) at the beginning of s: an address in angle brackets, <>, or
// <Postmaster> without a domain. A source route before the address is dropped. rest is what stands behind the path.
func ParsePath(s string) (m Mailbox, rest string, err error) {
	if s == "" || s[0] != '<' {
		return m, s, ErrPath
	}
	in := s[1:]
	if in != "" && in[0] == '>' {
		return m, in[1:], nil
	}
	if in != "" && in[0] == '@' { // a source route: RFC 5321, appendix C
		in = skipRoute(in)
	}
	m, in, ok := parseMailbox(in)
	if !ok {
		if l := len(postmaster); len(in) > l && strings.EqualFold(in[:l], postmaster) && in[l] == '>' {
			return Mailbox{Local: in[:l]}, in[l+1:], nil
		}
		return Mailbox{}, s, ErrPath
	}
	if in == "" || in[0] != '>' {
		return Mailbox{}, s, ErrPath
	}
	return m, in[1:], nil
}

// skipRoute is what stands behind a source route, or "" if it is none.
func skipRoute(s string) string {
	for {
		end := strings.IndexAny(s, ",:")
		if end < 0 || s[0] != '@' || !isDomain(s[1:end], false) {
			return ""
		}
		if s[end] == ':' {
			return s[end+1:]
		}
		if s = s[end+1:]; s == "" {
			return ""
		}
	}
}

// parseMailbox reads an address at the beginning of s. If there is none, rest is s.
func parseMailbox(s string) (m Mailbox, rest string, ok bool) {
	local, in, ok := parseLocal(s)
	if !ok || len(local) > mostLocal || in == "" || in[0] != '@' {
		return m, s, false
	}
	in = in[1:]
	end := strings.IndexAny(in, "> \t")
	if end < 0 {
		end = len(in)
	}
	if !isDomain(in[:end], false) {
		return m, s, false
	}
	return Mailbox{local, in[:end]}, in[end:], true
}

// parseLocal reads a local part: a dot-string or a quoted one, which is unquoted.
func parseLocal(s string) (local, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		end := strings.IndexByte(s, '@')
		if end <= 0 || !isDotString(s[:end]) {
			return "", s, false
		}
		return s[:end], s[end:], true
	}
	var b []byte
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			local = string(b)
			return local, s[i+1:], isQuotable(local)
		case c == '\\':
			if i++; i == len(s) {
				return "", s, false
			}
			c = s[i]
		}
		b = append(b, c)
	}
	return "", s, false
}

// isDotString reports whether s can stand before an @ without quotes.
func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") || !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf && !isAtext(c) && c != '.' {
			return false
		}
	}
	return true
}

// isAtext is the rule of that name (RFC 5322, section 3.2.3).
func isAtext(c byte) bool { return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0 }

func isAlnum(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }

// isQuotable reports whether s can stand in quotes: no control characters, so no line ends.
func isQuotable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// isDomain reports whether s is a domain or an address in brackets. underscore allows for those, which are no part of
// the rule, and of many names that machines have.
func isDomain(s string, underscore bool) bool {
	if s == "" || len(s) > mostDomain {
		return false
	}
	if s[0] == '[' {
		return isLiteral(s)
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > mostLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c < utf8.RuneSelf && !isAlnum(c) && c != '-' && (c != '_' || !underscore) {
				return false
			}
		}
	}
	return utf8.ValidString(s)
}

// isLiteral reports whether s is an address-literal (RFC 5321, section 4.1.3).
func isLiteral(s string) bool {
	in, ok := strings.CutSuffix(s[1:], "]")
	if !ok || in == "" {
		return false
	}
	tag, content, tagged := strings.Cut(in, ":")
	switch {
	case !tagged:
		a, err := netip.ParseAddr(in)
		return err == nil && a.Is4()
	case strings.EqualFold(tag, "IPv6"):
		a, err := netip.ParseAddr(content)
		return err == nil && a.Is6() && a.Zone() == ""
	}
	for i := range len(content) {
		if c := content[i]; c < '!' || c > '~' || c == '[' || c == ']' || c == '\\' {
			return false
		}
	}
	if content == "" || tag == "" || tag[len(tag)-1] == '-' {
		return false
	}
	for i := range len(tag) {
		if !isAlnum(tag[i]) && tag[i] != '-' {
			return false
		}
	}
	return true
}
