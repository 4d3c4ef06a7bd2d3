package main

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/models"
	"github.com/plexor-go/plexor/proc"
	"github.com/plexor-go/plexor/sock"
)

// modelOffers is what serve does with a model when it is told nothing: no model takes datagrams.
var modelOffers = []string{"upper=tcp://127.0.0.1:8088", "echo=tcp://127.0.0.1:9000"}

const (
	// drainDefault is what --drain is when nobody sets it.
	drainDefault = 10 * time.Second
	// processesModel is the model that asks for a number of workers.
	processesModel = "processes"
	// modelWorkers is how many it gets when nobody says: enough to see clients that are served at once, and others
	// that wait.
	modelWorkers = 16
)

// Help lists the models, below the usage.
func (s *serveCmd) Help() string {
	var b strings.Builder
	b.WriteString("What --model serves by, in place of the engine: " +
		"pieces on tcp addresses, with no limits and no drain.\n\n")
	for _, m := range models.All() {
		fmt.Fprintf(&b, "    %-10s  %s\n", m.Name, m.Short)
	}
	return b.String()
}

// runModel serves by one of the models of the textbook, one server of it for each
// address, until a signal. A model ends at once: what was not sent is lost.
func (s *serveCmd) runModel(name string, c *console) error {
	m, err := models.Find(name)
	if err != nil {
		return usagef("--model: %w", err)
	}
	if err := s.checkModel(m); err != nil {
		return err
	}
	args := s.Offers
	if len(args) == 0 {
		args = modelOffers
	}
	var jobs []models.Job
	for _, arg := range args {
		j, err := modelJob(arg)
		if err != nil {
			return err
		}
		j.Log, j.Clients = s.log(c), s.Workers
		jobs = append(jobs, j)
	}
	given, err := proc.Activated()
	if err != nil {
		return err
	}
	defer given.Close()
	if n := given.Sockets(); n > 0 {
		return fmt.Errorf("--model=%s: %d sockets were handed over (LISTEN_FDS), and a model opens its own", name, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends at once
	return serveModel(ctx, m, jobs, func(i int, got sock.Addr) {
		line := fmt.Sprintf("%s %s model=%s", jobs[i].Service.Name, got, m.Name)
		if s.Workers > 0 {
			line += fmt.Sprintf(" workers=%d", s.Workers)
		}
		c.status(green, "listening", "%s", line)
	})
}

// serveModel serves all jobs until ctx is done or one of them fails. It says where they listen when all do.
func serveModel(ctx context.Context, m models.Model, jobs []models.Job, listening func(i int, got sock.Addr)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type ready struct {
		i   int
		got sock.Addr
	}
	readies, ends := make(chan ready, len(jobs)), make(chan error, len(jobs))
	for i, j := range jobs {
		j.Ready = func(a sock.Addr) { readies <- ready{i, a} }
		go func() { ends <- m.Serve(ctx, j) }()
	}
	var failed error
	addrs := make([]sock.Addr, len(jobs))
	for served, ended := 0, 0; ended < len(jobs); {
		select {
		case r := <-readies:
			addrs[r.i] = r.got
			if served++; served < len(jobs) || failed != nil {
				continue
			}
			for i, a := range addrs {
				listening(i, a)
			}
		case err := <-ends:
			ended++
			if failed == nil {
				failed = err
			}
			stop()
		}
	}
	return failed
}

// checkModel refuses what no model does, and --workers where the model has none; that of processes gets its default.
func (s *serveCmd) checkModel(m models.Model) error {
	hasWorkers := m.Name == processesModel
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"driver", s.Driver != "auto"}, {"no-io-uring", s.NoIOUring},
		{"loops", s.Loops != 0}, {"spread", s.Spread != "handover"},
		{"handler", s.Handler != "pieces"}, {"drain", s.Drain != drainDefault}, {"workers", s.Workers != 0 && !hasWorkers},
		{"pid-file", s.PIDFile != ""},
	} {
		if f.set {
			return usagef("--%s: it is for the engine, and --model=%s serves without it: leave one of them out", f.name, m.Name)
		}
	}
	if s.Workers < 0 || s.Workers > m.Limit.Conns && hasWorkers {
		return usagef("--workers=%d: with --model=%s want 1 to %d", s.Workers, m.Name, m.Limit.Conns)
	}
	if hasWorkers && s.Workers == 0 {
		s.Workers = modelWorkers
	}
	return nil
}

// modelJob reads one SERVICE=ADDRESS for a model, which serves pieces on TCP and knows no options.
func modelJob(arg string) (models.Job, error) {
	o, err := parseOffer(arg)
	if err != nil {
		return models.Job{}, err
	}
	switch {
	case o.secure || o.addr.Scheme != "tcp":
		err = fmt.Errorf("a model serves tcp://host:port alone")
	case len(o.addr.Query) > 0:
		err = fmt.Errorf("a model takes no options of an address")
	}
	if err != nil {
		return models.Job{}, usagef("%q with --model: %w", arg, err)
	}
	service, err := models.FindService(o.name)
	if err != nil {
		return models.Job{}, usagef("%q with --model: %w", arg, err)
	}
	return models.Job{Addr: o.addr, Service: service}, nil
}
