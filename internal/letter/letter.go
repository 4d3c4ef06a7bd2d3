// Package letter reads a mail as a person wants to see it: its fields, its text, its HTML and its attachments (RFC
// 5322, and MIME of RFC 2045 to 2047 and 2231). It is lenient: whatever the bytes are, something is shown, and
// nothing fails. What a sender could make large or deep is bounded by [Limits], and [Letter.Cut] says which of them
// was met.
//
// It has no state, opens nothing and fetches nothing.
package letter

import (
	"bytes"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// Limits bound what is read of a mail. The zero value of a field means its default.
type Limits struct {
	// HeaderBytes is how much of the header of the mail, and of each part, is looked at, in bytes (default 256 KiB:
	// mailing lists and signatures come to some 20). The rest of a longer one is left out.
	HeaderBytes int
	// Fields is how many fields of a header are kept (default 1000, as many as hops and lists never add).
	Fields int
	// Depth is how deep parts may lie in parts (default 20: real mails have 4). What lies deeper is one part.
	Depth int
	// Parts is how many parts a mail may have (default 500). What comes behind is left out.
	Parts int
	// TextBytes is how long the text and the HTML may be, each, in bytes (default 1 MiB, more than anybody reads). The
	// rest is left out.
	TextBytes int
}

// WithDefaults returns the limits with each default filled in.
func (l Limits) WithDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.HeaderBytes, 256 << 10}, {&l.Fields, 1000}, {&l.Depth, 20}, {&l.Parts, 500}, {&l.TextBytes, 1 << 20},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return l
}

// A Letter is a mail that was read. Its parts are views of the bytes that [Read] was given.
type Letter struct {
	Header Header
	Parts  []Part   // the leaves, in their order
	Cut    []string // names of the limits that were met, as "Depth"; each once

	limits Limits
	text   []int // parts that are its text
	html   int   // the part that is its HTML; -1: none
}

// Read reads a mail. The letter refers to b, which must not change while it is used.
func Read(b []byte, l Limits) *Letter {
	m := &Letter{limits: l.WithDefaults(), html: -1}
	var body []byte
	m.Header, body = m.header(b)
	m.entity(m.Header, body, 0)
	for i := range m.Parts {
		p := &m.Parts[i]
		switch {
		case p.attached || p.Name != "":
		case p.Type == "text/plain":
			m.text = append(m.text, i)
		case p.Type == "text/html" && m.html < 0:
			m.html = i
		}
	}
	return m
}

// ReadHeader reads the fields alone, from the begin of a mail.
func ReadHeader(b []byte, l Limits) (h Header, body []byte) {
	m := &Letter{limits: l.WithDefaults()}
	return m.header(b)
}

func (m *Letter) met(limit string) {
	if !slices.Contains(m.Cut, limit) {
		m.Cut = append(m.Cut, limit)
	}
}

// entity reads a mail's body, or that of a part, and appends its leaves.
func (m *Letter) entity(h Header, body []byte, depth int) {
	if len(m.Parts) >= m.limits.Parts {
		m.met("Parts")
		return
	}
	p := newPart(h, body)
	boundary := p.params["boundary"]
	if !strings.HasPrefix(p.Type, "multipart/") || boundary == "" {
		m.Parts = append(m.Parts, p)
		return
	}
	if depth >= m.limits.Depth {
		m.met("Depth")
		p.attached = true
		m.Parts = append(m.Parts, p)
		return
	}
	before := len(m.Parts)
	for piece := range pieces(body, boundary) {
		if len(m.Parts) >= m.limits.Parts {
			m.met("Parts")
			return
		}
		ph, pb := m.header(piece)
		m.entity(ph, pb, depth+1)
	}
	if len(m.Parts) == before && len(bytes.TrimSpace(body)) > 0 { // its boundary is nowhere: show what there is
		p.Type = "text/plain"
		m.Parts = append(m.Parts, p)
	}
}

// pieces yields what stands between the delimiters of a multipart (RFC 2046, section 5.1.1). One that is not closed
// goes to the end. A line end may be an LF alone, since files of others have such.
func pieces(b []byte, boundary string) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		mark := []byte("--" + boundary)
		from := -1 // of the piece
		for at := 0; at < len(b); {
			i := bytes.Index(b[at:], mark)
			if i < 0 {
				break
			}
			i += at
			if i > 0 && b[i-1] != '\n' { // within a line, whose end is not looked for: it may be far
				at = i + len(mark)
				continue
			}
			line, next := lineAt(b, i+len(mark))
			rest := bytes.TrimRight(line, " \t")
			last := bytes.HasPrefix(rest, []byte("--"))
			if len(rest) > 0 && !last { // a longer boundary
				at = next
				continue
			}
			if from >= 0 && !yield(withoutLineEnd(b[min(from, i):i])) {
				return
			}
			if last {
				return
			}
			from, at = next, next
		}
		if from >= 0 {
			yield(b[from:])
		}
	}
}

// lineAt is the rest of a line without its end, and where the next one begins.
func lineAt(b []byte, at int) (line []byte, next int) {
	if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
		return bytes.TrimSuffix(b[at:at+i], []byte("\r")), at + i + 1
	}
	return b[at:], len(b)
}

func withoutLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// A Part is one that has no parts itself.
type Part struct {
	Header Header
	Type   string // as "text/plain", in lower case
	Name   string // of the file, decoded, without folders; "": none
	ID     string // of Content-ID, without its brackets

	attached bool // Content-Disposition says so
	params   map[string]string
	encoding string // of the transfer, in lower case
	body     []byte
}

// mostParams is how many bytes of Content-Type and Content-Disposition are looked at: names of files have up to 255
// bytes, of which each may take three.
const mostParams = 4 << 10

func newPart(h Header, body []byte) Part {
	p := Part{Header: h, body: body, encoding: strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding")))}
	p.Type, p.params = mediaType(h.Get("Content-Type"))
	if p.Type == "" {
		p.Type = "text/plain" // RFC 2045, section 5.2
	}
	disposition, params := mediaType(h.Get("Content-Disposition"))
	p.attached = disposition == "attachment"
	p.Name = fileName(params["filename"])
	if p.Name == "" {
		p.Name = fileName(p.params["name"])
	}
	if p.Type == "message/rfc822" {
		p.attached = true
	}
	p.ID = strings.Trim(strings.TrimSpace(h.Get("Content-Id")), "<>")
	return p
}

// mediaType is mime.ParseMediaType for what people send: of a value that is wrong it takes the type and the boundary.
func mediaType(v string) (kind string, params map[string]string) {
	if len(v) > mostParams {
		v = v[:mostParams]
	}
	kind, params, err := mime.ParseMediaType(v)
	if err == nil {
		return kind, params
	}
	kind, rest, _ := strings.Cut(v, ";")
	params = make(map[string]string)
	for piece := range strings.SplitSeq(rest, ";") {
		if key, value, ok := strings.Cut(piece, "="); ok {
			key = strings.ToLower(strings.TrimSpace(key))
			if params[key] == "" {
				params[key] = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// mostName is how long the name of a file may be, in bytes: what file systems take.
const mostName = 200

// fileName is the name of a file that a browser may be offered: no folder, no control character, nothing that hides.
func fileName(s string) string {
	s = Words(s) // RFC 2047 says that these don't stand here, and many are sent
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	return strings.Trim(clip(s, mostName), " .")
}

// Attached reports whether the part is to be shown in the list of attachments: it is neither the text nor the HTML.
func (m *Letter) Attached(i int) bool { return i != m.html && !slices.Contains(m.text, i) }

// FileName is the part's name, or one that is made of its number.
func (p *Part) FileName(n int) string {
	if p.Name != "" {
		return p.Name
	}
	ending := ".bin"
	switch p.Type {
	case "message/rfc822":
		ending = ".eml"
	case "text/plain":
		ending = ".txt"
	case "text/calendar":
		ending = ".ics"
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		ending = "." + strings.TrimPrefix(p.Type, "image/")
	}
	return "part-" + strconv.Itoa(n+1) + ending
}
