package models

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/plexor-go/plexor/sock"
)

// A Model is a way to serve. The methods may be called from any goroutine, and any number of times.
type Model struct {
	Name     string
	Short    string // what waits, in one line of at most 60 letters, for lists
	Doc      string // a paragraph: what waits where, what it costs, when one would choose it
	Quadrant Quadrant
	Limit    Limit

	serve func(context.Context, Job) error
	check func() error // nil: it works everywhere
}

// A Quadrant is where a model stands in the textbook's square, and whether it uses several cores.
type Quadrant struct {
	Async       bool // several connections are under way at once
	NonBlocking bool // the calls on sockets never wait; something else does
	Parallel    bool // connections run at the same instant, where there are cores for it
}

// String is the quadrant in words: "asynchronous, non-blocking; concurrent, not parallel".
func (q Quadrant) String() string {
	pick := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	return pick(q.Async, "asynchronous", "synchronous") + ", " +
		pick(q.NonBlocking, "non-blocking", "blocking") + "; " +
		pick(q.Async || q.NonBlocking, "concurrent", "one at a time") +
		pick(q.Parallel, ", parallel", ", not parallel")
}

// A Limit is how many clients a model takes at once, and why. Those beyond it wait, or are refused.
type Limit struct {
	Conns  int // 0: nothing but the machine limits it
	Reason string
}

// Takes reports whether n clients at once are within the limit; the reason is why not.
func (l Limit) Takes(n int) (ok bool, reason string) {
	if l.Conns == 0 || n <= l.Conns {
		return true, ""
	}
	return false, l.Reason
}

// A Job is what a model is to serve.
type Job struct {
	// Addr is a tcp address; port 0 takes a free one.
	Addr    sock.Addr
	Service Service
	// Clients is how many clients at once there will be. Only processes asks: it starts as many workers. 0 means as
	// many as the model takes.
	Clients int
	// Ready is called once, with the address that was got, when clients are served. It may be nil.
	Ready func(sock.Addr)
	// Counter counts the pieces that were answered, if it is not nil. It stays the caller's.
	Counter *Counter
	// Log gets what nobody else is told (default slog.Default()).
	Log *slog.Logger
}

func (j Job) ready(a sock.Addr) {
	if j.Ready != nil {
		j.Ready(a)
	}
}

// Check is why the model does not work on this machine, or nil.
func (m Model) Check() error {
	if m.check == nil {
		return nil
	}
	return m.check()
}

// Serve serves until ctx is done, and then returns nil: the listener and all connections have been closed by then, what
// was not sent is lost, and nothing is left: no goroutine, descriptor, thread or process. Any other end is an error.
func (m Model) Serve(ctx context.Context, j Job) error {
	if err := m.serveChecked(ctx, j); err != nil {
		return fmt.Errorf("models: %s: %w", m.Name, err)
	}
	return nil
}

func (m Model) serveChecked(ctx context.Context, j Job) error {
	switch {
	case j.Addr.Scheme != "tcp":
		return fmt.Errorf("serve on %q: want a tcp address, as in tcp://127.0.0.1:0", j.Addr)
	case j.Service.reply == nil:
		return errors.New("Job.Service is not set: want Echo or Upper")
	case j.Clients < 0:
		return fmt.Errorf("Job.Clients is %d: want at least 1, or 0 for as many as the model takes", j.Clients)
	}
	if ok, reason := m.Limit.Takes(j.Clients); !ok {
		return fmt.Errorf("Job.Clients is %d, and it takes at most %d: %s", j.Clients, m.Limit.Conns, reason)
	}
	if err := m.Check(); err != nil {
		return err
	}
	if j.Counter != nil {
		j.Service.count = j.Counter.n
	}
	if j.Log == nil {
		j.Log = slog.Default()
	}
	return m.serve(ctx, j)
}

// All are the models, in the order of the textbook: from one client at a time to coroutines.
func All() []Model {
	return []Model{blocking, busy, threads, processes, goroutines,
		onLoop("select"), onLoop("poll"), onLoop("epoll"), onLoop("io_uring"), coroutines}
}

// ErrUnknown is a model's name that there is not.
var ErrUnknown = errors.New("unknown model")

// Find is the model of that name.
func Find(name string) (Model, error) {
	var names []string
	for _, m := range All() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("%w %q: there are %s", ErrUnknown, name, strings.Join(names, ", "))
}
