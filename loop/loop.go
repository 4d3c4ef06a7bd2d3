package loop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/credit"
	"github.com/plexor-go/plexor/internal/stack"

	"github.com/plexor-go/plexor/sock"
)

// A Loop waits for sockets, timers and posted functions, and runs their handlers on the one goroutine that
// called Run.
type Loop struct {
	opt    Options
	driver driver
	sys    system
	group  *Group // nil when the loop runs alone
	// Why "auto" did not take the best driver; nil if it did.
	fallback error
	size     int // how far the driver is to do with less memory than it likes: an index of its sizes

	// Of the loop's goroutine.
	start   time.Time
	now     int64 // nanoseconds since start, read once a turn; never 0
	timers  timerHeap
	conns   []*Conn                  // all that are open; each knows its place
	socks   []endpoint               // in the order in which they came, so that they end in one order
	handed  map[sock.Socket]struct{} // accepted, and not taken in yet: by other loops, or by the driver in this turn
	parting map[sock.Socket]endpoint // ended, but for what an io_uring has under way: see part
	watches map[*Watch]struct{}      // nil until there is one
	loans   *loanSet                 // likewise
	dirty   []*Conn                  // wrote in this turn
	packets []*PacketConn
	notices []notice // calls of handlers that wait for the end of the turn
	spare   []notice
	soon    []func() // what Soon put off, likewise
	giveWay bool     // goroutines are to run before the loop waits
	sooner  []func()
	arena   []byte // what this turn wrote, until the turn ends
	blocks  blockPool
	views   [][]byte // for vectored writes
	handing *output  // a handler has bytes of it; nil: none
	spins   credit.Credit
	onEnd   []func()
	ended   bool     // those of onEnd have run
	starved *starved // listeners that wait for a descriptor, shared by the loops of a group

	// Of any goroutine.
	turn       atomic.Uint64 // odd while handlers run
	table      sync.Mutex    // held to change conns, socks, handed and parting, and by others to read them
	held       chan struct{} // closed when Close has given up on a handler that holds the loop
	holding    atomic.Pointer[HeldError]
	handled    atomic.Bool // it has ended but for what is its own: no handler runs any more
	doing      doings
	parked     atomic.Bool // waiting, or about to: a post must wake
	posted     postQueue
	closing    atomic.Bool
	running    atomic.Bool
	done       chan struct{} // Run has ended, or the loop was closed without
	ending     sync.Once
	stats      counters
	step       func()                                  // cancels the clock's wake
	endLog     func()                                  // says what Options.Log was not told
	coroutines atomic.Pointer[func() (is, known bool)] // see Coroutines
	stepped    bool
	monitor    *monitor
	id         atomic.Int64 // the goroutine that runs the loop
	label      string       // of the goroutines that it makes, for the monitor; see package stack
	thread     atomic.Int64 // that the loop is bound to, by the kernel's number; 0: none
}

// An endpoint is a listener or a datagram socket: what is closed when the loop ends, besides connections.
type endpoint interface {
	end(err error) // at once
	finish()       // after what has arrived already
	leave()        // to those that share the socket
	breakOff()     // from outside, while the loop is held; under Loop.table
}

// A notice is a handler's call that was put off to the end of the turn, so that no handler runs inside a call
// that another handler made.
type notice struct {
	c    *Conn
	p    *PacketConn // if c is nil
	peer netip.AddrPort
	err  error
	kind noticeKind
}

type noticeKind uint8

const (
	noticeClosed noticeKind = iota
	noticeWritable
	noticeDelivered
	noticeRefused
)

var (
	// ErrClosed is the use of something that was closed; errors.Is also finds net.ErrClosed in it.
	ErrClosed = fmt.Errorf("loop: %w", net.ErrClosed)
	// ErrPostQueueFull: Options.PostQueue functions wait already.
	ErrPostQueueFull = errors.New("loop: the queue of posted functions is full (Options.PostQueue)")
	// ErrLoopClosed is what the handlers of a closed loop's connections get; errors.Is finds net.ErrClosed in it.
	ErrLoopClosed = fmt.Errorf("loop: the loop ended: %w", net.ErrClosed)
)

// Driver is the name of the driver that the loop runs on. Any goroutine may call it.
func (l *Loop) Driver() string { return l.driver.name() }

// Run runs the loop on the calling goroutine until Close, and returns nil then; any other end is an error of the
// driver. All connections of the loop are reset, and its listeners closed, before it returns; each gets its
// Closed with ErrLoopClosed. A panic of a handler comes out of Run.
//
// Run gives its goroutine the profiler label plexor_loop, with a number for each loop; coroutines and goroutines that
// handlers start inherit it, and the labels that the caller had are gone when Run returns.
func (l *Loop) Run() error {
	if l.running.Swap(true) {
		if l.closing.Load() && !l.OnLoop() {
			<-l.done
			return nil
		}
		return errors.New("loop: Run was called twice")
	}
	l.id.Store(goroutineID())
	stack.Mark(l.label)
	defer stack.Unmark()
	defer l.end()
	if err := l.driver.start(); err != nil {
		return fmt.Errorf("loop: starting %s: %w", l.driver.name(), err)
	}
	for !l.closing.Load() {
		if err := l.runOnce(); err != nil {
			return err
		}
	}
	return nil
}

// runOnce is a turn.
func (l *Loop) runOnce() error {
	if l.giveWay {
		l.giveWay = false
		runtime.Gosched()
		if l.posted.waiting.Load() {
			l.beginTurn()
			l.now = l.readClock()
			l.runPosted()
			l.endTurn()
			l.giveWay = false // the next turn looks at the sockets
		}
	}
	timeout := l.timeout()
	if timeout != 0 {
		l.parked.Store(true)
		if l.posted.waiting.Load() || l.closing.Load() {
			timeout = 0
		}
	}
	err := l.wait(timeout)
	l.parked.Store(false)
	if err != nil {
		return fmt.Errorf("loop: waiting on %s: %w", l.driver.name(), err)
	}
	l.beginTurn()
	l.now = l.readClock()
	l.driver.dispatch()
	if len(l.timers.slots) > 0 {
		l.runTimers()
	}
	if l.posted.waiting.Load() {
		l.runPosted()
	}
	l.endTurn()
	return nil
}

func (l *Loop) endTurn() {
	l.finishTurn()
	l.turn.Add(1)
}

// runPosted runs the posted functions that wait now. Whoever moved a stepped clock and posted then finds that the
// timers have run, also if this turn had read the clock before.
func (l *Loop) runPosted() {
	fs := l.posted.take()
	if l.stepped {
		l.now = l.readClock()
		l.runTimers()
	}
	for i, f := range fs {
		fs[i] = nil
		f()
	}
	l.posted.giveBack(fs)
}

// beginTurn makes turn odd: handlers run from here on.
func (l *Loop) beginTurn() {
	l.turn.Add(1)
	if m := l.monitor; m != nil && m.asleep.Load() {
		m.rouse()
	}
}

// mostRounds bounds how often a turn's end starts over since a handler that it called wrote or closed something.
// What is left then comes at the end of the next turn, which does not wait.
const mostRounds = 8

// finishTurn sends what the turn wrote and makes the calls that it put off, which may write and close in turn.
func (l *Loop) finishTurn() {
	for n := 0; n < mostRounds && l.unfinished(); n++ {
		l.runSoon()
		l.flush()
		l.tell()
	}
}

func (l *Loop) unfinished() bool {
	return len(l.dirty)+len(l.packets)+len(l.notices)+len(l.soon) > 0
}

// flush ends the cork: one system call a connection.
func (l *Loop) flush() {
	l.sendCorked()
	for i, s := range l.packets {
		l.packets[i] = nil
		s.flush()
	}
	l.packets = l.packets[:0]
}

// sendCorked sends what the turn has written so far, and empties the arena. It is also for a turn that has filled it.
func (l *Loop) sendCorked() {
	for i := 0; i < len(l.dirty); i++ { // it does not grow meanwhile, for no handler is called
		c := l.dirty[i]
		l.dirty[i] = nil
		c.flush()
	}
	l.dirty = l.dirty[:0]
	l.arena = l.driver.nextArena()
}

// tell makes the calls that were put off. Those that are put off meanwhile come in the next round.
func (l *Loop) tell() {
	ns := l.notices
	l.notices = l.spare[:0]
	for i := range ns {
		n := ns[i]
		ns[i] = notice{}
		if n.c != nil {
			n.c.notify(n.kind, n.err)
		} else {
			n.p.notify(&n)
		}
	}
	l.spare = ns[:0]
}

// mostSoon bounds how many rounds of Soon a turn runs before it turns to its sockets again.
const mostSoon = 16

// Soon runs f later in this turn, after the handler that is running, and before what the turn wrote is sent.
// Functions run in the order in which they were given. What they give to Soon in turn still runs in this turn,
// for a bounded number of rounds, and otherwise in the next one. It is for the loop's goroutine alone, and costs
// next to nothing; [Loop.Post] is for all others.
func (l *Loop) Soon(f func()) { l.soon = append(l.soon, f) }

func (l *Loop) runSoon() {
	for range mostSoon {
		if len(l.soon) == 0 {
			return
		}
		fs := l.soon
		l.soon = l.sooner[:0]
		for i, f := range fs {
			fs[i] = nil
			f()
		}
		l.sooner = fs[:0]
	}
}

// GiveWay lets goroutines run once, at the end of this turn and before the loop waits: for a handler that has handed
// work to one of which it expects the result by Post. What is ready by then costs no wake-up. It is for the loop's own.
func (l *Loop) GiveWay() { l.giveWay = true }

// timeout is how long the next wait may take.
func (l *Loop) timeout() time.Duration {
	if l.unfinished() || l.posted.waiting.Load() {
		return 0
	}
	if len(l.timers.slots) == 0 {
		return -1
	}
	d := l.timers.slots[0].when - l.readClock()
	if d <= 0 {
		return 0
	}
	if l.stepped {
		return -1 // its clock will wake us
	}
	return time.Duration(d)
}

// Post runs f on the loop, in the order in which they were posted. It never waits. An error means that f will
// not run: ErrPostQueueFull, or ErrClosed once the loop ends. However many are posted while the loop waits, it is
// woken once. Any goroutine may call it.
func (l *Loop) Post(f func()) error { return l.post(f, l.opt.PostQueue) }

// postAlways is for the engine's own posts, which are bounded by what they are about (one a connection).
func (l *Loop) postAlways(f func()) error { return l.post(f, 0) }

func (l *Loop) post(f func(), limit int) error {
	err := l.posted.put(f, limit)
	if err != ErrClosed && l.parked.Load() && l.parked.CompareAndSwap(true, false) {
		// The only thing that can fail here is a driver that was closed, and then nobody waits.
		_ = l.driver.wake()
	}
	return err
}

// Close ends the loop; Run returns after the turn that it is in, and Close when Run has. On the loop itself, in
// a coroutine too, it does not wait. If a handler holds the loop, Close gives it up after a
// second without any progress: it breaks off the loop's connections from outside (see
// sock.Socket.BreakOff) and returns a *HeldError, which names the line. The loop still ends
// by itself if the handler returns later. Any goroutine may call it, any number of times.
func (l *Loop) Close() error {
	if !l.beginClose() || l.OnLoop() {
		return nil
	}
	return l.awaitEnd()
}

// beginClose has the loop end, and reports whether somebody runs it, so that there is something to wait for.
func (l *Loop) beginClose() bool {
	first := !l.closing.Swap(true)
	if !l.running.Load() && first && !l.running.Swap(true) {
		l.id.Store(goroutineID())
		l.end() // nobody runs it, nobody will
		return false
	}
	l.parked.Store(false)
	_ = l.driver.wake() // it fails only once the driver was closed
	return true
}

// end resets and closes all that the loop has, tells the handlers, and gives back the driver.
func (l *Loop) end() {
	l.ending.Do(func() {
		l.closing.Store(true)
		for _, f := range l.posted.close() {
			f() // they were promised to run
		}
		for _, s := range slices.Clone(l.socks) {
			s.end(ErrLoopClosed)
		}
		for w := range l.watches {
			w.end(ErrLoopClosed)
		}
		// A handler may answer Closed with Soon or, before it was told, have a connection of another loop handed
		// over: again until there is nothing. What Soon goes on giving to Soon is not waited for.
		for n := 0; len(l.conns)+len(l.notices)+len(l.onEnd) > 0 || l.unfinished() && n < mostRounds; n++ {
			for len(l.conns) > 0 {
				l.conns[len(l.conns)-1].fail(ErrLoopClosed)
			}
			for _, f := range l.takeOnEnd() {
				f()
			}
			l.finishTurn()
		}
		l.handled.Store(true)
		if l.step != nil {
			l.step()
		}
		l.monitor.stop()
		_ = l.driver.close() // its descriptors are gone either way
		l.blocks = blockPool{}
		l.endLog()
		close(l.done)
	})
}

// OnEnd has f run when the loop ends, on its goroutine: its connections have been reset by then, and it accepts
// nothing new, but what f gives to Soon still runs. It is for whoever keeps something on the loop that only its
// goroutine can end. An error, ErrClosed, says that the loop is ending already; f does not run then. It is for the
// loop's goroutine, or before Run.
func (l *Loop) OnEnd(f func()) error {
	if l.ended {
		return ErrClosed
	}
	l.onEnd = append(l.onEnd, f)
	return nil
}

func (l *Loop) takeOnEnd() []func() {
	fs := l.onEnd
	l.onEnd, l.ended = nil, true
	return fs
}

// A postQueue holds the posted functions until their turn.
type postQueue struct {
	waiting atomic.Bool // there are some
	mu      sync.Mutex
	limit   int
	fs      []func()
	spare   []func()
	closed  bool
}

func (q *postQueue) put(f func(), limit int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if limit > 0 && len(q.fs) >= limit {
		return ErrPostQueueFull
	}
	q.fs = append(q.fs, f)
	q.waiting.Store(true)
	return nil
}

// take takes those that wait now; what they post waits for the next turn. giveBack is for the slice, once they ran.
func (q *postQueue) take() []func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	fs := q.fs
	q.fs, q.spare = q.spare[:0], nil
	q.waiting.Store(false)
	return fs
}

func (q *postQueue) giveBack(fs []func()) {
	if cap(fs) <= 4096 { // what one storm of posts took is not kept for ever
		q.spare = fs[:0]
	}
}

func (q *postQueue) close() []func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	fs := q.fs
	q.fs = nil
	return fs
}

// Stats are a loop's counts since it was made.
type Stats struct {
	Conns      int   // open now
	Accepted   int64 // connections accepted by the loop's listeners
	Refused    int64 // accepted, but closed at once, since the driver or the handler would not have them
	StepBacks  int64 // how often a listener stepped back for want of descriptors
	Stalls     int64 // how often a handler held the loop too long
	PacketsIn  int64 // datagrams received
	PacketsOut int64 // datagrams sent
	Dropped    int64 // datagrams that WriteTo refused
}

type counters struct {
	conns                                                              atomic.Int64
	accepted, refused, stepBacks, stalls, packetsIn, packetsOut, drops atomic.Int64
}

// Stats returns the loop's counts. Any goroutine may call it.
func (l *Loop) Stats() Stats {
	return Stats{
		Conns:      int(l.stats.conns.Load()),
		Accepted:   l.stats.accepted.Load(),
		Refused:    l.stats.refused.Load(),
		StepBacks:  l.stats.stepBacks.Load(),
		Stalls:     l.stats.stalls.Load(),
		PacketsIn:  l.stats.packetsIn.Load(),
		PacketsOut: l.stats.packetsOut.Load(),
		Dropped:    l.stats.drops.Load(),
	}
}
