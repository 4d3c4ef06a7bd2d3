package mqtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

// An order notes the jobs of each key, and those that overlap.
type order struct {
	mu    sync.Mutex
	keys  map[string][]string
	under map[string]string
	fault string
}

func newOrder() *order {
	return &order{keys: make(map[string][]string), under: make(map[string]string)}
}

func (o *order) begin(j *mq.Job) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if other, ok := o.under[j.Key]; ok {
		o.fault = fmt.Sprintf("%s and %s, of key %s, at once", other, j.Body, j.Key)
	}
	o.under[j.Key] = string(j.Body)
	o.keys[j.Key] = append(o.keys[j.Key], string(j.Body))
}

func (o *order) end(j *mq.Job) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.under, j.Key)
}

// keyed are jobs of some keys, mixed.
func keyed(keys, each int) (ms []mq.Message) {
	for i := range each {
		for k := range keys {
			ms = append(ms, mq.Message{Key: fmt.Sprint("k", k), Body: fmt.Appendf(nil, "%03d", i)})
		}
	}
	return ms
}

func (o *order) check(t *testing.T, keys, each int) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fault != "" {
		t.Error(o.fault)
	}
	for k := range keys {
		got := o.keys[fmt.Sprint("k", k)]
		if again := slices.Compact(slices.Clone(got)); !slices.IsSorted(got) || len(again) != each {
			t.Errorf("key %d: the jobs came as %q", k, got)
		}
	}
}

// testOrdered: three workers at three connections, and the jobs of a key come one after another.
func testOrdered(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Ordered, "order")
	const keys, each = 10, 20
	q := r.queue(mq.QueueOptions{Ordered: true})
	r.publish(q, keyed(keys, each)...)
	o, y := newOrder(), newTally()
	for range 3 {
		r.consume(r.again(r.broker()), mq.Consumer{}, func(_ context.Context, j *mq.Job) error {
			o.begin(j)
			y.note(j)
			o.end(j)
			return nil
		})
	}
	y.wait(r, keys*each)
	r.empty(q)
	o.check(t, keys, each)
}

// testOrderedRetry: a job that fails, is given back, or dies holds up those after it until it is done or dead.
func testOrderedRetry(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Ordered, "order")
	const keys, each = 3, 6
	q := r.queue(mq.QueueOptions{Ordered: true, Partitions: 4})
	o, y := newOrder(), newTally()
	for range 2 {
		r.consume(r.again(r.broker()), mq.Consumer{Retry: mq.Constant(50 * time.Millisecond), Tries: 3},
			func(_ context.Context, j *mq.Job) error {
				o.begin(j)
				defer o.end(j)
				switch {
				case string(j.Body) == "001" && j.Try < 3:
					return errNo
				case string(j.Body) == "002":
					return errNo // it will be dead
				case string(j.Body) == "003" && y.note(j)%2 == 1:
					return mq.Later(20*time.Millisecond, nil)
				}
				return nil
			})
	}
	r.publish(q, keyed(keys, each)...)
	r.dead(q, keys)
	r.empty(q)
	o.check(t, keys, each)
}

// testOrderedDeath: a worker dies with the first job of a key; nobody gets the second one before that is done.
func testOrderedDeath(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Ordered, "order")
	q := r.queue(mq.QueueOptions{Ordered: true, Partitions: 2})
	r.publish(q, keyed(1, 5)...)
	dying := r.open(t)
	_, src := r.source(dying, mq.SubscribeOptions{Visibility: time.Second})
	if d := r.next(src, 1)[0]; string(d.Body) != "000" {
		t.Fatalf("the first job is %s", d.Body)
	}
	r.none(src, "the job before it is not settled")
	if err := dying.Backend().Close(); err != nil {
		t.Fatal(err)
	}
	o, y := newOrder(), newTally()
	r.consume(q, mq.Consumer{Visibility: time.Second}, func(_ context.Context, j *mq.Job) error {
		o.begin(j)
		defer o.end(j)
		y.note(j)
		return nil
	})
	if j := y.wait(r, 5)[0]; string(j.Body) != "000" || j.Try != 2 {
		t.Errorf("after the death %s came first, try %d", j.Body, j.Try)
	}
	r.empty(q)
	o.check(t, 1, 5)
	_ = dying.Close()
}
