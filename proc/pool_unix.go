//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/ipc"
)

// An order is what a worker is told, and a reply what it answers.
type order struct {
	ID     uint64
	Func   string
	In     []byte
	Cancel bool // the call of this ID
}

type reply struct {
	ID   uint64 // 0: the worker is there
	Out  []byte
	Err  string
	Fail bool // Err counts
}

// overhead is what an order or a reply has besides its argument, in bytes, at most.
const overhead = 64 << 10

// poolLooks is how often either side looks for the other's answer before it sleeps, while that is worth it: some 40 µs,
// since a call takes two encodings and two decodings besides the way.
const poolLooks = 100

// A poolWorker is a worker process as its keeper sees it.
type poolWorker struct {
	child   *child
	pipe    *ipc.Typed[order, reply]
	replies chan reply
	gone    chan struct{} // it has been waited for
	why     string        // once gone
	next    uint64
}

// start checks that workers can be started, and gives each a keeper.
func (p *Pool) start() error {
	if _, err := running(); err != nil {
		return err
	}
	for n := range p.opt.Workers {
		k := &keeper{number: n + 1, work: make(chan *task, 1), back: make(chan bool, 1)}
		p.workers.Go(func() { p.keep(k) })
	}
	return nil
}

// keep keeps one worker running, and gives it one task after the other.
func (p *Pool) keep(k *keeper) {
	defer func() {
		if k.w != nil {
			k.w.end()
		}
	}()
	for {
		if k.w == nil {
			w, err := p.startWorker(k.number)
			if k.w = w; err != nil && !p.isClosing() {
				p.opt.Log.Error("a pool's worker can't be started", "worker", k.number, "err", err)
				k.w = nil
				if k.deaths++; k.deaths < hopeless && p.pause(k.deaths) {
					continue
				}
			}
		}
		t, how := p.next(k)
		switch {
		case t != nil && k.w == nil:
			t.tries++
			p.lost(t, "it can't be started")
		case t != nil && p.run(k.w, t):
			k.deaths = 0
			continue
		case how == nextEnd && k.w != nil:
			return
		}
		if k.w != nil {
			if how == nextGone {
				p.died(k.w)
			}
			k.w.end()
			k.w = nil
			k.deaths++
		}
		if !p.pause(k.deaths) {
			return
		}
	}
}

// hopeless is how many times in a row a worker dies, or can't be started, until calls are told so rather than left
// waiting.
const hopeless = 8

// pause waits before a worker is started again; false says that the pool ends.
func (p *Pool) pause(deaths int) bool {
	if deaths <= 1 { // at once, for the first time
		return !p.isClosing()
	}
	late := wait.NewPulse(min(defaultBackoff/10<<min(deaths-2, 20), longestBackoff))
	defer late.Stop()
	return late.Next(p.closing)
}

// run has the worker do a task. false says that the worker is of no more use.
func (p *Pool) run(w *poolWorker, t *task) bool {
	x, outcome := p.begin(w, t)
	if outcome == pending {
		return p.await(x)
	}
	return outcome == good
}

// An exchange is a task that a worker has.
type exchange struct {
	w     *poolWorker
	t     *task
	id    uint64
	limit *alarm // nil: there is none
	read  bool   // nobody reads the answer yet
}

// What became of a task that was begun.
const (
	good    = iota // it is over
	bad            // so is the worker
	pending        // the worker has it
)

// begin sends a task, and receives the answer if that comes soon.
func (p *Pool) begin(w *poolWorker, t *task) (x exchange, outcome int) {
	t.tries++
	w.next++
	x = exchange{w: w, t: t, id: w.next}
	if p.opt.Limit > 0 {
		x.limit = newAlarm(p.opt.Limit)
		defer func() {
			if outcome != pending {
				x.limit.stop()
			}
		}()
	}
	sending, stop := p.sending(t)
	err := w.pipe.Send(sending, order{ID: x.id, Func: t.name, In: t.in})
	late := err != nil && sending.Err() != nil
	stop()
	switch {
	case err == nil:
	case p.isClosing():
		t.finish(nil, ErrPoolClosed)
		return x, bad
	case late:
		p.tooLate(w, t)
		return x, bad
	default:
		select {
		case <-w.gone:
		default: // the pipe is as before; so it is the task that can't be sent
			if !broken(err) {
				t.finish(nil, err)
				return x, good
			}
		}
		return x, pending // until the worker is gone
	}
	for {
		r, came, err := w.pipe.RecvSoon(p.life)
		switch {
		case !came:
			x.read = true
			return x, pending
		case err != nil:
			w.unreadable(err)
			return x, pending // likewise
		case r.ID == x.id:
			t.answered(r)
			return x, good
		}
	}
}

// answered finishes a task with what its worker says.
func (t *task) answered(r reply) {
	if r.Fail {
		t.finish(nil, &CallError{t.name, r.Err})
	} else {
		t.finish(r.Out, nil)
	}
}

// await waits for an answer that does not come at once: somebody reads it.
func (p *Pool) await(x exchange) bool {
	w, t := x.w, x.t
	var limit <-chan struct{}
	if x.limit != nil {
		limit = x.limit.rung
		defer x.limit.stop()
	}
	if x.read {
		go w.read()
	}
	cancelled := t.over.Done() // which is closed before an answer only if the call was cancelled
	for {
		select {
		case r := <-w.replies:
			if r.ID != x.id {
				go w.read()
				continue
			}
			t.answered(r)
			return true
		case <-w.gone:
			p.died(w)
			p.lost(t, w.why)
			return false
		case <-limit:
			return p.tooLate(w, t)
		case <-cancelled:
			cancelled = nil
			late := newAlarm(p.opt.Grace)
			defer late.stop()
			limit = late.rung
			sending, stop := p.within(p.opt.Grace)
			_ = w.pipe.Send(sending, order{ID: x.id, Cancel: true}) // it is killed if it does not hear that
			stop()
		case <-p.closing:
			t.finish(nil, ErrPoolClosed)
			return false
		}
	}
}

// sending bounds the sending of a task, for a worker may have stopped to read: by the call's limit, by the grace once
// it is cancelled, and by the pool's life.
func (p *Pool) sending(t *task) (context.Context, context.CancelFunc) {
	if p.opt.Limit == 0 && !t.cancellable {
		return p.life, func() {}
	}
	ctx, cancel := p.within(p.opt.Limit)
	if !t.cancellable {
		return ctx, cancel
	}
	_ = ctx.Done() // it is made now: who cancels the call may be in a bubble, and what is made there can't be closed here
	forget := t.over.Then(func() { context.AfterFunc(ctx, wait.AfterFunc(p.opt.Grace, cancel)) })
	return ctx, func() {
		forget()
		cancel()
	}
}

// within is a context for that long, by the system's clock, and for the pool's life at most; 0: for that alone.
func (p *Pool) within(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(p.life)
	if d == 0 {
		return ctx, cancel
	}
	stop := wait.AfterFunc(d, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// An alarm is a timer by the system's clock, also for a pool that was made in a testing/synctest bubble.
type alarm struct {
	rung chan struct{} // closed
	stop func()
}

func newAlarm(d time.Duration) *alarm {
	a := &alarm{rung: make(chan struct{})}
	a.stop = wait.AfterFunc(d, func() { close(a.rung) })
	return a
}

// tooLate ends a worker whose time for a task is over, and is false.
func (p *Pool) tooLate(w *poolWorker, t *task) bool {
	w.child.kill(fmt.Sprintf("%s took too long, and it was killed", t.name))
	t.finish(nil, &LimitError{t.name, p.opt.Limit}) // unless it was cancelled
	<-w.gone
	p.died(w)
	return false
}

// broken reports whether an error of Send is one of the pipe, not of what was to be sent.
func broken(err error) bool {
	return errors.As(err, new(syscall.Errno)) || errors.Is(err, net.ErrClosed) || errors.Is(err, ipc.ErrBroken)
}

// died counts and tells a death.
func (p *Pool) died(w *poolWorker) {
	p.mu.Lock()
	p.stats.Deaths++
	p.mu.Unlock()
	p.opt.Log.Warn("a pool's worker died", "worker", w.child.number, "pid", w.child.pid, "why", w.why)
}

// lost is a task whose worker died: it goes to another, or fails.
func (p *Pool) lost(t *task, why string) {
	switch {
	case t.finished():
		return
	case t.tries >= p.opt.Tries:
		t.finish(nil, &LostError{t.name, t.tries, why})
		return
	}
	p.mu.Lock()
	p.stats.Again++
	p.mu.Unlock()
	again := func() {
		select {
		case p.again <- t:
			p.match()
		case <-p.closing:
			t.finish(nil, ErrPoolClosed)
		}
	}
	if len(p.again) == cap(p.again) { // a keeper must not wait for the others, who may wait for it
		go again()
		return
	}
	again()
}

// startWorker starts a worker process, and waits until it is there.
func (p *Pool) startWorker(number int) (*poolWorker, error) {
	path, err := running()
	if err != nil {
		return nil, err
	}
	pipe, theirs, err := ipc.NewPipe(ipc.Options{MaxMessage: p.opt.MaxMessage + overhead, MaxFiles: -1, Looks: poolLooks})
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	raw, err := theirs.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &poolWorker{pipe: ipc.NewTyped[order, reply](pipe), replies: make(chan reply, 1), gone: make(chan struct{})}
	null, err := os.Open(os.DevNull)
	if err != nil {
		_ = pipe.Close() // err is the one to tell
		return nil, err
	}
	defer null.Close()
	ctlErr := raw.Control(func(fd uintptr) {
		w.child, err = start{
			name: fmt.Sprintf("pool worker %d", number), number: number, path: path, stdin: null.Fd(), files: []uintptr{fd},
			env: environ(), job: job{Role: rolePool},
			hello: message{Kind: msgHello, Number: number, Size: p.opt.MaxMessage + overhead},
			heard: func(c *child, m message) {},
			ended: func(c *child, s *os.ProcessState) {
				w.why = c.why(s)
				_ = pipe.Close() // so that nobody waits on it
				close(w.gone)
			},
		}.begin()
	})
	if err := firstOf(ctlErr, err); err != nil {
		_ = pipe.Close() // likewise
		return nil, err
	}
	go w.read()
	late := newAlarm(defaultReadyTimeout)
	defer late.stop()
	select {
	case <-w.replies: // it says that it is there
		return w, nil
	case <-w.gone:
		return nil, fmt.Errorf("proc: %s: %s", w.child.name, w.why)
	case <-p.closing:
		w.end()
		return nil, ErrPoolClosed
	case <-late.rung:
		w.end()
		return nil, fmt.Errorf("proc: %s: it said nothing for %v", w.child.name, defaultReadyTimeout)
	}
}

// read hands the next answer to who awaits it.
func (w *poolWorker) read() {
	r, err := w.pipe.Recv(context.Background())
	if err != nil {
		w.unreadable(err)
		return
	}
	w.replies <- r // it has room, for there is one reader at a time
}

// unreadable kills a worker that nothing can be received from.
func (w *poolWorker) unreadable(err error) {
	why := ""
	if !broken(err) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // else it has ended
		why = "it sent what can't be read: " + err.Error()
	}
	w.child.kill(why)
}

// end kills the worker, if it lives, and waits for it.
func (w *poolWorker) end() {
	w.child.kill("the pool has ended it")
	<-w.gone
}
