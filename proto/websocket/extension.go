package websocket

import "strings"

// An Extension is an element of Sec-WebSocket-Extensions (RFC 6455, section 9.1).
type Extension struct {
	Name   string
	Params []Param
}

// A Param is a parameter of an Extension. Bare means that it has no value, which is not the same as an empty one.
type Param struct {
	Name, Value string
	Bare        bool
}

// The most that is read of the lists of a handshake.
const (
	mostExtensions = 16 // elements of Sec-WebSocket-Extensions, and parameters of each: nobody sends more than a few
	mostProtocols  = 64 // elements of Sec-WebSocket-Protocol
)

// ParseExtensions reads the values of all fields Sec-WebSocket-Extensions of a head. It reports false where one is
// not by the grammar (RFC 6455, section 9.1, which wants the handshake to fail then), or has too many elements.
func ParseExtensions(values []string) (all []Extension, ok bool) {
	for _, v := range values {
		s := scanner(v)
		for {
			e, ok := s.extension()
			if !ok || len(all) == mostExtensions {
				return nil, false
			}
			all = append(all, e)
			if s.blanks(); s == "" {
				break
			}
			if !s.take(',') {
				return nil, false
			}
		}
	}
	return all, true
}

// A scanner is what is left of a value.
type scanner string

func (s *scanner) blanks() { *s = scanner(strings.TrimLeft(string(*s), " \t")) }

func (s *scanner) take(c byte) bool {
	s.blanks()
	if *s == "" || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

// token takes a token, which is not empty (RFC 9110, section 5.6.2).
func (s *scanner) token() (string, bool) {
	s.blanks()
	n := 0
	for n < len(*s) && tokenChar((*s)[n]) {
		n++
	}
	t := string((*s)[:n])
	*s = (*s)[n:]
	return t, n > 0
}

// quoted takes a quoted string, of which the quote is taken, whose content has to be a token.
func (s *scanner) quoted() (string, bool) {
	var b []byte
	for i := 0; i < len(*s); i++ {
		c := (*s)[i]
		switch {
		case c == '"':
			*s = (*s)[i+1:]
			return string(b), len(b) > 0
		case c == '\\' && i+1 < len(*s):
			i++
			c = (*s)[i]
		}
		if !tokenChar(c) {
			return "", false
		}
		b = append(b, c)
	}
	return "", false
}

func (s *scanner) extension() (e Extension, ok bool) {
	if e.Name, ok = s.token(); !ok {
		return e, false
	}
	for s.take(';') {
		p := Param{Bare: true}
		if p.Name, ok = s.token(); !ok || len(e.Params) == mostExtensions {
			return e, false
		}
		if s.take('=') {
			p.Bare = false
			if s.take('"') {
				p.Value, ok = s.quoted()
			} else {
				p.Value, ok = s.token()
			}
			if !ok {
				return e, false
			}
		}
		e.Params = append(e.Params, p)
	}
	return e, true
}

func tokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isToken reports whether s is a token.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChar(s[i]) {
			return false
		}
	}
	return s != ""
}

// elements are those of a list with commas in several fields, without blanks. Empty ones are there too.
func elements(values []string) (all []string) {
	for _, v := range values {
		for e := range strings.SplitSeq(v, ",") {
			all = append(all, strings.Trim(e, " \t"))
		}
	}
	return all
}

// listed reports whether a list has the token, in any case.
func listed(values []string, token string) bool {
	for _, e := range elements(values) {
		if strings.EqualFold(e, token) {
			return true
		}
	}
	return false
}
