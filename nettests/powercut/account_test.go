package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
	"github.com/plexor-go/plexor/mq"
)

// An account has what is known of each job. Its methods are for any number of goroutines.
type account struct {
	mu              sync.Mutex
	serial          int
	stored, perhaps map[string]bool
	not             int            // jobs
	done            map[string]int // how often
	quickest        time.Duration  // of the publishes that were stored
	longest         time.Duration  // likewise
}

func newAccount() *account {
	return &account{stored: make(map[string]bool), perhaps: make(map[string]bool), done: make(map[string]int),
		quickest: math.MaxInt64}
}

// publish publishes one job of so many bytes, and notes what it was told.
func (a *account) publish(ctx context.Context, q *mq.Queue, bytes int) error {
	a.mu.Lock()
	a.serial++
	id := fmt.Sprint("job-", a.serial)
	a.mu.Unlock()
	begin := time.Now()
	_, err := q.Publish(ctx, mq.Message{ID: id, Body: []byte(strings.Repeat(" ", bytes))})
	a.mu.Lock()
	defer a.mu.Unlock()
	switch mq.StoredBy(err) {
	case mq.IsStored:
		a.stored[id] = true
		took := time.Since(begin)
		a.quickest, a.longest = min(a.quickest, took), max(a.longest, took)
	case mq.PerhapsStored:
		a.perhaps[id] = true
	default:
		a.not++
	}
	return err
}

// do notes a job that is done.
func (a *account) do(_ context.Context, j *mq.Job) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done[j.ID]++
	return nil
}

// count is how many are stored.
func (a *account) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.stored)
}

// missing are the jobs that are stored and not done.
func (a *account) missing() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(func(yield func(string) bool) {
		for id := range a.stored {
			if a.done[id] == 0 && !yield(id) {
				return
			}
		}
	})
}

// settle does jobs until all that are stored are done, and then those that come within a moment, and looks at the
// account: none is lost, and what came was published.
func (a *account) settle(t *testing.T, q *mq.Queue) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	over := make(chan error, 1)
	go func() { over <- q.Consume(ctx, mq.Consumer{Visibility: 10 * time.Second}, a.do) }()
	looks := time.NewTicker(20 * time.Millisecond)
	defer looks.Stop()
	for len(a.missing()) > 0 && ctx.Err() == nil {
		<-looks.C
	}
	if ctx.Err() == nil {
		<-time.After(200 * time.Millisecond) // for those that are perhaps there, which are welcome and not waited for
	}
	stop()
	if err := <-over; err != nil {
		t.Errorf("consume: %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	came := 0
	for _, id := range slices.Sorted(maps.Keys(a.done)) {
		if a.perhaps[id] {
			came++
		} else if !a.stored[id] {
			t.Errorf("%s is done, and was said not to be stored", id)
		}
	}
	lost := 0
	for id := range a.stored {
		if a.done[id] == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged jobs are lost", lost, len(a.stored))
	}
	t.Logf("%d jobs were acknowledged, after up to %v, and %d of them lost; %d perhaps stored, and %d of them came; %d "+
		"not stored; %d came twice", len(a.stored), a.longest, lost, len(a.perhaps), came, a.not, a.twiceLocked())
}

// twice is how many jobs were done more than once.
func (a *account) twice() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.twiceLocked()
}

func (a *account) twiceLocked() (n int) {
	for _, times := range a.done {
		if times > 1 {
			n++
		}
	}
	return n
}

// start starts a broker with its data in dir, on a disk.
func start(t *testing.T, k brokers.Kind, dir string, args ...string) *brokers.Broker {
	t.Helper()
	b, err := brokers.Start(t.Context(), k, dir, args...)
	if errors.Is(err, brokers.ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// open opens a queue of a broker.
func open(t *testing.T, url string, o mq.QueueOptions) *mq.Queue {
	t.Helper()
	b, err := mq.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	q, err := b.Queue(t.Context(), "jobs", o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// run starts a broker again that was killed.
func run(t *testing.T, b *brokers.Broker) {
	t.Helper()
	b.Kill()
	if err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}
