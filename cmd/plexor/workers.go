package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proc"
	"github.com/plexor-go/plexor/sock"
)

// workerEntry is what worker processes run. They parse the same command line as their master.
const workerEntry = "serve"

func init() { proc.Register(workerEntry, serveAsWorker) }

func serveAsWorker(w *proc.Worker) error {
	parser, _ := newParser(&console{in: os.Stdin, out: os.Stdout, err: os.Stderr, worker: w})
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		return err
	}
	return ctx.Run()
}

// checkWorkers finds what does not go with --workers, or without.
func (s *serveCmd) checkWorkers() error {
	switch {
	case s.Workers < 0 || s.Workers > proc.MaxWorkers:
		return usagef("--workers=%d: want 1 to %d processes, or 0 for none but this one", s.Workers, proc.MaxWorkers)
	case s.Workers == 0 && s.PIDFile != "":
		return usagef("--pid-file: it is for --workers, whose master takes signals: add --workers=1 for one process that " +
			"serves")
	case s.Workers > 0 && s.Spread == "reuseport":
		return usagef("--spread=reuseport: the workers share each socket, which a reload needs: leave one of --spread and " +
			"--workers out")
	}
	return nil
}

// loops is how many loops a server gets: the cores are shared out over the workers.
func (s *serveCmd) loops() int {
	if s.Loops == 0 && s.Workers > 0 {
		return max(runtime.GOMAXPROCS(0)/s.Workers, 1)
	}
	return s.Loops
}

// A common is what all workers must have the same.
type common struct{ Cert, Key []byte } // in DER, PKCS #8: of tls:// addresses that have none of their own

// runMaster serves by worker processes.
func (s *serveCmd) runMaster(offers []offer, c *console) error {
	for _, o := range offers {
		if o.mail != nil {
			return usagef("--workers: smtp= catches mail in one process, whose page shows it: leave --workers out")
		}
	}
	if l, err := loop.New(loop.Options{Driver: s.Driver}); errors.Is(err, loop.ErrUnknownDriver) {
		return usagef("--driver=%s: %w", s.Driver, err)
	} else if err != nil {
		return err
	} else if err := l.Close(); err != nil {
		return err
	}
	m := &proc.Master{Entry: workerEntry, Workers: s.Workers, PIDFile: s.PIDFile, Drain: s.Drain, Log: s.log(c)}
	var fingerprint string
	var hosts []string
	for _, o := range offers {
		m.Addrs = append(m.Addrs, o.address())
		if o.ownCertificate() {
			hosts = append(hosts, o.addr.Host)
		}
	}
	if hosts != nil {
		var err error
		if m.Config, fingerprint, err = newCommon(hosts); err != nil {
			return err
		}
	}
	m.OnReady = func(addrs []sock.Addr, status string) {
		for i, o := range offers {
			line := fmt.Sprintf("%s %s %s", o.name, o.print(addrs[i]), status)
			if o.ownCertificate() {
				line += " fingerprint=" + fingerprint
			}
			c.status(green, "listening", "%s workers=%d", line, s.Workers)
		}
	}
	return m.Run(context.Background())
}

func newCommon(hosts []string) (config []byte, fingerprint string, err error) {
	cert, fingerprint, err := plexor.NewSelfSigned(hosts...)
	if err != nil {
		return nil, "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, "", fmt.Errorf("the workers' certificate: %w", err)
	}
	config, err = json.Marshal(common{cert.Certificate[0], key})
	return config, fingerprint, err
}

// joinWorkers makes srv one of the master's workers.
func joinWorkers(srv *plexor.Server, w *proc.Worker) error {
	w.Join(srv)
	if len(w.Config) == 0 {
		return nil
	}
	var all common
	if err := json.Unmarshal(w.Config, &all); err != nil {
		return fmt.Errorf("what the master handed over: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(all.Key)
	if err != nil {
		return fmt.Errorf("the certificate that the master handed over: %w", err)
	}
	srv.TLS = &plexor.TLS{Config: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{all.Cert},
		PrivateKey: key}}}}
	return nil
}

// runWorker serves as one of the workers. The master says that it listens.
func (s *serveCmd) runWorker(srv *plexor.Server, offers []offer, w *proc.Worker) error {
	if err := joinWorkers(srv, w); err != nil {
		return err
	}
	for _, o := range offers {
		if _, err := o.open(srv, s.Handler == "stream"); err != nil {
			return err
		}
	}
	driver, loops := srv.Engine()
	return w.Run(srv, fmt.Sprintf("driver=%s loops=%d", driver, loops))
}

// log names the worker in each line of one.
func (s *serveCmd) log(c *console) *slog.Logger {
	log := slog.New(slog.NewTextHandler(c.err, nil))
	if c.worker != nil {
		log = log.With("worker", c.worker.Number)
	}
	return log
}
