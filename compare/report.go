package compare

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A Report is what a comparison found. results.json is it.
type Report struct {
	Command  string    `json:"command"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // how long it all took
	Machine  Machine   `json:"machine"`
	Service  string    `json:"service"`
	Size     int       `json:"size"`         // bytes in a message
	Duration float64   `json:"cell_seconds"` // load on a cell, over all rounds
	Rounds   int       `json:"rounds"`
	Conns    []int     `json:"conns"`
	// EndedEarly says how much is missing because somebody interrupted.
	EndedEarly string `json:"ended_early,omitempty"`
	// NotMeasured are metrics that could not be had on this machine, by key, with the reason.
	NotMeasured map[string]string `json:"not_measured,omitempty"`
	Models      []ModelInfo       `json:"models"`
	Cells       []*Cell           `json:"cells"`
}

// A Machine is where it was measured.
type Machine struct {
	OS     string `json:"os"` // with the kernel's version
	Arch   string `json:"arch"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory,omitempty"`
	Go     string `json:"go"`
}

// A ModelInfo is a model of the comparison.
type ModelInfo struct {
	Name        string `json:"name"`
	Doc         string `json:"doc"`
	Quadrant    string `json:"quadrant"`
	Async       bool   `json:"async"`
	NonBlocking bool   `json:"non_blocking"`
	Parallel    bool   `json:"parallel"`
	Limit       int    `json:"limit,omitempty"` // of connections; 0: none of its own
	Reason      string `json:"limit_reason,omitempty"`
}

// A Cell is a model with a number of connections.
type Cell struct {
	Model    string   `json:"model"`
	Conns    int      `json:"conns"`
	Skipped  string   `json:"skipped,omitempty"` // why it was not measured
	Samples  []Sample `json:"samples,omitempty"` // one for each round that succeeded
	Failures []string `json:"failures,omitempty"`
	// Values are the metrics, by key.
	Values map[string]Value `json:"values,omitempty"`
}

// A Value is a metric over the rounds.
type Value struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// A Sample is one round of a cell.
type Sample struct {
	Rate float64 `json:"rate"` // messages a second
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	// Of the server's processes; nil: not measured. Per message, but for memory.
	CPU       *float64 `json:"cpu_us_per_message,omitempty"`
	Memory    *float64 `json:"memory_kib_per_conn,omitempty"`
	Switches  *float64 `json:"switches_per_message,omitempty"`
	Calls     *float64 `json:"syscalls_per_message,omitempty"`
	Threads   int      `json:"threads,omitempty"`
	Processes int      `json:"processes,omitempty"`
	Resident  int64    `json:"resident_bytes,omitempty"` // with the program itself, which processes share

	missing map[string]error // why something was not measured
}

// A Metric is what is compared.
type Metric struct {
	Key      string
	Title    string
	Unit     string
	Column   string  // the title in narrow tables
	More     bool    // more is better
	Floor    float64 // where the chart shows a value that is not above zero
	HowToSee string  // what the chart shows, for whoever looks at it
	of       func(s *Sample) *float64
}

// The keys of metrics.
const (
	keyRate     = "rate"
	keyP50      = "p50"
	keyP99      = "p99"
	keyCPU      = "cpu"
	keyMemory   = "memory"
	keySwitches = "switches"
	keyCalls    = "syscalls"
)

// Metrics are all of them, in the order of the report.
var Metrics = []Metric{
	{keyRate, "Throughput", "messages a second", "msgs/s", true, 1,
		"Each connection sends its next message when it has the answer. With one connection this is how fast a message " +
			"goes there and back; with many, how much the server gets done.",
		func(s *Sample) *float64 { return &s.Rate }},
	{keyP50, "Latency, median", "µs", "p50 µs", false, 0.1,
		"Half of the messages had their answer within this time. It rises with the connections, since their messages wait " +
			"for each other: where all are served alike it is the connections divided by the throughput, and where it is far " +
			"below that, some connections wait much longer than others.",
		func(s *Sample) *float64 { return &s.P50 }},
	{keyP99, "Latency, 99th percentile", "µs", "p99 µs", false, 0.1,
		"One message in a hundred took longer than this. A model that serves some connections late shows here before it " +
			"shows anywhere else.",
		func(s *Sample) *float64 { return &s.P99 }},
	{keyCPU, "CPU time per message", "µs, user and system", "CPU µs/msg", false, 0.01,
		"What a message costs the server, on all cores together. Most of it is the kernel's TCP, which all models pay.",
		func(s *Sample) *float64 { return s.CPU }},
	{keyMemory, "Memory per connection", "KiB", "KiB/conn", false, 0.1,
		"The memory of the server's processes, less what the main process had before the first connection, divided by the " +
			"connections. With few connections it is what serving takes at all; to the right it is what one more connection " +
			"takes. What the kernel keeps for sockets and threads is not in it.",
		func(s *Sample) *float64 { return s.Memory }},
	{keySwitches, "Context switches per message", "switches", "switches/msg", false, 0.001,
		"How often a thread of the server gave up its core or lost it. A server that waits for each message switches once " +
			"or twice a message; one that finds more to do does not wait.",
		func(s *Sample) *float64 { return s.Switches }},
	{keyCalls, "System calls per message", "calls", "syscalls/msg", false, 0.01,
		"A read and a write make two; a wait adds its share of a call, less the more messages it finds. Asking in vain " +
			"adds calls, and asking for many things in one call takes them away.",
		func(s *Sample) *float64 { return s.Calls }},
}

func newReport(o Options) *Report {
	r := &Report{
		Command: o.Command, Started: time.Now(), Machine: thisMachine(), Service: o.Service.Name, Size: o.Size,
		Duration: o.Duration.Seconds(), Rounds: o.Rounds, Conns: slices.Compact(slices.Sorted(slices.Values(o.Conns))),
		NotMeasured: map[string]string{},
	}
	for _, m := range o.Models {
		q := m.Quadrant
		r.Models = append(r.Models, ModelInfo{m.Name, m.Doc, q.String(), q.Async, q.NonBlocking, q.Parallel,
			m.Limit.Conns, m.Limit.Reason})
		unusable := ""
		if err := m.Check(); err != nil {
			unusable = "does not work here: " + err.Error()
		}
		for _, conns := range r.Conns {
			c := &Cell{Model: m.Name, Conns: conns, Skipped: unusable}
			if ok, reason := m.Limit.Takes(conns); !ok && unusable == "" {
				c.Skipped = reason
			}
			r.Cells = append(r.Cells, c)
		}
	}
	return r
}

func thisMachine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.look()
	return m
}

// finish makes the values of the samples.
func (r *Report) finish() error {
	r.Seconds = time.Since(r.Started).Seconds()
	measured, failure := 0, ""
	for _, c := range r.Cells {
		measured += len(c.Samples)
		if len(c.Failures) > 0 && failure == "" {
			failure = fmt.Sprintf("%s with %d connections: %s", c.Model, c.Conns, c.Failures[0])
		}
		c.Values = map[string]Value{}
		for _, m := range Metrics {
			if v, ok := c.over(m); ok {
				c.Values[m.Key] = v
			}
		}
		for i := range c.Samples {
			for key, why := range c.Samples[i].missing {
				r.NotMeasured[key] = why.Error()
			}
		}
	}
	r.forgive()
	switch {
	case measured > 0:
		return nil
	case failure != "":
		return fmt.Errorf("compare: nothing could be measured: %s", failure)
	case r.EndedEarly != "":
		return errors.New("compare: interrupted before the first measurement")
	}
	return fmt.Errorf("compare: nothing to measure: %s", r.Cells[0].Skipped)
}

// forgive drops the reasons for what was measured in other rounds or cells.
func (r *Report) forgive() {
	for _, c := range r.Cells {
		for key := range c.Values {
			delete(r.NotMeasured, key)
		}
	}
}

// over is the metric over the cell's rounds.
func (c *Cell) over(m Metric) (v Value, ok bool) {
	var xs []float64
	for i := range c.Samples {
		if x := m.of(&c.Samples[i]); x != nil {
			xs = append(xs, *x)
		}
	}
	if len(xs) == 0 {
		return v, false
	}
	slices.Sort(xs)
	n := len(xs)
	return Value{Median: (xs[n/2] + xs[(n-1)/2]) / 2, Least: xs[0], Most: xs[n-1]}, true
}

// Cell is the cell of that model and number of connections, or nil.
func (r *Report) Cell(model string, conns int) *Cell {
	for _, c := range r.Cells {
		if c.Model == model && c.Conns == conns {
			return c
		}
	}
	return nil
}

// Winner is the model with the best median of m at so many connections, or "".
func (r *Report) Winner(m Metric, conns int) string {
	var with []*Cell
	for _, c := range r.Cells {
		if _, ok := c.Values[m.Key]; ok && c.Conns == conns {
			with = append(with, c)
		}
	}
	if len(with) == 0 {
		return ""
	}
	best := slices.MinFunc(with, func(a, b *Cell) int {
		if m.More {
			a, b = b, a
		}
		return cmp.Compare(a.Values[m.Key].Median, b.Values[m.Key].Median)
	})
	return best.Model
}

// WhyNot is why the cell has no values.
func (c *Cell) WhyNot() string {
	switch {
	case c.Skipped != "":
		return c.Skipped
	case len(c.Samples) > 0:
		return ""
	case len(c.Failures) > 0:
		return "failed: " + c.Failures[0]
	}
	return "not measured before the end"
}
