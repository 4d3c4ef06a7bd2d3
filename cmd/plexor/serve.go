package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// defaultOffers is what serve does when it is told nothing.
var defaultOffers = []string{"upper=tcp://127.0.0.1:8088", "echo=tcp://127.0.0.1:9000", "echo=udp://127.0.0.1:9000"}

type serveCmd struct {
	Driver string        `default:"auto" placeholder:"NAME" help:"What the loops wait on: auto (the best that works here), or one that 'plexor drivers' lists."`
	Loops  int           `placeholder:"N" help:"How many loops (default: one a core)."`
	Spread string        `default:"handover" enum:"handover,reuseport" help:"How connections come to the loops: handover (one listener, the loop with the fewest gets the next) or reuseport (a listener a loop, the kernel spreads)."`
	Drain  time.Duration `default:"10s" placeholder:"10s" help:"How long connections may go on after SIGINT or SIGTERM."`
	Offers []string      `arg:"" optional:"" name:"SERVICE=ADDRESS" help:"SERVICE is echo or upper; ADDRESS is tcp://host:port, udp://host:port or unix:///path, with options as a query. Port 0 takes a free one. Default: upper=tcp://127.0.0.1:8088 echo=tcp://127.0.0.1:9000 echo=udp://127.0.0.1:9000"`
}

// Run serves until a signal.
func (s *serveCmd) Run(c *console) error {
	if s.Loops < 0 {
		return usagef("--loops=%d: want at least 1, or 0 for one a core", s.Loops)
	}
	if s.Drain < 0 {
		return usagef("--drain=%v: want a duration that is not negative", s.Drain)
	}
	args := s.Offers
	if len(args) == 0 {
		args = defaultOffers
	}
	var offers []offer
	for _, arg := range args {
		o, err := parseOffer(arg)
		if err != nil {
			return err
		}
		offers = append(offers, o)
	}

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	log := slog.New(slog.NewTextHandler(c.err, nil))
	o := loop.GroupOptions{Options: loop.Options{Driver: s.Driver, Log: log}, Loops: s.Loops}
	if s.Spread == "reuseport" {
		o.Spread = loop.SpreadReusePort
	}
	g, err := loop.NewGroup(o)
	if errors.Is(err, loop.ErrUnknownDriver) {
		return usagef("--driver=%s: %w", s.Driver, err)
	}
	if err != nil {
		return err
	}
	defer g.Close()
	if err := listen(g, offers, log, c); err != nil {
		return err
	}
	return s.untilSignal(g, signals, c)
}

// listen makes every socket before the first one is served, so that none is left half started.
func listen(g *loop.Group, offers []offer, log *slog.Logger, c *console) (err error) {
	bound := make([][]sock.Socket, len(offers))
	for i, o := range offers {
		if bound[i], err = g.Bind(o.addr, o.options); err != nil {
			for _, sockets := range bound[:i] {
				loop.Discard(sockets...)
			}
			return err
		}
	}
	for i, o := range offers {
		var addr sock.Addr
		if o.addr.Scheme == "udp" {
			p, err := g.ListenPacketOn(bound[i][0], o.packet(log))
			if err != nil {
				return err
			}
			addr = p.Addr()
		} else {
			ln, err := g.ListenOn(o.options, o.accept(log), bound[i]...)
			if err != nil {
				return err
			}
			addr = ln.Addr()
		}
		c.status(green, "listening", "%s %s driver=%s loops=%d", o.name, addr, g.Driver(), len(g.Loops()))
	}
	return nil
}

// untilSignal waits for the first signal and drains, or for the group to fail.
func (s *serveCmd) untilSignal(g *loop.Group, signals <-chan os.Signal, c *console) error {
	failed := make(chan error, 1)
	go func() { failed <- g.Wait() }()
	select {
	case err := <-failed:
		return err
	case sig := <-signals:
		c.status(yellow, "draining", "after %v; %v at most, a second signal ends at once", sig, s.Drain)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.Drain, fmt.Errorf("--drain=%v is over", s.Drain))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case sig := <-signals:
			stop(fmt.Errorf("a second signal (%v)", sig))
		case <-ctx.Done():
		}
	}()
	return g.Shutdown(ctx)
}
