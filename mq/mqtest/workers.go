package mqtest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

func testInFlight(t *testing.T, r *rig) {
	const n, most = 30, 4
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts(numbers("f", n)...)...)
	var now, peak atomic.Int64
	y := newTally()
	full, gate := make(chan struct{}, n), make(chan struct{})
	r.consume(q, mq.Consumer{InFlight: most}, func(_ context.Context, j *mq.Job) error {
		for v := now.Add(1); ; {
			if p := peak.Load(); v <= p || peak.CompareAndSwap(p, v) {
				break
			}
		}
		full <- struct{}{}
		<-gate
		y.note(j)
		now.Add(-1)
		return nil
	})
	for range most { // so many are handled at once
		select {
		case <-full:
		case <-time.After(patience):
			t.Fatalf("%d jobs are handled at once, want %d", now.Load(), most)
		}
	}
	close(gate)
	y.wait(r, n)
	if p := peak.Load(); p != most {
		t.Errorf("%d jobs were handled at once, want %d", p, most)
	}
	r.empty(q)
}

// testProgress: a handler that takes longer than Visibility keeps its job.
func testProgress(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	y := newTally()
	h := func(ctx context.Context, j *mq.Job) error {
		y.note(j)
		select {
		case <-time.After(3500 * time.Millisecond):
		case <-ctx.Done():
			t.Errorf("the handler's context ended: %v", context.Cause(ctx))
		}
		return nil
	}
	c := mq.Consumer{Visibility: 2 * time.Second}
	r.consume(q, c, h)
	other := r.broker()
	r.consume(r.again(other), c, h) // to whom it would go
	r.until("it is done", func() bool { return r.b.Stats().Done+other.Stats().Done > 0 })
	r.empty(q)
	if n := len(y.all()); n != 1 {
		t.Errorf("the job was handed out %d times", n)
	}
}

// testSourceCloses: what a source has when it closes is handed out again, and counts as handed out before.
func testSourceCloses(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	_, src := r.source(r.b, mq.SubscribeOptions{Visibility: time.Second})
	r.next(src, 1)
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if ds, err := src.Next(r.ctx(), 1); !errors.Is(err, mq.ErrClosed) || len(ds) > 0 {
		t.Errorf("Next after Close: %d jobs, %v; want ErrClosed", len(ds), err)
	}
	_, other := r.source(r.broker(), mq.SubscribeOptions{Visibility: time.Second})
	d := r.next(other, 1)[0]
	if string(d.Body) != "x" || d.Attempt != 2 {
		t.Errorf("%s came, attempt %d", d.Body, d.Attempt)
	}
	if err := other.Ack(r.ctx(), d); err != nil {
		t.Error(err)
	}
	r.empty(q)
}

// testSilent: a job whose worker gives no sign of life is handed out again, not before Visibility is over; one whose
// worker extends it is not.
func testSilent(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("silent", "alive")...)
	const visibility = 4 * time.Second
	_, src := r.source(r.b, mq.SubscribeOptions{Visibility: visibility})
	begin := time.Now()
	ds := r.next(src, 2)
	silent, alive := ds[0], ds[1]
	if string(silent.Body) != "silent" {
		silent, alive = alive, silent
	}
	ctx, cancel := context.WithCancel(r.ctx())
	signs := make(chan struct{})
	var lost error
	var late time.Duration // the longest time between two
	go func() {
		defer close(signs)
		tick := time.NewTicker(visibility / 5)
		defer tick.Stop()
		for last := begin; ; {
			err := src.Extend(ctx, alive)
			now := time.Now()
			late, last = max(late, now.Sub(last)), now
			if ctx.Err() != nil {
				return
			}
			if lost = err; err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	_, other := r.source(r.broker(), mq.SubscribeOptions{Visibility: visibility}) // a busy machine needs seconds for it
	d := r.next(other, 1)[0]
	if string(d.Body) != "silent" {
		cancel()
		if <-signs; late > visibility/2 {
			t.Skipf("the machine let nobody extend the job for %v: it came, %v", late, lost)
		}
	}
	if took := time.Since(begin); took < visibility-100*time.Millisecond {
		t.Errorf("the job was handed out again after %v, want %v", took, visibility)
	}
	if string(d.Body) != "silent" || d.Attempt != 2 {
		t.Errorf("%s came, attempt %d", d.Body, d.Attempt)
	}
	if err := other.Ack(r.ctx(), d); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{"Ack": src.Ack(r.ctx(), silent), "Extend": src.Extend(r.ctx(), silent)} {
		if err != nil && !errors.Is(err, mq.ErrLost) {
			t.Errorf("%s of a job that is another's: %v, want ErrLost, or nil where nobody can tell", name, err)
		}
	}
	cancel()
	<-signs
	err := errors.Join(lost, src.Ack(r.ctx(), alive))
	if err != nil && late > visibility/2 {
		t.Skipf("the machine let nobody extend the job for %v: %v", late, err)
	} else if err != nil {
		t.Error(err)
	}
	r.empty(q)
}

// testWorkerDies: the jobs of a connection that breaks go to others, at once or after Visibility.
func testWorkerDies(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	visibility := time.Second
	if r.b.Capabilities().SeesDeath {
		visibility = patience
	}
	dying := r.open(t)
	_, src := r.source(dying, mq.SubscribeOptions{Visibility: visibility})
	r.next(src, 1)
	if r.b.Capabilities().SeesDeath {
		_ = src.Close() // in memory nothing dies but the process
	}
	_ = dying.Backend().Close()
	died := time.Now()
	_, other := r.source(r.broker(), mq.SubscribeOptions{Visibility: visibility})
	d := r.next(other, 1)[0]
	t.Logf("it was handed out again %v after the death", time.Since(died).Round(time.Millisecond))
	if d.Attempt != 2 {
		t.Errorf("attempt %d, want 2", d.Attempt)
	}
	if err := other.Ack(r.ctx(), d); err != nil {
		t.Error(err)
	}
	r.empty(q)
	_ = dying.Close()
}

// testPoisonKills: a job that kills each of its workers is dead in the end.
func testPoisonKills(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("poison")...)
	_, src := r.source(r.b, mq.SubscribeOptions{Visibility: time.Second})
	for i := range 2 {
		if d := r.next(src, 1)[0]; d.Attempt != i+1 {
			t.Errorf("attempt %d, want %d", d.Attempt, i+1)
		}
	}
	y := newTally()
	r.consume(q, mq.Consumer{Tries: 2, Visibility: time.Second}, func(_ context.Context, j *mq.Job) error {
		y.note(j)
		return nil
	})
	d := r.dead(q, 1)[0]
	f := d.History.Failures
	if len(f) != 1 || f[0].Try != 2 || f[0].Worker != "" || !strings.Contains(f[0].Why, "died") || len(y.all()) > 0 {
		t.Errorf("the history is %+v, and %d handlers ran", d.History, len(y.all()))
	}
	r.empty(q)
}

// testNextCancelled: a Next that is cancelled takes no job along.
func testNextCancelled(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	_, src := r.source(r.b, mq.SubscribeOptions{InFlight: 3, Visibility: patience})
	why := errors.New("enough")
	for range 5 {
		ctx, cancel := context.WithCancelCause(r.ctx())
		got := make(chan error, 1)
		go func() {
			ds, err := src.Next(ctx, 3)
			if len(ds) > 0 {
				t.Errorf("%d jobs came, of none", len(ds))
			}
			got <- err
		}()
		cancel(why)
		select {
		case err := <-got:
			if !errors.Is(err, why) {
				t.Errorf("a Next that was cancelled returned %v, want the cause", err)
			}
		case <-time.After(patience):
			t.Fatal("a Next that was cancelled goes on")
		}
	}
	r.publish(q, texts("1", "2", "3", "4")...)
	for _, d := range r.next(src, 3) { // all of its places are free
		if err := src.Ack(r.ctx(), d); err != nil {
			t.Error(err)
		}
	}
	if err := src.Ack(r.ctx(), r.next(src, 1)[0]); err != nil {
		t.Error(err)
	}
	r.empty(q)
}

// testDrain: what runs when a Consume is to end is finished, and no more is begun.
func testDrain(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("1", "2", "3")...)
	y := newTally()
	gate := make(chan struct{})
	w := r.consume(q, mq.Consumer{InFlight: 2, Drain: patience}, func(ctx context.Context, j *mq.Job) error {
		y.note(j)
		<-gate
		return ctx.Err()
	})
	y.wait(r, 2)
	w.stop()
	select {
	case err := <-w.done:
		t.Fatalf("Consume returned %v while handlers ran", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(gate)
	w.end()
	if s := r.b.Stats(); s.Done != 2 || s.Started != 2 || s.InFlight != 0 {
		t.Errorf("the counts are %+v", s)
	}
	_, src := r.source(r.broker(), mq.SubscribeOptions{}) // the third one waits for others
	d := r.next(src, 1)[0]
	if d.Attempt != 1 {
		t.Errorf("%s: attempt %d, want 1", d.Body, d.Attempt)
	}
	if err := src.Ack(r.ctx(), d); err != nil {
		t.Error(err)
	}
	r.empty(q)
}

// testDrainGivesBack: a handler that takes too long is cancelled, and its job given back at once.
func testDrainGivesBack(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	y := newTally()
	w := r.consume(q, mq.Consumer{Drain: 50 * time.Millisecond, Visibility: patience, Tries: 1},
		func(ctx context.Context, j *mq.Job) error {
			y.note(j)
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), mq.ErrDrained) {
				t.Errorf("the cause is %v, want ErrDrained", context.Cause(ctx))
			}
			return ctx.Err()
		})
	y.wait(r, 1)
	w.end()
	if s := r.b.Stats(); s.Returned != 1 || s.Buried != 0 {
		t.Errorf("the counts are %+v", s)
	}
	r.consume(q, mq.Consumer{Tries: 1}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	if j := y.wait(r, 2)[1]; j.Try != 1 {
		t.Errorf("try %d: the one that the drain ended does not count", j.Try)
	}
	r.empty(q)
}

func testCloseEndsConsume(t *testing.T, r *rig) {
	b := r.broker()
	q := r.again(b)
	r.publish(q, texts("x")...)
	y := newTally()
	done := make(chan error, 1)
	go func() {
		done <- q.Consume(r.ctx(), mq.Consumer{}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	}()
	y.wait(r, 1)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Consume returned %v when the Broker was closed", err)
		}
	case <-time.After(patience):
		t.Fatal("Consume goes on after the Broker was closed")
	}
	if _, err := q.Publish(r.ctx(), mq.Message{}); !errors.Is(err, mq.ErrClosed) || mq.StoredBy(err) != mq.NotStored {
		t.Errorf("Publish after Close: %v", err)
	}
	if err := q.Consume(r.ctx(), mq.Consumer{}, func(context.Context, *mq.Job) error { return nil }); !errors.Is(err,
		mq.ErrClosed) {
		t.Errorf("Consume after Close: %v", err)
	}
	r.empty(r.queue(mq.QueueOptions{}))
}
