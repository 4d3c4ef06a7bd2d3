package mqtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

func testFull(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Bounded, "bounds")
	q := r.queue(mq.QueueOptions{MaxJobs: 5})
	rs, err := q.PublishBatch(r.ctx(), texts(numbers("j", 8)...))
	if !errors.Is(err, mq.ErrFull) || mq.StoredBy(err) != mq.NotStored {
		t.Errorf("8 jobs for 5 places: %v, want ErrFull, and not stored", err)
	}
	for i, rec := range rs {
		if full := errors.Is(rec.Err, mq.ErrFull); full != (i >= 5) || rec.Err != nil && !full {
			t.Errorf("receipt %d: %v", i, rec.Err)
		}
	}
	y := newTally()
	r.consume(q, mq.Consumer{InFlight: 1}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	y.wait(r, 5)
	r.empty(q)
	if got := y.bodies(); !slices.Equal(got, numbers("j", 5)) {
		t.Errorf("came: %q", got)
	}
	if _, err := q.Publish(r.ctx(), mq.Message{}); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	if s := r.b.Stats(); s.Refused != 3 || s.Published != 6 {
		t.Errorf("the counts are %+v", s)
	}
}

func testFullBytes(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Bounded, "bounds")
	q := r.queue(mq.QueueOptions{MaxBytes: 1 << 20})
	taken := 0
	for range 200 {
		_, err := q.Publish(r.ctx(), mq.Message{Body: make([]byte, 10<<10)})
		if errors.Is(err, mq.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken++
	}
	if taken < 50 || taken > 102 {
		t.Errorf("%d bodies of 10 KiB were taken, in 1 MiB", taken)
	}
}

// testFullWaits: a publisher that waits goes on when there is room, and ends with its context.
func testFullWaits(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Bounded, "bounds")
	q := r.queue(mq.QueueOptions{MaxJobs: 2, Wait: true})
	r.publish(q, texts("1", "2")...)
	ctx, cancel := context.WithTimeout(r.ctx(), 100*time.Millisecond)
	defer cancel()
	_, err := q.Publish(ctx, mq.Message{})
	if full := errors.Is(err, mq.ErrFull); err == nil || full != (mq.StoredBy(err) == mq.NotStored) {
		t.Errorf("a Publish that waited in vain: %v", err) // perhaps stored: its time was over in the midst of a try
	}
	y := newTally()
	done := make(chan error, 1)
	go func() {
		_, err := q.PublishBatch(r.ctx(), texts(numbers("w", 20)...))
		done <- err
	}()
	r.consume(q, mq.Consumer{}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	y.wait(r, 22)
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.empty(q)
}

func testSettings(t *testing.T, r *rig) {
	can := r.b.Capabilities()
	o := mq.QueueOptions{MaxJobs: 10, MaxDead: 7}
	if !can.Bounded {
		o = mq.QueueOptions{}
	}
	if can.Dedupe > 0 {
		o.Dedupe = time.Minute
	}
	r.queue(o)
	other := r.broker()
	for range 2 { // by another connection, and again by that
		q, err := other.Queue(r.ctx(), r.name, o)
		if err != nil {
			t.Fatalf("open it as it is: %v", err)
		}
		s := q.Settings()
		if s.Dedupe != o.Dedupe || can.Bounded && (s.MaxJobs != o.MaxJobs || s.MaxDead != o.MaxDead) {
			t.Errorf("its settings are %+v, want %+v", s, o)
		}
	}
	if _, err := other.Queue(r.ctx(), r.name, mq.QueueOptions{}); err != nil {
		t.Errorf("open it with no wishes: %v", err)
	}
	wishes := map[string]mq.QueueOptions{}
	if can.Bounded {
		wishes["MaxJobs"], wishes["MaxDead"] = mq.QueueOptions{MaxJobs: 11}, mq.QueueOptions{MaxDead: 8}
	}
	if can.Dedupe > 0 {
		wishes["Dedupe"] = mq.QueueOptions{Dedupe: time.Hour}
	}
	if can.Ordered {
		wishes["Ordered"] = mq.QueueOptions{Ordered: true}
	}
	for name, o := range wishes {
		for _, b := range []*mq.Broker{other, r.broker()} { // which has it open, and which has not
			var differ *mq.SettingsError
			_, err := b.Queue(r.ctx(), r.name, o)
			if !errors.As(err, &differ) || differ.Setting != name || differ.Queue != r.name {
				t.Errorf("open it with %s: %v, want a SettingsError", name, err)
			}
		}
	}
}

func testDelete(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("1", "2")...)
	w := r.consume(q, mq.Consumer{InFlight: 1}, func(context.Context, *mq.Job) error { return mq.Dead(nil) })
	r.dead(q, 1)
	w.end()
	b := r.broker()
	names, err := b.Queues(r.ctx())
	if err != nil || !slices.Contains(names, r.name) || !slices.IsSorted(names) {
		t.Errorf("the queues are %q, %v; want %q among them", names, err, r.name)
	}
	if err := b.Delete(r.ctx(), r.name); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(r.ctx(), r.name); !errors.Is(err, mq.ErrNoQueue) {
		t.Errorf("delete it again: %v, want ErrNoQueue", err)
	}
	if names, err := b.Queues(r.ctx()); err != nil || slices.Contains(names, r.name) {
		t.Errorf("after the delete the queues are %q, %v", names, err)
	}
	ctx, cancel := context.WithTimeout(r.ctx(), 5*time.Second)
	defer cancel()
	if _, err := q.Publish(ctx, mq.Message{}); err == nil {
		t.Error("a job was taken for a queue that is not there")
	}
	q = r.again(b)
	if ds, err := q.Dead(r.ctx(), "", 10); err != nil || len(ds) > 0 {
		t.Errorf("a new queue has the old one's dead: %+v, %v", ds, err)
	}
	r.publish(q, texts("new")...)
	y := newTally()
	r.consume(q, mq.Consumer{}, func(_ context.Context, j *mq.Job) error { y.note(j); return nil })
	y.wait(r, 1)
	r.empty(q)
	if got := y.bodies(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("the new queue had %q", got)
	}
}

// testCancelledPublish: a Publish whose context has ended returns, with what is known of the job.
func testCancelledPublish(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	ctx, cancel := context.WithCancel(r.ctx())
	cancel()
	stored := 0
	for range 20 {
		_, err := q.Publish(ctx, mq.Message{})
		switch {
		case err == nil || mq.StoredBy(err) == mq.IsStored:
			stored++
		case !errors.Is(err, context.Canceled):
			t.Errorf("Publish: %v, want the context's end", err)
		}
	}
	if s, err := q.Stats(r.ctx()); err != nil || s.Jobs >= 0 && s.Jobs < int64(stored) {
		t.Errorf("%d were stored, and the queue has %+v, %v", stored, s, err)
	}
}

func testStats(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	begin := time.Now()
	r.publish(q, texts("1", "2", "3", "4")...)
	_, src := r.source(r.b, mq.SubscribeOptions{})
	ds := r.next(src, 3)
	if err := src.Ack(r.ctx(), ds[0]); err != nil {
		t.Fatal(err)
	}
	if err := src.Bury(r.ctx(), ds[1], nil); err != nil {
		t.Fatal(err)
	}
	var s mq.QueueStats
	want := func(got, n int64) bool { return got == n || got == -1 }
	r.until("the counts of one job that waits, one in flight, one dead", func() bool {
		var err error
		if s, err = q.Stats(r.ctx()); err != nil {
			t.Fatal(err)
		}
		return want(s.Jobs, 2) && want(s.Dead, 1) && len(s.Groups) == 1 && s.Groups[0].Name == "default" &&
			want(s.Groups[0].Waiting, 1) && want(s.Groups[0].InFlight, 1)
	})
	if s.Bytes == 0 || !s.Oldest.IsZero() && s.Oldest.Before(begin.Add(-time.Minute)) {
		t.Errorf("the counts are %+v", s)
	}
}
