// Package mqtest is the suite that holds any backend of package mq to its contract.
//
//	func TestSuite(t *testing.T) {
//		mqtest.Run(t, func(t *testing.T) *mq.Broker { … mq.Open(ctx, url) … })
//	}
package mqtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// patience is how long what has to come may take: only a test that fails waits for that long.
const patience = 3 * time.Minute

// Open opens one more connection to the broker that is tested, the same for the whole Run. The suite closes it.
type Open func(t *testing.T) *mq.Broker

// Options are those that Open should use: the log of jobs that are made to fail is of no interest.
func Options() mq.Options { return mq.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))} }

// Broker opens a broker with Options, which ends with the test if it is not closed before.
func Broker(t *testing.T, url string) *mq.Broker {
	t.Helper()
	b, err := Options().Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // the tests of Close are others
	return b
}

// Run runs the suite, each test in a queue of its own, and leaves out what the backend says that it can't.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		f    func(t *testing.T, r *rig)
	}{
		{"Capabilities", testCapabilities}, {"RoundTrip", testRoundTrip}, {"BigBody", testBigBody},
		{"Batch", testBatch}, {"Groups", testGroups}, {"Retry", testRetry}, {"HistoryTravels", testHistoryTravels},
		{"Later", testLater}, {"DeadAfterTries", testDeadAfterTries}, {"DeadAtOnce", testDeadAtOnce},
		{"DeadPages", testDeadPages}, {"DeadFull", testDeadFull}, {"RedriveGroup", testRedriveGroup}, {"Panic", testPanic},
		{"Delay", testDelay}, {"Deadline", testDeadline}, {"Dedupe", testDedupe}, {"Ordered", testOrdered},
		{"OrderedRetry", testOrderedRetry}, {"OrderedDeath", testOrderedDeath}, {"Priorities", testPriorities},
		{"InFlight", testInFlight}, {"Progress", testProgress}, {"SourceCloses", testSourceCloses}, {"Silent", testSilent},
		{"WorkerDies", testWorkerDies}, {"PoisonKills", testPoisonKills}, {"NextCancelled", testNextCancelled},
		{"Drain", testDrain}, {"DrainGivesBack", testDrainGivesBack}, {"CloseEndsConsume", testCloseEndsConsume},
		{"Full", testFull}, {"FullBytes", testFullBytes}, {"FullWaits", testFullWaits}, {"Settings", testSettings},
		{"Delete", testDelete}, {"CancelledPublish", testCancelledPublish}, {"Stats", testStats}, {"KV", testKV},
		{"KVExpiry", testKVExpiry}, {"KVSwapRace", testKVSwapRace},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := &rig{T: t, open: open, name: test.name + "-" + rand.Text()[:8]}
			r.b = r.broker()
			test.f(t, r)
		})
	}
}

// A rig is a test's broker and queue.
type rig struct {
	*testing.T
	open Open
	name string // of its queue
	b    *mq.Broker
}

// broker is one more connection.
func (r *rig) broker() *mq.Broker {
	r.Helper()
	b := r.open(r.T)
	r.Cleanup(func() {
		if err := b.Close(); err != nil {
			r.Errorf("close: %v", err)
		}
	})
	return b
}

// ctx ends with the test, and when that is late.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.Cleanup(cancel)
	return ctx
}

// queue opens the test's queue.
func (r *rig) queue(o mq.QueueOptions) *mq.Queue {
	r.Helper()
	q, err := r.b.Queue(r.ctx(), r.name, o)
	if err != nil {
		r.Fatal(err)
	}
	return q
}

// again is the test's queue at another connection.
func (r *rig) again(b *mq.Broker) *mq.Queue {
	r.Helper()
	q, err := b.Queue(r.ctx(), r.name, mq.QueueOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return q
}

func (r *rig) publish(q *mq.Queue, ms ...mq.Message) {
	r.Helper()
	if rs, err := q.PublishBatch(r.ctx(), ms); err != nil {
		r.Fatalf("publish: %v; receipts %+v", err, rs)
	}
}

// texts are jobs with these bodies.
func texts(bodies ...string) (ms []mq.Message) {
	for _, b := range bodies {
		ms = append(ms, mq.Message{Body: []byte(b)})
	}
	return ms
}

// A worker is a Consume that runs.
type worker struct {
	r    *rig
	stop context.CancelFunc
	done chan error
	once sync.Once
}

// consume starts a worker. The test's end stops it.
func (r *rig) consume(q *mq.Queue, c mq.Consumer, h mq.Handler) *worker {
	ctx, cancel := context.WithCancel(r.ctx())
	w := &worker{r: r, stop: cancel, done: make(chan error, 1)}
	go func() { w.done <- q.Consume(ctx, c, h) }()
	r.Cleanup(w.end)
	return w
}

// end stops it, and waits: Consume returns nil then.
func (w *worker) end() {
	w.once.Do(func() {
		w.stop()
		select {
		case err := <-w.done:
			if err != nil {
				w.r.Errorf("Consume returned %v after its context had ended", err)
			}
		case <-time.After(patience):
			w.r.Errorf("Consume goes on after its context has ended")
		}
	})
}

// fast tries again soon.
var fast = mq.Constant(10 * time.Millisecond)

// A tally notes what handlers were given.
type tally struct {
	mu   sync.Mutex
	jobs []*mq.Job
	news chan struct{}
}

func newTally() *tally { return &tally{news: make(chan struct{}, 1)} }

func (y *tally) note(j *mq.Job) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.jobs = append(y.jobs, j)
	select {
	case y.news <- struct{}{}:
	default:
	}
	return len(y.jobs)
}

func (y *tally) all() []*mq.Job {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.Clone(y.jobs)
}

func (y *tally) bodies() (all []string) {
	for _, j := range y.all() {
		all = append(all, string(j.Body))
	}
	return all
}

// wait waits until so many were noted.
func (y *tally) wait(r *rig, n int) []*mq.Job {
	r.Helper()
	late := time.After(patience)
	for {
		all := y.all()
		if len(all) >= n {
			return all
		}
		select {
		case <-y.news:
		case <-late:
			r.Fatalf("%d jobs came in %v, of %d: %q", len(all), patience, n, y.bodies())
		}
	}
}

// until waits for something that nothing tells.
func (r *rig) until(what string, is func() bool) {
	r.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// source subscribes without the core, to the group "default".
func (r *rig) source(b *mq.Broker, o mq.SubscribeOptions) (mq.BackendQueue, mq.Source) {
	r.Helper()
	q, err := b.Backend().OpenQueue(r.ctx(), r.name, mq.QueueOptions{})
	if err != nil {
		r.Fatal(err)
	}
	if err := q.Group(r.ctx(), "default"); err != nil {
		r.Fatal(err)
	}
	if o.InFlight == 0 {
		o.InFlight = 10
	}
	if o.Visibility == 0 {
		o.Visibility = 30 * time.Second
	}
	src, err := q.Subscribe(r.ctx(), "default", o)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = src.Close() })
	return q, src
}

// next takes so many jobs of a source.
func (r *rig) next(src mq.Source, n int) (ds []*mq.Delivery) {
	r.Helper()
	for len(ds) < n {
		more, err := src.Next(r.ctx(), n-len(ds))
		if err != nil || len(more) == 0 || len(more) > n-len(ds) {
			r.Fatalf("Next of %d: %d jobs, %v", n-len(ds), len(more), err)
		}
		ds = append(ds, more...)
	}
	return ds
}

// none holds that a source has no job, for as long as a fault would most likely take to show.
func (r *rig) none(src mq.Source, why string) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx(), 300*time.Millisecond)
	defer cancel()
	if ds, err := src.Next(ctx, 1); len(ds) > 0 {
		r.Fatalf("%s: a job %q came, attempt %d, %v", why, ds[0].Body, ds[0].Attempt, err)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		r.Fatalf("%s: Next, whose context has ended, returned %v", why, err)
	}
}

// counts waits until the broker has counted so: a job is gone from the queue before it is counted as done.
func (r *rig) counts(is func(s mq.Stats) bool) {
	r.Helper()
	defer func() {
		if r.Failed() {
			r.Logf("the counts are %+v", r.b.Stats())
		}
	}()
	r.until("the counts are right", func() bool { return is(r.b.Stats()) })
}

// empty waits until nothing is stored, where the broker tells what is.
func (r *rig) empty(q *mq.Queue) {
	r.Helper()
	var s mq.QueueStats
	r.until("the queue is empty", func() (is bool) {
		var err error
		if s, err = q.Stats(r.ctx()); err != nil {
			r.Fatal(err)
		}
		return s.Jobs <= 0
	})
}

// needs skips a test of what the backend can't do.
func (r *rig) needs(can bool, what string) {
	if !can {
		r.Skipf("%s has no %s", r.b.Capabilities().Backend, what)
	}
}

func numbers(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

func testCapabilities(t *testing.T, r *rig) {
	have := r.b.Capabilities()
	for _, k := range mq.Backends() {
		if k.Can.Backend != have.Backend {
			continue
		}
		over := have.Durability > k.Can.Durability || have.Delay > k.Can.Delay || have.Dedupe > k.Can.Dedupe ||
			have.Priorities > k.Can.Priorities || have.Replicas > k.Can.Replicas
		over = over || have.Ordered && !k.Can.Ordered || have.Bounded && !k.Can.Bounded || have.KV && !k.Can.KV ||
			have.SeesDeath && !k.Can.SeesDeath
		if over {
			t.Errorf("the broker says it can %+v, and mq.Backends %+v", have, k.Can)
		}
		if have.Durability == 0 || have.Priorities == 0 || have.Replicas == 0 {
			t.Errorf("%+v: a field is not set", have)
		}
		testLacks(t, r, have)
		return
	}
	t.Errorf("mq.Backends does not have %q", have.Backend)
}

// testLacks opens queues that ask for a bit too much.
func testLacks(t *testing.T, r *rig, have mq.Capabilities) {
	asks := map[string]mq.QueueOptions{
		"durability": {Durability: have.Durability + 1},
		"priorities": {Priorities: have.Priorities + 1},
		"replicas":   {Replicas: have.Replicas + 1},
	}
	if !have.Ordered {
		asks["order"] = mq.QueueOptions{Ordered: true}
	}
	if have.Delay < mq.Forever {
		asks["delay"] = mq.QueueOptions{Delay: have.Delay + 1}
	}
	if have.Dedupe < mq.Forever {
		asks["dedupe"] = mq.QueueOptions{Dedupe: have.Dedupe + 1}
	}
	for word, o := range asks {
		var lack *mq.CapabilityError
		if _, err := r.b.Queue(r.ctx(), r.name, o); !errors.As(err, &lack) || !strings.Contains(err.Error(), word) {
			t.Errorf("Queue with %+v: %v, want a CapabilityError about %s", o, err, word)
		}
	}
}
