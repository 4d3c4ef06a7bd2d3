package loop

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/plexor-go/plexor/sock"
)

// A Spread is how connections come to the loops of a group.
//
// By hand-over one listener accepts, and each connection goes to the loop that has the fewest. That costs one
// wake-up of the other loop, for all that were accepted in a turn, and keeps the loops even whatever the clients
// do. With SO_REUSEPORT each loop has a listener of its own and the kernel chooses by a hash of the addresses:
// nothing is handed over, but a few connections spread badly, one loop that is held up keeps its share of the
// backlog waiting, Unix sockets can't do it, and a second server on a port that is in use starts in silence and
// takes half of the connections. The figures are in the benchmark BenchmarkSpread and in ARCHITECTURE.md.
type Spread int

const (
	SpreadHandover  Spread = iota // one listener, the connection goes to the loop with the fewest
	SpreadReusePort               // a listener a loop; the kernel spreads (tcp only, where it does)
)

// GroupOptions are a group's choices. The zero value means the defaults.
type GroupOptions struct {
	Options        // each loop's
	Loops   int    // how many (default: one a core, runtime.GOMAXPROCS; on a Network one, whatever machine runs it)
	Spread  Spread // how connections come to them; on a Network only SpreadHandover
}

// A Group is several loops that share their work. Any goroutine may call its methods. On one of its own loops (see
// [Loop.OnLoop]) those that wait for the loops can't: they fail with ErrOnLoop and do nothing, and Close,
// StopListening, LeaveListening and GroupListener.Close begin, and do not wait.
type Group struct {
	loops   []*Loop
	spread  Spread
	sys     system
	starved starved
	ended   []chan struct{} // each loop has
	errs    []error         // each loop's, read after that

	mu   sync.Mutex
	next int // loop for the next listener or datagram socket
}

// NewGroup makes the loops and starts each on a goroutine of its own. They run until Close or Shutdown.
func NewGroup(o GroupOptions) (*Group, error) {
	if o.Loops < 0 {
		return nil, fmt.Errorf("loop: GroupOptions.Loops is %d: it must be at least 1, or 0 for one a core", o.Loops)
	}
	if o.Network != nil && o.Spread != SpreadHandover {
		return nil, errors.New("loop: GroupOptions.Spread with a Network: it has no SO_REUSEPORT")
	}
	if o.Loops == 0 {
		o.Loops = 1
		if o.Network == nil {
			o.Loops = runtime.GOMAXPROCS(0)
		}
	}
	g := &Group{spread: o.Spread, sys: systemOf(&o.Options), errs: make([]error, o.Loops)}
	for range o.Loops {
		g.ended = append(g.ended, make(chan struct{}))
	}
	err := withLess(&o.Options, func(size int) error {
		g.closeLoops() // of a larger size
		g.loops = nil
		return g.makeLoops(o, size)
	})
	if err == nil {
		if i := slices.IndexFunc(g.loops, func(l *Loop) bool { return l.Driver() != g.Driver() }); i > 0 {
			// What the best driver needs has run out on the way (io_uring's memory, say): then all take the next best.
			l := g.loops[i]
			l.opt.Log.Warn("the first loops had a better driver, but there is not enough of it for all; all take the next best",
				"driver", l.Driver(), "not", g.Driver(), "loops", o.Loops, "err", l.fallback)
			o.Driver = l.Driver()
			g.closeLoops()
			g.loops = nil
			err = g.makeLoops(o, 0)
		} else {
			g.loops[0].tellFallback(o.Loops)
		}
	}
	if err != nil {
		g.closeLoops()
		return nil, err
	}
	for i, l := range g.loops {
		go func() {
			defer close(g.ended[i])
			if g.errs[i] = l.Run(); g.errs[i] != nil {
				go g.closeLoops() // half of a group serves nobody
			}
		}()
	}
	return g, nil
}

func (g *Group) makeLoops(o GroupOptions, size int) error {
	for range o.Loops {
		l, err := newLoop(o.Options, g, size)
		if err != nil {
			return err
		}
		g.loops = append(g.loops, l)
	}
	return nil
}

// Loops are the group's loops.
func (g *Group) Loops() []*Loop { return g.loops }

// Driver is the name of the driver that the loops run on.
func (g *Group) Driver() string { return g.loops[0].Driver() }

// Wait returns when all loops have ended: with nil after Close or Shutdown, else with the error that a loop ended
// with, which has then ended all. A loop that Close has given up on, since a handler holds it, counts as ended, by the
// *HeldError that names the line.
func (g *Group) Wait() error {
	if err := g.refuse("Wait"); err != nil {
		return err
	}
	var errs []error
	for i, l := range g.loops {
		select {
		case <-g.ended[i]:
			errs = append(errs, g.errs[i])
		case <-l.held:
			errs = append(errs, l.holding.Load())
		}
	}
	return errors.Join(errs...)
}

// Stats are the sums of the loops' counts.
func (g *Group) Stats() Stats {
	var sum Stats
	for _, l := range g.loops {
		s := l.Stats()
		sum.Conns += s.Conns
		sum.Accepted += s.Accepted
		sum.Refused += s.Refused
		sum.StepBacks += s.StepBacks
		sum.Stalls += s.Stalls
		sum.PacketsIn += s.PacketsIn
		sum.PacketsOut += s.PacketsOut
		sum.Dropped += s.Dropped
	}
	return sum
}

// A GroupListener accepts connections for a group.
type GroupListener struct {
	addr  sock.Addr
	parts []*Listener
}

// Addr is the address that the listener got, with its port.
func (gl *GroupListener) Addr() sock.Addr { return gl.addr }

// Close stops listening; connections that were accepted go on. It keeps nobody long: if a handler has held a loop for
// a tenth of a second, its part is broken off from outside, as [Loop.Close] does it, and the error is a *[HeldError].
// What that leaves, as the file of a unix socket, ends when the handler returns.
func (gl *GroupListener) Close() error {
	errs := make([]error, len(gl.parts))
	end := func(i int) {
		ln := gl.parts[i]
		errs[i] = ln.loop.endFrom(ln, func() { _ = ln.Close() }) // a second Close changes nothing
	}
	if len(gl.parts) <= 1 || gl.parts[0].loop.group.onLoop() {
		for i := range gl.parts {
			end(i)
		}
		return errors.Join(errs...)
	}
	var all sync.WaitGroup
	for i := range gl.parts {
		all.Go(func() { end(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Listen listens on a, a tcp or unix address, and spreads the connections over the loops. accept is called on the
// connection's loop, so on several at once.
func (g *Group) Listen(a sock.Addr, o sock.Options, accept AcceptFunc) (*GroupListener, error) {
	if a.Scheme == "udp" {
		return nil, fmt.Errorf("loop: %s: Listen is for streams; ListenPacket is for datagrams", a)
	}
	sockets, err := g.Bind(a, o)
	if err != nil {
		return nil, err
	}
	return g.ListenOn(o, accept, sockets...)
}

// Bind makes the sockets with which this group listens on a: one, or one a loop by SpreadReusePort. Whoever has
// several services binds them all before the first is served, so that none is left half started.
func (g *Group) Bind(a sock.Addr, o sock.Options) (sockets []sock.Socket, err error) {
	defer func() {
		if err != nil {
			g.Discard(sockets...)
			sockets = nil
		}
	}()
	n := 1
	if g.spread == SpreadReusePort && a.Scheme == "tcp" {
		n = len(g.loops)
	}
	if n > 1 && !o.ReusePort {
		// With SO_REUSEPORT a port that another server has is no error. So look without it first.
		probe, err := g.sys.listen(a, o)
		if err != nil {
			return nil, err
		}
		a, err = g.sys.localAddr(probe)
		_ = g.sys.close(probe) // it has served its purpose
		if err != nil {
			return nil, err
		}
		o.ReusePort = true
	}
	for len(sockets) < n {
		s, err := g.sys.listen(a, o)
		if err != nil {
			return sockets, err
		}
		sockets = append(sockets, s)
		if a, err = g.sys.localAddr(s); err != nil { // with its port
			return sockets, err
		}
	}
	return sockets, nil
}

// LocalAddr is the address that a socket of Bind got.
func (g *Group) LocalAddr(s sock.Socket) (sock.Addr, error) { return g.sys.localAddr(s) }

// Discard closes sockets of Bind that will not be used after all, and removes their files.
func (g *Group) Discard(sockets ...sock.Socket) {
	for _, s := range sockets {
		discard(g.sys, s)
	}
}

// ListenOn takes over sockets that listen already: those of Bind, or one that was inherited, with the options that
// they were made with. With one, its connections are handed to all loops; of several, each belongs to a loop.
func (g *Group) ListenOn(o sock.Options, accept AcceptFunc, sockets ...sock.Socket) (*GroupListener, error) {
	if len(sockets) == 0 || len(sockets) > len(g.loops) {
		g.Discard(sockets...)
		return nil, fmt.Errorf("loop: ListenOn with %d sockets: want 1 to %d, one a loop at most", len(sockets), len(g.loops))
	}
	return g.listenOn(o, accept, listening{}, sockets...)
}

// ListenShared takes over a descriptor of a socket that listens and that other processes have too: at its end, and
// when ListenShared fails, the file of a unix socket is left to them. Whoever accepts first has the connection.
func (g *Group) ListenShared(o sock.Options, accept AcceptFunc, s sock.Socket) (*GroupListener, error) {
	return g.listenOn(o, accept, listening{shared: true}, s)
}

// ListenLent is ListenOn, or ListenShared if the one socket is shared, for connections that are lent from the start
// (see Conn.Lend) to the handlers that accept returns, each a [Borrower]: Lent comes right behind Opened. What a
// Borrower does not want is the loop's as any other.
func (g *Group) ListenLent(o sock.Options, accept AcceptFunc, shared bool, sockets ...sock.Socket) (
	*GroupListener, error) {
	return g.listenOn(o, accept, listening{shared: shared, lends: true}, sockets...)
}

// listening is how a listener is.
type listening struct {
	shared bool // with other processes
	lends  bool // its connections are lent from the start
}

func (g *Group) listenOn(o sock.Options, accept AcceptFunc, how listening, sockets ...sock.Socket) (
	*GroupListener, error) {
	if err := g.refuse("Listen"); err != nil {
		for _, s := range sockets {
			giveUp(g.sys, s, how.shared)
		}
		return nil, err
	}
	gl := &GroupListener{}
	for i, s := range sockets {
		l := g.loops[i]
		give := func() *Loop { return l }
		if len(sockets) == 1 {
			l = g.nextLoop()
			give = g.leastLoaded
		}
		var ln *Listener
		var err error
		if doErr := l.tryOnce(func() { ln, err = l.listenOn(s, o, accept, give, how) }); doErr != nil {
			giveUp(g.sys, s, how.shared)
			err = doErr // the loop has ended, or a handler holds it
		}
		if err != nil {
			g.Discard(sockets[i+1:]...)
			_ = gl.Close()
			return nil, err
		}
		gl.parts = append(gl.parts, ln)
	}
	gl.addr = gl.parts[0].Addr()
	return gl, nil
}

// ListenPacket binds a datagram socket, on one of the loops.
func (g *Group) ListenPacket(a sock.Addr, o sock.Options, h PacketHandler) (*PacketConn, error) {
	s, err := bindPacket(g.sys, a, o)
	if err != nil {
		return nil, err
	}
	return g.ListenPacketOn(s, h)
}

// ListenPacketOn takes over a datagram socket that is bound already.
func (g *Group) ListenPacketOn(s sock.Socket, h PacketHandler) (*PacketConn, error) {
	return g.listenPacketOn(s, false, h)
}

// ListenPacketShared is ListenPacketOn for a descriptor of a socket that other processes have too: who reads first has
// the datagram, and a loop that is given up since a handler holds it (see [Loop.Close]) leaves the socket to them.
func (g *Group) ListenPacketShared(s sock.Socket, h PacketHandler) (*PacketConn, error) {
	return g.listenPacketOn(s, true, h)
}

func (g *Group) listenPacketOn(s sock.Socket, shared bool, h PacketHandler) (p *PacketConn, err error) {
	if err := g.refuse("ListenPacket"); err != nil {
		_ = g.sys.close(s) // what led here is told
		return nil, err
	}
	l := g.nextLoop()
	if doErr := l.tryOnce(func() { p, err = l.listenPacketOn(s, shared, h) }); doErr != nil {
		_ = g.sys.close(s) // the loop has ended, or a handler holds it
		return nil, doErr
	}
	return p, err
}

func (g *Group) nextLoop() *Loop {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.loops[g.next%len(g.loops)]
	g.next++
	return l
}

// leastLoaded is the loop with the fewest connections.
func (g *Group) leastLoaded() *Loop {
	best, least := g.loops[0], int64(-1)
	for _, l := range g.loops {
		if n := l.stats.conns.Load(); least < 0 || n < least {
			best, least = l, n
		}
	}
	return best
}
