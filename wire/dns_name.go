package wire

// The bounds of a domain name in bytes (RFC 1035, section 2.3.4): of a label without its length, and of the whole name
// as it is on the wire, uncompressed.
const (
	DNSMaxLabel = 63
	DNSMaxName  = 255
)

// A DNSName is a domain name within a message, which may be compressed: a view. The zero DNSName is the root.
type DNSName struct {
	msg  []byte
	off  int
	used uint16 // bytes of the labels that Next has taken: an end, even where somebody has changed the message
}

// dnsMaxPointers is how many pointers a name may go through. Without a bound, a message of 64 KiB could hold thousands
// of records whose names each go through thousands of pointers. What compresses every name against the one before it
// has about three.
const dnsMaxPointers = 32

// The two high bits of a label's first byte.
const (
	dnsPointer = 0xc0 // the rest of the name is at the offset in the other 14 bits
	dnsMarks   = 0xc0
)

// skipName checks the name at off, and returns where it ends in place: behind its first pointer, or its root.
//
// A pointer has to lead to a place before the name that it stands in (RFC 1035, section 4.1.4: "a prior occurrence"),
// and the next one to a place before that. So no name goes in circles.
func skipName(b []byte, off int) (end int, err error) {
	first, start, total, pointers := off, off, 0, 0
	for {
		label, next, err := labelAt(b, off, start)
		if err != nil {
			return 0, err
		}
		if next < off { // a pointer
			if end == 0 {
				end = off + 2
			}
			if pointers++; pointers > dnsMaxPointers {
				return 0, overLimit("DNS", "pointers of a name", first, pointers, dnsMaxPointers)
			}
			off, start = next, next
			continue
		}
		total += len(label) + 1
		if total > DNSMaxName {
			return 0, badLength("DNS", "name", first, total, DNSMaxName)
		}
		off = next
		if len(label) == 0 {
			return max(end, off), nil
		}
	}
}

// labelAt reads the label at off, in the run of labels that begins at start: the label, or where a pointer leads, which
// is before off.
func labelAt(b []byte, off, start int) (label []byte, next int, err error) {
	if off >= len(b) {
		return nil, 0, truncated("DNS", "name", off, 0, 1)
	}
	n := int(b[off])
	switch b[off] & dnsMarks {
	case 0:
		if n > len(b)-off-1 {
			return nil, 0, badLength("DNS", "label", off, n, len(b)-off-1)
		}
		return b[off+1 : off+1+n], off + 1 + n, nil
	case dnsPointer:
		if len(b)-off < 2 {
			return nil, 0, truncated("DNS", "pointer", off, 1, 2)
		}
		to := int(be.Uint16(b[off:]) &^ (dnsPointer << 8))
		if to >= start || to < DNSLen {
			return nil, 0, badValue("DNS", "pointer", off, to)
		}
		return nil, to, nil
	}
	return nil, 0, unsupported("DNS", "label type", off, n>>6)
}

// Next returns the name's first label, a view, and the rest of the name. It is not ok at the root.
func (n DNSName) Next() (label []byte, rest DNSName, ok bool) {
	start := n.off
	for n.msg != nil {
		label, next, err := labelAt(n.msg, n.off, start)
		if err != nil {
			break
		}
		if next >= n.off {
			n.off = next
			n.used += uint16(len(label) + 1)
			return label, n, len(label) > 0 && n.used < DNSMaxName
		}
		n.off, start = next, next
	}
	return nil, n, false
}

// String is the name as people write it, with a dot behind every label, as in "example.com."; the root is ".". Dots and
// backslashes within a label get a backslash, bytes that are no printable ASCII three digits (RFC 4343, section 2.1).
func (n DNSName) String() string { return string(n.AppendText(nil)) }

// AppendText writes what String returns behind b.
func (n DNSName) AppendText(b []byte) []byte {
	label, rest, ok := n.Next()
	if !ok {
		return append(b, '.')
	}
	for ; ok; label, rest, ok = rest.Next() {
		for _, c := range label {
			switch {
			case c == '.' || c == '\\':
				b = append(b, '\\', c)
			case c > ' ' && c < 0x7f:
				b = append(b, c)
			default:
				b = append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		}
		b = append(b, '.')
	}
	return b
}

// Equal reports whether the two are one name: upper and lower case of ASCII letters do not count (RFC 4343).
func (n DNSName) Equal(o DNSName) bool {
	for {
		a, rest, ok := n.Next()
		b, other, ok2 := o.Next()
		if ok != ok2 || !equalFold(a, b) {
			return false
		}
		if !ok {
			return true
		}
		n, o = rest, other
	}
}

func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Is reports whether the name is the one that text says, as DNSBuilder takes it.
func (n DNSName) Is(text string) bool {
	var w wireName
	if w.parse(text) != nil {
		return false
	}
	return n.Equal(DNSName{msg: w.b[:w.n]})
}

// A wireName is a name as it is on the wire, uncompressed.
type wireName struct {
	b [DNSMaxName]byte
	n int
}

// parse reads a name as people write it: labels with dots between, and a dot behind the last or not. A backslash takes
// the next character as it is, or three digits as a byte. "." and "" are the root.
func (w *wireName) parse(text string) error {
	w.n = 0
	if text == "." {
		text = ""
	}
	for at := 0; at < len(text); {
		head := w.n
		w.n++ // the label's length
		for at < len(text) && text[at] != '.' {
			c := text[at]
			at++
			if c == '\\' {
				n, value := unescape(text[at:])
				if n == 0 {
					return badValue("DNS", "escape in a name", emitted, at)
				}
				c, at = value, at+n
			}
			if w.n >= DNSMaxName-1 { // the root's byte is still to come
				return badLength("DNS", "name", emitted, len(text), DNSMaxName)
			}
			w.b[w.n] = c
			w.n++
		}
		at++ // the dot
		size := w.n - head - 1
		if size == 0 || size > DNSMaxLabel {
			return badLength("DNS", "label", emitted, size, DNSMaxLabel)
		}
		w.b[head] = byte(size)
	}
	w.b[w.n] = 0
	w.n++
	return nil
}

// unescape reads what follows a backslash: how many characters, and the byte that they are.
func unescape(s string) (n int, c byte) {
	if s == "" {
		return 0, 0
	}
	if s[0] < '0' || s[0] > '9' {
		return 1, s[0]
	}
	if len(s) < 3 {
		return 0, 0
	}
	v := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, 0
		}
		v = v*10 + int(s[i]-'0')
	}
	if v > 255 {
		return 0, 0
	}
	return 3, byte(v)
}

// copyName takes a name out of a message.
func (w *wireName) copyName(n DNSName) error {
	w.n = 0
	for label, rest, ok := n.Next(); ok; label, rest, ok = rest.Next() {
		if w.n+1+len(label) >= DNSMaxName {
			return badLength("DNS", "name", emitted, w.n+len(label)+1, DNSMaxName)
		}
		w.b[w.n] = byte(len(label))
		w.n += 1 + copy(w.b[w.n+1:], label)
	}
	w.b[w.n] = 0
	w.n++
	return nil
}
