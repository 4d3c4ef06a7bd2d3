package letter

import (
	"bytes"
	"html"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// encodingOf is the encoding of a charset's name; nil: it is not known, or is UTF-8 already.
func encodingOf(charset string) encoding.Encoding {
	charset = strings.ToLower(strings.TrimSpace(charset))
	switch charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return nil
	}
	return e
}

// Encoded is how many bytes the part has as it was sent.
func (p *Part) Encoded() int { return len(p.body) }

// Reader is what is in the part, with the encoding of its transfer taken off (RFC 2045, section 6). It never fails:
// what can't be decoded is left out in base64, and stands as it is in quoted-printable.
func (p *Part) Reader() io.Reader {
	switch p.encoding {
	case "base64":
		return &decoder{step: (&base64Text{src: p.body}).step}
	case "quoted-printable":
		return &decoder{step: (&quotedText{src: p.body}).step}
	}
	return bytes.NewReader(p.body)
}

// head is what the reader has, up to a limit of bytes. rest reports whether there is more.
func head(r io.Reader, most int) (b []byte, rest bool) {
	b, _ = io.ReadAll(io.LimitReader(r, int64(most)+1)) // these readers read memory, and don't fail
	if len(b) > most {
		return b[:most], true
	}
	return b, false
}

// decoded is the part's text in UTF-8, up to most bytes of it.
func (p *Part) decoded(most int) (s string, rest bool) {
	b, rest := head(p.Reader(), most)
	charset := p.params["charset"]
	if p.Type == "text/html" && charset == "" {
		if m := metaCharset.FindSubmatch(b[:min(len(b), 1024)]); m != nil { // as far as browsers look
			charset = string(m[1])
		}
	}
	if e := encodingOf(charset); e != nil {
		text, more := head(e.NewDecoder().Reader(bytes.NewReader(b)), most)
		b, rest = text, rest || more
	}
	return strings.ToValidUTF8(string(b), "\ufffd"), rest
}

var metaCharset = regexp.MustCompile(`(?i)<meta[^>]{0,200}charset\s*=\s*["']?\s*([-\w]{2,40})`)

// Text is what the mail says in plain text, by all its parts that are no files; "": there is none.
func (m *Letter) Text() string {
	var all strings.Builder
	for _, i := range m.text {
		room := m.limits.TextBytes - all.Len()
		if room <= 0 {
			m.met("TextBytes")
			break
		}
		if all.Len() > 0 {
			all.WriteString("\n")
		}
		s, rest := m.Parts[i].decoded(room)
		if rest {
			m.met("TextBytes")
		}
		all.WriteString(s)
	}
	return strings.ReplaceAll(all.String(), "\r\n", "\n")
}

// HTML is what the mail says in HTML, as it was sent but in UTF-8; "": there is none. It is hostile.
func (m *Letter) HTML() string {
	if m.html < 0 {
		return ""
	}
	s, rest := m.Parts[m.html].decoded(m.limits.TextBytes)
	if rest {
		m.met("TextBytes")
	}
	return s
}

// Said is the text, or what the HTML says without its tags. It is for search and short lines; up to most bytes of what
// was sent are looked at.
func (m *Letter) Said(most int) string {
	if len(m.text) > 0 {
		s, _ := m.Parts[m.text[0]].decoded(most)
		if strings.TrimSpace(s) != "" {
			return s
		}
	}
	if m.html < 0 {
		return ""
	}
	s, _ := m.Parts[m.html].decoded(most)
	return untagged(s)
}

// hidden are the elements of HTML whose content is not shown as text.
var hidden = []string{"style", "script", "title", "head"}

// untagged takes tags and comments out of HTML. What is left is text, and safe only where text is.
func untagged(s string) string {
	var out strings.Builder
	for {
		text, rest, ok := strings.Cut(s, "<")
		out.WriteString(text)
		if !ok {
			break
		}
		out.WriteByte(' ')
		if strings.HasPrefix(rest, "!--") {
			if _, s, ok = strings.Cut(rest, "-->"); !ok {
				break
			}
			continue
		}
		tag, behind, ok := strings.Cut(rest, ">")
		if !ok {
			break
		}
		s = behind
		for _, name := range hidden {
			if len(tag) >= len(name) && strings.EqualFold(tag[:len(name)], name) &&
				(len(tag) == len(name) || strings.IndexByte(" \t\r\n/", tag[len(name)]) >= 0) {
				s = behindElement(s, name)
				break
			}
		}
	}
	return html.UnescapeString(out.String())
}

// behindElement is what follows the end of an element.
func behindElement(s, name string) string {
	for at := 0; ; {
		i := strings.Index(s[at:], "</")
		if i < 0 {
			return ""
		}
		if at += i + 2; len(s)-at >= len(name) && strings.EqualFold(s[at:at+len(name)], name) {
			_, s, _ = strings.Cut(s[at:], ">")
			return s
		}
	}
}

// Line makes one line of a text, of at most most bytes.
func Line(s string, most int) string {
	return Clip(strings.Join(strings.Fields(plain(clip(s, 4*most+256))), " "), most)
}
