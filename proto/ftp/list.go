package ftp

import (
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// halfYear is the age from which on ls shows the year in place of the time.
const halfYear = 182 * 24 * time.Hour

// AppendLIST appends an entry as `ls -l` shows it, with CR LF. Owners are not told. Times are in UTC.
func AppendLIST(b []byte, info fs.FileInfo, name string, now time.Time) []byte {
	m := info.Mode()
	t := byte('-')
	switch {
	case m.IsDir():
		t = 'd'
	case m&fs.ModeSymlink != 0:
		t = 'l'
	case m&fs.ModeNamedPipe != 0:
		t = 'p'
	case m&fs.ModeSocket != 0:
		t = 's'
	case m&fs.ModeCharDevice != 0:
		t = 'c'
	case m&fs.ModeDevice != 0:
		t = 'b'
	}
	when := fourDigits(info.ModTime().UTC())
	form := "Jan _2 15:04"
	if age := now.Sub(when); age > halfYear || age < -24*time.Hour {
		form = "Jan _2  2006"
	}
	b = append(append(b, t), m.Perm().String()[1:]...)
	b = fmt.Appendf(b, "    1 ftp      ftp      %12d ", info.Size())
	b = append(when.AppendFormat(b, form), ' ')
	return append(appendName(b, name), '\r', '\n')
}

// appendName appends a name; what would end the line is a question mark.
func appendName(b []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c == '\r' || c == '\n' || c == 0 {
			b = append(b, '?')
		} else {
			b = append(b, c)
		}
	}
	return b
}

// ParseLIST reads a line of LIST, for which there is no standard, only habits: that of Unix's ls -l, with variations,
// and that of DOS. now says which year a time without one is of. A line that tells of a total, and an empty one, is
// ErrBadEntry, as is all that it does not know: so that a caller passes those over.
func ParseLIST(line string, now time.Time) (Entry, error) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return Entry{}, ErrBadEntry
	}
	e, ok := Entry{}, false
	if '0' <= line[0] && line[0] <= '9' {
		e, ok = parseDOS(line)
	} else {
		e, ok = parseUnix(line, now)
	}
	if !ok || e.Name == "" || strings.ContainsAny(e.Name, "\r\n\x00") {
		return Entry{}, ErrBadEntry
	}
	e.Self = e.Name == "." || e.Name == ".."
	return e, nil
}

// parseDOS reads "02-28-26  03:41PM       <DIR>          name" and the same with a size.
func parseDOS(line string) (e Entry, ok bool) {
	date, rest := field(line)
	clock, rest := field(rest)
	size, rest := field(rest)
	for _, form := range [...]string{"01-02-06 03:04PM", "01-02-2006 03:04PM", "01-02-06 15:04", "01-02-2006 15:04",
		"2006-01-02 15:04"} {
		t, err := time.Parse(form, date+" "+clock)
		if err == nil {
			e.Modified = t
			break
		}
	}
	if e.Modified.IsZero() {
		return e, false
	}
	e.Size = -1
	if size == "<DIR>" {
		e.Dir = true
		rest = strings.TrimLeft(rest, " ")
	} else {
		n, ok := decimal(strings.ReplaceAll(size, ",", ""), 1<<63-1)
		if !ok {
			return e, false
		}
		e.Size = int64(n)
		rest = strings.TrimPrefix(rest, " ")
	}
	e.Name = rest
	return e, true
}

// field takes the first word off s; the rest begins with the space behind it.
func field(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t")
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// parseUnix reads "drwxr-xr-x   2 user group  4096 Feb 28 15:41 name", and the same without the group or the links.
// The date is looked for, and what is before it is the size: so columns may be missing or more.
func parseUnix(line string, now time.Time) (e Entry, ok bool) {
	mode, rest := field(line)
	if len(mode) < 10 || len(mode) > 12 || !strings.ContainsRune("-dlbcps", rune(mode[0])) {
		return e, false
	}
	if e.Mode, ok = parseMode(mode[1:10]); !ok {
		return e, false
	}
	e.Dir, e.Link, e.Size = mode[0] == 'd', mode[0] == 'l', -1
	before := ""
	for range 7 { // links, owner, group, two of a device, size
		word, r := field(rest)
		if word == "" {
			return e, false
		}
		if t, name, ok := parseDate(rest, now); ok && before != "" {
			n, number := decimal(before, 1<<63-1)
			if !number {
				return e, false
			}
			if e.Size = int64(n); mode[0] == 'b' || mode[0] == 'c' {
				e.Size = -1
			}
			e.Modified, e.Name = t, name
			if e.Link {
				e.Name, e.Target, _ = strings.Cut(name, " -> ")
			}
			return e, true
		}
		before, rest = word, r
	}
	return e, false
}

// parseMode reads rwxr-xr-x.
func parseMode(s string) (m fs.FileMode, ok bool) {
	const letters = "rwxrwxrwx"
	for i := range len(letters) {
		m <<= 1
		switch c := s[i]; {
		case c == letters[i], i%3 == 2 && (c == 's' || c == 't'):
			m |= 1
		case c == '-', i%3 == 2 && (c == 'S' || c == 'T'):
		default:
			return 0, false
		}
	}
	return m, true
}

// parseDate reads "Feb 28 15:41 name", "Feb 28  2025 name", "28 Feb 2025 name" or "2025-02-28 15:41 name", behind
// spaces. The name is all behind one space.
func parseDate(s string, now time.Time) (t time.Time, name string, ok bool) {
	a, rest := field(s)
	b, rest := field(rest)
	if d, err := time.Parse("2006-01-02 15:04", a+" "+b); err == nil {
		name, ok = strings.CutPrefix(rest, " ")
		return d, name, ok
	}
	c, rest := field(rest)
	if name, ok = strings.CutPrefix(rest, " "); !ok {
		return t, "", false
	}
	if a != "" && '0' <= a[0] && a[0] <= '9' {
		a, b = b, a
	}
	day, ok := decimal(b, 31)
	if !ok || len(a) != 3 {
		return t, "", false
	}
	month, err := time.Parse("Jan", a)
	if err != nil {
		return t, "", false
	}
	if year, isYear := decimal(c, 9999); isYear && len(c) == 4 {
		t = time.Date(int(year), month.Month(), int(day), 0, 0, 0, 0, time.UTC)
	} else {
		clock, err := time.Parse("15:04", c)
		if err != nil {
			return t, "", false
		}
		t = time.Date(now.Year(), month.Month(), int(day), clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		if t.After(now.Add(24 * time.Hour)) { // it was last year: a listing has no times to come
			t = time.Date(now.Year()-1, month.Month(), int(day), clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		}
	}
	return t, name, t.Day() == int(day)
}

// quoted is a path as replies to PWD and MKD have it: in quotes, with those inside doubled (RFC 959, appendix II).
func quoted(path string) string { return `"` + strings.ReplaceAll(path, `"`, `""`) + `"` }

// unquoted finds the path in the text of such a reply.
func unquoted(text string) (string, bool) {
	_, s, ok := strings.Cut(text, `"`)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			if i+1 == len(s) || s[i+1] != '"' {
				return b.String(), true
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return "", false
}
