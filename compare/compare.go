package compare

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/plexor-go/plexor/models"
)

// Options are what to compare, and how. All fields but Progress and Command must be set.
type Options struct {
	Models  []models.Model
	Conns   []int          // numbers of connections
	Service models.Service // what the models do
	Size    int            // bytes in a message

	// Duration is how long a cell is loaded in all: each of the Rounds has its part.
	Duration time.Duration
	Rounds   int

	// Server makes the command, not started, of a process that calls [ServeModel] with that model and so many clients;
	// Load that of one which loads a tcp address with so many connections and prints its [Load] as JSON. Their standard
	// streams are free.
	Server func(model string, clients int) *exec.Cmd
	Load   func(address string, conns int, warmup, d time.Duration) *exec.Cmd

	// Progress is called before the first measurement and after each one, on the goroutine of Run.
	Progress func(Progress)
	// Command is what the report says that made it.
	Command string
}

// A Progress is how far a comparison is.
type Progress struct {
	Done, Total int           // measurements
	Left        time.Duration // an estimate; 0 when nothing is known yet
	Last        *Done         // the measurement that was made last
	Next        string        // the model that comes next
}

// Done is a measurement that was made.
type Done struct {
	Model  string
	Conns  int
	Round  int // from 1
	Sample Sample
	Err    error // why there is none
}

// check says what makes no sense.
func (o Options) check() error {
	switch {
	case len(o.Models) == 0:
		return errors.New("compare: no models")
	case len(o.Conns) == 0 || slices.Min(o.Conns) < 1:
		return fmt.Errorf("compare: connections %v: want at least one number, each at least 1", o.Conns)
	case o.Rounds < 1 || o.Size < 1:
		return fmt.Errorf("compare: %d rounds with messages of %d bytes: want at least 1 of each", o.Rounds, o.Size)
	case o.Duration <= 0:
		return fmt.Errorf("compare: a duration of %v: want a positive one", o.Duration)
	}
	return nil
}

// Run measures, and returns what it has when all is done or ctx is cancelled. A model that does not work here, can't
// take so many connections, or fails, has its reason in the report. An error is that nothing could be measured at all.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := newReport(o)
	plan := r.plan()
	p := Progress{Total: len(plan)}
	tell := func() {
		if p.Done < len(plan) {
			p.Next = plan[p.Done].cell.Model
		}
		if o.Progress != nil {
			o.Progress(p)
		}
	}
	tell()
	for _, m := range plan {
		s, err := measure(ctx, o, m.cell.Model, m.cell.Conns)
		if ctx.Err() != nil {
			r.EndedEarly = fmt.Sprintf("%d of %d measurements were made", p.Done, p.Total)
			break
		}
		if err != nil {
			m.cell.Failures = append(m.cell.Failures, err.Error())
		} else {
			m.cell.Samples = append(m.cell.Samples, s)
		}
		p.Done++
		p.Left = time.Duration(float64(time.Since(r.Started)) / float64(p.Done) * float64(p.Total-p.Done))
		p.Last = &Done{m.cell.Model, m.cell.Conns, m.round, s, err}
		tell()
	}
	return r, r.finish()
}

// A turn is a measurement that is to be made.
type turn struct {
	cell  *Cell
	round int
}

// plan is the order of the measurements: round by round, and in each one number of connections after the other. The
// models take turns, beginning with another one each time.
func (r *Report) plan() (plan []turn) {
	for round := range r.Rounds {
		for i, conns := range r.Conns {
			var row []turn
			for _, c := range r.Cells {
				if c.Conns == conns && c.Skipped == "" {
					row = append(row, turn{c, round + 1})
				}
			}
			for k := range row {
				plan = append(plan, row[(k+3*round+i)%len(row)])
			}
		}
	}
	return plan
}
