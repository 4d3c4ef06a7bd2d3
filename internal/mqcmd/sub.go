package mqcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// Sub does jobs.
type Sub struct {
	Target
	Queue      string        `arg:"" help:"The queue, which is made if there is none."`
	Group      string        `default:"default" placeholder:"NAME" help:"Whose jobs: each group gets every job, and those who are of one share them (default ${default})."`
	Exec       string        `placeholder:"CMD" help:"Run this by the shell for each job, with the job as its standard input and PLEXOR_JOB_ID, _QUEUE, _GROUP, _KEY and _TRY in its environment. If it exits with 0 the job is done; with 75 it is given back, and the try does not count; with 65 it is dead at once; else the try has failed."`
	InFlight   int           `default:"1" placeholder:"N" help:"How many jobs are done at once (default ${default})."`
	Tries      int           `default:"10" placeholder:"N" help:"How often a job is tried until it is dead (default ${default})."`
	Visibility time.Duration `default:"30s" placeholder:"30s" help:"How long after this process's last sign of life its jobs go to others (default ${default})."`
	Limit      time.Duration `default:"1h" placeholder:"1h" help:"How long a try may take (default ${default})."`
	Drain      time.Duration `default:"30s" placeholder:"30s" help:"How long a try may go on after SIGINT or SIGTERM (default ${default})."`
	Count      int           `short:"n" placeholder:"N" help:"End when so many jobs are done (default: for ever)."`
	JSON       bool          `name:"json" help:"Print each job as a line of JSON, with all that belongs to it."`
}

// What the command of --exec says by how it exits, besides 0 and failure: EX_TEMPFAIL and EX_DATAERR of sysexits.h.
const (
	exitLater = 75
	exitDead  = 65
)

// Times of --exec.
const (
	laterPause = time.Second     // for a job that is given back
	killAfter  = 5 * time.Second // that the command has after SIGTERM
)

// Run does jobs until a signal, or until as many as --count says are done.
func (s *Sub) Run(w *World) error {
	if s.Count < 0 || s.InFlight < 1 || s.Tries < 1 {
		return usage("--count, --in-flight and --tries: want numbers from 1 on")
	}
	if s.Exec != "" && s.JSON {
		return usage("--json: it is for printing, and --exec prints nothing by itself")
	}
	return s.with(w, func(ctx context.Context, b *mq.Broker) error {
		q, err := b.Queue(ctx, s.Queue, mq.QueueOptions{})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		d := &doer{s: s, w: w, end: cancel}
		c := mq.Consumer{Group: s.Group, InFlight: s.InFlight, Tries: s.Tries, Visibility: s.Visibility, Limit: s.Limit,
			Drain: s.Drain}
		if s.Count > 0 {
			c.InFlight = min(c.InFlight, s.Count)
		}
		if err := q.Consume(ctx, c, d.do); err != nil {
			return err
		}
		return d.failed
	})
}

// A doer does the jobs of a Run.
type doer struct {
	s   *Sub
	w   *World
	end context.CancelCauseFunc

	mu     sync.Mutex
	begun  int // of Count: those that are done, or perhaps will be
	failed error
}

var errEnough = errors.New("there were as many jobs as asked for")

func (d *doer) do(ctx context.Context, j *mq.Job) error {
	d.mu.Lock()
	enough := d.s.Count > 0 && d.begun == d.s.Count || d.failed != nil
	if !enough {
		d.begun++
	}
	d.mu.Unlock()
	if enough { // it came before the end was noticed
		return mq.Later(0, nil)
	}
	var err error
	if d.s.Exec != "" {
		err = d.exec(ctx, j)
	} else {
		err = d.print(j)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.begun--
		return err
	}
	if d.begun == d.s.Count {
		d.end(errEnough)
	}
	return nil
}

// print writes a job's body, and a line's end. A job is only done when it is written: if nobody reads any more, it is
// given back.
func (d *doer) print(j *mq.Job) error {
	line := append(bytes.Clone(j.Body), '\n')
	if d.s.JSON {
		var err error
		if line, err = json.Marshal(view(j)); err != nil {
			return err
		}
		line = append(line, '\n')
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return mq.Later(0, nil)
	}
	if _, err := d.w.Out.Write(line); err != nil {
		d.failed = fmt.Errorf("standard output: %w", err)
		d.end(d.failed)
		return mq.Later(0, d.failed)
	}
	return nil
}

// exec runs the command.
func (d *doer) exec(ctx context.Context, j *mq.Job) error {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	cmd := exec.CommandContext(ctx, shell, flag, d.s.Exec)
	cmd.Stdin = bytes.NewReader(j.Body)
	cmd.Stdout = &locked{d.w, &d.mu, false}
	cmd.Stderr = &locked{d.w, &d.mu, true}
	cmd.Env = append(os.Environ(), "PLEXOR_JOB_ID="+j.ID, "PLEXOR_JOB_QUEUE="+j.Queue, "PLEXOR_JOB_GROUP="+j.Group,
		"PLEXOR_JOB_KEY="+j.Key, "PLEXOR_JOB_TRY="+strconv.Itoa(j.Try))
	terminate(cmd)
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	var exit *exec.ExitError
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case exitLater:
			return mq.Later(laterPause, err)
		case exitDead:
			return mq.Dead(err)
		}
	}
	return err
}

// A locked is an output of commands that run at the same time.
type locked struct {
	w   *World
	mu  *sync.Mutex
	err bool
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err {
		return l.w.Err.Write(p)
	}
	return l.w.Out.Write(p)
}

// A line is a job as JSON has it. A body that is no UTF-8 is in Base64.
type line struct {
	ID        string            `json:"id"`
	Queue     string            `json:"queue"`
	Group     string            `json:"group,omitempty"`
	Key       string            `json:"key,omitempty"`
	Header    map[string]string `json:"header,omitempty"`
	Body      string            `json:"body"`
	Base64    []byte            `json:"base64,omitempty"`
	Published *time.Time        `json:"published,omitempty"`
	Try       int               `json:"try,omitempty"`
	Ref       string            `json:"ref,omitempty"`
	Died      *time.Time        `json:"died,omitempty"`
	Failures  []mq.Failure      `json:"failures,omitempty"`
}

func view(j *mq.Job) line {
	l := line{ID: j.ID, Queue: j.Queue, Group: j.Group, Key: j.Key, Header: j.Header, Published: when(j.Published),
		Try: j.Try, Failures: j.Failures}
	l.body(j.Body)
	return l
}
