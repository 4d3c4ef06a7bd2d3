package mqcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// mostLine is the length of a job in bytes: package mq takes less.
const mostLine = 1 << 20

// mostBatch is how many lines are published together.
const mostBatch = 256

// Pub publishes jobs.
type Pub struct {
	Target
	Queue  string        `arg:"" help:"The queue, which is made if there is none."`
	Text   *string       `arg:"" optional:"" help:"The job. Without it and without --lines, all of standard input is one job."`
	Lines  bool          `help:"Each line of standard input is a job, without its end."`
	ID     string        `name:"id" placeholder:"ID" help:"The job's ID (default: a random one)."`
	Key    string        `placeholder:"KEY" help:"What an ordered queue orders by."`
	Header []string      `short:"H" sep:"none" placeholder:"NAME: VALUE" help:"A header of each job; may be given again."`
	Delay  time.Duration `placeholder:"1h" help:"How long from now on the jobs wait until they are handed out."`
	Within time.Duration `placeholder:"1h" help:"After which time they are of no use, and are removed."`
	Dedupe time.Duration `placeholder:"10m" help:"How long the queue, if it is made now, keeps IDs, so that a second job with the same is not stored."`
	IDs    bool          `name:"ids" help:"Print the ID of each job that was stored."`
}

// Run publishes. Its error tells how many are stored, and what is known of the one that is perhaps.
func (p *Pub) Run(w *World) error {
	m, err := p.message()
	if err != nil {
		return err
	}
	return p.with(w, func(ctx context.Context, b *mq.Broker) error {
		q, err := b.Queue(ctx, p.Queue, mq.QueueOptions{Dedupe: p.Dedupe, Delay: p.Delay})
		if err != nil {
			return err
		}
		if p.Lines {
			return p.lines(ctx, w, q, m)
		}
		if p.Text != nil {
			m.Body = []byte(*p.Text)
		} else if m.Body, err = io.ReadAll(io.LimitReader(w.In, mostLine+1)); err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		return p.store(ctx, w, q, []mq.Message{m})
	})
}

// message is what all jobs have.
func (p *Pub) message() (m mq.Message, err error) {
	if p.Lines && (p.Text != nil || p.ID != "") {
		return m, usage("--lines: it goes without a text and without --id")
	}
	if p.Delay < 0 || p.Within < 0 || p.Dedupe < 0 {
		return m, usage("--delay, --within and --dedupe: want times that are not negative")
	}
	m = mq.Message{ID: p.ID, Key: p.Key}
	for _, h := range p.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return m, usage("--header=%q: want NAME: VALUE", h)
		}
		if m.Header == nil {
			m.Header = make(map[string]string)
		}
		m.Header[name] = strings.TrimSpace(value)
	}
	if p.Delay > 0 {
		m.NotBefore = time.Now().Add(p.Delay)
	}
	if p.Within > 0 {
		m.Deadline = time.Now().Add(p.Within)
	}
	return m, nil
}

// lines publishes each line: together what is there already, so that who types sees a line stored at once.
func (p *Pub) lines(ctx context.Context, w *World, q *mq.Queue, m mq.Message) error {
	in := bufio.NewReaderSize(w.In, mostLine)
	stored := 0
	var batch []mq.Message
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("line %d has more than %d bytes; %d jobs are stored", stored+len(batch)+1, mostLine, stored)
		}
		ended := err != nil
		if ended && !errors.Is(err, io.EOF) {
			return fmt.Errorf("standard input: %w; %d jobs are stored", err, stored)
		}
		if len(line) > 0 {
			m.Body = []byte(strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"))
			batch = append(batch, m)
		}
		if len(batch) > 0 && (ended || len(batch) == mostBatch || in.Buffered() == 0) {
			if err := p.store(ctx, w, q, batch); err != nil {
				return fmt.Errorf("%w; %d jobs before line %d are stored", err, stored, stored+1)
			}
			stored += len(batch)
			batch = batch[:0]
		}
		if ended {
			fmt.Fprintf(w.Err, "published %d jobs to %s\n", stored, p.Queue)
			return nil
		}
	}
}

// store publishes some.
func (p *Pub) store(ctx context.Context, w *World, q *mq.Queue, ms []mq.Message) error {
	rs, err := q.PublishBatch(ctx, ms)
	for _, r := range rs {
		if p.IDs && r.Err == nil {
			if _, e := fmt.Fprintln(w.Out, r.ID); e != nil && err == nil {
				err = fmt.Errorf("standard output: %w", e)
			}
		}
		if r.Duplicate {
			fmt.Fprintf(w.Err, "job %s was there already\n", r.ID)
		}
	}
	return err
}
