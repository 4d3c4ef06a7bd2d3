package ftp

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
)

func (c *Session) doRETR(arg string) answer {
	if a := c.noData(); a != nil {
		return *a
	}
	abs, name, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	f, err := c.user.FS.Open(name)
	if err != nil {
		return c.failed("RETR", err)
	}
	info, err := f.Stat()
	if err == nil && c.offset > info.Size() {
		err = errOffset
	}
	if err == nil && c.offset > 0 {
		_, err = f.Seek(c.offset, io.SeekStart)
	}
	if err != nil {
		_ = f.Close() // it was read alone
		if err == errOffset {
			return sayf(554, "The file has %d bytes, and REST was %d.", info.Size(), c.offset)
		}
		return c.failed("RETR", err)
	}
	text, offset := c.flags&asciiType != 0, c.offset
	t := c.begin("RETR", abs, func(t *transfer, nc net.Conn) error {
		if text {
			return t.sendText(nc, f)
		}
		return t.send(nc, f, offset)
	}, func() error {
		_ = f.Close() // it was read alone
		return nil
	})
	if !text {
		t.text = fmt.Sprintf("%s (%d bytes).", strings.TrimSuffix(t.text, "."), info.Size()-c.offset)
	}
	return answer{transfer: t}
}

func (c *Session) doSTOR(arg string) answer {
	how := Replace
	if c.offset > 0 {
		how = Keep
	}
	return c.store("STOR", arg, how, false)
}

// doAPPE is STOR if REST was there (RFC 3659, section 5.3).
func (c *Session) doAPPE(arg string) answer { return c.store("APPE", arg, Keep, c.offset == 0) }

// store is an upload.
func (c *Session) store(name, arg string, how Creation, atEnd bool) answer {
	if a := c.noData(); a != nil {
		return *a
	}
	abs, file, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	if how == Replace && c.user.Quota != nil { // what it has is counted before it is cut off
		how = Keep
	}
	if c.offset > 0 { // it would be made for nothing
		if _, err := c.user.FS.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return sayf(554, "There is no such file, and REST was %d.", c.offset)
		}
	}
	f, err := c.user.FS.Create(file, how)
	if err != nil {
		return c.failed(name, err)
	}
	u, err := c.upload(f, atEnd)
	if err != nil {
		_ = f.Close() // nothing was written
		if err == errOffset {
			return sayf(554, "The file has fewer bytes than REST was.")
		}
		return c.failed(name, err)
	}
	return answer{transfer: c.storeTo(name, abs, u)}
}

// upload goes to where the first byte is to be. What was there behind it is cut off: the file ends where the upload
// does.
func (c *Session) upload(f File, atEnd bool) (u *upload, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	u = &upload{f: f, info: info, at: c.offset, size: info.Size(), text: c.flags&asciiType != 0, quota: c.user.Quota,
		most: c.user.MostFile}
	if err := u.quota.begin(info); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.user.Quota.end(info)
		}
	}()
	switch {
	case atEnd:
		u.at = u.size
	case c.offset > u.size:
		return nil, errOffset
	case c.offset < u.size:
		if err := f.Truncate(c.offset); err != nil {
			return nil, err
		}
		u.quota.Add(c.offset - u.size)
		u.size = c.offset
	}
	_, err = f.Seek(u.at, io.SeekStart)
	return u, err
}

func (c *Session) storeTo(name, abs string, u *upload) *transfer {
	return c.begin(name, abs, func(t *transfer, nc net.Conn) error {
		return t.receive(nc, u)
	}, func() error {
		defer u.quota.end(u.info)
		if err := u.f.Close(); err != nil {
			return localError{err}
		}
		return nil
	})
}

// uniqueTries is how many names STOU tries: they are random, and have 64 bits.
const uniqueTries = 4

// doSTOU stores under a name that nobody has (RFC 959, section 4.1.3), which the reply 150 tells (RFC 1123, section
// 4.1.2.9). An argument is the beginning of the name.
func (c *Session) doSTOU(arg string) answer {
	if a := c.noData(); a != nil {
		return *a
	}
	if c.flags&restarted != 0 && c.offset > 0 {
		return say(554, "REST is of no use with a new file.")
	}
	if arg == "" {
		arg = "stou"
	}
	for range uniqueTries {
		var b [8]byte
		_, _ = rand.Read(b[:]) // it does not fail
		abs, name, bad := c.path(arg + "." + hex.EncodeToString(b[:]))
		if bad != nil {
			return *bad
		}
		f, err := c.user.FS.Create(name, Exclusive)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return c.failed("STOU", err)
		}
		u, err := c.upload(f, false)
		if err != nil {
			_ = f.Close() // nothing was written
			return c.failed("STOU", err)
		}
		t := c.storeTo("STOU", abs, u)
		t.text = "FILE: " + abs
		return answer{transfer: t}
	}
	return say(553, "No name was free.")
}
