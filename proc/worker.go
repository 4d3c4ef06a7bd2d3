package proc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/sock"
)

// A Mode is how a worker is to end.
type Mode string

const (
	// Retire: others serve on, on the same sockets. Leave the backlog to them, and let connections come to their own end,
	// as long as Drain lasts; then drain.
	Retire Mode = "retire"
	// Drain: nobody else serves. Take in what waits in the backlog, end connections as they become quiet, and those
	// that do not until Drain has passed, by a reset.
	Drain Mode = "drain"
	// Quit: at once.
	Quit Mode = "quit"
)

// A Worker is what the entry of a worker process gets. Any goroutine but those of loops may call its methods, unless it
// is said otherwise.
type Worker struct {
	// Number is the worker's place, from 1. One that replaces another has the same.
	Number int
	// Config and Addrs are the master's.
	Config []byte
	Addrs  []string

	sockets []sock.Socket // in the order of Addrs
	control *control
	tickets ticketUsers

	mu    sync.Mutex
	mode  Mode // "": it may go on
	limit time.Duration
	more  chan struct{} // closed, and made anew, when mode changes
	ctx   context.Context
	end   context.CancelCauseFunc
}

var (
	errQuit = errors.New("the master said to quit")
	errLate = errors.New("the time to drain is over")
)

// Stopping is closed when the worker is to end: when the master says so, when the master has died, or at SIGTERM.
// [Worker.Serve] and [Worker.Run] look to it by themselves.
func (w *Worker) Stopping() <-chan struct{} { return w.ctx.Done() }

// Stop says how the worker is to end, and within what time; "" if it is not. The mode may become a quicker one later.
// A process that is still there well after its time ends itself, and is killed by its master.
func (w *Worker) Stop() (Mode, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mode, w.limit
}

// stop notes that the worker is to end. Only a quicker way changes one that is under way.
func (w *Worker) stop(mode Mode, limit time.Duration, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rank(mode) <= rank(w.mode) {
		return
	}
	w.mode, w.limit = mode, limit
	close(w.more)
	w.more = make(chan struct{})
	w.end(why)
}

func rank(m Mode) int {
	switch m {
	case Retire:
		return 1
	case Drain:
		return 2
	case Quit:
		return 3
	}
	return 0
}

// Serve serves all of Addrs with srv's Handler and Packets until the worker is to end, and then ends srv as it should:
// it is the whole of an entry that has one service. It calls [Worker.Join].
func (w *Worker) Serve(srv *plexor.Server) error {
	stack.Given("proc: Worker.Serve", "the server", srv != nil)
	w.Join(srv)
	for _, a := range w.Addrs {
		var err error
		if isPackets(a) {
			_, err = srv.OpenPackets(a, nil)
		} else {
			_, err = srv.Open(a, nil)
		}
		if err != nil {
			_ = srv.Close() // err is the one to tell
			return err
		}
	}
	return w.Run(srv, "")
}

// Run is Serve for a server whose addresses are open already, by way of [Worker.Join] or [Worker.Bind]. status is what
// [Master.OnReady] gets.
func (w *Worker) Run(srv *plexor.Server, status string) error {
	stack.Given("proc: Worker.Run", "the server", srv != nil)
	defer srv.Close()
	w.shareTickets(srv)
	if err := w.Ready(status); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Wait() }()
	select {
	case err := <-failed:
		return err
	case <-w.Stopping():
	}
	if mode, limit := w.Stop(); mode == Retire {
		_ = srv.StopListening() // Shutdown tells of a loop that is held
		w.untilIdle(srv, limit)
	}
	ctx, stop := w.drainTime()
	defer stop()
	err := srv.Shutdown(ctx)
	if mode, _ := w.Stop(); mode == Quit {
		return nil // it was not to wait
	}
	return err
}

// idleEvery is how often a worker that retires looks whether connections are left.
const idleEvery = 5 * time.Millisecond

// untilIdle lets connections come to their end: the peers do not know of our end, and a request may be on its way on
// each of them.
func (w *Worker) untilIdle(srv *plexor.Server, limit time.Duration) {
	tick := time.NewTicker(idleEvery)
	defer tick.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		s := srv.Stats()
		if mode, _ := w.Stop(); mode != Retire || s.Conns+s.Handlers == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			return
		}
	}
}

// drainTime is a context that is done when the drain has lasted too long, or when there is no more time at all.
func (w *Worker) drainTime() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	mode, limit := w.Stop()
	if mode == Quit {
		cancel(errQuit)
	}
	late := time.AfterFunc(limit, func() { cancel(errLate) })
	w.mu.Lock()
	more := w.more
	w.mu.Unlock()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-more:
			}
			w.mu.Lock()
			more = w.more
			quit := w.mode == Quit
			w.mu.Unlock()
			if quit {
				cancel(errQuit)
			}
		}
	}()
	return ctx, func() {
		late.Stop()
		cancel(nil)
	}
}
