package ftp

import (
	"errors"
	"io/fs"
	"net"
	"path"
	"strings"
)

// errEnough ends a ReadDir of which no more is wanted.
var errEnough = errors.New("ftp: enough")

// listPiece is how much of a listing is put together before it is sent, in bytes.
const listPiece = 16 << 10

// A listing writes entries to a data connection as they are read.
type listing struct {
	t    *transfer
	nc   net.Conn
	b    []byte
	left int   // how many entries may come
	err  error // of nc
}

func (l *listing) flush() error {
	if len(l.b) == 0 {
		return nil
	}
	l.err = l.t.put(l.nc, l.b)
	l.b = l.b[:0]
	return l.err
}

// add has one entry appended.
func (l *listing) add(f func(b []byte) []byte) error {
	if l.left--; l.left < 0 {
		return errEnough
	}
	if l.b = f(l.b); len(l.b) < listPiece {
		return nil
	}
	return l.flush()
}

// An appendEntry appends an entry, by name, to a listing.
type appendEntry func(b []byte, info fs.FileInfo, name string) []byte

// list begins a listing of arg, with each entry as line appends it.
func (c *Session) list(op, arg string, foldersOnly bool, line appendEntry) answer {
	if a := c.noData(); a != nil {
		return *a
	}
	abs, name, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	info, err := c.user.FS.Stat(name)
	pattern := ""
	if errors.Is(err, fs.ErrNotExist) && !foldersOnly && strings.ContainsAny(path.Base(abs), "*?[") {
		pattern = path.Base(abs)
		if _, err := path.Match(pattern, ""); err != nil {
			return say(501, "That is no pattern.")
		}
		_, name, _ = c.path(path.Dir(abs)) // shorter than what was taken
		info, err = c.user.FS.Stat(name)
	}
	switch {
	case err != nil:
		return c.failed(op, err)
	case foldersOnly && !info.IsDir():
		return say(501, "That is no folder.")
	}
	prefix := "" // NLST of a folder by name repeats it, for its lines go into RETR as they are
	if op == "NLST" && arg != "" {
		if prefix = arg; pattern != "" {
			prefix = path.Dir(arg)
		}
	}
	fsys, most := c.user.FS, c.srv.limits.Entries
	return answer{transfer: c.begin(op, abs, func(t *transfer, nc net.Conn) error {
		l := &listing{t: t, nc: nc, left: most}
		if !info.IsDir() {
			if err := l.add(func(b []byte) []byte { return line(b, info, arg) }); err != nil {
				return err
			}
			return l.flush()
		}
		err := fsys.ReadDir(name, func(info fs.FileInfo) error {
			if t.ctx.Err() != nil {
				return t.ctx.Err()
			}
			if pattern != "" {
				if ok, _ := path.Match(pattern, info.Name()); !ok { // it was looked at before
					return nil
				}
			}
			return l.add(func(b []byte) []byte { return line(b, info, path.Join(prefix, info.Name())) })
		})
		switch {
		case err == nil || err == errEnough:
			return l.flush()
		case l.err == nil && t.ctx.Err() == nil:
			return localError{err}
		}
		return err
	}, nil)}
}

// withoutFlags takes the options of ls off, which clients send: -la.
func withoutFlags(arg string) string {
	for strings.HasPrefix(arg, "-") {
		_, arg, _ = strings.Cut(arg, " ")
		arg = strings.TrimLeft(arg, " ")
	}
	return arg
}

func (c *Session) doLIST(arg string) answer {
	now := c.srv.now()
	return c.list("LIST", withoutFlags(arg), false, func(b []byte, info fs.FileInfo, name string) []byte {
		return AppendLIST(b, info, name, now)
	})
}

func (c *Session) doNLST(arg string) answer {
	return c.list("NLST", withoutFlags(arg), false, func(b []byte, _ fs.FileInfo, name string) []byte {
		if strings.ContainsAny(name, "\r\n") { // it would be two names
			return b
		}
		return append(append(b, name...), '\r', '\n')
	})
}

func (c *Session) doMLSD(arg string) answer {
	facts, readOnly := c.facts, c.user.ReadOnly
	return c.list("MLSD", arg, true, func(b []byte, info fs.FileInfo, name string) []byte {
		if strings.ContainsAny(name, "\r\n") { // likewise
			return b
		}
		b = append(appendFacts(b, facts, info, "", readOnly), ' ')
		return append(append(b, name...), '\r', '\n')
	})
}
