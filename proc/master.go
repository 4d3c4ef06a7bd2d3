package proc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/sock"
)

// A Master binds the addresses, starts workers that serve them, and keeps them running. Fill in the fields and call
// Run; they must not change from then on.
type Master struct {
	// Entry is the name of what the workers run: see [Register].
	Entry string
	// Workers is how many there are at first (default one a core, at most MaxWorkers). TTIN and TTOU change it.
	Workers int
	// Addrs are the addresses to bind, as [plexor.Server.Open] takes them: tcp, tls, udp or unix, with socket options as a
	// query. What of a query is no socket option is the workers' matter. A worker gets a socket by naming its address
	// just as it stands here.
	Addrs []string
	// Config is handed to each worker ([Worker.Config]): whatever all of them must have the same.
	Config []byte
	// PIDFile is where the master's process id is written, with a line feed behind it; empty for nowhere. The file is
	// locked (flock(2)) while the master lives, so that a second one is refused and one that a dead master left is
	// known as such. It is removed at the end.
	PIDFile string

	// ReadyTimeout is how long a worker may take until it calls Ready (default 30 s). It is killed then.
	ReadyTimeout time.Duration
	// Drain is how long a worker that is to end may go on with what it has (default 10 s).
	Drain time.Duration
	// Backoff is how long the master waits before it starts a worker again that died (default 100 ms); it doubles with
	// each death in a row, up to 10 s. Steady is how long a worker has to be ready before its death is the first of a row
	// again (default 10 s), and Deaths how many in a row make the master give up (default 10): it then ends the
	// others, and Run returns a *GaveUpError. A worker that the system gives no process for (a limit of processes or
	// descriptors, no memory) is tried again with the same waits: for ever while another one serves, else Deaths times.
	Backoff time.Duration
	Steady  time.Duration
	Deaths  int

	// OnReady, if set, is called when all workers are ready for the first time, with the addresses in the order of Addrs,
	// port and all, and what the first worker had to say for itself when it called Ready.
	OnReady func(addrs []sock.Addr, status string)
	// Log gets what happens to the workers (default slog.Default()).
	Log *slog.Logger
}

// MaxWorkers bounds how many workers there can be.
const MaxWorkers = 1024

// The defaults, and the bounds that are no choice.
const (
	defaultReadyTimeout = 30 * time.Second
	defaultDrain        = 10 * time.Second
	defaultBackoff      = 100 * time.Millisecond
	defaultSteady       = 10 * time.Second
	defaultDeaths       = 10

	longestBackoff = 10 * time.Second
	killGrace      = 5 * time.Second  // after a worker's time is over, until it is killed
	tellTime       = 10 * time.Second // how long a child may leave what it is told unread
)

// ErrUnavailable is what Run and NewPool return on systems where processes can't share sockets in this way; errors.Is
// finds errors.ErrUnsupported in it.
var ErrUnavailable = fmt.Errorf("proc: worker processes need Unix (Linux, macOS, a BSD): serve in this process, "+
	"without a Master: %w", errors.ErrUnsupported)

// A GaveUpError is why a master ended by itself.
type GaveUpError struct {
	Worker int    // its number
	Deaths int    // in a row; 0: it could not even begin, when the master started
	Starts int    // in a row that failed: the system gave no process (Deaths is 0 then)
	Reason string // of the last one
}

func (e *GaveUpError) Error() string {
	switch {
	case e.Starts > 1:
		return fmt.Sprintf("proc: gave up: worker %d could not be started, %d times in a row, at last by this: %s", e.Worker,
			e.Starts, e.Reason)
	case e.Deaths == 0:
		return fmt.Sprintf("proc: worker %d could not start: %s", e.Worker, e.Reason)
	}
	return fmt.Sprintf("proc: gave up: worker %d died %d times in a row, at last by this: %s", e.Worker, e.Deaths,
		e.Reason)
}

// ErrCut is what Run returns when the master was told to drain and a worker had to be cut off.
var ErrCut = errors.New("proc: a worker did not come to its end in time")

// Run binds, serves and returns when all has ended: nil after a signal or when ctx is done, if every worker came to its
// end; otherwise why not (ErrCut, *GaveUpError, or what kept it from starting). It must be called once in a process,
// after [Main], by a goroutine that is no loop's. What each signal does is in the package's documentation; ctx does
// what TERM does.
func (m *Master) Run(ctx context.Context) error {
	stack.Given("proc: Master.Run", "the context", ctx != nil)
	c, err := m.withDefaults()
	if err != nil {
		return err
	}
	return c.run(ctx)
}

// withDefaults checks m and returns a copy that is filled in.
func (m *Master) withDefaults() (*Master, error) {
	c := *m
	if c.Log == nil {
		c.Log = slog.Default()
	}
	switch {
	case !registered(c.Entry):
		return nil, fmt.Errorf("proc: Master.Entry is %q, and nothing is registered by that name: call proc.Register "+
			"before proc.Main", c.Entry)
	case c.Workers == 0:
		c.Workers = min(cores(), MaxWorkers)
	case c.Workers < 0 || c.Workers > MaxWorkers:
		return nil, fmt.Errorf("proc: Master.Workers is %d: want 1 to %d, or 0 for one a core", c.Workers, MaxWorkers)
	}
	for _, f := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"ReadyTimeout", &c.ReadyTimeout, defaultReadyTimeout},
		{"Drain", &c.Drain, defaultDrain},
		{"Backoff", &c.Backoff, defaultBackoff},
		{"Steady", &c.Steady, defaultSteady},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			return nil, fmt.Errorf("proc: Master.%s is %v: it must be positive, or 0 for the default of %v", f.name, *f.v, f.def)
		}
	}
	if c.Deaths == 0 {
		c.Deaths = defaultDeaths
	}
	if c.Deaths < 0 {
		return nil, fmt.Errorf("proc: Master.Deaths is %d: it must be positive, or 0 for the default of %d", c.Deaths,
			defaultDeaths)
	}
	return &c, nil
}
