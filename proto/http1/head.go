package http1

import (
	"bytes"
	"math"
)

// A Field is a line of a head. Both parts are views into the head's bytes; the value has no blanks round it.
type Field struct{ Name, Value []byte }

// A Head is the head of a request or of a response. Its slices are views into the bytes that it was parsed from.
type Head struct {
	// Of a request.
	Method, Target []byte
	Host           []byte // of the field; nil where there is none

	// Of a response.
	Status int
	Reason []byte

	Minor  int // of the version: 0 or 1 (what is later is 1)
	Fields []Field

	Body   Body
	Length int64 // of a body that has one

	// What the fields say of the connection (RFC 9110, section 7.6.1, and RFC 9112, section 9.3).
	Close    bool // it ends behind this message
	Upgrade  bool // the list Connection has "upgrade", and there is an Upgrade
	Continue bool // the client waits for a 100 before it sends the body (RFC 9110, section 10.1.1)
}

// A Body is how a body ends (RFC 9112, section 6.3).
type Body uint8

// The ends.
const (
	NoBody   Body = iota // there is none
	ByLength             // behind Length bytes, which are more than none
	ByChunks             // behind the last chunk and the trailers
	ByClose              // with the connection: of responses alone
)

// ParseRequest reads the head of a request: what Scan has found, all of it.
func (h *Head) ParseRequest(b []byte, l Limits) error {
	*h = Head{Fields: h.Fields[:0]}
	if bytes.HasPrefix(b, crlf) {
		b = b[2:]
	}
	line, rest, err := nextLine(b)
	if err != nil {
		return err
	}
	if err := h.requestLine(line, l); err != nil {
		return err
	}
	f, err := h.fields(rest, l)
	if err != nil {
		return err
	}
	return h.frameRequest(f)
}

// ParseResponse reads the head of a response to a request with this method.
func (h *Head) ParseResponse(b []byte, method string, l Limits) error {
	*h = Head{Fields: h.Fields[:0]}
	line, rest, err := nextLine(b)
	if err != nil {
		return err
	}
	if err := h.statusLine(line); err != nil {
		return err
	}
	f, err := h.fields(rest, l)
	if err != nil {
		return err
	}
	return h.frameResponse(f, method)
}

var crlf = []byte("\r\n")

// nextLine takes the first line off b.
func nextLine(b []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, ErrLineEnd
	}
	return b[:i-1], b[i+1:], nil
}

// requestLine is RFC 9112, section 3: single spaces, so that no two readers cut it differently.
func (h *Head) requestLine(line []byte, l Limits) error {
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first <= 0 || last <= first+1 {
		return ErrStartLine
	}
	h.Method, h.Target = line[:first], line[first+1:last]
	if bytes.IndexByte(h.Target, ' ') >= 0 {
		return ErrStartLine
	}
	if !all(h.Method, isToken) {
		return ErrMethod
	}
	if len(h.Target) > l.Target {
		return ErrTargetTooLong
	}
	if !all(h.Target, isTarget) {
		return ErrTarget
	}
	if err := h.version(line[last+1:]); err != nil {
		return err
	}
	return h.target()
}

// version is "HTTP/1." and a digit. A later minor version is read as the latest that there is (RFC 9110, section 2.5).
func (h *Head) version(b []byte) error {
	const prefix = "HTTP/"
	if len(b) != len(prefix)+3 || string(b[:len(prefix)]) != prefix || b[6] != '.' || !digit(b[5]) || !digit(b[7]) {
		return ErrStartLine
	}
	if b[5] != '1' {
		return ErrVersion
	}
	h.Minor = min(int(b[7]-'0'), 1)
	return nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// target holds the four forms of RFC 9112, section 3.2.
func (h *Head) target() error {
	t := h.Target
	switch {
	case string(h.Method) == "CONNECT":
		i := bytes.LastIndexByte(t, ':')
		if i <= 0 || i == len(t)-1 || !all(t, isHost) || !digits(t[i+1:]) {
			return ErrTarget
		}
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*':
		if string(h.Method) != "OPTIONS" {
			return ErrTarget
		}
	default: // a URL: scheme://authority
		i := bytes.Index(t, []byte("://"))
		if i <= 0 || i+3 == len(t) || !letters(t[:i]) || in(t[i+3], "/?") {
			return ErrTarget
		}
	}
	return nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if !digit(c) {
			return false
		}
	}
	return len(b) > 0
}

// letters reports whether b is a scheme: RFC 3986, section 3.1.
func letters(b []byte) bool {
	for i, c := range b {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !digit(c) && !in(c, "+-.")) {
			return false
		}
	}
	return true
}

// statusLine is RFC 9112, section 4. The space behind the digits may be missing where there is no reason, as many
// servers write it.
func (h *Head) statusLine(line []byte) error {
	if len(line) < 12 || line[8] != ' ' || !digits(line[9:12]) || len(line) > 12 && line[12] != ' ' {
		return ErrStatusLine
	}
	switch err := h.version(line[:8]); err {
	case nil:
	case ErrVersion:
		return err
	default:
		return ErrStatusLine
	}
	h.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	if h.Status < 100 {
		return ErrStatusLine
	}
	if len(line) > 12 {
		h.Reason = line[13:]
	}
	if !all(h.Reason, isValue) {
		return ErrStatusLine
	}
	return nil
}

// A framing is what the fields say of where the body ends.
type framing struct {
	length  int64 // -1: none was given
	coded   bool  // there is a Transfer-Encoding
	chunked bool  // its last coding
	unknown bool  // there is another besides
	odd     bool  // chunked twice or before another, or an empty element
	hosts   int
}

// fields reads the lines behind the first, up to the empty one.
func (h *Head) fields(b []byte, l Limits) (framing, error) {
	f := framing{length: -1}
	var closes, keeps, upgrades, upgrade bool
	for {
		line, rest, err := nextLine(b)
		if err != nil {
			return f, err
		}
		if len(line) == 0 {
			break
		}
		b = rest
		field, err := ParseField(line)
		if err != nil {
			return f, err
		}
		if len(h.Fields) >= l.Fields {
			return f, ErrTooManyFields
		}
		h.Fields = append(h.Fields, field)
		switch len(field.Name) { // the first look, since most fields are none of these
		case 4:
			if equal(field.Name, "host") {
				h.Host = field.Value
				f.hosts++
			}
		case 6:
			if equal(field.Name, "expect") && equal(field.Value, "100-continue") {
				h.Continue = true
			}
		case 7:
			upgrade = upgrade || equal(field.Name, "upgrade") && len(field.Value) > 0
		case 10:
			if equal(field.Name, "connection") {
				for list := field.Value; list != nil; {
					var token []byte
					token, list = cut(list)
					closes = closes || equal(token, "close")
					keeps = keeps || equal(token, "keep-alive")
					upgrades = upgrades || equal(token, "upgrade")
				}
			}
		case 14:
			if equal(field.Name, "content-length") {
				if err := f.addLength(field.Value); err != nil {
					return f, err
				}
			}
		case 17:
			if equal(field.Name, "transfer-encoding") {
				f.addCodings(field.Value)
			}
		}
	}
	h.Close = closes || h.Minor == 0 && !keeps
	h.Upgrade = upgrades && upgrade && h.Minor == 1
	h.Continue = h.Continue && h.Minor == 1
	return f, nil
}

// ParseField reads one line of a head or of trailers, without its end (RFC 9112, section 5).
func ParseField(line []byte) (Field, error) {
	i := bytes.IndexByte(line, ':')
	switch {
	case len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
		return Field{}, ErrSpace
	case i <= 0 || !all(line[:i], isToken):
		return Field{}, ErrFieldName
	}
	f := Field{line[:i], trim(line[i+1:])}
	if !all(f.Value, isValue) {
		return Field{}, ErrFieldValue
	}
	return f, nil
}

// addLength takes a Content-Length. The same one twice is taken, as RFC 9112, section 6.3 allows; a list is not.
func (f *framing) addLength(b []byte) error {
	if len(b) == 0 || len(b) > 19 {
		return ErrLength
	}
	n := uint64(0)
	for _, c := range b {
		if !digit(c) {
			return ErrLength
		}
		n = n*10 + uint64(c-'0')
	}
	if n > math.MaxInt64 || f.length >= 0 && f.length != int64(n) {
		return ErrLength
	}
	f.length = int64(n)
	return nil
}

// addCodings takes a Transfer-Encoding, which is a list.
func (f *framing) addCodings(list []byte) {
	for first := true; first || list != nil; first = false {
		var coding []byte
		coding, list = cut(list)
		chunked := equal(coding, "chunked")
		f.odd = f.odd || f.chunked || len(coding) == 0
		f.chunked = f.chunked || chunked
		f.unknown = f.unknown || !chunked
		f.coded = true
	}
}

// frame is what requests and responses have in common.
func (h *Head) frame(f framing) (done bool, err error) {
	switch {
	case !f.coded:
		return false, nil
	case f.length >= 0:
		return false, ErrBothFramed
	case h.Minor == 0:
		return false, ErrOldCoding
	case f.odd:
		return false, ErrCoding
	case f.chunked && f.unknown:
		return false, ErrUnknown
	case f.chunked:
		h.Body = ByChunks
		return true, nil
	}
	return false, nil
}

func (h *Head) frameRequest(f framing) error {
	if f.hosts == 0 && h.Minor == 1 {
		return ErrNoHost
	}
	if f.hosts > 1 || f.hosts == 1 && !all(h.Host, isHost) {
		return ErrHost
	}
	done, err := h.frame(f)
	switch {
	case err != nil || done:
	case f.coded:
		err = ErrCoding
	case f.length > 0:
		h.Body, h.Length = ByLength, f.length
	}
	if h.Body == NoBody {
		h.Continue = false
	}
	return err
}

func (h *Head) frameResponse(f framing, method string) error {
	done, err := h.frame(f)
	switch {
	case err != nil:
		return err
	case method == "HEAD" || h.Status < 200 || h.Status == 204 || h.Status == 304,
		method == "CONNECT" && h.Status < 300:
		h.Body = NoBody
		h.Length = max(f.length, 0) // what it would have been
	case done:
	case f.coded: // another coding than chunked is the last: it ends with the connection
		h.Body, h.Close = ByClose, true
	case f.length > 0:
		h.Body, h.Length = ByLength, f.length
	case f.length < 0:
		h.Body, h.Close = ByClose, true
	}
	return nil
}

// Get is the value of the first field of that name, in lower case; nil where there is none.
func (h *Head) Get(name string) []byte {
	for _, f := range h.Fields {
		if equal(f.Name, name) {
			return f.Value
		}
	}
	return nil
}
