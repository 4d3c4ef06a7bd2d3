package plexor

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A Server serves connections and datagrams on event loops. Fill in the fields and call one of its methods; the fields
// must not change from then on. All methods may be called from any goroutine. On its own loops, so from its handlers,
// Stats, Engine, Close and StopListening work, and wait for nothing; the others would wait for the very handler that
// calls them, and fail with a *coro.MisuseError, which the log is told of, too.
type Server struct {
	// Handler serves the connections of ListenAndServe and Serve.
	Handler Handler
	// Packets serves their datagrams.
	Packets PacketHandler
	// OnIdle is told of connections on which nothing has come for Limits.ReadIdle, or nothing was written for
	// Limits.WriteIdle: it may send a ping, and closes the connection by returning an error. See [Idle].
	OnIdle func(c *Conn, idle Idle) error

	// TLS is for addresses of the form tls://host:port (default: a certificate that the server makes for itself).
	TLS *TLS

	Limits Limits

	// Driver is what the loops wait on (default "auto", the best that works here; loop.Drivers lists them), Loops how
	// many there are (default one a core), and Spread how connections come to them.
	Driver string
	Loops  int
	Spread loop.Spread
	// Network is what the loops stand on in place of the kernel's sockets (default none): a network of one's own, as a
	// host of package lab is. There are no unix sockets then, no Serve and no Bind, Spread is as it is unless set, and
	// Loops are one unless set, so that a run does not depend on the machine.
	Network loop.Network
	// Bind, if set, gives the sockets to listen on, in place of making them: for a process that shares them with others,
	// as package proc's workers do. It is called with an address as it was given to one of the methods, and returns a
	// descriptor of a socket that is bound to it and non-blocking (and listens, unless it is udp), which the server takes
	// over. The file of a unix socket is left to the others, and [Server.StopListening] leaves the backlog to them.
	Bind func(addr string) (sock.Socket, error)
	// Stall is how long a handler may hold its loop before it is reported, with the line that does it (default 100 ms;
	// negative: never), and OnStall gets the report in place of the log.
	Stall   time.Duration
	OnStall func(loop.Stall)
	// Spin is how long a loop with nothing to do looks again and again before it sleeps, while that pays: for peers on
	// this machine that answer within microseconds (default 0: not at all; see loop.Options.Spin).
	Spin time.Duration
	// Clock is where the loops take their time from (default the system's).
	Clock loop.Clock
	// Log gets what nobody else is told: panics, bad frames, stalls, wrong use (default slog.Default()). A peer does not
	// set the rate of its lines: of those with the same level and message ten are written at once and then one a second.
	// The attribute "omitted" says how many before it were not; if no other one follows, a line with the count alone
	// does, within two seconds. Stats count them all. Lines at the level of Debug have no such bound.
	Log *slog.Logger

	log     *slog.Logger // Log, as sample bounds it
	limits  Limits       // with defaults
	stats   counters
	peers   census
	own     ownPair
	tickets atomic.Pointer[[][32]byte] // SetSessionTicketKeys; nil: each endpoint has its own
	workers map[*loop.Loop]*worker

	mu      sync.Mutex
	group   *loop.Group
	ended   chan struct{} // the loops have
	err     error         // why, once they have
	closing bool
	lns     []*Listener
	eps     []*endpoint    // of streams: those that listen, and those that have connections
	files   []net.Listener // given to Serve
}

// start makes the loops, once.
func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return ErrServerClosed
	}
	if s.group != nil {
		return nil
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	if err := checkLoops("Server", s.Loops); err != nil {
		return err
	}
	if s.Network != nil && s.Bind != nil {
		return errors.New("plexor: Server.Network and Server.Bind are both set: what Bind gives is the kernel's")
	}
	var err error
	if s.limits, err = s.Limits.withDefaults(); err != nil {
		return err
	}
	log, endLog := sample.New(s.Log, s.Clock)
	g, err := loop.NewGroup(loop.GroupOptions{
		Loops:  s.Loops,
		Spread: s.Spread,
		Options: loop.Options{Driver: s.Driver, Network: s.Network, HighWater: s.limits.HighWater,
			Linger: s.limits.Linger, Spin: s.Spin, Stall: s.Stall, OnStall: s.OnStall, Clock: s.Clock, Log: log},
	})
	if err != nil {
		endLog()
		err = fmt.Errorf("plexor: %w", layer.Strip(err))
		return err
	}
	s.log = log
	s.workers = make(map[*loop.Loop]*worker)
	for _, l := range g.Loops() {
		w, err := newWorker(s, l)
		if err != nil {
			return errors.Join(err, g.Close())
		}
		s.workers[l] = w
	}
	s.group, s.ended = g, make(chan struct{})
	go func() {
		err := g.Wait()
		endLog()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
		s.closing = true
		s.closeFiles()
		close(s.ended)
	}()
	return nil
}

// ListenAndServe listens on the addresses and serves them with Handler, or Packets for udp, until Shutdown or Close: it
// then returns ErrServerClosed, when all has ended. Any other error is why it could not listen on one of them, and
// then none is served, or why the loops ended.
//
// An address is "tcp://host:port", "tls://host:port" (see [TLS]), "udp://host:port" or "unix:///path", with socket
// options as a query (see sock.ParseAddr and sock.ParseOptions). Port 0 takes a free one: [Server.Open] tells which.
func (s *Server) ListenAndServe(addr ...string) error {
	if len(addr) == 0 {
		return errors.New("plexor: ListenAndServe without an address: give it one, as in tcp://127.0.0.1:9000")
	}
	if _, err := s.open("ListenAndServe", addr, s.Handler, s.Packets); err != nil {
		return err
	}
	return s.Wait()
}

// Open listens on an address and serves its connections with h (nil: with Handler) in the background. It returns the
// address that it got. An error leaves nothing behind, and the server as it was: such as a *[loop.HeldError], which
// names the line, if a handler has held the loop for a second that is to accept there.
func (s *Server) Open(addr string, h Handler) (net.Addr, error) {
	if h == nil {
		h = s.Handler
	}
	as, err := s.open("Open", []string{addr}, h, nil)
	if err != nil {
		return nil, err
	}
	return as[0], nil
}

// OpenPackets is Open for datagrams: h (nil: Packets) serves a udp address.
func (s *Server) OpenPackets(addr string, h PacketHandler) (net.Addr, error) {
	if h == nil {
		h = s.Packets
	}
	as, err := s.open("OpenPackets", []string{addr}, nil, h)
	if err != nil {
		return nil, err
	}
	return as[0], nil
}

// open binds all addresses before the first is served, so that none is left half started.
func (s *Server) open(op string, addrs []string, h Handler, p PacketHandler) (got []net.Addr, err error) {
	if err := s.misused(op); err != nil {
		return nil, err
	}
	eps := make([]*endpoint, len(addrs))
	for i, a := range addrs {
		if eps[i], err = parseEndpoint(a); err != nil {
			return nil, err
		}
		eps[i].srv, eps[i].handler, eps[i].packets = s, h, p
		if err := eps[i].check(); err != nil {
			return nil, err
		}
		if err := eps[i].secureWith(s); err != nil {
			return nil, err
		}
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	bound := make([][]sock.Socket, len(eps))
	for i, ep := range eps {
		if bound[i], err = ep.bind(); err != nil {
			for i, sockets := range bound[:i] {
				eps[i].discard(sockets)
			}
			return nil, s.closedOr(err)
		}
	}
	for i, ep := range eps {
		if err = ep.listen(bound[i]); err != nil {
			for j, sockets := range bound[i+1:] {
				eps[i+1+j].discard(sockets)
			}
			for _, ep := range eps[:i] {
				_ = ep.close() // err is the one to tell
			}
			return nil, s.closedOr(err)
		}
		got = append(got, ep.local)
	}
	return got, nil
}

// closedOr is err, or ErrServerClosed if that is what caused it.
func (s *Server) closedOr(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing && errors.Is(err, net.ErrClosed) {
		return ErrServerClosed
	}
	return err
}

// Serve serves the connections of ln, which must be one of package net's for tcp or unix, with Handler, until Shutdown
// or Close; it then returns ErrServerClosed. The server takes ln over, and closes it. It is accepted from by the loops,
// by way of a duplicate of its descriptor. The file of a unix socket is removed if closing ln does so, as it is with
// package net: that of a net.Listen is, unless SetUnlinkOnClose says otherwise, and that of a net.FileListener, which
// somebody else has made (systemd, a parent process), is not.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.misused("Serve"); err != nil {
		return err
	}
	ep := &endpoint{srv: s, handler: s.Handler}
	if err := ep.inherit(ln); err != nil {
		return err
	}
	return s.Wait()
}

// Wait waits until the server has ended, and returns ErrServerClosed after Shutdown or Close, and otherwise why the
// loops ended. It returns at once if nothing was ever served.
func (s *Server) Wait() error {
	if err := s.misused("Wait"); err != nil {
		return err
	}
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("plexor: the server ended: %w", layer.Strip(s.err))
	}
	return ErrServerClosed
}

// Engine is the driver that the loops wait on, by name, and how many loops there are; "" and 0 as long as nothing was
// ever served.
func (s *Server) Engine() (driver string, loops int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group == nil {
		return "", 0
	}
	return s.group.Driver(), len(s.group.Loops())
}

// countOut counts a connection out that has ended with err.
func (s *Server) countOut(st *stream, err error) {
	s.leave(st.peer)
	if errors.Is(err, loop.ErrUndelivered) {
		s.stats.undelivered.Add(1)
		s.log.Debug("a connection was closed before all had arrived", "peer", st.String())
	}
}

// running reports whether nobody has asked the server to end.
func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closing
}

// checkLoops refuses a number of loops that makes no sense, by the name of the field that its user has set.
func checkLoops(whose string, n int) error {
	if n < 0 {
		return fmt.Errorf("plexor: %s.Loops is %d: it must be at least 1, or 0 for one a core", whose, n)
	}
	return nil
}
