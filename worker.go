package plexor

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/loop"
)

// A worker is what the connections of one loop share. It belongs to the loop's goroutine.
type worker struct {
	srv     *Server // nil: a loop that is not a server's, on which somebody dialled
	client  *Client // whose loop it is, if it is a Client's
	loop    *loop.Loop
	sched   *coro.Scheduler
	log     *slog.Logger
	told    atomic.Bool // the log knows of a misuse
	buffers bufferPool
	waits   []*waits      // free ones
	runs    []*messageRun // likewise

	// view is what the callback that is running now was given, as far as nobody has taken it, and owner whose it is.
	// There is one a loop, for callbacks do not nest; so a connection needs no room for it.
	view  []byte
	owner *stream

	conns    []*Conn // those that a listener accepted, but those in silence, or a Client dialled; each knows its place
	tick     uint32  // counts the time by which connections are idle: see beat
	beat     beat
	silence  silence
	warmed   warmList
	input    partialInput
	draining bool
	mail     mail
	packets  int       // datagram handlers that run
	runners  []*runner // that wait for messages

	shakes *handshakes // TLS handshakes of clients; nil: there was none

	lookUps *coro.Semaphore // places for look-ups of names that block
	reads   *coro.Semaphore // for reads of certificates
	files   *coro.Semaphore // for reads of files that are sent
	visits  *coro.Semaphore // and for looks at other loops

	highWater int // the largest piece that is given to the loop at once
}

// defaultHighWater is the loop's own, in bytes.
const defaultHighWater = 256 << 10

// mostFree bounds the free lists of small things.
const mostFree = 256

// scheduleSeed, if tests set it, has the coroutines run in a random order: see coro.Options.
var scheduleSeed uint64

func newWorker(srv *Server, l *loop.Loop) (*worker, error) {
	sched, err := coro.New(l, coro.Options{Log: srv.log, Seed: scheduleSeed})
	if err != nil {
		return nil, err
	}
	w := workerFor(l, sched, srv.log)
	w.srv, w.highWater = srv, srv.limits.HighWater
	w.input.most = srv.limits.PartialInput
	w.setBeat()
	strangers.Lock()
	defer strangers.Unlock()
	w.remember()
	return w, nil
}

// strangers are the workers by scheduler, for those who come to a loop from elsewhere: by Dial.
var strangers struct {
	sync.Mutex
	of map[*coro.Scheduler]*worker
}

// workerOn is the worker of a scheduler's loop, which may belong to no Server. It is for the loop's own.
func workerOn(s *coro.Scheduler) *worker {
	strangers.Lock()
	defer strangers.Unlock()
	if w := strangers.of[s]; w != nil {
		return w
	}
	log, endLog := sample.New(slog.Default(), nil)
	w := workerFor(s.Loop(), s, log)
	w.remember()
	context.AfterFunc(s.Context(), endLog)
	return w
}

// How many of the engine's own calls that block may run at once on behalf of a loop. Users' calls have coro's
// Options.Blocking, and Handshakes bounds what callbacks of a tls.Config wait for: whatever one of them waits for that
// does not answer (a resolver, a disk, a database), holds up no other kind.
const (
	mostLookUps = 64 // a goroutine each, of 2 KiB with Go's resolver, of a thread with the system's
	mostReads   = 16 // a thread each while the disk does not answer
	mostFiles   = 64 // likewise, and fileRead bytes each
	mostVisits  = 16 // a goroutine each; a loop that is held keeps one for a second
)

// workerFor makes one with all that it needs, whoever's it is.
func workerFor(l *loop.Loop, sched *coro.Scheduler, log *slog.Logger) *worker {
	w := &worker{loop: l, sched: sched, log: log, highWater: defaultHighWater,
		lookUps: coro.NewSemaphore(mostLookUps), reads: coro.NewSemaphore(mostReads),
		files: coro.NewSemaphore(mostFiles), visits: coro.NewSemaphore(mostVisits)}
	w.mail.call = l.NewCall(w.mail.run)
	return w
}

// remember makes workerOn find w until its loop ends. The caller holds strangers.
func (w *worker) remember() {
	if strangers.of == nil {
		strangers.of = make(map[*coro.Scheduler]*worker)
	}
	strangers.of[w.sched] = w
	context.AfterFunc(w.sched.Context(), func() {
		strangers.Lock()
		defer strangers.Unlock()
		delete(strangers.of, w.sched)
	})
}

// idle closes a connection that has been idle for too long.
func (c *Conn) idle() {
	s := &c.raw
	s.tick = s.w.tick // it is logged and counted once
	s.w.log.Debug("an idle connection is closed", "peer", s.String())
	c.role().expel(ErrIdle)
}

// expel is of role, for all but shared.
func (c *Conn) expel(err error) {
	s := &c.raw
	c.cancel(err)
	if s.lc.Pending() > 0 { // it does not read
		s.lc.CloseWithError(err)
		return
	}
	if c.tls != nil {
		_ = c.tls.notify() // best effort
	}
	s.end(err)
}

// passed reports whether a time has passed, on the loop's clock.
func (w *worker) passed(t time.Time) bool { return !w.loop.Now().Before(t) }

// misuse reports whether the log is to be told of one. Any goroutine may call it.
func (w *worker) misuse() bool { return !w.told.Swap(true) }

// enlist and delist keep the tables of connections.
func (w *worker) enlist(c *Conn) {
	table := w.table(c)
	c.raw.at = int32(len(*table))
	*table = append(*table, c)
	if table == &w.conns && !w.beat.runs && w.beat.unit > 0 {
		w.startBeat()
	}
}

func (w *worker) delist(c *Conn) {
	table := w.table(c)
	at, last := c.raw.at, len(*table)-1
	if table == &w.conns && int(at) < w.beat.next { // what is yet to be looked at stays in front
		w.beat.next--
		moved := w.conns[w.beat.next]
		w.conns[at], moved.raw.at = moved, at
		at = int32(w.beat.next)
		w.conns[at] = c
	}
	moved := (*table)[last]
	(*table)[at], moved.raw.at = moved, at
	(*table)[last] = nil
	*table = (*table)[:last]
}

// table is the one that c is in.
func (w *worker) table(c *Conn) *[]*Conn {
	if c.raw.is(awaited) {
		return &w.silence.conns
	}
	return &w.conns
}

func (w *worker) getWaits() *waits {
	if last := len(w.waits) - 1; last >= 0 {
		x := w.waits[last]
		w.waits[last] = nil
		w.waits = w.waits[:last]
		return x
	}
	return new(waits)
}

func (w *worker) putWaits(x *waits) {
	if len(w.waits) < mostFree {
		*x = waits{}
		w.waits = append(w.waits, x)
	}
}

func (w *worker) getRun() *messageRun {
	if last := len(w.runs) - 1; last >= 0 {
		r := w.runs[last]
		w.runs = w.runs[:last]
		return r
	}
	return new(messageRun)
}

func (w *worker) putRun(r *messageRun) {
	if len(w.runs) < mostFree {
		*r = messageRun{}
		w.runs = append(w.runs, r)
	}
}
