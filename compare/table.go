package compare

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Paint colours text for a terminal; what it adds takes no place on the screen.
type Paint struct {
	Title, Best, Faint func(string) string
}

// Plain does not colour.
func Plain() Paint {
	same := func(s string) string { return s }
	return Paint{same, same, same}
}

// WriteTable prints a table for each number of connections: a line a model, a column a metric, and a last line that
// names the best of each column.
func (r *Report) WriteTable(w io.Writer, paint Paint) error {
	metrics := r.measured()
	var b strings.Builder
	for _, conns := range r.Conns {
		fmt.Fprintf(&b, "\n%s\n",
			paint.Title(fmt.Sprintf("%s, service %s, %d bytes a message", plural(conns, "connection"), r.Service, r.Size)))
		r.writeTable(&b, conns, metrics, paint)
	}
	b.WriteString("\n")
	for _, m := range Metrics {
		if why, ok := r.NotMeasured[m.Key]; ok {
			fmt.Fprintf(&b, "%s: not measured here: %s\n", m.Title, why)
		}
	}
	for _, c := range r.Cells {
		if len(c.Samples) > 0 && len(c.Failures) > 0 {
			fmt.Fprintf(&b, "%s with %s: %d of %d rounds failed: %s\n", c.Model, plural(c.Conns, "connection"), len(c.Failures),
				r.Rounds, c.Failures[0])
		}
	}
	if r.EndedEarly != "" {
		fmt.Fprintf(&b, "ended early: %s\n", r.EndedEarly)
	}
	fmt.Fprintf(&b, "Each figure is the median of up to %s; differences smaller than what the rounds differ by mean "+
		"nothing.\n", plural(r.Rounds, "round"))
	_, err := io.WriteString(w, b.String())
	return err
}

// measured are the metrics that were measured at all.
func (r *Report) measured() (ms []Metric) {
	for _, m := range Metrics {
		for _, c := range r.Cells {
			if _, ok := c.Values[m.Key]; ok {
				ms = append(ms, m)
				break
			}
		}
	}
	return ms
}

func (r *Report) writeTable(b *strings.Builder, conns int, metrics []Metric, paint Paint) {
	rows := [][]string{{"model"}}
	best := []string{"best"}
	for _, m := range metrics {
		rows[0] = append(rows[0], m.Column)
		best = append(best, orDash(r.Winner(m, conns)))
	}
	notes := map[int]string{}
	for _, info := range r.Models {
		c := r.Cell(info.Name, conns)
		row := []string{info.Name}
		if why := c.WhyNot(); why != "" {
			notes[len(rows)] = why
		} else {
			for _, m := range metrics {
				row = append(row, c.format(m))
			}
		}
		rows = append(rows, row)
	}
	rows = append(rows, best)
	widths := make([]int, len(best))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var line []string
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case n == 0 || n == len(rows)-1 && i == 0:
				cell = paint.Faint(cell)
			case n == len(rows)-1 || i > 0 && row[0] == best[i]:
				cell = paint.Best(cell)
			}
			if i == 0 {
				line = append(line, cell+space)
			} else {
				line = append(line, space+cell)
			}
		}
		if why, ok := notes[n]; ok {
			line = append(line, paint.Faint("– "+why))
		}
		b.WriteString("  " + strings.TrimRight(strings.Join(line, "  "), " ") + "\n")
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// format is the cell's value in a table.
func (c *Cell) format(m Metric) string {
	v, ok := c.Values[m.Key]
	if !ok {
		return "–"
	}
	return figure(v.Median)
}

// figure is a number with three digits that matter, and commas between thousands: 84,512, 12.3, 0.021.
func figure(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 100:
		return commas(int64(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func commas(n int64) string {
	if n < 0 {
		return "-" + commas(-n)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return commas(int64(n)) + " " + what + "s"
}
