package load

import (
	"errors"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/loop"
)

// A worker is one loop's share of a run: its sessions, its schedule, and what it counts. All of it but what is
// published belongs to the loop's goroutine.
type worker struct {
	*run
	loop  *loop.Loop
	index int
	count int // of sessions
	hist  *hdrhistogram.Histogram

	sessions   []*session
	connecting int // sessions that are being connected now
	next       int // the session to connect next
	settled    int // those that stand, or failed
	alive      int // those that are not given up
	flight     int64
	quota      int64 // messages that may still be begun; negative: any number

	phase phase
	from  int64 // answers from then on are measured
	end   int64 // nothing is due from then on
	until int64 // when the measurement ended
	// The schedule of a rate: message n is due at origin + n × gap, on session n modulo count.
	gap    float64
	origin int64
	number int64
	ticker *loop.Timer

	scratch []byte // for frames

	published published
	total     int64 // answers, measured or not
	messages  int64
	within    int64 // of them, those that came before end
	out, in   int64 // bytes

	connected, notConnected, lostConns, timedOut, lostMessages int64
	wrong, stray, unexpected, unsent, unanswered               int64

	errors map[string]int64
}

// phase is where a worker is. Times that are not known yet are for ever.
type phase uint8

const (
	standing phase = iota // connections are made; none sends, but when ramping up
	sending
	draining // nothing is due any more; answers are
	over
)

var (
	errTimeout = errors.New("nothing came back within the timeout")
	errClosed  = errors.New("the server closed the connection")
	errSurplus = errors.New("bytes came back that nobody had sent")
	errWrong   = errors.New("an answer was wrong")

	errUnframed  = errors.New("it ends with the connection, and so may not be whole")
	errNotPacked = errors.New("the server does not compress")
	errSwitched  = errors.New("the server has switched to another protocol")
)

// now is the loop's time, read once a turn, in the run's nanoseconds.
func (w *worker) now() int64 { return int64(w.loop.Now().Sub(w.epoch)) }

// Connecting: so many at once, which a listener's small backlog survives.
const mostConnecting = 16

// connect makes the sessions and begins to connect them.
func (w *worker) connect() {
	w.from, w.end, w.errors = forEver, forEver, make(map[string]int64)
	if w.opt.Requests > 0 && w.rampsUp() {
		w.from = w.now() // all are measured
	}
	w.origin = w.now()
	w.alive = w.count
	for i := range w.count {
		w.sessions = append(w.sessions, newSession(w, i))
	}
	w.sweepEvery(sweepEvery(w.opt.Timeout))
	if w.rampsUp() {
		w.rampUp()
		return
	}
	w.connectMore()
}

// rampsUp reports whether each connection begins when it stands.
func (w *worker) rampsUp() bool { return w.opt.RampUp > 0 }

// connectMore connects the next sessions, unless they come one by one.
func (w *worker) connectMore() {
	if w.rampsUp() {
		return
	}
	for w.next < w.count && w.connecting < mostConnecting && w.phase != over {
		w.connectNext()
	}
}

func (w *worker) connectNext() {
	s := w.sessions[w.next]
	w.next++
	if w.opt.Reconnect || w.quota == 0 {
		w.settle() // it connects when it has something to send
		return
	}
	w.connecting++
	s.connect()
}

// rampUp connects one after another, at even distances over all workers.
func (w *worker) rampUp() {
	step := w.opt.RampUp / time.Duration(w.count)
	begun := w.loop.Now().Add(time.Duration(w.index) * step / time.Duration(w.opt.Loops))
	var timer *loop.Timer
	timer = w.loop.AfterFunc(begun.Sub(w.loop.Now()), func() {
		for w.next < w.count && !begun.Add(time.Duration(w.next)*step).After(w.loop.Now()) {
			w.connectNext()
		}
		if w.next < w.count && w.phase != over {
			timer.Reset(begun.Add(time.Duration(w.next) * step).Sub(w.loop.Now()))
		}
	})
	if w.gap > 0 {
		w.tick()
	}
}

// opened is a session's: it stands. failed: it never did.
func (w *worker) opened(s *session) {
	w.connected++
	if w.opt.Reconnect {
		return
	}
	w.connecting--
	w.settle()
	if w.phase == sending || w.rampsUp() {
		s.start(w.now())
	}
	w.connectMore()
}

func (w *worker) failed(err error) {
	w.notConnected++
	w.note(err)
	if w.opt.Reconnect {
		return
	}
	w.connecting--
	w.alive--
	w.settle()
	w.connectMore()
	w.checkDone()
}

func (w *worker) settle() {
	if w.settled++; w.settled == w.count {
		w.run.connected <- struct{}{}
	}
}

// begin starts the load, whose schedule began at start. Answers are measured from from until end.
func (w *worker) begin(start, from, end int64) {
	now := w.now()
	if w.from == forEver {
		w.from = from
	}
	w.end, w.phase = end, sending
	if end < forEver {
		w.loop.AfterFunc(time.Duration(end-now), w.drain)
	}
	if !w.rampsUp() {
		w.origin = start
		for _, s := range w.sessions {
			s.start(now)
		}
		if w.gap > 0 {
			w.tick()
		}
	}
	w.checkDone()
}

// tick has the sessions send whose messages are due.
func (w *worker) tick() {
	if w.phase == over {
		return
	}
	now := w.now()
	due := w.due()
	for ; due <= now && due < w.end; due = w.due() {
		w.sessions[w.number%int64(w.count)].pump(now)
		w.number++
	}
	if due >= w.end {
		return
	}
	if w.ticker == nil {
		w.ticker = w.loop.AfterFunc(0, w.tick)
	}
	w.ticker.Reset(time.Duration(due - now))
}

// due is when message w.number is.
func (w *worker) due() int64 { return w.origin + int64(float64(w.number)*w.gap) }

// drain: the measurement is over, but for the answers that are due.
func (w *worker) drain() {
	if w.phase != sending {
		return
	}
	if w.gap > 0 {
		w.tick() // what was due in the last moment
	}
	w.phase = draining
	w.checkDone()
}

// checkDone looks whether anything more is to come.
func (w *worker) checkDone() {
	none := w.flight == 0 && (w.phase == draining || w.quota == 0)
	if w.phase == standing || w.phase == over || !none && w.alive > 0 {
		return
	}
	w.finish()
	w.run.done <- struct{}{}
}

// finish ends all sessions. Called before the end it is an interruption.
func (w *worker) finish() {
	if w.phase == over {
		return
	}
	now := w.now()
	w.from = min(w.from, now)
	w.phase, w.until = over, min(now, w.end)
	for _, s := range w.sessions {
		w.unsent += s.owed(now)
		w.unanswered += int64(s.flight)
		s.end()
	}
	w.publish()
}

// sweepEvery is how often connections are looked at that stand still.
func sweepEvery(timeout time.Duration) time.Duration {
	return min(max(timeout/8, time.Millisecond), progressEvery/2)
}

func (w *worker) sweepEvery(d time.Duration) {
	var timer *loop.Timer
	timer = w.loop.AfterFunc(d, func() {
		w.publish()
		now := w.now()
		for _, s := range w.sessions {
			s.sweep(now)
		}
		if w.phase != over {
			timer.Reset(d)
		}
	})
}

func (w *worker) publish() {
	w.published.conns.Store(int64(w.alive - (w.count - w.settled)))
	w.published.messages.Store(w.total)
}

// take takes up to n messages from what may still be begun.
func (w *worker) take(n int) int {
	if w.quota < 0 {
		return n
	}
	n = int(min(int64(n), w.quota))
	w.quota -= int64(n)
	return n
}

// record counts n right answers that took as long.
func (w *worker) record(latency int64, n int, now int64) {
	w.total += int64(n)
	if now < w.from {
		return
	}
	w.messages += int64(n)
	if now <= w.end {
		w.within += int64(n)
	}
	// The value is in the histogram's range, so there is no error.
	_ = w.hist.RecordValues(min(max(latency, leastLatency), mostLatency), int64(n))
}

// note counts an error by its text.
func (w *worker) note(err error) {
	if errors.Is(err, io.EOF) {
		err = errClosed
	}
	text := layer.Plain(err.Error())
	if _, known := w.errors[text]; !known && len(w.errors) >= mostErrors {
		text = "other errors"
	}
	w.errors[text]++
}

// addTo adds the counts to a result.
func (w *worker) addTo(r *Result) {
	r.Messages += w.messages
	r.BytesSent += w.out
	r.BytesReceived += w.in
	r.Connected += w.connected
	r.NotConnected += w.notConnected
	r.LostConns += w.lostConns
	r.TimedOut += w.timedOut
	r.LostMessages += w.lostMessages
	r.Wrong += w.wrong
	r.Stray += w.stray
	r.Unexpected += w.unexpected
	r.Unsent += w.unsent
	r.Unanswered += w.unanswered
}
