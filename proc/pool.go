package proc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/internal/wait"
)

// PoolOptions are the choices of a pool. The zero value of each field means its default.
type PoolOptions struct {
	// Workers is how many processes there are (default one a core, at most MaxWorkers).
	Workers int
	// Queue is how many calls may wait for a worker (default 1024): Submit waits then.
	Queue int
	// Tries is how often a call is begun whose worker dies (default 3). So a function may run more than once, as
	// far as its worker came; 1 means that it does not.
	Tries int
	// Limit is how long a call may take, from its beginning in a worker (default: no limit). Its worker is killed then,
	// and replaced.
	Limit time.Duration
	// Grace is how long a call may go on whose context has ended (default 1 s). Its worker is killed then, and replaced.
	Grace time.Duration
	// MaxMessage is the greatest size in bytes of an argument or a result, encoded (default 16 MiB).
	MaxMessage int
	// Log hears of workers that died (default slog.Default()): of ten at once, then of one a second, of which the
	// attribute "omitted" says how many before it were not written.
	Log *slog.Logger
}

const (
	defaultPoolQueue = 1024
	defaultTries     = 3
	defaultGrace     = time.Second
	defaultMessage   = 16 << 20
)

// ErrPoolClosed is why a call fails that a pool did not begin before it was closed.
var ErrPoolClosed = errors.New("proc: the pool is closed")

// A CallError is an error that a function returned, or its panic, as it came over from the worker: its text alone.
type CallError struct {
	Func string // with its types
	Text string
}

func (e *CallError) Error() string { return fmt.Sprintf("proc: %s: %s", e.Func, e.Text) }

// A LostError is a call whose workers died, as often as it was tried.
type LostError struct {
	Func  string
	Tries int
	Cause string // of the last one's death
}

func (e *LostError) Error() string {
	return fmt.Sprintf("proc: %s: its worker died each of the %d times that it was tried; at last: %s", e.Func, e.Tries,
		e.Cause)
}

// A LimitError is a call that took longer than PoolOptions.Limit. It is a timeout.
type LimitError struct {
	Func  string
	Limit time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("proc: %s: it took longer than the pool's limit of %v, and its worker was killed", e.Func, e.Limit)
}

// Timeout says that it is one, and Unwrap that errors.Is finds context.DeadlineExceeded.
func (e *LimitError) Timeout() bool { return true }
func (e *LimitError) Unwrap() error { return context.DeadlineExceeded }

// A Pool is worker processes that run calls of functions: on all cores, and safe from what they do. It is known to what
// a [Func] is asked to do. All methods may be called by any goroutine, and Shutdown by coroutines too.
type Pool struct {
	opt    PoolOptions
	window int

	queue   chan *task
	again   chan *task      // whose worker died
	life    context.Context // until the pool is closed
	end     context.CancelFunc
	closing <-chan struct{} // life's
	workers sync.WaitGroup

	mu       sync.Mutex
	idle     []*keeper  // whose worker has nothing to do; the last one was busy last
	left     int        // tasks that are not finished
	draining bool       // no more are taken
	empty    wait.Event // there are none, and the pool drains
	stats    PoolStats

	endLog func() // says what opt.Log was not told
}

// PoolStats are a pool's counts since its start.
type PoolStats struct {
	Done   int64 // calls that have their result, whatever it is
	Deaths int64 // workers that died, or were killed
	Again  int64 // calls that were begun again
	Left   int   // calls that are waiting or running now
}

// NewPool starts the workers. It must be called after [Main]. Whoever makes a pool closes it.
func NewPool(o PoolOptions) (*Pool, error) {
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{
		{"Workers", &o.Workers, min(cores(), MaxWorkers)},
		{"Queue", &o.Queue, defaultPoolQueue},
		{"Tries", &o.Tries, defaultTries},
		{"MaxMessage", &o.MaxMessage, defaultMessage},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			return nil, fmt.Errorf("proc: PoolOptions.%s is %d: it must be positive, or 0 for the default of %d", f.name, *f.v,
				f.def)
		}
	}
	if o.Workers > MaxWorkers {
		return nil, fmt.Errorf("proc: PoolOptions.Workers is %d: there can be %d", o.Workers, MaxWorkers)
	}
	if o.Limit < 0 || o.Grace < 0 {
		return nil, fmt.Errorf("proc: PoolOptions.Limit is %v and Grace %v: they must not be negative", o.Limit, o.Grace)
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := mustMain(); err != nil {
		return nil, err
	}
	log, endLog := sample.New(o.Log, nil)
	o.Log = log
	p := &Pool{opt: o, endLog: endLog, window: o.Workers + o.Queue, queue: make(chan *task, o.Queue),
		again: make(chan *task, 2*o.Workers)}
	p.life, p.end = context.WithCancel(context.Background())
	p.closing = p.life.Done()
	if err := p.start(); err != nil {
		p.end()
		endLog()
		return nil, err
	}
	return p, nil
}

// Stats returns the counts.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Left = p.left
	return s
}

// Close ends the pool: what has not begun fails with ErrPoolClosed, and what runs as well, after its worker has been
// killed. When it returns, the workers have been waited for. Closing again changes nothing.
func (p *Pool) Close() error {
	p.end()
	p.workers.Wait()
	p.endLog()
	for {
		select {
		case t := <-p.queue:
			t.finish(nil, ErrPoolClosed)
		case t := <-p.again:
			t.finish(nil, ErrPoolClosed)
		default:
			return nil
		}
	}
}

// Shutdown waits until all calls have their results, and closes the pool. New calls fail meanwhile. If ctx is done
// before, the pool is closed at once, and the error is the cause.
func (p *Pool) Shutdown(ctx context.Context) error {
	stack.Given("proc: Pool.Shutdown", "the context", ctx != nil)
	p.mu.Lock()
	p.draining = true
	empty := p.left == 0
	p.mu.Unlock()
	if empty {
		p.empty.Happen()
	}
	err := await(ctx, "proc: pool shutdown", &p.empty)
	if err != nil {
		err = fmt.Errorf("proc: pool shutdown: %d calls were not done: %w", p.Stats().Left, err)
	}
	return errors.Join(err, p.Close())
}

// admit counts a call in.
func (p *Pool) admit(ctx context.Context, name string, in []byte) (*task, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining || p.isClosing() {
		return nil, ErrPoolClosed
	}
	p.left++
	t := newTask(ctx, name, in)
	t.pool = p
	return t, nil
}

// submit queues a call.
func (p *Pool) submit(ctx context.Context, name string, in []byte) (*task, error) {
	t, err := p.admit(ctx, name, in)
	if err != nil {
		return nil, err
	}
	return t, p.enqueue(ctx, t)
}

// enqueue gives a call to a worker that is idle, or puts it into the queue.
func (p *Pool) enqueue(ctx context.Context, t *task) error {
	select {
	case p.queue <- t:
	default:
		err := block(ctx, "proc: submit "+t.name, func(ctx context.Context) error {
			select {
			case p.queue <- t:
				return nil
			case <-p.closing:
				return ErrPoolClosed
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil {
			t.finish(nil, err)
			return err
		}
	}
	select {
	case <-p.closing: // Close may have looked already
		t.finish(nil, ErrPoolClosed)
	default:
	}
	t.watch(ctx)
	p.match()
	return nil
}

func (p *Pool) isClosing() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}

// finished counts a task out.
func (p *Pool) finished() {
	p.mu.Lock()
	p.stats.Done++
	p.left--
	empty := p.left == 0 && p.draining
	p.mu.Unlock()
	if empty {
		p.empty.Happen()
	}
}

// A task is a call on its way. It is finished once, by whoever comes first: its worker, its context, or the pool's end.
//
// Its caller may be in a testing/synctest bubble, of which the pool's goroutines are not. They must not touch what is
// made of that bubble's channels and timers, as the caller's context. So they are told of its end by that of the task
// alone, which is an Event.
type task struct {
	name        string
	in          []byte
	pool        *Pool
	tries       int  // its worker's
	cancellable bool // its context can end

	once sync.Once
	over wait.Event
	out  []byte // once over, as err
	err  error
}

func newTask(ctx context.Context, name string, in []byte) *task {
	return &task{name: name, in: in, cancellable: ctx.Done() != nil}
}

// watch fails the task when its context ends, also while it waits for a worker. The caller is the task's.
func (t *task) watch(ctx context.Context) {
	if !t.cancellable || t.finished() {
		return
	}
	forget := context.AfterFunc(ctx, func() { t.finish(nil, context.Cause(ctx)) })
	t.over.ThenHere(func() { forget() })
}

func (t *task) finish(out []byte, err error) {
	t.once.Do(func() {
		t.out, t.err = out, err
		if t.pool != nil {
			t.pool.finished() // before anybody hears of it, so that who has a result finds it counted
		}
		t.over.Happen()
	})
}

func (t *task) finished() bool { return t.over.Happened() }
