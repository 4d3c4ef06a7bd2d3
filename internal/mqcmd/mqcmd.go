// Package mqcmd is the command plexor mq: it publishes jobs, does them, looks at queues and at dead jobs, measures, and
// serves a broker. The structs are those of the command line, with the tags of its parser.
package mqcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/memcache" // for its word that it has no queues
	_ "github.com/plexor-go/plexor/mq/nats"
	_ "github.com/plexor-go/plexor/mq/rabbit"
	_ "github.com/plexor-go/plexor/mq/redis"
)

// Command is plexor mq.
type Command struct {
	Pub     Pub     `cmd:"" help:"Publish jobs: a text, or each line of standard input, or all of it."`
	Sub     Sub     `cmd:"" help:"Do jobs: print each, or run a command for each."`
	Ls      Ls      `cmd:"" help:"List queues, with their counts."`
	Dead    Dead    `cmd:"" help:"List the dead jobs of a queue, with their histories."`
	Redrive Redrive `cmd:"" help:"Make dead jobs wait again."`
	Drop    Drop    `cmd:"" help:"Remove dead jobs."`
	Rm      Rm      `cmd:"" help:"Remove a queue with its jobs."`
	Bench   Bench   `cmd:"" help:"Measure how fast jobs are stored and done."`
	Serve   Serve   `cmd:"" help:"Serve the embedded broker to others, alone or as one of a cluster."`
}

// A World is what a command reads and where it prints.
type World struct {
	In       io.Reader
	Out, Err io.Writer
}

// A UsageError is a mistake on the command line.
type UsageError struct{ err error }

func (e UsageError) Error() string { return e.err.Error() }
func (e UsageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// A Target is the broker of a command.
type Target struct {
	URL string `arg:"" help:"The broker: nats+embedded:///FOLDER, nats://HOST, redis://HOST, amqp://HOST, or mem://, which is of use with bench alone. Options are a query: see the docs of packages mq/nats, mq/redis and mq/rabbit."`
}

// open connects.
func (t Target) open(ctx context.Context, w *World) (*mq.Broker, error) {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil:
		return nil, usage("the broker's URL is wrong: %w", reason(err))
	case u.Scheme == "":
		return nil, usage("%q is no URL of a broker: write nats+embedded:///FOLDER, nats://HOST, redis://HOST or amqp://HOST",
			u.Redacted())
	case !slices.Contains(mq.Schemes(), u.Scheme):
		return nil, usage("unknown scheme %q: there are %s", u.Scheme, strings.Join(mq.Schemes(), ", "))
	}
	b, err := mq.Options{Log: slog.New(slog.NewTextHandler(w.Err, nil))}.Open(ctx, t.URL)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// reason is an error of url.Parse without the URL, which may have a password.
func reason(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// until is a context that ends with SIGINT or SIGTERM, of which a second one ends the process.
func until() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// with connects, calls f, and closes. A broker that ends with the command is refused.
func (t Target) with(w *World, f func(ctx context.Context, b *mq.Broker) error) error {
	if u, err := url.Parse(t.URL); err == nil && u.Scheme == "mem" {
		return usage("%s is the memory of this command: its jobs are gone when it ends, and no other command sees them; "+
			"write nats+embedded:///FOLDER for jobs in a folder, or nats://HOST, redis://HOST or amqp://HOST", u.Redacted())
	}
	return t.alone(w, f)
}

// alone is with, for what needs no other command to see what it does.
func (t Target) alone(w *World, f func(ctx context.Context, b *mq.Broker) error) error {
	ctx, stop := until()
	defer stop()
	b, err := t.open(ctx, w)
	if err != nil {
		return err
	}
	err = f(ctx, b)
	if e := b.Close(); e != nil && err == nil {
		err = e
	}
	return err
}

// existing opens a queue that is there: looking at one makes none.
func existing(ctx context.Context, b *mq.Broker, name string) (*mq.Queue, error) {
	all, err := b.Queues(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(all, name) {
		return nil, fmt.Errorf("%s: %w", name, mq.ErrNoQueue)
	}
	return b.Queue(ctx, name, mq.QueueOptions{})
}
