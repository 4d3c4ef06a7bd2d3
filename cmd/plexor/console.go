package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/plexor-go/plexor/proc"
	"golang.org/x/term"
)

// A console is where the command reads and prints. Colour is for a terminal only, and for nobody who set NO_COLOR.
type console struct {
	in       io.Reader
	out, err io.Writer
	worker   *proc.Worker // nil: the process is none
}

// The colours, as SGR parameters (ECMA-48 section 8.3.117).
const (
	bold   = "1"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

func (c *console) paint(w io.Writer, sgr, s string) string {
	f, ok := w.(*os.File)
	if s == "" || !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// status prints a line on standard error, with its first word in colour.
func (c *console) status(sgr, word, format string, args ...any) {
	fmt.Fprintf(c.err, "%s %s\n", c.paint(c.err, sgr, word), fmt.Sprintf(format, args...))
}

// barWidth is that of progress bars, in columns.
const barWidth = 24

// progressBar is drawn for a share that is done, between 0 and 1.
func progressBar(share float64) string {
	full := min(max(int(share*barWidth), 0), barWidth)
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}
