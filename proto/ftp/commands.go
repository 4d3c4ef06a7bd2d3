package ftp

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// An answer is what a command comes to.
type answer struct {
	code  int
	lines []string
	end   bool         // the session ends behind it
	then  func() error // is done behind it
	// transfer comes in place of the reply.
	transfer *transfer
}

func say(code int, lines ...string) answer { return answer{code: code, lines: lines} }

func sayf(code int, format string, args ...any) answer {
	return say(code, fmt.Sprintf(format, args...))
}

// A command is what is known by a name.
type command struct {
	do        func(c *Session, arg string) answer
	free      bool // it needs no login
	blocks    bool // it may have to wait
	changes   bool // it is not for a user who may only read
	arg       need
	keepsRest bool // REST before it holds for what comes behind it
}

type need uint8

const (
	mayHave need = iota
	must
	mustNot
)

// commands are those that there are. It is filled by init, for HELP lists it.
var commands map[string]command

func init() {
	commands = map[string]command{
		"USER": {do: (*Session).doUSER, free: true, arg: must},
		"PASS": {do: (*Session).doPASS, free: true, blocks: true},
		"ACCT": {do: (*Session).doACCT, free: true, arg: must},
		"REIN": {do: (*Session).doREIN, free: true, arg: mustNot},
		"QUIT": {do: (*Session).doQUIT, free: true, arg: mustNot},
		"HOST": {do: (*Session).doHOST, free: true, arg: must},
		"LANG": {do: (*Session).doLANG, free: true},
		"AUTH": {do: (*Session).doAUTH, free: true, arg: must},
		"PBSZ": {do: (*Session).doPBSZ, free: true, arg: must},
		"PROT": {do: (*Session).doPROT, free: true, arg: must},
		"CCC":  {do: (*Session).doCCC, free: true, arg: mustNot},
		"ADAT": {do: (*Session).notHere, free: true},
		"MIC":  {do: (*Session).notHere, free: true},
		"CONF": {do: (*Session).notHere, free: true},
		"ENC":  {do: (*Session).notHere, free: true},
		"FEAT": {do: (*Session).doFEAT, free: true, arg: mustNot},
		"OPTS": {do: (*Session).doOPTS, free: true, arg: must},
		"HELP": {do: (*Session).doHELP, free: true},
		"NOOP": {do: (*Session).doNOOP, free: true, arg: mustNot, keepsRest: true},
		"SYST": {do: (*Session).doSYST, free: true, arg: mustNot, keepsRest: true},
		"SITE": {do: (*Session).doSITE, arg: must},
		"STAT": {do: (*Session).doSTAT, blocks: true},
		"SMNT": {do: (*Session).notHere},

		"PORT": {do: (*Session).doPORT, blocks: true, arg: must, keepsRest: true},
		"EPRT": {do: (*Session).doEPRT, blocks: true, arg: must, keepsRest: true},
		"PASV": {do: (*Session).doPASV, blocks: true, arg: mustNot, keepsRest: true},
		"EPSV": {do: (*Session).doEPSV, blocks: true, keepsRest: true},
		"TYPE": {do: (*Session).doTYPE, arg: must, keepsRest: true},
		"STRU": {do: (*Session).doSTRU, arg: must, keepsRest: true},
		"MODE": {do: (*Session).doMODE, arg: must, keepsRest: true},
		"REST": {do: (*Session).doREST, arg: must},
		"ALLO": {do: (*Session).doALLO, arg: must, keepsRest: true},
		"ABOR": {do: (*Session).doABOR, arg: mustNot},

		"RETR": {do: (*Session).doRETR, blocks: true, arg: must},
		"STOR": {do: (*Session).doSTOR, blocks: true, changes: true, arg: must},
		"APPE": {do: (*Session).doAPPE, blocks: true, changes: true, arg: must},
		"STOU": {do: (*Session).doSTOU, blocks: true, changes: true},
		"LIST": {do: (*Session).doLIST, blocks: true},
		"NLST": {do: (*Session).doNLST, blocks: true},
		"MLSD": {do: (*Session).doMLSD, blocks: true},
		"MLST": {do: (*Session).doMLST, blocks: true},

		"CWD":  {do: (*Session).doCWD, blocks: true, arg: must},
		"CDUP": {do: (*Session).doCDUP, blocks: true, arg: mustNot},
		"PWD":  {do: (*Session).doPWD, arg: mustNot, keepsRest: true},
		"SIZE": {do: (*Session).doSIZE, blocks: true, arg: must, keepsRest: true},
		"MDTM": {do: (*Session).doMDTM, blocks: true, arg: must, keepsRest: true},
		"MFMT": {do: (*Session).doMFMT, blocks: true, changes: true, arg: must, keepsRest: true},
		"RNFR": {do: (*Session).doRNFR, blocks: true, changes: true, arg: must},
		"RNTO": {do: (*Session).doRNTO, blocks: true, changes: true, arg: must},
		"DELE": {do: (*Session).doDELE, blocks: true, changes: true, arg: must},
		"RMD":  {do: (*Session).doRMD, blocks: true, changes: true, arg: must},
		"MKD":  {do: (*Session).doMKD, blocks: true, changes: true, arg: must},
	}
	for old, name := range map[string]string{"XCWD": "CWD", "XCUP": "CDUP", "XPWD": "PWD", "XRMD": "RMD", "XMKD": "MKD"} {
		commands[old] = commands[name] // RFC 1123, section 4.1.3.1
	}
}

// refused is the answer to a command that is not done at all.
func (c *Session) refused(x command, cmd Command) (answer, bool) {
	switch {
	case x.arg == must && cmd.Arg == "":
		return say(501, "That needs an argument."), true
	case x.arg == mustNot && strings.TrimLeft(cmd.Arg, " ") != "":
		return say(501, "That takes no argument."), true
	case !x.free && c.user == nil:
		return say(530, "Log in first, by USER and PASS."), true
	case x.changes && c.user.ReadOnly:
		return say(550, "You may only read here."), true
	}
	return answer{}, false
}

func (c *Session) notHere(string) answer { return say(502, "This server does not do that.") }

func (c *Session) doNOOP(string) answer { return say(200, "Done: nothing.") }

func (c *Session) doQUIT(string) answer {
	return answer{code: 221, lines: []string{"Goodbye."}, end: true}
}

func (c *Session) doSYST(string) answer { return say(215, "UNIX Type: L8") }

func (c *Session) doHELP(arg string) answer {
	if arg != "" {
		if _, ok := commands[strings.ToUpper(arg)]; ok {
			return sayf(214, "There is %s.", strings.ToUpper(arg))
		}
		return say(504, "There is no such command.")
	}
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	lines := []string{"There are these commands:"}
	for row := range slices.Chunk(names, 12) {
		lines = append(lines, " "+strings.Join(row, " "))
	}
	return say(214, append(lines, "That was all.")...)
}

func (c *Session) doFEAT(string) answer {
	lines := []string{"What there is besides:"}
	if c.srv.TLS != nil {
		lines = append(lines, " AUTH TLS", " PBSZ", " PROT")
	}
	lines = append(lines, " EPRT", " EPSV")
	if c.srv.Hosts != nil {
		lines = append(lines, " HOST")
	}
	lines = append(lines, " LANG EN*", " MDTM")
	if c.setsTimes() {
		lines = append(lines, " MFMT")
	}
	lines = append(lines, " MLST "+c.markedFacts(), " REST STREAM", " SIZE", " TVFS", " UTF8")
	return say(211, append(lines, "End")...)
}

// setsTimes reports whether MFMT is there, for this user if there is one.
func (c *Session) setsTimes() bool {
	if c.user == nil {
		return true
	}
	_, ok := c.user.FS.(TimeSetter)
	return ok
}

// markedFacts are all facts, those that are told with an asterisk (RFC 3659, section 7.8).
func (c *Session) markedFacts() string {
	var b strings.Builder
	for _, x := range factNames {
		b.WriteString(x.name)
		if c.facts&x.fact != 0 {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

func (c *Session) doOPTS(arg string) answer {
	name, rest, _ := strings.Cut(arg, " ")
	switch strings.ToUpper(name) {
	case "UTF8", "UTF-8":
		if rest == "" || strings.EqualFold(rest, "ON") {
			return say(200, "Names are in UTF-8.")
		}
		return say(501, "Names are in UTF-8, always.")
	case "MLST":
		c.facts = parseFactNames(rest)
		return say(200, strings.TrimSuffix("MLST OPTS "+c.facts.String(), " "))
	}
	return say(501, "There are no options of that.")
}

func (c *Session) doLANG(arg string) answer {
	if arg != "" && !strings.EqualFold(arg, "EN") && !strings.HasPrefix(strings.ToUpper(arg), "EN-") {
		return say(504, "Replies are in English.")
	}
	return say(200, "Replies are in English.")
}

func (c *Session) doSITE(arg string) answer {
	if strings.EqualFold(arg, "HELP") {
		return say(214, "SITE has nothing but HELP.")
	}
	return say(504, "SITE has nothing but HELP.")
}

// doTYPE takes A and A N, I, and L 8 (RFC 959, section 3.1.1; RFC 1123, section 4.1.2.1).
func (c *Session) doTYPE(arg string) answer {
	switch strings.ToUpper(arg) {
	case "A", "A N":
		c.flags |= asciiType
		return say(200, "The type is A.")
	case "I", "L 8":
		c.flags &^= asciiType
		return say(200, "The type is I.")
	case "A T", "A C", "E", "E N", "E T", "E C":
		return say(504, "There are the types A, I, and L 8.")
	}
	return say(501, "There are the types A, I, and L 8.")
}

func (c *Session) doSTRU(arg string) answer {
	switch strings.ToUpper(arg) {
	case "F":
		return say(200, "The structure is F.")
	case "R", "P":
		return say(504, "There is the structure F.")
	}
	return say(501, "There is the structure F.")
}

func (c *Session) doMODE(arg string) answer {
	switch strings.ToUpper(arg) {
	case "S":
		return say(200, "The mode is S.")
	case "B", "C":
		return say(504, "There is the mode S.")
	}
	return say(501, "There is the mode S.")
}

func (c *Session) doALLO(arg string) answer {
	words := strings.Fields(arg)
	_, ok := decimal(words0(words, 0), 1<<63-1)
	if len(words) == 3 && strings.EqualFold(words[1], "R") {
		if _, sized := decimal(words[2], 1<<31-1); !sized {
			ok = false
		}
	} else if len(words) != 1 {
		ok = false
	}
	if !ok {
		return say(501, "Want ALLO, a number of bytes, and at most R and a number behind it.")
	}
	return say(202, "No space has to be allocated.")
}

// words0 is the word i, or "".
func words0(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

func (c *Session) doREST(arg string) answer {
	n, ok := decimal(arg, 1<<63-1)
	switch {
	case !ok:
		return say(501, "Want a number of bytes.")
	case c.flags&asciiType != 0 && n > 0:
		return say(504, "REST is for TYPE I.")
	}
	c.offset, c.flags = int64(n), c.flags|restarted
	return sayf(350, "The next transfer begins at %d.", n)
}

// doABOR is ABOR while no transfer runs: see transfer for the other.
func (c *Session) doABOR(string) answer {
	c.dropData()
	return say(226, "There is no transfer any more.")
}

// path is an argument as an absolute path, and as a FileSystem wants it. "" is the current folder.
func (c *Session) path(arg string) (abs, name string, bad *answer) {
	l := &c.srv.limits
	abs = arg
	if !strings.HasPrefix(abs, "/") {
		abs = c.cwd + "/" + arg
	}
	abs = path.Clean(abs)
	if len(arg) > l.Path || len(abs) > l.Path || strings.Count(abs, "/") > l.Depth {
		a := say(553, "That path is too long.")
		return "", "", &a
	}
	if abs == "/" {
		return abs, ".", nil
	}
	return abs, abs[1:], nil
}

// failed is the reply for an error of a FileSystem.
func (c *Session) failed(op string, err error) answer {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return say(550, "There is no such file or folder.")
	case errors.Is(err, fs.ErrPermission):
		return say(550, "That is not allowed.")
	case errors.Is(err, fs.ErrExist):
		return say(550, "There is one of that name already.")
	case errors.Is(err, ErrNotRegular):
		return say(550, "That is no regular file.")
	case errors.Is(err, errBusy):
		return say(450, "That file is being written.")
	case errors.Is(err, fs.ErrInvalid):
		return say(550, "That can't be done with it.")
	case noSpace(err):
		return say(452, "There is no space left.")
	case isAny(err, passing[:]):
		c.srv.logger.Warn("ftp: a command failed", "command", op, "err", err)
		return say(451, "An error of this server: it may work later.")
	}
	c.srv.logger.Debug("ftp: a command failed", "command", op, "err", err)
	return say(550, "It failed.")
}

// passing are errors of the moment. A client that is told of them by a code from 500 on takes a file for one that there
// is not, and may begin an upload anew.
var passing = [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.EIO}

func noSpace(err error) bool { return isAny(err, errNoSpace[:]) }

func isAny(err error, list []error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}
