package main

import (
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/plexor-go/plexor/compare"
)

// A compareBar tells on standard error how far a comparison is: a bar on a terminal, a line a measurement elsewhere.
type compareBar struct {
	out   io.Writer
	width int // of the terminal; 0: it is none
}

func newBar(c *console) *compareBar {
	b := &compareBar{out: c.err}
	if f, ok := c.err.(*os.File); ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) {
		b.width = 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			b.width = w
		}
	}
	return b
}

func (b *compareBar) show(p compare.Progress) {
	last := ""
	if d := p.Last; d != nil {
		what := fmt.Sprintf("%.0f messages a second", d.Sample.Rate)
		if d.Err != nil {
			what = "failed: " + oneLine(d.Err)
		}
		last = fmt.Sprintf("%s × %d, round %d: %s", d.Model, d.Conns, d.Round, what)
	}
	left := "?"
	if p.Done > 0 {
		left = p.Left.Round(time.Second).String()
	}
	if b.width == 0 {
		if last != "" {
			fmt.Fprintf(b.out, "%d/%d, %s left: %s\n", p.Done, p.Total, left, last)
		}
		return
	}
	line := fmt.Sprintf("%s %d/%d, %s left  %s", progressBar(float64(p.Done)/float64(max(1, p.Total))), p.Done, p.Total,
		left, last)
	for utf8.RuneCountInString(line) >= b.width {
		_, n := utf8.DecodeLastRuneInString(line)
		line = line[:len(line)-n]
	}
	fmt.Fprintf(b.out, "\r\x1b[K%s", line)
}

// clear takes the bar away.
func (b *compareBar) clear() {
	if b.width > 0 {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
