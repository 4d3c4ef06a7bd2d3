package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/load"
	"github.com/plexor-go/plexor/loop"
)

type benchCmd struct {
	Conns     int           `default:"50" placeholder:"N" help:"How many connections at once (default ${default})."`
	Depth     int           `default:"1" placeholder:"N" help:"How many messages may be under way on each (default ${default})."`
	Size      int           `default:"64" placeholder:"BYTES" help:"The length of a message (default ${default})."`
	Duration  time.Duration `short:"d" placeholder:"10s" help:"How long to measure (default 10s, or without end if --requests is given)."`
	Requests  int64         `short:"n" placeholder:"N" help:"How many messages to send in all."`
	Rate      float64       `placeholder:"N" help:"How many messages are due each second, over all connections; latencies count from the time at which each was due. Without it a connection sends when it has its answer."`
	Warmup    time.Duration `placeholder:"1s" help:"How long to send before measuring."`
	RampUp    time.Duration `placeholder:"5s" help:"The time over which the connections are made, each of which sends at once."`
	Think     time.Duration `placeholder:"10ms" help:"How long a connection waits after an answer before it sends again."`
	Reconnect bool          `help:"Make a connection for each message; the latency counts from its beginning."`
	Frame     string        `placeholder:"SPEC" help:"Send messages in frames: len4, line, varint and others, as in frame=SPEC of an address."`
	Expect    string        `default:"echo" enum:"echo,upper" help:"What the server does: echo (the default), or upper as plexor serve does it. Every byte that comes back is compared."`
	Method    string        `placeholder:"NAME" help:"The method of http:// and https:// addresses (default GET, or POST with --body)."`
	Header    []string      `sep:"none" placeholder:"LINE" help:"A field of the request of http, https, ws and wss addresses, such as 'Accept: text/html'; may be given several times."`
	Body      string        `placeholder:"TEXT" help:"The body of the request."`
	Status    int           `placeholder:"N" help:"The status that an answer of HTTP must have (default: any below 400)."`
	Protocol  []string      `placeholder:"NAME" help:"A subprotocol to ask a ws:// or wss:// address for; may be given several times."`
	Deflate   bool          `help:"Have WebSocket messages compressed (permessage-deflate), each by itself. They are of few different bytes then."`
	Text      bool          `help:"Send WebSocket messages of text, not of bytes."`
	Insecure  bool          `help:"Trust any certificate of a tls:// address; fingerprint=SHA256 in the address trusts one."`
	Timeout   time.Duration `placeholder:"5s" help:"How long to wait for a connection, or for an answer (default 5s, over udp 1s)."`
	Loops     int           `default:"1" placeholder:"N" help:"How many event loops share the connections (default ${default})."`
	Driver    string        `default:"auto" placeholder:"NAME" help:"What the loops wait on: auto, or one that 'plexor drivers' lists."`
	JSON      bool          `name:"json" help:"Print the result as JSON on standard output."`
	Plot      string        `placeholder:"FILE" help:"Draw the latencies into this file, as SVG."`
	Quiet     bool          `short:"q" help:"Show no progress."`
	Address   string        `arg:"" help:"tcp://host:port, tls://host:port, udp://host:port or unix:///path, with options as a query: frame=SPEC; for tls, fingerprint=SHA256, and cert=FILE and key=FILE for the client's own. Or http://host[:port]/path or https://…: requests of HTTP/1.1, --depth of them pipelined; --reconnect makes a connection for each. Or ws://host[:port]/path or wss://…: messages of WebSocket, which the server must send back."`
}

// Run loads the address, prints what came of it, and fails if bytes were wrong or connections were lost. The first
// SIGINT or SIGTERM ends the load and prints what there is; a second one ends the command.
func (b *benchCmd) Run(c *console) error {
	o, err := b.options()
	if err != nil {
		return err
	}
	var plot *os.File
	if b.Plot != "" {
		if plot, err = os.Create(b.Plot); err != nil { // before the load, which may take its time
			return fmt.Errorf("--plot: %w", err)
		}
		defer plot.Close()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	clear := func() {}
	if !b.Quiet {
		o.Progress, clear = c.progress()
	}
	res, err := load.Run(ctx, o)
	clear()
	switch {
	case errors.Is(err, load.ErrOptions):
		return usageError{err}
	case errors.Is(err, loop.ErrUnknownDriver):
		return usagef("--driver=%s: %w", b.Driver, err)
	case err != nil:
		return err
	}
	if err := b.print(c, res); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	failed := res.Err()
	if plot == nil {
		return failed
	}
	if err := errors.Join(res.WriteSVG(plot), plot.Close()); err != nil {
		_ = os.Remove(b.Plot) // it is no picture
		return cmp.Or(failed, fmt.Errorf("--plot=%s: %w", b.Plot, err))
	}
	return failed
}

func (b *benchCmd) print(c *console, res *load.Result) error {
	if !b.JSON {
		return c.report(res)
	}
	enc := json.NewEncoder(c.out)
	enc.SetIndent("", "  ")
	return enc.Encode(res)
}

// options are those of package load.
func (b *benchCmd) options() (load.Options, error) {
	o := load.Options{
		Conns: b.Conns, Depth: b.Depth, Size: b.Size, Duration: b.Duration, Requests: b.Requests, Warmup: b.Warmup,
		RampUp: b.RampUp,
		Rate:   b.Rate, Think: b.Think, Reconnect: b.Reconnect, Timeout: b.Timeout, Loops: b.Loops, Driver: b.Driver,
		Expect: load.Expect(b.Expect), Insecure: b.Insecure,
	}
	address, err := b.web(&o)
	if err != nil {
		return o, err
	}
	to, err := parseTarget(address, "cert", "key", "fingerprint")
	if err != nil {
		return o, usagef("%q: %w", b.Address, err)
	}
	o.Address, o.Codec = to.address(), to.codec
	if b.Frame != "" {
		if to.codec != nil {
			return o, usagef("--frame=%s: the address says frame= as well", b.Frame)
		}
		if o.Codec, err = parseCodec(to.addr, []string{b.Frame}); err != nil {
			return o, usagef("--frame=%s: %w", b.Frame, err)
		}
	}
	return o, nil
}
