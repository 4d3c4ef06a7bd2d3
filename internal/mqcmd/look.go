package mqcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/plexor-go/plexor/mq"
)

// Ls lists queues.
type Ls struct {
	Target
	JSON bool `name:"json" help:"Print a line of JSON for each queue."`
}

// A row is a queue as JSON has it. A count that the broker does not give is -1.
type row struct {
	Name   string     `json:"name"`
	Jobs   int64      `json:"jobs"`
	Bytes  int64      `json:"bytes"`
	Dead   int64      `json:"dead"`
	Oldest *time.Time `json:"oldest,omitempty"`
	Groups []group    `json:"groups"`
}

type group struct {
	Name     string `json:"name"`
	Waiting  int64  `json:"waiting"`
	InFlight int64  `json:"in_flight"`
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Run lists them.
func (l *Ls) Run(w *World) error {
	return l.with(w, func(ctx context.Context, b *mq.Broker) error {
		names, err := b.Queues(ctx)
		if err != nil {
			return err
		}
		var rows []row
		for _, name := range names {
			q, err := b.Queue(ctx, name, mq.QueueOptions{})
			if err != nil {
				return err
			}
			s, err := q.Stats(ctx)
			if errors.Is(err, mq.ErrNoQueue) { // it was deleted meanwhile
				continue
			}
			if err != nil {
				return err
			}
			r := row{name, s.Jobs, s.Bytes, s.Dead, when(s.Oldest), make([]group, 0, len(s.Groups))}
			for _, g := range s.Groups {
				r.Groups = append(r.Groups, group(g))
			}
			rows = append(rows, r)
		}
		if l.JSON {
			return lines(w, rows)
		}
		return table(w, rows)
	})
}

// lines prints each as a line of JSON.
func lines[T any](w *World, all []T) error {
	e := json.NewEncoder(w.Out)
	for _, x := range all {
		if err := e.Encode(x); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
	}
	return nil
}

func table(w *World, rows []row) error {
	t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "QUEUE\tJOBS\tBYTES\tDEAD\tGROUP\tWAITING\tIN FLIGHT")
	for _, r := range rows {
		first := fmt.Sprintf("%s\t%s\t%s\t%s", r.Name, count(r.Jobs), count(r.Bytes), count(r.Dead))
		if len(r.Groups) == 0 {
			fmt.Fprintf(t, "%s\t-\t\t\n", first)
		}
		for _, g := range r.Groups {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", first, g.Name, count(g.Waiting), count(g.InFlight))
			first = "\t\t\t"
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

func count(n int64) string {
	if n < 0 {
		return "?"
	}
	return fmt.Sprint(n)
}

// Dead lists dead jobs.
type Dead struct {
	Target
	Queue string `arg:"" help:"The queue."`
	Most  int    `default:"100" placeholder:"N" help:"How many, the oldest first (default ${default})."`
	After string `placeholder:"REF" help:"Begin after this one."`
	JSON  bool   `name:"json" help:"Print a line of JSON for each, with its body and its whole history."`
}

// Run lists them.
func (d *Dead) Run(w *World) error {
	if d.Most < 1 {
		return usage("--most=%d: want a number from 1 on", d.Most)
	}
	return d.with(w, func(ctx context.Context, b *mq.Broker) error {
		q, err := existing(ctx, b, d.Queue)
		if err != nil {
			return err
		}
		jobs, err := q.Dead(ctx, d.After, d.Most)
		if err != nil {
			return err
		}
		if d.JSON {
			var all []line
			for _, j := range jobs {
				l := line{ID: j.ID, Queue: j.Queue, Group: j.Group, Key: j.Key, Header: j.Header, Published: when(j.Published),
					Ref: j.Ref, Died: when(j.Died), Failures: j.History.Failures}
				l.body(j.Body)
				all = append(all, l)
			}
			return lines(w, all)
		}
		t := tabwriter.NewWriter(w.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "REF\tGROUP\tDIED\tTRIES\tBODY\tWHY")
		for _, j := range jobs {
			tries, why := 0, ""
			if n := len(j.History.Failures); n > 0 {
				tries, why = j.History.Failures[n-1].Try, j.History.Failures[n-1].Why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", j.Ref, j.Group, j.Died.Format(time.DateTime), tries,
				short(string(j.Body), shortBody), short(why, shortWhy))
		}
		if err := t.Flush(); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
		return nil
	})
}

// The widths of columns that somebody else fills, in characters.
const (
	shortBody = 40
	shortWhy  = 100
)

// short makes a text of somebody else's fit for a terminal.
func short(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return s
}

func (l *line) body(b []byte) {
	if utf8.Valid(b) {
		l.Body = string(b)
	} else {
		l.Base64 = b
	}
}

// A Choice is of dead jobs.
type Choice struct {
	Target
	Queue string   `arg:"" help:"The queue."`
	Refs  []string `arg:"" optional:"" name:"REF" help:"Which: as 'plexor mq dead' lists them."`
	All   bool     `help:"All that there are now."`
}

// Redrive makes dead jobs wait again.
type Redrive struct{ Choice }

// Run redrives, and prints how many.
func (r *Redrive) Run(w *World) error {
	return r.each(w, "redriven", func(ctx context.Context, q *mq.Queue, ref string) error { return q.Redrive(ctx, ref) })
}

// Drop removes dead jobs.
type Drop struct{ Choice }

// Run drops, and prints how many.
func (d *Drop) Run(w *World) error {
	return d.each(w, "dropped", func(ctx context.Context, q *mq.Queue, ref string) error { return q.Drop(ctx, ref) })
}

// page is how many dead jobs are listed at once.
const page = 100

// each does f with each. One that somebody else took meanwhile is no error with --all.
func (c *Choice) each(w *World, done string, f func(ctx context.Context, q *mq.Queue, ref string) error) error {
	if c.All == (len(c.Refs) > 0) {
		return usage("want either REFs, as 'plexor mq dead' lists them, or --all")
	}
	return c.with(w, func(ctx context.Context, b *mq.Broker) error {
		q, err := existing(ctx, b, c.Queue)
		if err != nil {
			return err
		}
		refs := c.Refs
		if c.All { // listed before the first one goes: what dies anew stays
			if refs, err = all(ctx, q); err != nil {
				return err
			}
		}
		n := 0
		for _, ref := range refs {
			err := f(ctx, q, ref)
			if c.All && errors.Is(err, mq.ErrNoJob) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w; %d were %s before", ref, err, n, done)
			}
			n++
		}
		fmt.Fprintf(w.Err, "%s %d\n", done, n)
		return nil
	})
}

// all are the refs of a queue's dead jobs.
func all(ctx context.Context, q *mq.Queue) (refs []string, err error) {
	after := ""
	for {
		jobs, err := q.Dead(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			refs = append(refs, j.Ref)
			after = j.Ref
		}
		if len(jobs) < page {
			return refs, nil
		}
	}
}

// Rm removes a queue.
type Rm struct {
	Target
	Queue string `arg:"" help:"The queue."`
	Yes   bool   `help:"Yes, with all of its jobs."`
}

// Run removes it.
func (r *Rm) Run(w *World) error {
	if !r.Yes {
		return usage("the jobs of %s would be gone, the dead ones too: add --yes", r.Queue)
	}
	return r.with(w, func(ctx context.Context, b *mq.Broker) error { return b.Delete(ctx, r.Queue) })
}
