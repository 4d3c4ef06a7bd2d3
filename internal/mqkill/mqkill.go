// Package mqkill hunts, for tests, for jobs that are lost: producers and workers are processes of their own, and they
// and the broker are killed in rotation (SIGKILL), while each job is accounted for. A job whose Publish returned nil
// must be done in the end; how often one is done more than once is counted.
//
//	func TestMain(m *testing.M) { mqkill.Main(); os.Exit(leak.Main(m)) }
package mqkill

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
)

// Long is how long the kills go on; a run of CI has a few of each kind.
var Long = flag.Duration("mqkill.time", 0, "how long producers, workers and brokers are killed (default: one round)")

// Queue is the queue that the jobs are in.
const Queue = "killed"

const (
	role     = "PLEXOR_MQKILL" // producer, worker or slow worker, of a process that is one
	where    = "PLEXOR_MQKILL_URL"
	patience = time.Minute
	lanes    = 8                      // publishes of a producer at once
	progress = 40                     // jobs that are stored, and done, between two kills
	stopped  = 300 * time.Millisecond // a broker that stands still
	shortest = 2 * time.Second        // Consumer.Visibility
	hasty    = 300 * time.Millisecond // for a publish of every second lane; the others wait for as long as it takes
)

// Main is the whole life of a producer or a worker, and returns at once in another process.
func Main() {
	var err error
	switch os.Getenv(role) {
	case "producer":
		err = produce(os.Getenv(where))
	case "worker":
		err = work(os.Getenv(where))
	case "slow worker":
		err = workSlowly(os.Getenv(where))
	default:
		return
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// open insists: the broker may be dead just now.
func open(url string) (*mq.Broker, *mq.Queue) {
	o := mq.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		b, err := o.Open(ctx, url)
		var q *mq.Queue
		if err == nil {
			q, err = b.Queue(ctx, Queue, mq.QueueOptions{})
		}
		cancel()
		if err == nil {
			return b, q
		}
		if b != nil {
			_ = b.Close() // the next one is tried
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// produce publishes until it is killed, and says what is known of each job.
func produce(url string) error {
	_, q := open(url)
	var mu sync.Mutex
	for lane := range lanes {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), lane, n)
				ctx, cancel := context.Background(), context.CancelFunc(func() {})
				if lane%2 == 1 {
					ctx, cancel = context.WithTimeout(ctx, hasty)
				}
				_, err := q.Publish(ctx, mq.Message{ID: id, Body: []byte(id)})
				cancel()
				mu.Lock()
				fmt.Println(strings.ReplaceAll(mq.StoredBy(err).String(), " ", ""), id)
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		}()
	}
	_, err := io.Copy(io.Discard, os.Stdin) // it ends with its parent
	return err
}

// work does jobs until it is killed, and says which.
func work(url string) error {
	_, q := open(url)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends with its parent
		os.Exit(1)
	}()
	var mu sync.Mutex
	c := mq.Consumer{InFlight: lanes, Tries: 1000, Visibility: shortest, Retry: mq.Constant(10 * time.Millisecond)}
	return q.Consume(context.Background(), c, func(_ context.Context, j *mq.Job) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Println("done", string(j.Body))
		return err
	})
}

// A ledger has what processes said of jobs.
type ledger struct {
	mu      sync.Mutex
	stored  map[string]bool
	perhaps map[string]bool
	not     map[string]bool
	done    map[string]int
	total   int
	failed  map[string]int // publishes of which it was not known that they were stored, by lane: PID-LANE
	has     map[string]int // by slow workers, so often
}

func newLedger() *ledger {
	return &ledger{stored: make(map[string]bool), perhaps: make(map[string]bool), not: make(map[string]bool),
		done: make(map[string]int), failed: make(map[string]int), has: make(map[string]int)}
}

func (l *ledger) note(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what, id, _ := strings.Cut(line, " ")
	switch what {
	case "stored":
		l.stored[id] = true
	case "perhapsstored":
		l.perhaps[id] = true
		l.failed[id[:strings.LastIndexByte(id, '-')]]++
	case "notstored":
		l.not[id] = true
		l.failed[id[:strings.LastIndexByte(id, '-')]]++
	case "has":
		l.has[id]++
	case "done":
		l.done[id]++
		l.total++
	}
}

func (l *ledger) count() (stored, done int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored), l.total
}

// missing are the jobs that were stored and not done.
func (l *ledger) missing() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.stored {
		if l.done[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// A child is a producer or a worker.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	read chan struct{} // closed when all is read that it said
}

func (l *ledger) start(t *testing.T, what, url string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+what, where+"="+url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd, in, make(chan struct{})}
	go func() {
		defer close(c.read)
		for s := bufio.NewReader(out); ; {
			line, err := s.ReadString('\n')
			if err != nil {
				return // a line that was cut says nothing
			}
			l.note(strings.TrimSuffix(line, "\n"))
		}
	}()
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.read
	_ = c.cmd.Wait() // it was killed
	_ = c.in.Close() // likewise
}

// Run kills in rotation: a worker, a producer, the broker (which is started again), and stops the broker for a while.
func Run(t *testing.T, url string, b *brokers.Broker) {
	l := newLedger()
	roles := []string{"worker", "worker", "producer", "producer"}
	all := make([]*child, len(roles))
	for i, r := range roles {
		all[i] = l.start(t, r, url)
	}
	defer func() {
		for _, c := range all {
			if c != nil {
				c.kill()
			}
		}
	}()
	begin, kills := time.Now(), 0
	goOn := func() bool { return kills < len(roles)+2 || time.Since(begin) < *Long }
	for ; goOn(); kills++ {
		l.advance(t, b.Log, progress)
		switch i := kills % (len(roles) + 2); i {
		case len(roles):
			b.Kill()
			if err := b.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		case len(roles) + 1:
			b.Pause()
			<-time.After(stopped)
			b.Resume()
		default:
			all[i].kill()
			all[i] = l.start(t, roles[i], url)
		}
	}
	l.advance(t, b.Log, progress)
	for i, r := range roles {
		if r == "producer" {
			all[i].kill()
			all[i] = nil
		}
	}
	l.settle(t, fmt.Sprintf("%d kills and stops", kills))
}

// advance waits until so many more jobs are stored, and done.
func (l *ledger) advance(t *testing.T, log func() string, n int) {
	t.Helper()
	stored, done := l.count()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s, d := l.count()
		if s >= stored+n && d >= done+n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d jobs were stored and %d done in %v, of %d: nothing goes on; the broker says\n%s", s-stored, d-done,
				patience, n, log())
		}
	}
}

// settle waits until all that was stored is done, and says what was seen.
func (l *ledger) settle(t *testing.T, after string) {
	t.Helper()
	for end := time.Now().Add(patience); len(l.missing()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d jobs are lost, of %d: %.200q", len(l.missing()), len(l.stored), l.missing())
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	twice := 0
	for id, n := range l.done {
		twice += n - 1
		if l.not[id] {
			t.Errorf("job %s was not stored, said Publish, and is done", id)
		}
	}
	t.Logf("%s: %d jobs stored, %d perhaps, %d not; %d done; %d times one more than once; lost: 0", after, len(l.stored),
		len(l.perhaps), len(l.not), len(l.done), twice)
}
