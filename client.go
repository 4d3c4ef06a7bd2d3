package plexor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A Client dials for goroutines: what it returns are net.Conns that any goroutine may use, on which net/http's client,
// database drivers, gRPC and other libraries run unchanged. The Client's own loops connect, and do what [Conn.Shared]
// says.
//
//	client := new(plexor.Client)
//	defer client.Close()
//	web := &http.Client{Transport: &http.Transport{DialContext: client.DialContext}}
//
// A connection lives on when the call that dialled it has returned and its context is done; whoever gets it closes it.
// It is as those of [Conn.Shared] are: two buffers of 64 KiB at most, half-close, deadlines, SetNoDelay and its kin.
// Nothing bounds how many there are but the descriptors: libraries bound their pools themselves. A connection that is
// idle costs a descriptor and some 700 bytes, and no goroutine.
//
// The zero value is ready. The first dial starts the loops; until then a Client holds nothing. Make one and keep it, as
// one does with an http.Transport: it holds its loops until Close. All methods may be called by any number of
// goroutines at once, but by no coroutine, handler, timer or posted function of a loop, whichever: a dial would block
// that loop, and fails with a *coro.MisuseError, which the log is told of once. Those have [Dial].
//
// In a bubble of testing/synctest use a Client that has dialled, or was started by [Client.Start], outside: its
// connections then behave in the bubble as package net's do. A goroutine that waits for one is blocked, and not
// durably, and its deadlines pass by the system's clock.
type Client struct {
	// Dialer holds the choices for each connection. Its Lookup is called by the goroutine that dials; the callbacks of
	// its TLS run on a loop, as part of the handshake of a tls address, and must not block.
	Dialer Dialer
	// Driver is what the loops wait on (default "auto", the best that works here), and Loops how many there are (default
	// one a core).
	Driver string
	Loops  int
	// Network is what the loops stand on in place of the kernel's sockets (default none): see Server.Network.
	Network loop.Network
	// Log gets what nobody else is told (default slog.Default()).
	Log *slog.Logger

	mu      sync.Mutex
	group   *loop.Group
	workers []*worker
	next    int // of workers
	closed  bool
	endLog  func() // says what the log was not told
	ending  sync.Once
	ended   error       // what ended it
	told    atomic.Bool // the log knows of a misuse
}

// Start starts the loops, if they do not run yet, and returns why they can't. A dial does it too.
func (c *Client) Start() error {
	_, err := c.pick()
	return err
}

// pick is the loop for the next connection: the one with the fewest, in turn where several have as few.
func (c *Client) pick() (*worker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClientClosed
	}
	if c.group == nil {
		if err := c.startLocked(); err != nil {
			return nil, err
		}
	}
	c.next++
	var best *worker
	least := 0
	for i := range c.workers {
		w := c.workers[(c.next+i)%len(c.workers)]
		if n := w.loop.Stats().Conns; best == nil || n < least {
			best, least = w, n
		}
	}
	return best, nil
}

func (c *Client) startLocked() error {
	if err := checkLoops("Client", c.Loops); err != nil {
		return err
	}
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	log, endLog := sample.New(log, nil)
	g, err := loop.NewGroup(loop.GroupOptions{Loops: c.Loops,
		Options: loop.Options{Driver: c.Driver, Network: c.Network, Log: log}})
	if err != nil {
		endLog()
		return fmt.Errorf("plexor: %w", layer.Strip(err))
	}
	var workers []*worker
	for _, l := range g.Loops() {
		sched, err := coro.New(l, coro.Options{Log: log})
		if err != nil {
			return errors.Join(err, g.Close())
		}
		w := workerFor(l, sched, log)
		w.client = c
		strangers.Lock()
		w.remember()
		strangers.Unlock()
		workers = append(workers, w)
	}
	c.group, c.workers, c.endLog = g, workers, endLog
	return nil
}

// Dial connects to an address of the kind that the function [Dial] takes: "tcp://host:port", "tls://host:port" with its
// options, or "unix:///path". It blocks until the connection stands, with its handshake done, or ctx is done; ctx does
// not bound the connection. The error is a *[DialError]. If a callback of TLS holds the loop when ctx is done, the
// dial fails a tenth of a second later, with a *[loop.HeldError] that names the line besides, and what comes of it is
// closed.
//
// It is what a library wants that dials by one string, as gRPC does:
//
//	grpc.NewClient("passthrough:///tcp://127.0.0.1:50051", grpc.WithContextDialer(client.Dial), …)
//
// A connection of a tls address has ConnectionState, as a *tls.Conn has, and stays usable after a deadline.
func (c *Client) Dial(ctx context.Context, address string) (net.Conn, error) {
	ep, err := parseStream(address)
	if err != nil {
		return nil, &DialError{Address: address, Errs: []error{err}}
	}
	return c.dial(ctx, &c.Dialer, ep)
}

// DialContext is Dial with an address as package net has it: network is tcp, tcp4 or tcp6, with "host:port", or unix,
// with a path (one that begins with @ is an abstract name), or tls, which is tcp with a handshake. It is what most
// libraries want: http.Transport.DialContext, the drivers of databases,
//
//	config.DialFunc = client.DialContext                                     // pgx, and database/sql by way of it
//	mysql.RegisterDialContext("plexor", func(ctx context.Context, addr string) (net.Conn, error) {
//		return client.DialContext(ctx, "tcp", addr)
//	})
//
// and go-redis's Options.Dialer. Options of Dial's addresses have their defaults.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ep, d, err := c.parse(network, address)
	if err != nil {
		return nil, &DialError{Address: address, Errs: []error{err}}
	}
	return c.dial(ctx, d, ep)
}

// parse reads an address of package net. The Dialer is the Client's, or one that looks for one family alone.
func (c *Client) parse(network, address string) (*endpoint, *Dialer, error) {
	if network == "unix" {
		path := address
		if !strings.HasPrefix(path, "@") {
			var err error
			if path, err = filepath.Abs(path); err != nil {
				return nil, nil, err
			}
		}
		ep, err := parseStream(sock.Addr{Scheme: "unix", Path: filepath.ToSlash(path)}.String())
		return ep, &c.Dialer, err
	}
	scheme := "tcp"
	switch network {
	case "tcp", "tcp4", "tcp6":
	case "tls":
		scheme = "tls"
	default:
		return nil, nil, net.UnknownNetworkError(network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, nil, fmt.Errorf("the port %q is no number from 0 to 65535", port)
	}
	ep, err := parseStream(sock.Addr{Scheme: scheme, Host: host, Port: int(number)}.String())
	if err != nil || network == "tcp" || network == "tls" {
		return ep, &c.Dialer, err
	}
	d := c.Dialer
	d.Lookup = c.lookUpFamily(network == "tcp6", ep.addr)
	if ap, ok := ep.addr.AddrPort(); ok && host != "" && ap.Addr().Is6() != (network == "tcp6") {
		return nil, nil, fmt.Errorf("%s is no %s address", host, network)
	}
	return ep, &d, nil
}

// lookUpFamily is the Dialer's Lookup, of which it leaves one family.
func (c *Client) lookUpFamily(six bool, a sock.Addr) func(context.Context, string) ([]netip.Addr, error) {
	return func(ctx context.Context, name string) ([]netip.Addr, error) {
		found, err := c.Dialer.lookUp(ctx, c.Network, a)
		var ips []netip.Addr
		for _, f := range found {
			if ap, ok := f.AddrPort(); ok && ap.Addr().Is6() == six {
				ips = append(ips, ap.Addr())
			}
		}
		return ips, err
	}
}

// A dialOutcome is what comes of a dial on its loop: a connection, or the errors of the attempts.
type dialOutcome struct {
	conn   net.Conn
	failed []error
}

func (c *Client) dial(ctx context.Context, d *Dialer, ep *endpoint) (net.Conn, error) {
	got, err := c.dialOnLoop(ctx, d, ep)
	if got.conn != nil {
		return got.conn, nil
	}
	all := errors.Join(append(got.failed, err)...)
	switch {
	case ctx != nil && ctx.Err() != nil && errors.Is(all, context.Cause(ctx)): // a loop that is held may be the reason
	case errors.Is(all, loop.ErrLoopClosed), errors.Is(all, loop.ErrClosed), held(all):
		got.failed, err = nil, ErrClientClosed
	}
	if err != nil {
		got.failed = []error{err}
	}
	return nil, &DialError{Address: ep.text, Errs: got.failed}
}

func (c *Client) dialOnLoop(ctx context.Context, d *Dialer, ep *endpoint) (none dialOutcome, _ error) {
	if ctx == nil {
		return none, errNoContext("Client.Dial")
	}
	if err := c.misused("Client.Dial"); err != nil {
		return none, err
	}
	addrs, err := d.lookUp(ctx, c.Network, ep.addr) // here, where it may block for as long as it likes
	if err != nil {
		return none, err
	}
	w, err := c.pick()
	if err != nil {
		return none, err
	}
	return coro.TryCall(ctx, w.sched, "dial "+ep.text, func(ctx context.Context) (dialOutcome, error) {
		c, errs := d.connect(ctx, w, ep, addrs)
		if errs != nil {
			return dialOutcome{failed: errs}, nil
		}
		return dialOutcome{conn: c.Shared()}, nil
	}, func(late dialOutcome) {
		if late.conn != nil {
			_ = late.conn.Close() // nobody has it
		}
	})
}

func held(err error) bool {
	_, is := errors.AsType[*loop.HeldError](err)
	return is
}

// Close ends the Client: dials that are under way fail with ErrClientClosed, and so do later ones. Connections that are
// still open are reset, and what waits on them fails with ErrClientClosed; so first end what uses them, such as by
// http.Transport.CloseIdleConnections. Those that were closed have a second for what was written before to arrive. A
// callback of TLS or a Lookup that holds a loop keeps Close for some two seconds: its connections are broken off then,
// and the error is a *[loop.HeldError], which names the line. From such a callback itself it begins, does not wait, and
// returns nil.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	g := c.group
	c.mu.Unlock()
	if g == nil {
		return nil
	}
	end := func() { c.ending.Do(func() { c.ended = c.end(g) }) }
	if slices.ContainsFunc(g.Loops(), (*loop.Loop).OnLoop) {
		go end()
		return nil
	}
	end()
	return c.ended
}

func (c *Client) end(g *loop.Group) error {
	var untold atomic.Int64
	untold.Add(int64(len(c.workers)))
	var tells sync.WaitGroup
	for _, w := range c.workers {
		tells.Go(func() {
			_ = w.loop.Do(w.endConns) // one that has ended has none
			untold.Add(-1)
		})
	}
	part(func() bool { return untold.Load() > 0 || g.Stats().Conns > 0 })
	err := g.Close()
	tells.Wait() // each loop has ended, or was given up
	c.endLog()
	return err
}

// endConns resets the connections that nobody has closed.
func (w *worker) endConns() {
	for i := len(w.conns) - 1; i >= 0; i-- {
		if i < len(w.conns) {
			if s, ok := w.conns[i].raw.lc.Handler().(*shared); ok { // else it is being dialled, and its task will be cancelled
				s.endWithClient()
			}
		}
	}
}

// endWithClient resets a shared connection, unless it is closed and on its way out.
func (s *shared) endWithClient() {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.fail(ErrClientClosed)
		s.c.raw.lc.Abort()
	}
}
