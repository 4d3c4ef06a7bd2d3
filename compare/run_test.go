package compare

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/models"
)

// options are those of a short comparison with processes that this test binary plays.
func options(t *testing.T, conns []int, names ...string) Options {
	t.Helper()
	o := Options{
		Conns: conns, Service: models.Echo, Size: 64, Duration: 300 * time.Millisecond, Rounds: 2,
		Server: func(model string, clients int) *exec.Cmd { return role("server", model, "echo", fmt.Sprint(clients)) },
		Load: func(address string, conns int, warmup, d time.Duration) *exec.Cmd {
			return role("load", address, fmt.Sprint(conns), warmup.String(), d.String())
		},
		Command: "plexor compare",
	}
	for _, name := range names {
		m, err := models.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		o.Models = append(o.Models, m)
	}
	return o
}

// TestRun measures three models for real, and looks at whether the figures can be true.
func TestRun(t *testing.T) {
	o := options(t, []int{1, 4}, "blocking", "processes", "epoll")
	if !portion.All() {
		o.Rounds = 1
	}
	for _, m := range o.Models {
		if err := m.Check(); err != nil {
			t.Skip(err)
		}
	}
	var steps []Progress
	o.Progress = func(p Progress) { steps = append(steps, p) }
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	measurements := o.Rounds * (1 + 2 + 2) // blocking takes one connection only
	if n := len(steps); n != measurements+1 || steps[0].Done != 0 || steps[n-1].Done != measurements ||
		steps[n-1].Total != measurements {
		t.Errorf("progress %+v, want %d steps", steps, measurements+1)
	}
	if c := r.Cell("blocking", 4); len(c.Samples) > 0 || !strings.Contains(c.WhyNot(), "one client at a time") {
		t.Errorf("blocking with 4 connections: %+v, want the reason why not", c)
	}
	for _, c := range r.Cells {
		if c.Skipped != "" {
			continue
		}
		if len(c.Samples) != o.Rounds {
			t.Errorf("%s × %d: %d rounds of %d: %v", c.Model, c.Conns, len(c.Samples), o.Rounds, c.Failures)
		}
		for i := range c.Samples {
			checkSample(t, c, &c.Samples[i])
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if s := r.Cell("processes", 4).Samples[0]; s.Processes != 5 {
		t.Errorf("processes with 4 connections: %d processes, want a master and 4 workers", s.Processes)
	}
	if a, b := r.Cell("processes", 4).Values[keyMemory], r.Cell("epoll", 4).Values[keyMemory]; a.Median < 4*b.Median {
		t.Errorf("memory per connection: processes %v KiB, epoll %v KiB; a process must cost far more", a.Median, b.Median)
	}
}

// checkSample wants figures of a size that can be, on any machine.
func checkSample(t *testing.T, c *Cell, s *Sample) {
	t.Helper()
	if s.Rate <= 0 || s.P50 <= 0 || s.P99 < s.P50 {
		t.Errorf("%s × %d: rate %v, p50 %v, p99 %v", c.Model, c.Conns, s.Rate, s.P50, s.P99)
	}
	between := func(name string, v *float64, least, most float64) {
		if v == nil {
			// What can't be measured has a reason, and only some of it can be missing on Linux.
			if runtime.GOOS == "linux" && s.missing[name] == nil {
				t.Errorf("%s × %d: %s is missing without a reason", c.Model, c.Conns, name)
			}
			return
		}
		if *v < least || *v > most {
			t.Errorf("%s × %d: %s is %v, want %v to %v", c.Model, c.Conns, name, *v, least, most)
		}
	}
	between(keyCPU, s.CPU, 0.5, 1e5)
	between(keySwitches, s.Switches, 0, 100)
	between(keyMemory, s.Memory, -1e4, 1e5)
	// A read and a write at least, as the rate of a short load on a busy machine makes them.
	between(keyCalls, s.Calls, 0.7, 40)
}

// TestCallsAreCounted: the figure is not just any: blocking makes two calls a message, and nothing else.
func TestCallsAreCounted(t *testing.T) {
	if err := canCount(); err != nil {
		t.Skip(err)
	}
	o := options(t, []int{1}, "blocking")
	o.Duration = 2 * time.Second
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := r.Cell("blocking", 1).Values[keyCalls]
	if !ok {
		t.Skip("not measured: ", r.NotMeasured[keyCalls]) // a machine that is too busy
	}
	if v.Median < 1.4 || v.Median > 3.5 {
		t.Errorf("blocking makes %v system calls a message, want about 2", v)
	}
}

// TestEndedEarly: what was measured before the context was cancelled is in the report.
func TestEndedEarly(t *testing.T) {
	o := options(t, []int{1, 2}, "goroutines", "busy")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(p Progress) {
		if p.Done == 3 {
			cancel()
		}
	}
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.EndedEarly != "3 of 8 measurements were made" {
		t.Errorf("EndedEarly is %q", r.EndedEarly)
	}
	if err := r.Write(t.TempDir()); err != nil {
		t.Error(err)
	}
	if v, ok := r.Cell("goroutines", 1).Values[keyRate]; !ok || v.Median <= 0 {
		t.Errorf("what was measured is not there: %+v", r.Cell("goroutines", 1))
	}
}

// TestEndedWhileLoading: the end does not wait for what runs.
func TestEndedWhileLoading(t *testing.T) {
	o := options(t, []int{1}, "goroutines")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Load = func(string, int, time.Duration, time.Duration) *exec.Cmd {
		cancel()
		return role("sleep")
	}
	begun := time.Now()
	_, err := Run(ctx, o)
	if err == nil || !strings.Contains(err.Error(), "interrupted before the first measurement") {
		t.Errorf("Run = %v", err)
	}
	if d := time.Since(begun); d > patience {
		t.Errorf("it took %v to end", d)
	}
}

// TestFailures: what fails has its reason in the report, and the rest goes on.
func TestFailures(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"server fails", func(o *Options) {
			o.Server = func(string, int) *exec.Cmd { return role("fail", "no", "sockets", "left") }
		}, "it did not start: no sockets left"},
		{"server says something else", func(o *Options) {
			o.Server = func(string, int) *exec.Cmd { return role("dumb", "hello") }
		}, "it did not start: exit status 0"},
		{"no such server", func(o *Options) {
			o.Server = func(string, int) *exec.Cmd { return exec.Command("/nonexistent/plexor") }
		}, "no such file"},
		{"load fails", func(o *Options) {
			o.Load = func(string, int, time.Duration, time.Duration) *exec.Cmd { return role("fail", "3 answers were wrong") }
		}, "the load failed: 3 answers were wrong"},
		{"load prints something else", func(o *Options) {
			o.Load = func(string, int, time.Duration, time.Duration) *exec.Cmd { return role("dumb", "hello") }
		}, "invalid character"},
		{"load has nothing to tell", func(o *Options) {
			o.Load = func(string, int, time.Duration, time.Duration) *exec.Cmd { return role("dumb", "{}") }
		}, "without one answer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := options(t, []int{1}, "goroutines")
			o.Rounds = 1
			row.change(&o)
			_, err := Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), "goroutines with 1 connections: ") ||
				!strings.Contains(err.Error(), row.want) {
				t.Errorf("Run = %v, want an error with %q", err, row.want)
			}
		})
	}
	t.Run("one of two", func(t *testing.T) {
		o := options(t, []int{1}, "goroutines", "busy")
		o.Rounds = 1
		good := o.Server
		o.Server = func(model string, clients int) *exec.Cmd {
			if model == "busy" {
				return role("fail", "no")
			}
			return good(model, clients)
		}
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if why := r.Cell("busy", 1).WhyNot(); why != "failed: start the server's process: it did not start: no" {
			t.Errorf("busy: %q", why)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"no models", func(o *Options) { o.Models = nil }, "no models"},
		{"no connections", func(o *Options) { o.Conns = nil }, "at least one number"},
		{"zero connections", func(o *Options) { o.Conns = []int{10, 0} }, "each at least 1"},
		{"no rounds", func(o *Options) { o.Rounds = 0 }, "0 rounds"},
		{"no time", func(o *Options) { o.Duration = 0 }, "duration of 0s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := options(t, []int{1}, "busy")
			row.change(&o)
			if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Run = %v, want an error with %q", err, row.want)
			}
		})
	}
}

// TestPlan: every cell has its turn once in each round, and the same model does not always come first.
func TestPlan(t *testing.T) {
	o := options(t, []int{1, 10}, "blocking", "busy", "goroutines")
	o.Rounds = 3
	r := newReport(o)
	times, first := map[string]int{}, map[string]bool{}
	for i, m := range r.plan() {
		times[fmt.Sprintf("%s × %d in %d", m.cell.Model, m.cell.Conns, m.round)]++
		if i == 0 || r.plan()[i-1].cell.Conns != m.cell.Conns {
			first[m.cell.Model] = true
		}
	}
	for what, n := range times {
		if n != 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
	want := 3 * 5
	if runtime.GOOS != "linux" { // blocking does not work there
		want = 3 * 4
	}
	if len(times) != want || len(first) < 2 {
		t.Errorf("%d turns, want %d; %v came first", len(times), want, first)
	}
}
