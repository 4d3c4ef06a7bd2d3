package ftp

import (
	"io/fs"
	"path"
	"strings"
)

func (c *Session) doPWD(string) answer { return say(257, quoted(c.cwd)+" is the current folder.") }

func (c *Session) doCWD(arg string) answer {
	abs, name, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	info, err := c.user.FS.Stat(name)
	if err == nil && !info.IsDir() {
		return say(550, "That is no folder.")
	}
	if err != nil {
		return c.failed("CWD", err)
	}
	c.cwd = abs
	return say(250, quoted(abs)+" is the current folder.")
}

// doCDUP has the replies of CWD, as section 4.1.1 of RFC 959 wants it, and clients; section 5.4 lists 200.
func (c *Session) doCDUP(string) answer { return c.doCWD("..") }

func (c *Session) doMKD(arg string) answer {
	abs, name, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	if err := c.user.FS.Mkdir(name); err != nil {
		return c.failed("MKD", err)
	}
	return say(257, quoted(abs)+" is made.")
}

func (c *Session) doRMD(arg string) answer {
	_, name, bad := c.path(arg)
	switch {
	case bad != nil:
		return *bad
	case name == ".":
		return say(550, "That is the root.")
	}
	if err := c.user.FS.RemoveDir(name); err != nil {
		return c.failed("RMD", err)
	}
	return say(250, "It is removed.")
}

func (c *Session) doDELE(arg string) answer {
	_, name, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	err := c.user.Quota.free(c.user.FS, name, func() error { return c.user.FS.Remove(name) })
	if err != nil {
		return c.failed("DELE", err)
	}
	return say(250, "It is removed.")
}

func (c *Session) doRNFR(arg string) answer {
	abs, name, bad := c.path(arg)
	switch {
	case bad != nil:
		return *bad
	case name == ".":
		return say(550, "That is the root.")
	}
	if _, err := c.user.FS.Stat(name); err != nil {
		return c.failed("RNFR", err)
	}
	c.rename = abs
	return say(350, "Now RNTO, with the new name.")
}

func (c *Session) doRNTO(arg string) answer {
	if c.rename == "" {
		return say(503, "RNFR comes before it.")
	}
	_, name, bad := c.path(arg)
	switch {
	case bad != nil:
		return *bad
	case name == ".":
		return say(550, "That is the root.")
	}
	if name == c.rename[1:] {
		return say(250, "It has that name.")
	}
	err := c.user.Quota.free(c.user.FS, name, func() error { return c.user.FS.Rename(c.rename[1:], name) })
	if err != nil {
		return c.failed("RNTO", err)
	}
	return say(250, "It is renamed.")
}

func (c *Session) doSIZE(arg string) answer {
	info, bad := c.stat("SIZE", arg)
	switch {
	case bad != nil:
		return *bad
	case !info.Mode().IsRegular():
		return say(550, "That is no regular file.")
	case c.flags&asciiType != 0:
		return say(550, "SIZE is for TYPE I: in TYPE A the whole file would have to be read.")
	}
	return sayf(213, "%d", info.Size())
}

func (c *Session) doMDTM(arg string) answer {
	info, bad := c.stat("MDTM", arg)
	switch {
	case bad != nil:
		return *bad
	case !info.Mode().IsRegular():
		return say(550, "That is no regular file.")
	}
	return say(213, string(AppendTime(nil, info.ModTime())))
}

// doMFMT sets what MDTM tells (draft-somers-ftp-mfxx-04, section 3).
func (c *Session) doMFMT(arg string) answer {
	text, file, _ := strings.Cut(arg, " ")
	at, err := ParseTime(text)
	if err != nil || file == "" {
		return say(501, "Want MFMT, YYYYMMDDHHMMSS in UTC, and a file.")
	}
	fsys, ok := c.user.FS.(TimeSetter)
	if !ok {
		return c.notHere("")
	}
	info, bad := c.stat("MFMT", file)
	switch {
	case bad != nil:
		return *bad
	case !info.Mode().IsRegular():
		return say(550, "That is no regular file.")
	}
	abs, name, _ := c.path(file) // it was looked at in stat
	if err := fsys.SetModTime(name, at); err != nil {
		return c.failed("MFMT", err)
	}
	return say(213, "Modify="+string(AppendTime(nil, at))+"; "+abs)
}

func (c *Session) stat(op, arg string) (fs.FileInfo, *answer) {
	_, name, bad := c.path(arg)
	if bad != nil {
		return nil, bad
	}
	info, err := c.user.FS.Stat(name)
	if err != nil {
		a := c.failed(op, err)
		return nil, &a
	}
	return info, nil
}

// doMLST tells of one file or folder on the control connection (RFC 3659, section 7.2).
func (c *Session) doMLST(arg string) answer {
	info, bad := c.stat("MLST", arg)
	if bad != nil {
		return *bad
	}
	abs, _, _ := c.path(arg) // it was looked at in stat
	line := string(appendFacts([]byte(" "), c.facts, info, "", c.user.ReadOnly)) + " " + abs
	return say(250, "About "+abs, line, "End")
}

// doSTAT tells of the session, or lists on the control connection.
func (c *Session) doSTAT(arg string) answer {
	if arg == "" {
		return c.status()
	}
	abs, name, bad := c.path(arg)
	if bad != nil {
		return *bad
	}
	info, err := c.user.FS.Stat(name)
	if err != nil {
		return c.failed("STAT", err)
	}
	lines := []string{"About " + abs}
	now := c.srv.now()
	add := func(info fs.FileInfo, name string) {
		b := AppendLIST([]byte(" "), info, name, now)
		lines = append(lines, string(b[:len(b)-2]))
	}
	if !info.IsDir() {
		add(info, path.Base(abs))
		return say(213, append(lines, "End")...)
	}
	end := "End"
	err = c.user.FS.ReadDir(name, func(info fs.FileInfo) error {
		if len(lines) > c.srv.limits.StatEntries {
			end = "End: there is more, which LIST tells"
			return errEnough
		}
		add(info, info.Name())
		return nil
	})
	if err != nil && err != errEnough {
		return c.failed("STAT", err)
	}
	return say(212, append(lines, end)...)
}

func (c *Session) status() answer {
	typ, how := "I", "plain text"
	if c.flags&asciiType != 0 {
		typ = "A"
	}
	if c.flags&secured != 0 {
		how = "TLS"
	}
	return say(211, "The session:", " user "+c.user.Name, " folder "+c.cwd, " type "+typ+", structure F, mode S",
		" control connection in "+how, "End")
}
