package compare

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CheckDir makes the directory if it is not there, and finds out whether files can be made in it.
func CheckDir(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("compare: make the directory %s for the report: %w", dir, err)
	}
	f, err := os.CreateTemp(dir, ".report-*")
	if err != nil {
		return fmt.Errorf("compare: write the report into %s: %w", dir, err)
	}
	_ = f.Close() // nothing was written
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("compare: write the report into %s: %w", dir, err)
	}
	return nil
}

// Read reads the report whose results.json is in the directory: to draw it anew, say, with [Report.Write].
func Read(dir string) (*Report, error) {
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return nil, fmt.Errorf("compare: read a report: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("compare: read a report: %s: %w", filepath.Join(dir, "results.json"), err)
	}
	if len(r.Conns) == 0 || len(r.Models) == 0 {
		return nil, fmt.Errorf("compare: read a report: %s holds no results", filepath.Join(dir, "results.json"))
	}
	for _, m := range r.Models {
		for _, conns := range r.Conns {
			if r.Cell(m.Name, conns) == nil {
				return nil, fmt.Errorf("compare: read a report: %s holds nothing of %s with %s", filepath.Join(dir, "results.json"),
					m.Name, plural(conns, "connection"))
			}
		}
	}
	return r, nil
}

// Write writes report.html, results.json and a chart for each metric (throughput.svg, say, under the metric's key) into
// the directory, which must be there. Files of an earlier report are replaced.
func (r *Report) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("compare: write results.json: %w", err)
	}
	files := map[string][]byte{"results.json": append(text, '\n')}
	charts := map[string][]byte{}
	for _, m := range Metrics {
		svg, err := r.chart(m)
		if err != nil {
			return err
		}
		if svg == nil {
			// That of an earlier report would be taken for this one's.
			if err := os.Remove(filepath.Join(dir, m.Key+".svg")); err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("compare: %w", err)
			}
			continue
		}
		charts[m.Key] = svg
		files[m.Key+".svg"] = standAlone(svg)
	}
	if files["report.html"], err = r.page(charts); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			return fmt.Errorf("compare: %w", err)
		}
	}
	return nil
}

// standAlone makes a file of a chart: one in a page needs no name space, and has the page's background.
func standAlone(svg []byte) []byte {
	const ground = "svg{background:#fff}@media (prefers-color-scheme:dark){svg{background:#16181c}}</style>"
	svg = bytes.Replace(svg, []byte("</style>"), []byte(ground), 1)
	if !bytes.Contains(svg[:bytes.IndexByte(svg, '>')], []byte("xmlns=")) {
		svg = bytes.Replace(svg, []byte("<svg "), []byte(`<svg xmlns="http://www.w3.org/2000/svg" `), 1)
	}
	return append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), svg...)
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"figure": figure,
	"plural": plural,
	"yes": func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	},
	"when": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"minutes": func(s float64) string {
		return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
	},
}).Parse(pageText))

// A chartOf is a metric with its chart, for the page.
type chartOf struct {
	Metric
	SVG     template.HTML // drawn by chart, which escapes what it puts in
	Missing string
}

// page is report.html.
func (r *Report) page(svgs map[string][]byte) ([]byte, error) {
	var charts []chartOf
	for _, m := range Metrics {
		charts = append(charts, chartOf{m, template.HTML(svgs[m.Key]), r.NotMeasured[m.Key]})
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{"R": r, "Charts": charts, "Metrics": r.measured(), "Wins": r.wins()})
	if err != nil {
		return nil, fmt.Errorf("compare: write report.html: %w", err)
	}
	return bytes.TrimLeft(b.Bytes(), "\n"), nil
}

// A win is who is best by a metric, at each number of connections.
type win struct {
	Metric
	Best []string
}

func (r *Report) wins() (ws []win) {
	for _, m := range r.measured() {
		w := win{Metric: m}
		for _, conns := range r.Conns {
			best := orDash(r.Winner(m, conns))
			if c := r.Cell(best, conns); c != nil {
				best += " (" + c.format(m) + ")"
			}
			w.Best = append(w.Best, best)
		}
		ws = append(ws, w)
	}
	return ws
}

// Range is what the rounds of a value differ by, as a table's hint.
func (c *Cell) Range(m Metric) string {
	v := c.Values[m.Key]
	return fmt.Sprintf("rounds from %s to %s", figure(v.Least), figure(v.Most))
}

// Text is the cell's value in a table.
func (c *Cell) Text(m Metric) string { return c.format(m) }

// Failed tells of rounds that failed, where others did not.
func (c *Cell) Failed() string {
	if len(c.Failures) == 0 || len(c.Samples) == 0 {
		return ""
	}
	return fmt.Sprintf("%s failed: %s", plural(len(c.Failures), "round"), strings.TrimSpace(c.Failures[0]))
}
