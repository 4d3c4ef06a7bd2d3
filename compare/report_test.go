package compare

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/models"
)

// made is a report with made-up figures, which differ by model and connections. All models are there, and what one of
// them can't do.
func made(t testing.TB) *Report {
	t.Helper()
	o := Options{Models: models.All(), Conns: []int{1000, 1, 10, 100}, Service: models.Echo, Size: 64,
		Duration: 3e9, Rounds: 3,
		Command: `plexor compare --models=<all> -d 3s`}
	r := newReport(o)
	for i, c := range r.Cells {
		m, err := models.Find(c.Model)
		if err != nil {
			t.Fatal(err)
		}
		if ok, reason := m.Limit.Takes(c.Conns); !ok {
			c.Skipped = reason
			continue
		}
		c.Skipped = "" // also where it does not work
		for n := range 3 {
			x := float64(i+7) * (1 + float64(n)/50)
			cpu, memory, switches, calls := 5+x/10, 2000/float64(c.Conns)+x/20, x/30, 2+x/40
			c.Samples = append(c.Samples, Sample{
				Rate: 1e3 * x, P50: float64(c.Conns) * x / 5, P99: float64(c.Conns) * x, CPU: &cpu,
				Memory: &memory, Switches: &switches, Calls: &calls, Threads: 5, Processes: 1})
		}
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestValues(t *testing.T) {
	f := func(x float64) *float64 { return &x }
	c := Cell{Samples: []Sample{{Rate: 30, CPU: f(3)}, {Rate: 10}, {Rate: 20, CPU: f(1)}}}
	for _, row := range []struct {
		key  string
		want Value
		ok   bool
	}{
		{keyRate, Value{20, 10, 30}, true},
		{keyCPU, Value{2, 1, 3}, true},
		{keyMemory, Value{}, false},
	} {
		i := slices.IndexFunc(Metrics, func(m Metric) bool { return m.Key == row.key })
		if got, ok := c.over(Metrics[i]); got != row.want || ok != row.ok {
			t.Errorf("%s of %+v: %+v, %v, want %+v, %v", row.key, c.Samples, got, ok, row.want, row.ok)
		}
	}
}

func TestWinner(t *testing.T) {
	r := &Report{Cells: []*Cell{
		{Model: "a", Conns: 1, Values: map[string]Value{keyRate: {Median: 5}, keyCPU: {Median: 5}}},
		{Model: "b", Conns: 1, Values: map[string]Value{keyRate: {Median: 9}, keyCPU: {Median: 9}}},
		{Model: "c", Conns: 1, Skipped: "no"},
		{Model: "b", Conns: 10, Values: map[string]Value{keyRate: {Median: 1}}},
	}}
	for _, row := range []struct {
		key   string
		conns int
		want  string
	}{
		{keyRate, 1, "b"},
		{keyCPU, 1, "a"},
		{keyRate, 10, "b"},
		{keyCPU, 10, ""},
	} {
		i := slices.IndexFunc(Metrics, func(m Metric) bool { return m.Key == row.key })
		if got := r.Winner(Metrics[i], row.conns); got != row.want {
			t.Errorf("best %s with %d: %q, want %q", row.key, row.conns, got, row.want)
		}
	}
}

// TestWrite: all files are there, are what they say they are, and need nothing from anywhere else.
func TestWrite(t *testing.T) {
	r, dir := made(t), t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	page := read(t, dir, "report.html")
	for _, m := range Metrics {
		svg := read(t, dir, m.Key+".svg")
		checkXML(t, m.Key+".svg", svg)
		for _, want := range []string{m.Title, m.Unit, "connections", "prefers-color-scheme:dark", `xmlns="http://www.w3.org/2000/svg"`} {
			if !strings.Contains(svg, want) {
				t.Errorf("%s.svg does not have %q", m.Key, want)
			}
		}
		for _, info := range r.Models {
			if !strings.Contains(svg, ">"+info.Name+"<") {
				t.Errorf("%s.svg does not name %s", m.Key, info.Name)
			}
		}
		if !strings.Contains(page, `<figure id="`+m.Key+`"`) {
			t.Errorf("report.html has no figure of %s", m.Key)
		}
	}
	if n := strings.Count(page, "<svg class=\"chart\""); n != len(Metrics) {
		t.Errorf("report.html has %d charts, want %d", n, len(Metrics))
	}
	for _, want := range []string{
		"it serves one client at a time", "it is bounded to 128 workers", "&lt;all&gt;", "Linux",
		models.All()[3].Limit.Reason,
	} {
		if !strings.Contains(page, want) && !(want == "Linux" && r.Machine.CPU == "") {
			t.Errorf("report.html does not have %q", want)
		}
	}
	// Name spaces are names; any other address would be fetched.
	for _, u := range regexp.MustCompile(`(?i)(https?:|src=|href=|url\(|@import|<script)[^>]{0,60}`).FindAllString(page, -1) {
		if !strings.HasPrefix(u, "http://www.w3.org/") && !strings.HasPrefix(u, `href="data:,"`) {
			t.Errorf("report.html refers to something outside: %q", u)
		}
	}
	var back Report
	if err := json.Unmarshal([]byte(read(t, dir, "results.json")), &back); err != nil {
		t.Fatal(err)
	}
	got, want := back.Cell("epoll", 100).Values, r.Cell("epoll", 100).Values
	if got[keyRate] != want[keyRate] || got[keyCalls] != want[keyCalls] {
		t.Errorf("results.json has %+v, want %+v", got, want)
	}
}

// TestRead: a report is drawn anew from its results, and nothing of it changes; what holds none says so.
func TestRead(t *testing.T) {
	r, dir, again := made(t), t.TempDir(), t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	back, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Write(again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"results.json", "report.html", "rate.svg"} {
		if read(t, dir, name) != read(t, again, name) {
			t.Errorf("%s is another when it is drawn anew", name)
		}
	}
	for _, row := range []struct{ name, text, want string }{
		{"none", "", "no such file"},
		{"no JSON", "x", "invalid character"},
		{"empty", "{}", "holds no results"},
		{"a cell is missing", `{"conns": [1], "models": [{"name": "busy"}]}`, "holds nothing of busy with 1 connection"},
	} {
		dir := t.TempDir()
		if row.text != "" {
			if err := os.WriteFile(filepath.Join(dir, "results.json"), []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: Read = %v, want %q", row.name, err, row.want)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func checkXML(t *testing.T, name, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// TestWriteWithout: what was not measured has its reason where its chart would be, and a
// chart of an earlier report goes.
func TestWriteWithout(t *testing.T) {
	r, dir := made(t), t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	why := errors.New("perf_event_open: operation not permitted")
	for _, c := range r.Cells {
		for i := range c.Samples {
			c.Samples[i].Calls = nil
			c.Samples[i].missing = map[string]error{keyCalls: why, keyCPU: errors.New("but it was, in other rounds")}
		}
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	if len(r.NotMeasured) != 1 || r.NotMeasured[keyCalls] != why.Error() {
		t.Errorf("NotMeasured is %v", r.NotMeasured)
	}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	if page := read(t, dir, "report.html"); !strings.Contains(page, "Not measured here: "+why.Error()) {
		t.Error("report.html does not say why system calls were not measured")
	}
	if _, err := os.Stat(filepath.Join(dir, keyCalls+".svg")); !os.IsNotExist(err) {
		t.Errorf("the chart of system calls: %v, want none", err)
	}
	var b bytes.Buffer
	if err := r.WriteTable(&b, Plain()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "System calls per message: not measured here: perf_event_open") ||
		strings.Contains(b.String(), "syscalls/msg") {
		t.Errorf("the table:\n%s", b.String())
	}
}

// TestOneNumber: a single number of connections makes charts of points.
func TestOneNumber(t *testing.T) {
	r := made(t)
	r.Conns = []int{10}
	if err := r.Write(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// TestTable: columns stand beneath each other, the best are named, and what can't be has its reason.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	r := made(t)
	if err := r.WriteTable(&b, Plain()); err != nil {
		t.Fatal(err)
	}
	table := b.String()
	for _, want := range []string{
		"\n1 connection, service echo, 64 bytes a message\n", "\n1,000 connections, ",
		"  model ", "  best ", "blocking    – it serves one client at a time", "processes   – it is bounded to 128 workers",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not have %q:\n%s", want, table)
		}
	}
	for i, block := range strings.Split(strings.TrimSpace(table), "\n\n")[:4] {
		rows := strings.Split(block, "\n")[1:]
		width := len([]rune(rows[0]))
		for _, row := range rows {
			if !strings.Contains(row, "– ") && len([]rune(row)) != width {
				t.Errorf("table %d: a line of %d columns, the first has %d: %q", i, len([]rune(row)), width, row)
			}
		}
		best := strings.Fields(rows[len(rows)-1])[1:]
		if len(best) != len(Metrics) || best[0] != r.Winner(Metrics[0], r.Conns[i]) {
			t.Errorf("table %d: the best are %v, want %d that begin with %s",
				i, best, len(Metrics), r.Winner(Metrics[0], r.Conns[i]))
		}
	}
	// Colours take no place.
	mark := func(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
	var coloured bytes.Buffer
	if err := r.WriteTable(&coloured, Paint{mark, mark, mark}); err != nil {
		t.Fatal(err)
	}
	if got := regexp.MustCompile("\x1b\\[[01]m").ReplaceAllString(coloured.String(), ""); got != table {
		t.Errorf("without its colours the table is\n%s\nwant\n%s", got, table)
	}
}

func TestNumbers(t *testing.T) {
	for _, row := range []struct {
		v           float64
		figure, tip string
	}{
		{0, "0.000", "0"},
		{0.0123, "0.012", "0.0123"},
		{0.0005, "0.001", "0.0005"},
		{2, "2.00", "2"},
		{12.345, "12.3", "12.35"},
		{123.4, "123", "123.4"},
		{5000, "5,000", "5000"},
		{84512.3, "84,512", "84.51k"},
		{1234567, "1,234,567", "1.235M"},
		{-1234.5, "-1,235", "-1234"},
	} {
		if got := figure(row.v); got != row.figure {
			t.Errorf("figure(%v) = %q, want %q", row.v, got, row.figure)
		}
		if got := short(row.v); row.v >= 0 && got != row.tip {
			t.Errorf("short(%v) = %q, want %q", row.v, got, row.tip)
		}
	}
}

// TestLogTicks: a logarithmic axis has labels, and not so many that they touch.
func TestLogTicks(t *testing.T) {
	for _, row := range []struct{ least, most float64 }{
		{0.05, 64}, {3, 120}, {11800, 92000}, {10, 1.3e6}, {0.001, 4}, {1, 1e9},
	} {
		labels := 0
		for _, tick := range (logTicks{}).Ticks(row.least, row.most) {
			if tick.Value < row.least || tick.Value > row.most {
				t.Errorf("from %v to %v: a tick at %v", row.least, row.most, tick.Value)
			}
			if tick.Label != "" {
				labels++
			}
		}
		if labels < 2 || labels > 11 {
			t.Errorf("from %v to %v: %d labels", row.least, row.most, labels)
		}
	}
}

// TestStyles: no two models look the same, with colours or without, and each is seen well on its background.
func TestStyles(t *testing.T) {
	seen := map[string]string{}
	for _, m := range models.All() {
		s, ok := styles[m.Name]
		if !ok {
			t.Errorf("%s has no style", m.Name)
			continue
		}
		for _, look := range []string{s.colour, s.dark, fmt.Sprintf("%T %v", s.glyph, s.dashes)} {
			if other, ok := seen[look]; ok {
				t.Errorf("%s and %s both have %s", m.Name, other, look)
			}
			seen[look] = m.Name
		}
		// WCAG 2.2, success criterion 1.4.11, wants 3 to 1 of what is needed to understand a picture.
		if c := contrast(s.colour, "#f6f7f9"); c < 2.5 {
			t.Errorf("%s: %s on light has a contrast of %.1f", m.Name, s.colour, c)
		}
		if c := contrast(s.dark, "#1f2228"); c < 3 {
			t.Errorf("%s: %s on dark has a contrast of %.1f", m.Name, s.dark, c)
		}
	}
}

// contrast is that of WCAG 2.2.
func contrast(a, b string) float64 {
	luminance := func(hex string) float64 {
		r, g, b, _ := parseColour(hex).RGBA()
		var sum float64
		for i, v := range []uint32{r, g, b} {
			sum += linear(float64(v)/0xffff) * []float64{0.2126, 0.7152, 0.0722}[i]
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestCheckDir(t *testing.T) {
	dir := t.TempDir()
	if err := CheckDir(filepath.Join(dir, "a", "b")); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "a", "b", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "sub")} {
		if err := CheckDir(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("CheckDir(%q) = %v, want an error that names it", bad, err)
		}
	}
}
