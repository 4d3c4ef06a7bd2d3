//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

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
		p.workers.Go(func() { p.keep(n + 1) })
	}
	return nil
}

// keep keeps one worker running, and gives it one task after the other.
func (p *Pool) keep(number int) {
	var w *poolWorker
	deaths := 0 // in a row, without a call that was done
	defer func() {
		if w != nil {
			w.end()
		}
	}()
	for {
		if w == nil {
			var err error
			if w, err = p.startWorker(number); err != nil && !p.isClosing() {
				p.opt.Log.Error("a pool's worker can't be started", "worker", number, "err", err)
				w = nil
				if deaths++; deaths < hopeless && p.pause(deaths) {
					continue
				}
			}
		}
		var gone <-chan struct{}
		if w != nil {
			gone = w.gone
		}
		t := p.next(gone)
		switch {
		case t != nil && w == nil:
			t.tries++
			p.lost(t, "it can't be started")
		case t != nil && p.run(w, t):
			deaths = 0
			continue
		case t == nil && w != nil && p.isClosing():
			return
		}
		if w != nil {
			if t == nil {
				p.died(w)
			}
			w.end()
			w = nil
			deaths++
		}
		if !p.pause(deaths) {
			return
		}
	}
}

// hopeless is how many times in a row a worker dies, or can't be started, until calls are told so rather than left waiting.
const hopeless = 8

// pause waits before a worker is started again; false says that the pool ends.
func (p *Pool) pause(deaths int) bool {
	if deaths <= 1 { // at once, for the first time
		return !p.isClosing()
	}
	late := time.NewTimer(min(defaultBackoff/10<<min(deaths-2, 20), longestBackoff))
	defer late.Stop()
	select {
	case <-late.C:
		return true
	case <-p.closing:
		return false
	}
}

// next takes a task, first of those that were begun already; nil if the worker is gone or the pool ends.
func (p *Pool) next(gone <-chan struct{}) *task {
	for {
		var t *task
		select {
		case t = <-p.again:
		default:
			select {
			case <-p.closing:
				return nil
			case <-gone:
				return nil
			case t = <-p.again:
			case t = <-p.queue:
			}
		}
		if !t.finished() { // cancelled while it waited
			return t
		}
	}
}

// run has the worker do a task. false says that the worker is of no more use.
func (p *Pool) run(w *poolWorker, t *task) bool {
	t.tries++
	w.next++
	id := w.next
	var limit <-chan time.Time
	if p.opt.Limit > 0 {
		late := time.NewTimer(p.opt.Limit)
		defer late.Stop()
		limit = late.C
	}
	sending, stop := p.sending(t)
	err := w.pipe.Send(sending, order{ID: id, Func: t.name, In: t.in})
	late := sending.Err() != nil
	stop()
	switch {
	case err == nil:
	case p.isClosing():
		t.finish(nil, ErrPoolClosed)
		return false
	case late:
		return p.tooLate(w, t)
	default:
		select {
		case <-w.gone:
		default: // the pipe is as before; so it is the task that can't be sent
			if !broken(err) {
				t.finish(nil, err)
				return true
			}
		}
	}
	cancelled := t.done // which is closed before an answer only if the call was cancelled
	for {
		select {
		case r := <-w.replies:
			if r.ID != id {
				continue
			}
			if r.Fail {
				t.finish(nil, &CallError{t.name, r.Err})
			} else {
				t.finish(r.Out, nil)
			}
			return true
		case <-w.gone:
			p.died(w)
			p.lost(t, w.why)
			return false
		case <-limit:
			return p.tooLate(w, t)
		case <-cancelled:
			cancelled = nil
			late := time.NewTimer(p.opt.Grace)
			defer late.Stop()
			limit = late.C
			sending, stop := context.WithTimeout(p.life, p.opt.Grace)
			_ = w.pipe.Send(sending, order{ID: id, Cancel: true}) // it is killed if it does not hear that
			stop()
		case <-p.closing:
			t.finish(nil, ErrPoolClosed)
			return false
		}
	}
}

// sending bounds the sending of a task, for a worker may have stopped to read: by the call's limit, by the grace once it is
// cancelled, and by the pool's life.
func (p *Pool) sending(t *task) (context.Context, context.CancelFunc) {
	var ctx context.Context
	var cancel context.CancelFunc
	if p.opt.Limit > 0 {
		ctx, cancel = context.WithTimeout(p.life, p.opt.Limit)
	} else {
		ctx, cancel = context.WithCancel(p.life)
	}
	if t.ctx.Done() == nil {
		return ctx, cancel
	}
	forget := context.AfterFunc(t.ctx, func() { time.AfterFunc(p.opt.Grace, cancel) })
	return ctx, func() {
		forget()
		cancel()
	}
}

// tooLate ends a worker whose time for a task is over.
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
	pipe, theirs, err := ipc.NewPipe(ipc.Options{MaxMessage: p.opt.MaxMessage + overhead, MaxFiles: -1})
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
	late := time.NewTimer(defaultReadyTimeout)
	defer late.Stop()
	select {
	case <-w.replies: // it says that it is there
		return w, nil
	case <-w.gone:
		return nil, fmt.Errorf("proc: %s: %s", w.child.name, w.why)
	case <-p.closing:
		w.end()
		return nil, ErrPoolClosed
	case <-late.C:
		w.end()
		return nil, fmt.Errorf("proc: %s: it said nothing for %v", w.child.name, defaultReadyTimeout)
	}
}

// read hands the answers to the keeper.
func (w *poolWorker) read() {
	for {
		r, err := w.pipe.Recv(context.Background())
		if err != nil {
			why := ""
			if !broken(err) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // else it has ended
				why = "it sent what can't be read: " + err.Error()
			}
			w.child.kill(why)
			return
		}
		select {
		case w.replies <- r:
		case <-w.gone:
			return
		}
	}
}

// end kills the worker, if it lives, and waits for it.
func (w *poolWorker) end() {
	w.child.kill("the pool has ended it")
	<-w.gone
}

// poolWork is a worker's process from Main on.
func poolWork(j *job) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP) // a terminal's: they are our master's matter
	control := os.NewFile(uintptr(j.Control), "control")
	var hello message
	if err := json.NewDecoder(control).Decode(&hello); err != nil {
		return 1 // the master died before it could say what there is to do
	}
	p, err := ipc.FilePipe(os.NewFile(firstFD, "pipe"), ipc.Options{MaxMessage: hello.Size, MaxFiles: -1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	pipe := ipc.NewTyped[reply, order](p)
	if pipe.Send(context.Background(), reply{}) != nil {
		return 1 // likewise
	}
	var mu sync.Mutex
	var running uint64
	var cancel context.CancelFunc
	for {
		// When the pipe ends the master has, and so do we, whatever runs.
		o, err := pipe.Recv(context.Background())
		if err != nil {
			return 1
		}
		mu.Lock()
		if o.Cancel {
			if o.ID == running {
				cancel()
			}
			mu.Unlock()
			continue
		}
		var ctx context.Context
		ctx, cancel = context.WithCancel(context.Background())
		running = o.ID
		mu.Unlock()
		go func(end context.CancelFunc) {
			defer end()
			r := reply{ID: o.ID}
			var err error
			if r.Out, err = call(ctx, o.Func, o.In); err != nil {
				r.Fail, r.Err = true, err.Error()
			}
			err = pipe.Send(context.Background(), r)
			if err != nil { // too long, or nobody is there, as Recv finds as well
				_ = pipe.Send(context.Background(), reply{ID: o.ID, Fail: true, Err: err.Error()})
			}
		}(cancel)
	}
}
