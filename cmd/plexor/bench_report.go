package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/plexor-go/plexor/load"
)

// isTerminal reports whether w is a terminal that a line can be drawn on anew.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// plainEvery is how often progress is told where it can't be drawn.
const plainEvery = time.Second

// histogramWidth is that of the histogram's longest bar, in columns.
const histogramWidth = 40

// progress returns what shows it on standard error, and what clears it away: on a terminal one line drawn anew, and
// elsewhere a line a second.
func (c *console) progress() (show func(load.Progress), clear func()) {
	if isTerminal(c.err) {
		const wipe = "\r\x1b[K" // erase in line, ECMA-48 section 8.3.41
		return func(p load.Progress) { fmt.Fprint(c.err, wipe+progressLine(p, true)) }, func() { fmt.Fprint(c.err, wipe) }
	}
	last := time.Now()
	return func(p load.Progress) {
		if time.Since(last) >= plainEvery {
			last = time.Now()
			fmt.Fprintln(c.err, progressLine(p, false))
		}
	}, func() {}
}

func progressLine(p load.Progress, bar bool) string {
	line := fmt.Sprintf("%s %.1f s", p.Phase, p.Elapsed.Seconds())
	if p.Phase == "measuring" {
		if bar {
			line += " " + progressBar(p.Fraction)
		}
		line += fmt.Sprintf(" %3.0f %%", min(p.Fraction, 1)*100)
	}
	line += fmt.Sprintf("  %d connections", p.Conns)
	if p.Phase != "connecting" {
		line += fmt.Sprintf("  %s messages  %s/s", grouped(p.Messages), grouped(int64(p.Rate)))
	}
	return line
}

// report prints a result as a table and a histogram.
func (c *console) report(r *load.Result) error {
	var b strings.Builder
	how := "each answer is followed by the next message"
	if r.RateAsked > 0 {
		how = fmt.Sprintf("%s messages due a second, latencies from when each was due", grouped(int64(r.RateAsked)))
	}
	if r.Reconnect {
		how += ", a connection for each"
	}
	framed := ""
	if r.Frame != "" {
		framed = " in frames (" + r.Frame + ")"
	}
	fmt.Fprintf(&b, "%s: %d connections × %d under way × %d bytes%s; %s\n", r.Address, r.Conns, r.Depth, r.Size, framed,
		how)
	if r.Interrupted {
		fmt.Fprintln(&b, c.paint(c.out, yellow, "interrupted before the end"))
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("messages", "%s answered, measured for %.3f s", grouped(r.Messages), r.Seconds)
	row("rate", "%s messages/s, %s each way", grouped(int64(math.Round(r.Rate))), bytesPerSecond(r.Rate*float64(r.Size)))
	if r.Messages > 0 {
		l := r.Latency
		row("latency", "p50 %s   p90 %s   p99 %s   p99.9 %s", micros(l.P50), micros(l.P90), micros(l.P99), micros(l.P999))
		row("", "min %s   mean %s   max %s", micros(l.Min), micros(l.Mean), micros(l.Max))
	}
	row("connections", "%s made, %s", grouped(r.Connected),
		c.bad(r.NotConnected+r.LostConns, fmt.Sprintf("%d not made, %d lost (%d by timeout)", r.NotConnected, r.LostConns,
			r.TimedOut)))
	row("wrong", "%s answers", c.bad(r.Wrong, grouped(r.Wrong)))
	if r.LostMessages+r.Stray > 0 {
		row("lost", "%s messages never answered, %s answered too late or twice",
			c.bad(r.LostMessages, grouped(r.LostMessages)), grouped(r.Stray))
	}
	if r.Unexpected > 0 {
		row("elsewhere", "%s from other addresses than the messages went to, dropped",
			c.bad(r.Unexpected, grouped(r.Unexpected)+" datagrams"))
	}
	if r.Unsent+r.Unanswered > 0 {
		row("left", "%s messages were due and not sent, %s not answered when it ended", c.bad(r.Unsent, grouped(r.Unsent)),
			grouped(r.Unanswered))
	}
	for _, e := range r.Errors {
		row("error", "%s × %s", grouped(e.Count), e.Error)
	}
	c.histogram(&b, r)
	_, err := io.WriteString(c.out, b.String())
	return err
}

// bad paints what should be zero and is not.
func (c *console) bad(n int64, text string) string {
	if n == 0 {
		return text
	}
	return c.paint(c.out, yellow, text)
}

func (c *console) histogram(w io.Writer, r *load.Result) {
	most := int64(0)
	for _, b := range r.Histogram {
		most = max(most, b.Count)
	}
	if most == 0 {
		return
	}
	fmt.Fprintf(w, "\n%12s %12s %9s\n", "up to", "messages", "share")
	for _, b := range r.Histogram {
		fmt.Fprintf(w, "%12s %12s %7.3f %% %s\n", micros(b.UpTo), grouped(b.Count), float64(b.Count)/float64(r.Messages)*100,
			c.paint(c.out, green, bar(float64(b.Count)/float64(most)*histogramWidth)))
	}
}

// bar is so many columns wide, to an eighth; what is not nothing shows.
func bar(width float64) string {
	eighths := int(math.Ceil(width * 8))
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string(rune('█' + 8 - rest)) // U+2588 to U+258F: from full to one eighth
	}
	return s
}

// micros prints microseconds with the unit that reads best, in three figures.
func micros(us float64) string {
	switch {
	case us >= 1e6:
		return figures(us/1e6) + " s"
	case us >= 1e3:
		return figures(us/1e3) + " ms"
	}
	return figures(us) + " µs"
}

func figures(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func bytesPerSecond(n float64) string {
	if n >= 1<<20 {
		return figures(n/(1<<20)) + " MiB/s"
	}
	return figures(n/(1<<10)) + " KiB/s"
}

// grouped prints a number with its thousands apart.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
