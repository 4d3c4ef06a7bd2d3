package letter

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Field is one of a header. The value has its line ends taken out, and is not decoded.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Header are the fields in their order.
type Header []Field

// Get is the value of the first field of that name, whatever its case; "": there is none.
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// header takes the header off. A line that is no field ends it, and begins the body.
func (m *Letter) header(b []byte) (h Header, body []byte) {
	for at := 0; at < len(b); {
		line, next := lineAt(b, at)
		if len(line) == 0 {
			return h, b[next:]
		}
		if at == 0 && bytes.HasPrefix(line, []byte("From ")) { // of an mbox
			at = next
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || !fieldName(name) {
			return h, b[at:]
		}
		switch {
		case len(h) >= m.limits.Fields:
			m.met("Fields")
			return h, behindHeader(b[at:])
		case at >= m.limits.HeaderBytes:
			m.met("HeaderBytes")
			return h, behindHeader(b[at:])
		}
		end := next
		for end < len(b) && (b[end] == ' ' || b[end] == '\t') {
			_, end = lineAt(b, end)
		}
		value := b[at+len(name)+1 : end]
		if room := m.limits.HeaderBytes - at; len(value) > room {
			m.met("HeaderBytes")
			value = value[:room]
		}
		h = append(h, Field{Name: string(bytes.TrimRight(name, " \t")), Value: unfold(value)})
		at = end
	}
	return h, nil
}

// behindHeader is the body where the rest of the header is not looked at.
func behindHeader(b []byte) []byte {
	for at := 0; at < len(b); {
		line, next := lineAt(b, at)
		if len(line) == 0 {
			return b[next:]
		}
		at = next
	}
	return nil
}

// mostFieldName is how long the name of a field may be, in bytes; the longest of those registered has 37.
const mostFieldName = 128

// fieldName reports whether it can be one (RFC 5322, section 2.2). Blanks behind it are of an obsolete form.
func fieldName(name []byte) bool {
	name = bytes.TrimRight(name, " \t")
	if len(name) == 0 || len(name) > mostFieldName {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

var lineEnds = strings.NewReplacer("\r\n", "", "\n", "")

// unfold takes the line ends out (RFC 5322, section 2.2.3).
func unfold(b []byte) string {
	s := strings.TrimSpace(string(b))
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	return lineEnds.Replace(s)
}

// mostDecoded is how much of a value is decoded, in bytes: longer than any that a person reads.
const mostDecoded = 16 << 10

// Words decodes the encoded words of a value (RFC 2047) to a line of text in UTF-8, without what controls a terminal or
// turns the direction of writing round.
func Words(value string) string {
	value = clip(value, mostDecoded)
	d := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		e := encodingOf(charset)
		if e == nil {
			return nil, fmt.Errorf("letter: charset %q is not known", charset)
		}
		return e.NewDecoder().Reader(r), nil
	}}
	if s, err := d.DecodeHeader(value); err == nil {
		value = s
	}
	return plain(value)
}

// plain makes a line of what can be shown.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0xfeff:
			return -1 // directions, and a mark of the order of bytes
		case unicode.IsControl(r), r == 0x2028, r == 0x2029:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// clip shortens s to at most n bytes, by whole characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Clip shortens s to at most n bytes, by whole characters, and says so by an ellipsis.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return clip(s, max(n-len("…"), 0)) + "…"
}

// An Address is one of From, To and the like. Where a value can't be read as addresses, what stands there is the
// Address of one.
type Address struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
}

// String is the address as a person reads it.
func (a Address) String() string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name + " <" + a.Address + ">"
}

// mostAddresses is how many addresses of a field are read: more are a mailing, and nobody reads them.
const mostAddresses = 100

// Addresses reads the value of a field like To (RFC 5322, section 3.4).
func Addresses(value string) (all []Address) {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	value = clip(value, mostDecoded)
	if list, err := mail.ParseAddressList(value); err == nil {
		for _, a := range list {
			all = append(all, Address{Words(a.Name), plain(a.Address)})
		}
		return all[:min(len(all), mostAddresses)]
	}
	for piece := range strings.SplitSeq(value, ",") {
		name, rest, ok := strings.Cut(piece, "<")
		address, _, _ := strings.Cut(rest, ">")
		if !ok {
			name, address = "", piece
		}
		a := Address{strings.Trim(strings.TrimSpace(Words(name)), `"`), strings.TrimSpace(Words(address))}
		if a.Address == "" {
			continue
		}
		if all = append(all, a); len(all) == mostAddresses {
			break
		}
	}
	return all
}
