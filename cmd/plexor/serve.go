package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proc"
)

// defaultOffers is what serve does when it is told nothing.
var defaultOffers = []string{"upper=tcp://127.0.0.1:8088", "echo=tcp://127.0.0.1:9000", "echo=udp://127.0.0.1:9000"}

type serveCmd struct {
	Driver    string        `default:"auto" placeholder:"NAME" help:"What the loops wait on: auto (the best that works here), or one that 'plexor drivers' lists."`
	NoIOUring bool          `name:"no-io-uring" help:"Do not use io_uring, whatever auto would take. The environment variable PLEXOR_NO_IO_URING, set to anything, does the same."`
	Loops     int           `placeholder:"N" help:"How many loops (default: one a core)."`
	Spread    string        `default:"handover" enum:"handover,reuseport" help:"How connections come to the loops: handover (one listener, the loop with the fewest gets the next) or reuseport (a listener a loop, the kernel spreads)."`
	Handler   string        `default:"pieces" enum:"pieces,stream" help:"How a connection without frames is served: pieces (a coroutine while a piece is answered, so that who waits holds no stack) or stream (a coroutine a connection)."`
	Drain     time.Duration `default:"10s" placeholder:"10s" help:"How long connections may go on after SIGINT or SIGTERM."`
	Workers   int           `placeholder:"N" help:"Serve by N processes that share the sockets; this one is then their master: HUP reloads, TTIN and TTOU are one more and one fewer, USR2 upgrades, TERM drains, INT is quick. Default: serve in this process. With --model=processes, how many of these there are for each address (default 16)."`
	Model     *string       `placeholder:"NAME" help:"Serve by one of the textbook's ways to wait, and not by the engine: to try and to read. The names stand above."`
	PIDFile   string        `name:"pid-file" placeholder:"FILE" help:"Where the master of --workers writes its process id."`
	Offers    []string      `arg:"" optional:"" name:"SERVICE=ADDRESS" help:"SERVICE is echo, upper, http, ftp or smtp; ADDRESS is tcp://host:port, tls://host:port, udp://host:port or unix:///path, with options as a query: frame=SPEC for messages, cert=FILE and key=FILE for tls (default: a self-signed pair made at start, whose fingerprint the log tells); for http root=DIR with list=yes, access=common or combined, metrics=/PATH; for ftp root=DIR with user=NAME:PASSWORD,… or users=FILE with one a line (they read and write), anonymous=yes (reads; so without any user), passive=FIRST-LAST, public=ADDRESS, require=tls,resume; tls is then TLS from the first byte, and tcp has AUTH TLS; for smtp, which catches mail, maildir=DIR with http=ADDRESS for a page and REST, fault=RULE|RULE, keep=N, sync=no, token=FILE, host=NAME (docs/mail.md). Port 0 takes a free one. Default: upper=tcp://127.0.0.1:8088 echo=tcp://127.0.0.1:9000 echo=udp://127.0.0.1:9000"`
}

// Run serves until a signal.
func (s *serveCmd) Run(c *console) error {
	if s.Loops < 0 {
		return usagef("--loops=%d: want at least 1, or 0 for one a core", s.Loops)
	}
	if s.Drain < 0 {
		return usagef("--drain=%v: want a duration that is not negative", s.Drain)
	}
	if s.Model != nil {
		return s.runModel(*s.Model, c)
	}
	if s.NoIOUring && s.Driver == ioUring {
		return usagef("--no-io-uring and --driver=%s exclude each other", ioUring)
	}
	if err := s.checkWorkers(); err != nil {
		return err
	}
	offers, err := s.offers()
	if err != nil {
		return err
	}

	defer closeSites(offers)
	if s.Workers > 0 && c.worker == nil {
		return s.runMaster(offers, c)
	}

	driver := s.Driver
	if s.NoIOUring && driver == "auto" {
		if driver, err = best(drivers(true)); err != nil {
			return err
		}
	}
	srv := &plexor.Server{Driver: driver, Loops: s.loops(), Log: s.log(c)}
	if s.Spread == "reuseport" {
		srv.Spread = loop.SpreadReusePort
	}
	defer srv.Close()
	if c.worker != nil {
		return s.runWorker(srv, offers, c.worker)
	}
	given, err := proc.Activated()
	if err != nil {
		return err
	}
	defer given.Close()
	if given.Sockets() > 0 {
		srv.Bind = given.Bind
	}
	defer coro.DumpOnQuit()()
	defer proc.ReapOrphans()()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := listen(srv, offers, s.Handler == "stream", c); err != nil {
		if errors.Is(err, loop.ErrUnknownDriver) {
			return usagef("--driver=%s: %w", s.Driver, err)
		}
		return err
	}
	if n := given.CloseUnused(); n > 0 {
		srv.Log.Warn("sockets were handed over that no address is for; they are closed", "how many", n)
	}
	tellManager(srv, "READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()))
	return s.untilSignal(srv, offers, signals, c)
}

// offers are those of the command line, or the default ones.
func (s *serveCmd) offers() (offers []offer, err error) {
	args := s.Offers
	if len(args) == 0 {
		args = defaultOffers
	}
	for _, arg := range args {
		o, err := parseOffer(arg)
		if err != nil {
			return nil, err
		}
		offers = append(offers, o)
	}
	return offers, nil
}

// closeSites is for when nothing is served any more.
func closeSites(offers []offer) {
	for _, o := range offers {
		if o.site != nil {
			o.site.close()
		}
		if o.ftp != nil {
			o.ftp.close()
		}
		if o.mail != nil {
			o.mail.close()
		}
	}
}

// tellManager tells the service manager that has started this process, if it wants to know (NOTIFY_SOCKET).
func tellManager(srv *plexor.Server, states ...string) {
	if _, err := proc.Notify(states...); err != nil {
		srv.Log.Warn("the service manager was not told", "err", err)
	}
}

// listen says that it listens when all do, so that nobody is told of a server that is half started.
func listen(srv *plexor.Server, offers []offer, inStreams bool, c *console) error {
	addrs := make([]string, len(offers))
	for i, o := range offers {
		var err error
		if addrs[i], err = o.open(srv, inStreams); err != nil {
			return err
		}
	}
	driver, loops := srv.Engine()
	for i, o := range offers {
		line := fmt.Sprintf("%s %s driver=%s loops=%d", o.name, addrs[i], driver, loops)
		if o.ownCertificate() {
			_, fingerprint := srv.SelfSigned()
			if o.ftp != nil {
				fingerprint = o.ftp.fingerprint
			}
			if o.mail != nil && !o.secure {
				fingerprint = o.mail.fingerprint
			}
			line += " fingerprint=" + fingerprint
		}
		c.status(green, "listening", "%s", line)
		if o.mail != nil && o.mail.page != nil {
			line := fmt.Sprintf("%s %s driver=%s loops=%d", mailPage, o.mail.pageAddr, driver, loops)
			if o.mail.page.ownCertificate() {
				_, fingerprint := srv.SelfSigned()
				line += " fingerprint=" + fingerprint
			}
			c.status(green, "listening", "%s", line)
		}
	}
	return nil
}

// untilSignal waits for the first signal and drains, or for the server to fail.
func (s *serveCmd) untilSignal(srv *plexor.Server, offers []offer, signals <-chan os.Signal, c *console) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Wait() }()
	select {
	case err := <-failed:
		return err
	case sig := <-signals:
		tellManager(srv, "STOPPING=1")
		c.status(yellow, "draining", "after %v; %v at most, a second signal ends at once", sig, s.Drain)
		for _, o := range offers {
			if o.mail != nil {
				o.mail.leave()
			}
		}
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
	return srv.Shutdown(ctx)
}
