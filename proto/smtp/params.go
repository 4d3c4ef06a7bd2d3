package smtp

import (
	"strings"
	"unicode/utf8"
)

// Parameters of MAIL and RCPT: words behind the path, each a keyword that may have a value (RFC 5321, section 4.1.2).

// Lengths of parameters, in bytes as they are meant (RFC 3461, section 4.4; RFC 3461, section 4.2, with RFC 3464; RFC
// 5321 for a mailbox).
const (
	mostEnvelopeID = 100
	mostOriginal   = 500
	mostAuthParam  = 500
)

// eachParam calls f for each parameter. A keyword that is there twice, which RFC 5321 forbids (section 4.1.1.11), is
// ErrValue.
func eachParam(s string, f func(keyword, value string, has bool) error) error {
	if s != "" && s[0] != ' ' {
		return ErrSyntax
	}
	var seen []string
	for word := range strings.FieldsSeq(s) {
		keyword, value, has := strings.Cut(word, "=")
		if !isKeyword(keyword) || has && !isValue(value) {
			return ErrSyntax
		}
		keyword = strings.ToUpper(keyword)
		for _, k := range seen {
			if k == keyword {
				return ErrValue
			}
		}
		seen = append(seen, keyword)
		if err := f(keyword, value, has); err != nil {
			return err
		}
	}
	return nil
}

// isKeyword is the rule esmtp-keyword.
func isKeyword(s string) bool {
	if s == "" || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// isValue is the rule esmtp-value, with UTF-8 as RFC 6531 has it (section 3.3).
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c == '=' || c == 0x7f {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

func (o *MailOptions) parse(s string) error {
	return eachParam(s, func(keyword, value string, has bool) (err error) {
		ok := has
		switch keyword {
		case "SIZE":
			o.Size, ok = parseSize(value)
		case "BODY":
			o.Body = parseBody(value)
			ok = o.Body != BodyDefault
		case "SMTPUTF8":
			o.UTF8, ok = true, !has
		case "REQUIRETLS":
			o.RequireTLS, ok = true, !has
		case "RET":
			switch strings.ToUpper(value) {
			case "FULL":
				o.Return = ReturnFull
			case "HDRS":
				o.Return = ReturnHeaders
			default:
				ok = false
			}
		case "ENVID":
			o.EnvelopeID, ok = parseXtext(value, mostEnvelopeID)
			ok = ok && o.EnvelopeID != ""
		case "AUTH":
			var who string
			who, ok = parseXtext(value, mostAuthParam)
			if o.Auth = new(AuthParam); who != "<>" {
				o.Auth.Mailbox, ok = who, ok && who != ""
			}
		default:
			return ErrParameter
		}
		if !ok {
			return ErrValue
		}
		return nil
	})
}

func parseBody(value string) Body {
	switch strings.ToUpper(value) {
	case "7BIT":
		return Body7Bit
	case "8BITMIME":
		return Body8Bit
	case "BINARYMIME":
		return BodyBinary
	}
	return BodyDefault
}

func (o *RcptOptions) parse(s string, utf8 bool) error {
	return eachParam(s, func(keyword, value string, _ bool) error {
		var ok bool
		switch keyword {
		case "NOTIFY":
			o.Notify, ok = parseNotify(value)
		case "ORCPT":
			o.OriginalType, o.Original, ok = parseOriginal(value, utf8)
		default:
			return ErrParameter
		}
		if !ok {
			return ErrValue
		}
		return nil
	})
}

func parseNotify(value string) (n Notify, ok bool) {
	for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
		var one Notify
		switch word {
		case "NEVER":
			one = NotifyNever
		case "SUCCESS":
			one = NotifySuccess
		case "FAILURE":
			one = NotifyFailure
		case "DELAY":
			one = NotifyDelay
		default:
			return 0, false
		}
		if n&one != 0 || n&NotifyNever != 0 {
			return 0, false
		}
		n |= one
	}
	return n, n&NotifyNever == 0 || n == NotifyNever
}

// parseOriginal reads ORCPT: a type, a semicolon and an address in xtext; one of type utf-8 may be in UTF-8 as it is
// (RFC 6533, section 3).
func parseOriginal(value string, utf8 bool) (kind, address string, ok bool) {
	kind, text, found := strings.Cut(value, ";")
	if !found || !isKeyword(kind) || !isASCII(kind) {
		return "", "", false
	}
	if utf8 && strings.EqualFold(kind, "utf-8") && !strings.Contains(text, "+") {
		return kind, text, text != "" && len(text) <= mostOriginal
	}
	address, ok = parseXtext(text, mostOriginal)
	return kind, address, ok && address != ""
}

// parseXtext decodes xtext (RFC 3461, section 4). What it stands for must have no control characters: it goes into
// headers and logs.
func parseXtext(s string, most int) (string, bool) {
	if len(s) > 3*most || !isASCII(s) {
		return "", false
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", false
			}
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		if c < ' ' || c == 0x7f {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), len(b) <= most
}

// unhex is the value of a digit of xtext, which has capitals alone; -1: it is none.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// appendXtext encodes s as xtext.
func appendXtext(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '+' || c == '=' {
			b = append(b, '+', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// append adds the parameters, each behind a space.
func (o *MailOptions) append(b []byte) []byte {
	switch o.Body {
	case Body7Bit:
		b = append(b, " BODY=7BIT"...)
	case Body8Bit:
		b = append(b, " BODY=8BITMIME"...)
	case BodyBinary:
		b = append(b, " BODY=BINARYMIME"...)
	}
	if o.UTF8 {
		b = append(b, " SMTPUTF8"...)
	}
	if o.RequireTLS {
		b = append(b, " REQUIRETLS"...)
	}
	switch o.Return {
	case ReturnFull:
		b = append(b, " RET=FULL"...)
	case ReturnHeaders:
		b = append(b, " RET=HDRS"...)
	}
	if o.EnvelopeID != "" {
		b = appendXtext(append(b, " ENVID="...), o.EnvelopeID)
	}
	switch {
	case o.Auth == nil:
	case o.Auth.Mailbox == "":
		b = append(b, " AUTH=<>"...)
	default:
		b = appendXtext(append(b, " AUTH="...), o.Auth.Mailbox)
	}
	return b
}

// append adds the parameters, each behind a space.
func (o *RcptOptions) append(b []byte) []byte {
	if o.Notify != 0 {
		b = append(b, " NOTIFY="...)
		first := true
		for i, word := range [...]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"} {
			if o.Notify&(1<<i) == 0 {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			b, first = append(b, word...), false
		}
	}
	if o.Original != "" {
		b = append(append(append(b, " ORCPT="...), o.OriginalType...), ';')
		b = appendXtext(b, o.Original)
	}
	return b
}
