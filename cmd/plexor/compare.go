package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/compare"
	"github.com/plexor-go/plexor/models"
)

type compareCmd struct {
	Models   []string      `placeholder:"NAME,..." help:"Which models (default: all): blocking, busy, threads, processes, goroutines, select, poll, epoll, io_uring, coroutines."`
	Conns    []int         `default:"1,10,100,1000" placeholder:"N,..." help:"Numbers of connections (default 1,10,100,1000)."`
	Duration time.Duration `short:"d" default:"3s" placeholder:"3s" help:"How long each model is loaded with each number of connections, in all rounds together (default 3s)."`
	Service  string        `default:"echo" placeholder:"NAME" help:"What the models do: echo or upper (default echo)."`
	Out      string        `default:"plexor-compare" placeholder:"DIR" help:"Where to write report.html, results.json and the charts (default plexor-compare); earlier ones are replaced."`
	Redraw   bool          `help:"Measure nothing: draw the report in --out anew, from the results.json that is there."`
}

const (
	// compareSize is the length of the messages in bytes.
	compareSize = 64
	// Each round is a fresh start of server and load; shorter ones would measure that.
	compareRounds = 3
	leastRound    = 200 * time.Millisecond
	// compareConns is what one client address has ports for, with some to spare.
	compareConns = 20_000
)

// Run measures, prints the tables and writes the report.
func (cmd *compareCmd) Run(c *console) error {
	o, err := cmd.options()
	if err != nil {
		return err
	}
	if cmd.Redraw {
		r, err := compare.Read(cmd.Out)
		if err != nil {
			return err
		}
		return cmd.write(r, c)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("compare: find this program, which serves and loads in processes of its own: %w", err)
	}
	if err := compare.CheckDir(cmd.Out); err != nil {
		return err
	}
	o.Server = func(model string, clients int) *exec.Cmd {
		return exec.Command(exe, "compare-model", model, "--service="+cmd.Service, "--clients="+strconv.Itoa(clients))
	}
	o.Load = func(address string, conns int, warmup, d time.Duration) *exec.Cmd {
		return exec.Command(exe, "bench", address, "--json",
			"--conns="+strconv.Itoa(conns), "--size="+strconv.Itoa(compareSize),
			"--expect="+cmd.Service, "--warmup="+warmup.String(), "--duration="+d.String())
	}
	bar := newBar(c)
	o.Progress = bar.show

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends at once
	r, err := compare.Run(ctx, o)
	bar.clear()
	if err != nil {
		return err
	}
	if err := r.WriteTable(c.out, compare.Paint{
		Title: func(s string) string { return c.paint(c.out, bold, s) },
		Best:  func(s string) string { return c.paint(c.out, green, s) },
		Faint: func(s string) string { return c.paint(c.out, faint, s) },
	}); err != nil {
		return fmt.Errorf("compare: standard output: %w", err)
	}
	return cmd.write(r, c)
}

// write writes the report, and says where.
func (cmd *compareCmd) write(r *compare.Report, c *console) error {
	if err := r.Write(cmd.Out); err != nil {
		return err
	}
	c.status(green, "report", "%s", filepath.Join(cmd.Out, "report.html"))
	return nil
}

// options are what the command line says; what is wrong with it is a mistake of its writer's.
func (cmd *compareCmd) options() (o compare.Options, err error) {
	o = compare.Options{Models: models.All(), Conns: cmd.Conns, Size: compareSize, Duration: cmd.Duration,
		Command: cmd.String()}
	if len(cmd.Models) > 0 {
		o.Models = nil
		for _, name := range cmd.Models {
			m, err := models.Find(name)
			if err != nil {
				return o, usagef("--models: %w", err)
			}
			o.Models = append(o.Models, m)
		}
	}
	if o.Service, err = models.FindService(cmd.Service); err != nil {
		return o, usagef("--service: %w", err)
	}
	for _, n := range cmd.Conns {
		if n < 1 || n > compareConns {
			return o, usagef("--conns: %d is out of range: want 1 to %d", n, compareConns)
		}
	}
	if len(cmd.Conns) == 0 {
		return o, usagef("--conns: want at least one number")
	}
	if cmd.Duration < leastRound {
		return o, usagef("-d %v: want at least %v", cmd.Duration, leastRound)
	}
	o.Rounds = int(min(compareRounds, cmd.Duration/leastRound))
	return o, nil
}

// String is the command line that does the same.
func (cmd *compareCmd) String() string {
	b := "plexor compare"
	if len(cmd.Models) > 0 {
		b += " --models=" + strings.Join(cmd.Models, ",")
	}
	var conns []string
	for _, n := range cmd.Conns {
		conns = append(conns, strconv.Itoa(n))
	}
	return b + " --conns=" + strings.Join(conns, ",") + " -d " + cmd.Duration.String() + " --service=" + cmd.Service
}

// compareModelCmd is the process of a model.
type compareModelCmd struct {
	Model   string `arg:""`
	Service string `default:"echo"`
	Clients int
}

// Run serves until standard input ends.
func (cmd *compareModelCmd) Run(c *console) error {
	m, err := models.Find(cmd.Model)
	if err != nil {
		return usageError{err}
	}
	s, err := models.FindService(cmd.Service)
	if err != nil {
		return usageError{err}
	}
	err = compare.ServeModel(context.Background(), m, s, cmd.Clients, c.in, c.out)
	if errors.Is(err, os.ErrClosed) {
		return nil // whoever wanted it has gone
	}
	return err
}
