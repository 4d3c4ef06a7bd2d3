package mqtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
)

var errNo = errors.New("it did not work")

func testRetry(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, mq.Message{Body: []byte("x"), Header: map[string]string{"A": "b"}})
	y := newTally()
	when := make(chan time.Time, 3)
	const pause = 300 * time.Millisecond
	r.consume(q, mq.Consumer{Retry: mq.Constant(pause), Worker: "w-1"}, func(_ context.Context, j *mq.Job) error {
		when <- time.Now()
		if y.note(j) < 3 {
			return fmt.Errorf("no %d: %w", j.Try, errNo)
		}
		return nil
	})
	jobs := y.wait(r, 3)
	last := <-when
	for i, j := range jobs {
		if j.Try != i+1 || len(j.Failures) != i || string(j.Body) != "x" || j.Header["A"] != "b" || j.ID != jobs[0].ID {
			t.Errorf("try %d: %+v", i+1, j)
		}
		for k, f := range j.Failures {
			if f.Try != k+1 || f.Worker != "w-1" || f.Why != fmt.Sprintf("no %d: it did not work", k+1) || f.At.IsZero() {
				t.Errorf("try %d: failure %d is %+v", i+1, k, f)
			}
		}
		if i > 0 {
			if now := <-when; now.Sub(last) < pause-10*time.Millisecond {
				t.Errorf("try %d came after %v, want %v at least", i+1, now.Sub(last), pause)
			} else {
				last = now
			}
		}
	}
	r.empty(q)
	r.counts(func(s mq.Stats) bool { return s.Started == 3 && s.Retried == 2 && s.Done == 1 })
}

// testHistoryTravels: another worker, at another connection, knows of the tries before.
func testHistoryTravels(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	y := newTally()
	for i := range 3 {
		w := r.consume(r.again(r.broker()), mq.Consumer{Retry: fast, Worker: fmt.Sprint("w-", i), InFlight: 1},
			func(ctx context.Context, j *mq.Job) error {
				if j.Try == i+1 {
					y.note(j)
					return errNo
				}
				return mq.Later(0, nil) // it is the next worker's
			})
		y.wait(r, i+1)
		w.end()
	}
	last := y.all()[2]
	if last.Try != 3 || len(last.Failures) != 2 || last.Failures[0].Worker != "w-0" || last.Failures[1].Worker != "w-1" {
		t.Errorf("the third try's job is %+v", last)
	}
}

// testLater: given back, a job comes after the time, and no try is used.
func testLater(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	y := newTally()
	const pause = 300 * time.Millisecond
	when := make(chan time.Time, 3)
	r.consume(q, mq.Consumer{Tries: 1}, func(_ context.Context, j *mq.Job) error {
		when <- time.Now()
		if y.note(j) < 3 {
			return mq.Later(pause, nil)
		}
		return nil
	})
	for i, j := range y.wait(r, 3) {
		if j.Try != 1 || len(j.Failures) != 0 {
			t.Errorf("time %d: try %d with %v", i+1, j.Try, j.Failures)
		}
	}
	if a, b := <-when, <-when; b.Sub(a) < pause-10*time.Millisecond {
		t.Errorf("it came again after %v, want %v", b.Sub(a), pause)
	}
	r.empty(q)
	r.counts(func(s mq.Stats) bool { return s.Returned == 2 && s.Done == 1 && s.Retried == 0 })
}

// dead waits until there are so many dead jobs.
func (r *rig) dead(q *mq.Queue, n int) (ds []mq.DeadJob) {
	r.Helper()
	r.until(fmt.Sprintf("%d dead jobs", n), func() bool {
		var err error
		if ds, err = q.Dead(r.ctx(), "", 1000); err != nil {
			r.Fatal(err)
		}
		return len(ds) >= n
	})
	return ds
}

func testDeadAfterTries(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	ms := []mq.Message{{Body: []byte("bad"), Key: "k", Header: map[string]string{"A": "b"}}, {Body: []byte("good")}}
	rs, err := q.PublishBatch(r.ctx(), ms)
	if err != nil {
		t.Fatal(err)
	}
	y := newTally()
	r.consume(q, mq.Consumer{Tries: 3, Retry: fast, Worker: "w-1"}, func(_ context.Context, j *mq.Job) error {
		if string(j.Body) == "good" {
			return nil
		}
		y.note(j)
		if j.Try < 3 {
			return fmt.Errorf("no %d", j.Try)
		}
		return errNo
	})
	ds := r.dead(q, 1)
	d := ds[0]
	if len(ds) != 1 || d.ID != rs[0].ID || string(d.Body) != "bad" || d.Key != "k" || d.Header["A"] != "b" ||
		d.Group != "default" || d.Queue != r.name || d.Ref == "" || time.Since(d.Died).Abs() > patience {
		t.Fatalf("the dead are %+v", ds)
	}
	why := func(f mq.Failure) string { return fmt.Sprintf("%d %s: %s", f.Try, f.Worker, f.Why) }
	var got []string
	for _, f := range d.History.Failures {
		got = append(got, why(f))
	}
	if want := []string{"1 w-1: no 1", "2 w-1: no 2", "3 w-1: it did not work"}; !slices.Equal(got, want) {
		t.Errorf("the history is %q, want %q", got, want)
	}
	if len(y.all()) != 3 {
		t.Errorf("it was tried %d times, want 3", len(y.all()))
	}
	r.empty(q)
	r.counts(func(s mq.Stats) bool { return s.Buried == 1 && s.Retried == 2 && s.Done == 1 })

	if err := q.Redrive(r.ctx(), d.Ref); err != nil {
		t.Fatal(err)
	}
	for _, j := range y.wait(r, 4)[3:4] { // again from the first try
		if j.Try != 1 || len(j.Failures) != 0 || j.ID != d.ID || string(j.Body) != "bad" || j.Key != "k" ||
			j.Header["A"] != "b" {
			t.Errorf("redriven it is %+v", j)
		}
	}
	d = r.dead(q, 1)[0]
	if err := q.Drop(r.ctx(), d.Ref); err != nil {
		t.Fatal(err)
	}
	if ds, err := q.Dead(r.ctx(), "", 10); err != nil || len(ds) != 0 {
		t.Errorf("after the drop the dead are %+v, %v", ds, err)
	}
	for _, ref := range []string{d.Ref, "no such ref", "999999"} {
		if err := q.Drop(r.ctx(), ref); !errors.Is(err, mq.ErrNoJob) {
			t.Errorf("Drop of %q: %v, want ErrNoJob", ref, err)
		}
		if err := q.Redrive(r.ctx(), ref); !errors.Is(err, mq.ErrNoJob) {
			t.Errorf("Redrive of %q: %v, want ErrNoJob", ref, err)
		}
	}
}

func testDeadAtOnce(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	r.consume(q, mq.Consumer{}, func(context.Context, *mq.Job) error { return fmt.Errorf("see: %w", mq.Dead(errNo)) })
	d := r.dead(q, 1)[0]
	if len(d.History.Failures) != 1 || !strings.Contains(d.History.Failures[0].Why, errNo.Error()) {
		t.Errorf("the history is %+v", d.History)
	}
	if s, err := q.Stats(r.ctx()); err != nil || s.Dead != 1 {
		t.Errorf("the queue's counts are %+v, %v", s, err)
	}
}

func testDeadPages(t *testing.T, r *rig) {
	const n = 25
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts(numbers("p", n)...)...)
	r.consume(q, mq.Consumer{InFlight: 1}, func(context.Context, *mq.Job) error { return mq.Dead(nil) })
	want := r.dead(q, n)
	var got []mq.DeadJob
	for after := ""; ; after = got[len(got)-1].Ref {
		page, err := q.Dead(r.ctx(), after, 7)
		if err != nil || len(page) > 7 {
			t.Fatalf("a page has %d: %v", len(page), err)
		}
		got = append(got, page...)
		if len(page) < 7 {
			break
		}
	}
	refs := func(ds []mq.DeadJob) (all []string) {
		for _, d := range ds {
			all = append(all, d.Ref)
		}
		return all
	}
	if !slices.Equal(refs(got), refs(want)) {
		t.Errorf("page by page the dead are %q, at once %q", refs(got), refs(want))
	}
	if !slices.IsSortedFunc(got, func(a, b mq.DeadJob) int { return a.Died.Compare(b.Died) }) {
		t.Errorf("the dead are not in the order of their death")
	}
}

// testDeadFull: where there is no room for the dead, no job is lost.
func testDeadFull(t *testing.T, r *rig) {
	r.needs(r.b.Capabilities().Bounded, "bounds")
	q := r.queue(mq.QueueOptions{MaxDead: 2})
	r.publish(q, texts("1", "2", "3")...)
	_, src := r.source(r.b, mq.SubscribeOptions{})
	ds := r.next(src, 3)
	for i, d := range ds {
		if err := src.Bury(r.ctx(), d, nil); i < 2 && err != nil || i == 2 && !errors.Is(err, mq.ErrFull) {
			t.Fatalf("burial %d of 2 that have room: %v", i+1, err)
		}
	}
	if err := q.Drop(r.ctx(), r.dead(q, 2)[0].Ref); err != nil {
		t.Fatal(err)
	}
	if err := src.Bury(r.ctx(), ds[2], nil); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	r.empty(q)
}

// testRedriveGroup: a job that is redriven is that group's in which it died, and no other's.
func testRedriveGroup(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	one, two := newTally(), newTally()
	r.consume(q, mq.Consumer{Group: "one"}, func(_ context.Context, j *mq.Job) error { one.note(j); return nil })
	r.consume(q, mq.Consumer{Group: "two"}, func(_ context.Context, j *mq.Job) error {
		if two.note(j) == 1 {
			return mq.Dead(errNo)
		}
		return nil
	})
	r.until("both groups are there", func() bool {
		s, err := q.Stats(r.ctx())
		return err == nil && len(s.Groups) == 2
	})
	r.publish(q, texts("x")...)
	d := r.dead(q, 1)[0]
	if d.Group != "two" {
		t.Errorf("it died in group %q", d.Group)
	}
	if err := q.Redrive(r.ctx(), d.Ref); err != nil {
		t.Fatal(err)
	}
	two.wait(r, 2)
	r.empty(q)
	if n := len(one.all()); n != 1 {
		t.Errorf("the other group had the job %d times", n)
	}
}

func testPanic(t *testing.T, r *rig) {
	q := r.queue(mq.QueueOptions{})
	r.publish(q, texts("x")...)
	r.consume(q, mq.Consumer{Tries: 2, Retry: fast}, func(context.Context, *mq.Job) error { panic("kaboom") })
	d := r.dead(q, 1)[0]
	if len(d.History.Failures) != 2 || !strings.Contains(d.History.Failures[1].Why, "kaboom") {
		t.Errorf("the history is %+v", d.History)
	}
	r.counts(func(s mq.Stats) bool { return s.Panics == 2 })
}
