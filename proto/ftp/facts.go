package ftp

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// AppendTime appends a time as MDTM and facts have it: YYYYMMDDHHMMSS in UTC (RFC 3659, section 2.3). What has no
// year of four digits is the first time that has, or the last.
func AppendTime(b []byte, t time.Time) []byte { return fourDigits(t.UTC()).AppendFormat(b, timeForm) }

// fourDigits is t, or the nearest time that can be told.
func fourDigits(t time.Time) time.Time {
	switch y := t.Year(); {
	case y < 0:
		return time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case y > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}

const timeForm = "20060102150405"

// ErrBadTime is what is no time of that form.
var ErrBadTime = errors.New("ftp: that is no time of the form YYYYMMDDHHMMSS")

// ParseTime reads one, with or without a fraction of a second.
func ParseTime(s string) (time.Time, error) {
	whole, fraction, has := strings.Cut(s, ".")
	if len(whole) != len(timeForm) || has && fraction == "" {
		return time.Time{}, ErrBadTime
	}
	for _, c := range []byte(whole + fraction) {
		if c < '0' || c > '9' {
			return time.Time{}, ErrBadTime
		}
	}
	t, err := time.Parse(timeForm, whole) // a fraction behind the seconds would be taken, too
	if err != nil {
		return time.Time{}, ErrBadTime
	}
	if has {
		digits := (fraction + "000000000")[:9]
		ns, _ := strconv.Atoi(digits) // of digits
		t = t.Add(time.Duration(ns))
	}
	return t, nil
}

// An Entry is a file or a folder, as a listing tells of it.
type Entry struct {
	Name   string
	Dir    bool
	Link   bool   // a symbolic link, as far as the listing says so
	Target string // of a link in a listing of Unix's form; else ""
	Size   int64  // -1: unknown
	// Modified is zero if the listing does not say. Of LIST it is only as exact as the listing, and in the server's
	// own time zone, which nobody tells: it is taken for UTC.
	Modified time.Time
	Perm     string // the fact perm, in lower case
	Unique   string // the fact unique
	Mode     fs.FileMode
	// Self is an entry of type cdir or pdir: the folder that is listed, or the one above.
	Self bool
}

// ErrBadEntry is a line that is no entry of a listing.
var ErrBadEntry = errors.New("ftp: that is no entry of a listing")

// ParseFacts reads a line of MLSD or MLST: facts, a space, a name (RFC 3659, section 7.2). Facts that it does not
// know are passed over.
func ParseFacts(line string) (e Entry, err error) {
	e.Size = -1
	facts, name, ok := strings.Cut(line, " ")
	if !ok || name == "" || strings.ContainsAny(name, "\r\n\x00") {
		return e, ErrBadEntry
	}
	e.Name = name
	for facts != "" {
		fact, rest, ok := strings.Cut(facts, ";")
		if !ok {
			return e, ErrBadEntry
		}
		facts = rest
		key, value, ok := strings.Cut(fact, "=")
		if !ok {
			return e, ErrBadEntry
		}
		if err := e.fact(strings.ToLower(key), value); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e *Entry) fact(key, value string) error {
	switch key {
	case "type":
		switch v := strings.ToLower(value); {
		case v == "dir":
			e.Dir = true
		case v == "cdir" || v == "pdir":
			e.Dir, e.Self = true, true
		case strings.HasPrefix(v, "os.unix=slink") || strings.HasPrefix(v, "os.unix=symlink"):
			e.Link = true
			_, e.Target, _ = strings.Cut(value, ":")
		}
	case "size", "sizd":
		n, ok := decimal(value, 1<<63-1)
		if !ok {
			return ErrBadEntry
		}
		e.Size = int64(n)
	case "modify":
		t, err := ParseTime(value)
		if err != nil {
			return ErrBadEntry
		}
		e.Modified = t
	case "perm":
		e.Perm = strings.ToLower(value)
	case "unique":
		e.Unique = value
	case "unix.mode":
		if n, err := strconv.ParseUint(value, 8, 32); err == nil {
			e.Mode = fs.FileMode(n) & fs.ModePerm
		}
	}
	return nil
}

// Facts say which facts are told.
type Facts uint8

// The facts that a server of this package tells.
const (
	FactType Facts = 1 << iota
	FactSize
	FactModify
	FactPerm
	allFacts = FactType | FactSize | FactModify | FactPerm
)

// factNames are in the order in which they are told.
var factNames = [...]struct {
	fact Facts
	name string
}{{FactType, "type"}, {FactSize, "size"}, {FactModify, "modify"}, {FactPerm, "perm"}}

// String is the facts as OPTS MLST and its answer have them: "type;size;".
func (f Facts) String() string {
	var b strings.Builder
	for _, x := range factNames {
		if f&x.fact != 0 {
			b.WriteString(x.name + ";")
		}
	}
	return b.String()
}

// parseFactNames reads those of OPTS MLST; what is unknown is left out (RFC 3659, section 7.9).
func parseFactNames(s string) (f Facts) {
	for name := range strings.SplitSeq(s, ";") {
		for _, x := range factNames {
			if strings.EqualFold(name, x.name) {
				f |= x.fact
			}
		}
	}
	return f
}

// appendFacts appends an entry's facts, without the space and the name. kind is the fact type, "" for what info says.
func appendFacts(b []byte, f Facts, info fs.FileInfo, kind string, readOnly bool) []byte {
	dir := info.IsDir()
	if kind == "" {
		switch {
		case dir:
			kind = "dir"
		case info.Mode().IsRegular():
			kind = "file"
		case info.Mode()&fs.ModeSymlink != 0:
			kind = "OS.unix=symlink"
		default:
			kind = "OS.unix=special"
		}
	}
	for _, x := range factNames {
		if f&x.fact == 0 || x.fact == FactSize && !info.Mode().IsRegular() {
			continue
		}
		b = append(append(b, x.name...), '=')
		switch x.fact {
		case FactType:
			b = append(b, kind...)
		case FactSize:
			b = strconv.AppendInt(b, info.Size(), 10)
		case FactModify:
			b = AppendTime(b, info.ModTime())
		case FactPerm:
			b = append(b, perm(dir, readOnly)...)
		}
		b = append(b, ';')
	}
	return b
}

// perm is what the commands of a session may do with it, as far as the session knows (RFC 3659, section 7.5.5).
func perm(dir, readOnly bool) string {
	switch {
	case dir && readOnly:
		return "el"
	case dir:
		return "cdeflmp"
	case readOnly:
		return "r"
	}
	return "adfrw"
}
